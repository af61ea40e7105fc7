"""One turn of people, from the front of its thread to its final edit and its end on disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from bot import prompt
from bot.errors import (
    EmptyQuestion,
    EngineFailed,
    MessageGone,
    PlatformError,
    PromptTooLong,
    RequestError,
    StorageError,
    sentence_for_people,
)
from bot.generation import GenerationEvent, Progress, Queued, Reasoning
from bot.markdown.links import LinkPolicy
from bot.reply import ReplyEditor
from bot.stored import Post, Turn
from bot.turns.display import (
    STOPPED,
    THINKING,
    Draft,
    Ending,
    TypingIndicator,
    beginning,
    credited,
    cut_short,
    failed,
    in_line,
    in_thread,
    longer,
    noted,
    post_file,
    undelivered,
    under,
)
from bot.turns.live import LiveTurn, Wish
from bot.turns.queues import AdmissionQueue
from bot.turns.services import ContextTrimmer, Services
from bot.types import Label, Personality, ReplyEnd
from bot.usage import AnswerTimes

logger = logging.getLogger(__name__)

Load = Callable[[Turn, asyncio.Event], Awaitable[Turn]]
"""``InputLoader.load``."""

Tell = Callable[[Turn, str, str], None]
"""``InputLoader.tell``."""


class PostedTurn(LiveTurn):
    """A turn of people: an editor shows its reply in messages of the platform.

    The final text is delivered before the turn is finished on disk: a process that is killed
    between the two answers again, into the same messages. ``search_first``: a post may not be
    recorded.
    """

    def __init__(
        self,
        services: Services,
        admissions: AdmissionQueue,
        trimmer: ContextTrimmer,
        load: Load,
        tell: Tell,
        turn: Turn,
        *,
        admitted: bool = False,
        search_first: bool = False,
    ) -> None:
        super().__init__(services, admissions, trimmer, turn, admitted=admitted)
        self._load = load
        self._tell = tell
        self._search_first = search_first
        self._anew: Wish | None = None  # it was to end, and to be answered again
        self._unrecorded: dict[int, str | None] = {}  # part -> message id (None: deleted)
        self._editor: ReplyEditor
        self._links = LinkPolicy.of("none")  # until it is known what the model is told
        self._typing = TypingIndicator(services, turn.place)
        self._ahead: LiveTurn | None = None
        self._num_ahead = 0
        self._behind: PostedTurn | None = None
        self._is_shown = False  # how many are ahead
        self._is_delivering = False

    def wait_behind(self, ahead: LiveTurn, num_ahead: int) -> None:
        self._ahead, self._num_ahead = ahead, num_ahead
        if isinstance(ahead, PostedTurn):
            ahead._behind = self
        self._show_num_ahead()

    async def run(self) -> None:
        """Return once the turn has ended, and nobody wants it answered anew, or to go on."""
        while True:
            try:
                async with self._new_editor() as self._editor:
                    ending = await self._answer()
                    if self._begin_again():
                        continue
                    await self._deliver(ending)
            except Exception as error:  # one turn never takes others down
                await self._fail(error)
            if not self._begin_again():
                return

    async def conclude(self, ending: Ending) -> None:
        """Deliver the last text of a turn that does not run."""
        async with self._new_editor() as self._editor:
            await self._deliver(ending)

    def _begin_again(self) -> bool:
        """True if it is to be answered anew, or to go on; the turn is then as if new."""
        if self.wish not in (Wish.RESTART, Wish.GO_ON):
            return False
        self._anew = self.wish
        self.wish = self.ending = self._told = None
        self._halted.clear()
        self._times = AnswerTimes(self._services.clock)
        self._search_first = True
        return True

    async def _answer(self) -> Ending:
        try:
            return await self._answer_in_order()
        except (EmptyQuestion, PromptTooLong) as error:
            return self._refused(error)
        except (RequestError, EngineFailed) as error:
            return failed(str(error))
        finally:
            self._typing.stop()
            self._admissions.leave(self._admission)

    async def _answer_in_order(self) -> Ending:
        """At the front of the thread, then where the engine has room for it.

        Until then people see how many turns are ahead.
        """
        self._is_shown = True
        self._show_num_ahead()
        await self.may_go_on.wait()
        self._is_shown = False
        self._ahead = None
        if self.is_given_up:
            return STOPPED
        if self._anew is not None:
            requeue, goes_on = self._services.progress.requeue, self._anew is Wish.GO_ON
            self._refresh(await requeue(self.id, goes_on=goes_on))
            self._anew, self.is_concluded = None, False
        self._admissions.join(self._admission)
        if not await self._begin():
            return STOPPED
        self._show_begun()
        if self.turn.unread:
            self._refresh(await self._load(self.turn, self._halted))
        return await self._generate()

    def _show_place(self, place: int) -> None:
        self._show_wait(in_line(place))

    def _look_at(self, personality: Personality, turns: Sequence[Turn]) -> None:
        told = prompt.given(personality, (*turns, self.turn))
        self._links = LinkPolicy.of(self._services.rules.links, told)

    def _take(self, event: GenerationEvent, draft: Draft) -> None:
        if isinstance(event, Queued) and event.place:
            loading = event.loading and f"Loading {event.loading}…"
            self._show_wait(loading or in_line(event.place, event.wait))
            return
        if isinstance(event, Progress):
            self._show_progress(event.text)
            return
        if isinstance(event, Reasoning | Queued):
            self._editor.show_placeholder(THINKING)
        if shown := draft.shown:
            self._typing.stop()
            self._editor.show(shown)

    def _show_progress(self, text: str) -> None:
        self._show_wait(f"{text[:1].upper()}{text[1:]}…")

    def _tell_refused(self, sentences: str) -> None:
        self._tell(self.turn, "pages", sentences)

    async def _store(self, ending: Ending) -> None:
        await self._record_posts()
        await super()._store(ending)

    async def _deliver(self, ending: Ending) -> None:
        adapter = self._services.adapters[self.place.adapter]
        sources = tuple(self.turn.files) if ending.reply else ()
        self._services.metrics.sources.labels(self.place.adapter).inc(len(sources))
        quotes = self._speaking is not None and self._speaking.answers == "quoted"
        whole = self.ending = credited(longer(self.turn, ending), () if quotes else sources)
        first, end = beginning(adapter, whole.shown), ReplyEnd(sources, whole.can_continue)
        self._is_delivering = first is None
        try:
            await self._editor.finish(first or whole.shown, None if first else end)
            if self._editor.is_cut:
                ending = await self._cut_short(whole)
            if first is not None and not await self._attach(whole.shown, end):
                async with self._new_editor() as editor:
                    await editor.finish(whole.shown, end)
        except PlatformError as error:
            logger.warning("the reply of turn %s could not be delivered: %s", self.id, error)
            is_deleted = isinstance(error, MessageGone) and self.turn.posts
            if not is_deleted and (ending.reply or not self.turn.posts):
                ending = undelivered(error, ending.usage)
        finally:
            self._is_delivering = False
        await self.finish(ending)

    async def _cut_short(self, whole: Ending) -> Ending:
        """What its messages hold of an answer that was stopped while others were to come."""
        adapter, num_messages = self._services.adapters[self.place.adapter], len(self.turn.posts)
        cut = await asyncio.to_thread(cut_short, adapter, whole, num_messages)
        self.ending = cut
        async with self._new_editor() as editor:
            await editor.finish(cut.shown, ReplyEnd((), cut.can_continue))
        return cut

    def halt(self, wish: Wish) -> None:
        super().halt(wish)
        if wish is Wish.STOP and self._is_delivering:
            self._editor.post_no_more()

    async def _attach(self, answer: str, end: ReplyEnd) -> bool:
        """Post the whole answer as a file; False where that is refused."""
        adapter = self._services.adapters[self.place.adapter]
        label = Label(self.id, 1, self.turn.message_id)
        message = await post_file(adapter, self.place, answer, label, end)
        if message is not None:
            await self._record(label.part, message)
        return message is not None

    async def _fail(self, error: Exception) -> None:
        """Show the failure in the reply's own message, unless that has its last text already.

        The turn ends even where that is impossible.
        """
        self._search_first = True
        if not self.is_forgotten:
            logger.error("turn %s failed", self.id, exc_info=error)
        if self._told is not None:
            if not self.is_concluded:
                self._services.tasks.spawn(self._finish_later(self._told))
            return
        ending = STOPPED if self.is_forgotten else failed(sentence_for_people(error))
        try:
            await self.conclude(ending)
        except Exception:  # a platform's or the store's defect: of this turn, too
            logger.exception("the failure of turn %s could not be told", self.id)
            await self.finish(ending)

    def _new_editor(self) -> ReplyEditor:
        return ReplyEditor(
            self._services.adapters[self.place.adapter],
            self._services.budgets[self.place.adapter],
            self._services.clock,
            place=self.place,
            turn_id=self.id,
            record=self._record,
            posts=self.turn.posts,
            search_first=self._search_first,
            question_id=self.turn.message_id,
            asker=self.turn.person,
            on_stop=lambda: self.halt(Wish.STOP),
            later=self._services.tasks.spawn,
            change=lambda block: self._links.shown(block),
            shown=self._services.shown,
        )

    async def _record(self, part: int, message_id: str | None) -> None:
        """Note where a message of the reply is. The reply goes on where the disk is full.

        It is stored at the turn's end then; a later process would have to search for it.
        """
        self._unrecorded[part] = message_id
        posts = {post.part: post for post in self.turn.posts if post.part != part}
        if message_id is not None:
            posts[part] = Post(part, message_id)
        self.turn = replace(self.turn, posts=tuple(posts[each] for each in sorted(posts)))
        if self._behind is not None:
            self._behind._show_num_ahead()
        if self.is_forgotten:
            return
        try:
            await self._record_posts()
        except StorageError:
            logger.error("a message of turn %s is not recorded yet", self.id)

    async def _record_posts(self) -> None:
        for part, message_id in tuple(self._unrecorded.items()):
            if message_id is None:
                await self._services.progress.remove_post(self.id, part)
            else:
                await self._services.progress.add_post(self.id, part, message_id)
            self._unrecorded.pop(part, None)

    def _show_num_ahead(self) -> None:
        """Only once the turn ahead shows something: messages stand in the order of questions."""
        is_ahead_shown = self._ahead is not None and self._ahead.turn.posts
        if self._is_shown and is_ahead_shown and not self.may_go_on.is_set():
            self._show_wait(in_thread(self._num_ahead))

    def _show_begun(self) -> None:
        """What the reply continues stays where it is, without the words that it had ended with."""
        self._editor.show_placeholder(THINKING)
        if self._begun:
            self._editor.show(under(self.turn.above, self._begun))

    def _show_wait(self, text: str) -> None:
        self._editor.show_placeholder(text)
        if self._begun:
            self._editor.show(under(self.turn.above, noted(self._begun, f"_({text})_")))
        self._typing.start()
