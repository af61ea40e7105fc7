"""Microsoft Teams. Settings: the table ``[teams]``; see ``adapters.teams.settings``."""

import os

from adapters.teams.adapter import TeamsAdapter
from adapters.teams.settings import TeamsSettings, token_source
from bot.ports import AdapterContext


def create(context: AdapterContext) -> TeamsAdapter:
    """Raises ``SettingsError`` for a missing or wrong setting."""
    settings = TeamsSettings.read(context.settings)
    source = token_source(settings, os.environ)
    return TeamsAdapter(settings, source, context.clock, context.observe, folder=context.folder)
