"""What was said in a channel, for one person who may read it and alone is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from adapters.discord.api.chains import ReplyChains
from adapters.discord.api.channels import Channels
from adapters.discord.api.ids import DIRECT, NAME, is_direct, private_thread
from adapters.discord.api.messages import BotUser
from adapters.discord.api.posting import Posting, body_of
from adapters.discord.interactions.answers import Answers
from bot.errors import AccessDenied
from bot.ports import Clock
from bot.types import NOTICE, Label, Person, Place, Rendered

DEAF = (
    "Discord keeps from me what does not mention me; whoever runs me can switch on "
    "Message Content Intent."
)
NOT_HERE = "I do not answer in age-restricted channels."
NOT_YOURS_TO_READ = "You may not read here what was said before, so I cannot tell you."
_WEEK = timedelta(days=7)


class CatchingUp:
    def __init__(
        self, channels: Channels, chains: ReplyChains, posting: Posting, answers: Answers
    ) -> None:
        self._channels = channels
        self._chains = chains
        self._posting = posting
        self._answers = answers

    async def lately(
        self, place: Place, person: Person, me: BotUser, clock: Clock, *, age_restricted: bool
    ) -> Sequence[tuple[str, str]]:
        """A week of the channel, or of the thread of Discord's that ``place`` is in.

        ``age_restricted``: whether such channels are read. Raises ``AccessDenied``.
        """
        channel = await self._posting.channel_of(place)
        guild = "" if is_direct(place) else place.workspace
        info = await self._channels.find(channel, guild)
        if info.is_age_restricted and not age_restricted:
            raise AccessDenied(NOT_HERE)
        if not self._channels.may_read_history(info, person.role_ids, _user_of(person)):
            raise AccessDenied(NOT_YOURS_TO_READ)
        seen = self._channels.seen_from(place.workspace, me)
        return await self._chains.lately(channel, clock.now() - _WEEK, seen)

    async def open_private(self, place: Place, person: Person) -> tuple[Place, str]:
        """Under the command that they used here, or in a direct message."""
        user = _user_of(person)
        if answer := self._answers.of_person(person.id, place.channel_form):
            answer.ref = replace(answer.ref, private=True)
            thread = "" if is_direct(place) else private_thread(user, answer.ref.id)
            return replace(place, thread=thread), str(answer.ref)
        private = Place(NAME, DIRECT, await self._posting.direct_channel(user), "")
        shown = await self._posting.channel_of(place)
        text = Rendered(f"What was said in <#{shown}>:")
        return private, str(await self._posting.post(private, body_of(text), Label(NOTICE, 0)))


def _user_of(person: Person) -> str:
    return person.id.rpartition("/")[2]
