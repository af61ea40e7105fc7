"""Slack. Settings: ``bot_token``, ``signing_secret``, ``app_token``, ``api_url``."""

from adapters.slack.adapter import SlackAdapter
from adapters.slack.api.settings import SlackSettings
from adapters.slack.diagnosis import examine
from bot.ports import AdapterContext

__all__ = ["create", "examine"]


def create(context: AdapterContext) -> SlackAdapter:
    """Raises ``SettingsError`` for a missing or wrong setting."""
    settings = SlackSettings.read(context.settings)
    return SlackAdapter(
        settings,
        context.clock,
        context.observe,
        personalities=context.personalities,
        find_standing=context.standing,
        listens=context.listens,
        refusal=context.refusal,
    )
