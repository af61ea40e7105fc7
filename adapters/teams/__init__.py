"""Microsoft Teams. Settings: the table ``[teams]``; see ``adapters.teams.settings``."""

from adapters.teams.adapter import TeamsAdapter
from adapters.teams.settings import TeamsSettings
from bot.ports import AdapterContext


def create(context: AdapterContext) -> TeamsAdapter:
    """Raises ``SettingsError`` for a missing or wrong setting."""
    settings = TeamsSettings.read(context.settings)
    return TeamsAdapter(settings, context.clock, context.observe, folder=context.folder)
