"""``chat`` with the Parley that runs, or with one of its own."""

from __future__ import annotations

from contextlib import nullcontext

from bot.cli.chat.client import PageClient
from bot.cli.chat.screen import silent_keys
from bot.cli.chat.talk import Talk
from bot.cli.own_parley import own_parley, status
from bot.config import Settings
from bot.lock import is_held, running_url

_STARTS_SECONDS = 300.0


async def chat(settings: Settings, personality: str, *, goes_on: bool) -> bool:
    """Until the person leaves; whether all was well."""
    folder = settings.data_dir
    parley = nullcontext() if is_held(folder) else own_parley(settings)
    async with parley, PageClient(folder) as client:
        with nullcontext() if running_url(folder) else status("Parley is starting …"):
            await client.until_there(_STARTS_SECONDS)
        talk = Talk(client, await client.state(), personality)
        with silent_keys():
            await talk.greet(goes_on=goes_on)
            return await talk.run()
