"""Microsoft Teams. Settings: the table ``[teams]``; see ``adapters.teams.settings``."""

import os

from adapters.teams.adapter import TeamsAdapter
from adapters.teams.grants import grant_of
from adapters.teams.settings import TeamsSettings
from bot.ports import AdapterContext


def create(context: AdapterContext) -> TeamsAdapter:
    """Raises ``SettingsError`` for a missing or wrong setting."""
    settings = TeamsSettings.read(context.settings)
    grant = grant_of(settings, os.environ)
    return TeamsAdapter(settings, grant, context.clock, context.observe, folder=context.folder)
