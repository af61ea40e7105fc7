"""Discord. Settings: ``token``, ``api_url``, ``gateway_url``, ``guild_ids``, ``threads``,
``age_restricted``, ``file_above``.
"""

from adapters.discord.adapter import DiscordAdapter
from adapters.discord.application import examine
from adapters.discord.settings import DiscordSettings
from bot.ports import AdapterContext

__all__ = ["create", "examine"]


def create(context: AdapterContext) -> DiscordAdapter:
    """Raises ``SettingsError`` for a missing or wrong setting."""
    settings = DiscordSettings.read(context.settings)
    return DiscordAdapter(
        settings,
        context.clock,
        context.observe,
        context.personalities,
        listens=context.listens,
        refusal=context.refusal,
    )
