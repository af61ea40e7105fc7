"""A scheduler with the strict model of letters, for tests of the policy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bot.generation import FinishReason, Sampling
from bot.inference.core.lanes import Lanes
from bot.inference.core.model import NotRestored
from bot.inference.core.saved_state import SavedState
from bot.inference.core.sequence import Offload, Sequence, Step
from bot.inference.kv_cache.saved_states import SavedStates
from bot.inference.scheduling.scheduler import Scheduler
from bot.inference.scheduling.speculation import DraftCosts
from tests.fakes.guesser import Eager, Guesser, Insistent
from tests.fakes.model import ANSWER, FakeModel

SYSTEM = "You are kind and brief, and you answer in one sentence.\n"


class Engine:
    """A scheduler with the strict model of letters; ``ask`` runs a sequence to its end.

    A sequence that ``is_held`` has a grammar that forces the digits of a number upon it.
    ``saved_states``: where evicted threads are offloaded to, if at all. ``drafts_err_at``: every
    so many letters, drafts for the replies are wrong; without it there are none.
    ``model_drafts_err_at``: those of a draft model, which ``reads`` so many letters a step.
    """

    def __init__(
        self,
        *,
        cells: int = 2_000,
        slots: int = 16,
        reuse: bool = True,
        saved_states: SavedStates | None = None,
        lanes: Lanes = (),
        drafts_err_at: int = 0,
        model_drafts_err_at: int = 0,
        reads: int = 100,
        flash_prefill: bool = False,
    ) -> None:
        self.guesser = Guesser(lambda s: self.model._script(prompt_of(s)), drafts_err_at)
        self.model = FakeModel(
            script, num_cells=cells, num_slots=slots, forces="0123456789", lanes=lanes,
            drafts_err_at=model_drafts_err_at, reads=reads,
        )  # fmt: skip
        costs, drafts = DraftCosts(lambda _: 1.0), drafts_err_at or model_drafts_err_at
        self.policy = Scheduler(
            max_running=4, max_waiting=100, num_cells=cells, max_batch=64, num_slots=slots,
            reuse=reuse, saved_states=saved_states, lanes=lanes,
            window=cells // 256 * 256, pass_cells=100, flash_prefill=flash_prefill,
            speculation=Eager(self.guesser, lambda _: 1.0) if drafts and reuse else None,
            model_drafts=Insistent(costs) if model_drafts_err_at and reuse else None,
        )  # fmt: skip
        self._count = 0
        self._ahead: Step | None = None
        self._sampled: dict[int, list[int]] = {}

    def sequence(
        self,
        text: str,
        *,
        system: str = SYSTEM,
        thread: str | None = None,
        scope: str = "",
        person: str = "ada",
        limit: int = 20,
        is_held: bool = False,
        shares_prompt: bool = False,
    ) -> Sequence:
        self._count += 1
        tokens = [ord(c) for c in system + text + ANSWER]
        return Sequence(
            id=self._count, person=person, tokens=tokens, max_tokens=limit, sampling=Sampling(),
            scope=scope, thread=thread, num_prefix=len(system),
            grammar="numbers" if is_held else None, shares_prompt=shares_prompt,
        )  # fmt: skip

    def step(self) -> bool:
        step = self.plan()
        if step is None:
            return False
        self.run(step)
        return True

    def plan(self) -> Step | None:
        return self._take_ahead() or self.policy.plan()

    def plan_ahead(self, step: Step) -> None:
        """What ``plan`` returns after ``step``, which runs, if that can be known."""
        self._ahead = self.policy.plan_ahead(step)

    def run(self, step: Step) -> None:
        whole = step.after(self._sampled, self.model.is_end) if step.is_ahead else step
        self._sampled = {}
        if whole is None:
            self._take_back_ahead()
            self.policy.take_back(step)
            return
        try:
            self._sampled = self.model.run(whole)
        except NotRestored as refusal:
            self._take_back_ahead()
            self.policy.begin_again(step, refusal.slots)
        else:
            self.policy.apply(step, self._sampled, self.model.is_end)

    def _take_ahead(self) -> Step | None:
        ahead, self._ahead = self._ahead, None
        return ahead

    def _take_back_ahead(self) -> None:
        if ahead := self._take_ahead():
            self.policy.take_back(ahead)

    def ask(
        self, text: str, thread: str | None = None, scope: str = "", system: str = SYSTEM
    ) -> Sequence:
        sequence = self.sequence(text, system=system, thread=thread, scope=scope)
        self.policy.add(sequence)
        while not sequence.is_finished:
            assert self.step()
        return sequence


def script(prompt: str) -> str:
    """The answer depends on all of the prompt, so that another thread's cells would show."""
    return f"{len(prompt)} {sum(map(ord, prompt))}."


def said(sequence: Sequence) -> str:
    return "".join(map(chr, sequence.tokens[sequence.num_prompt :]))


def prompt_of(sequence: Sequence) -> str:
    return "".join(map(chr, sequence.tokens[: sequence.num_prompt - 1]))


class Disk:
    """Takes every state out of memory; reading one back takes ``delay`` steps, and may fail."""

    def __init__(self, saved_states: SavedStates, *, delay: int, damages: int) -> None:
        self._saved_states = saved_states
        self._delay, self._damages = delay, damages
        self._files: dict[str, memoryview] = {}
        self._reading: list[tuple[int, SavedState]] = []
        self._num_read = 0

    def settle(self, step: Step | None) -> None:
        for action in step.actions if step else []:
            if isinstance(action, Offload) and action.saved in self._saved_states:
                self._write(action.saved)
        self._reading += [(self._delay, saved) for saved in self._saved_states.wanted]
        self._saved_states.wanted.clear()
        due = [saved for left, saved in self._reading if left <= 0]
        self._reading = [(left - 1, saved) for left, saved in self._reading if left > 0]
        for saved in due:
            self._read(saved)

    def _write(self, saved: SavedState) -> None:
        assert saved.state is not None
        saved.file = str(len(self._files))
        self._files[saved.file], saved.state = saved.state, None

    def _read(self, saved: SavedState) -> None:
        saved.is_wanted = False
        if saved not in self._saved_states:
            return
        self._num_read += 1
        if self._damages and self._num_read % self._damages == 0:
            self._saved_states.remove(saved)
        else:
            saved.state = self._files[saved.file]


@dataclass
class Ask:
    """A question that comes at a tick of ``play``, and may be cancelled at a later one."""

    at: int
    text: str
    system: str
    thread: str | None
    limit: int
    is_background: bool
    person: str
    cancel_at: int | None
    num_answers: int
    scope: str = ""


Everyone = list[tuple[Ask, Sequence]]


def everyone_of(made: Engine, asks: Iterable[Ask]) -> Everyone:
    """A sequence for each answer; every second question has a grammar."""
    return [
        (ask, made.sequence(ask.text, system=ask.system, thread=ask.thread, scope=ask.scope,
                            person=ask.person, limit=ask.limit, is_held=number % 2 == 0,
                            shares_prompt=ask.num_answers > 1))
        for number, ask in enumerate(asks)
        for _ in range(ask.num_answers)
    ]  # fmt: skip


def play(
    made: Engine,
    everyone: Everyone,
    *,
    disk: Disk | None,
    forgets: Iterable[tuple[int, str, str]],
    rests_every: int = 0,
    max_ticks: int = 20_000,
) -> None:
    """Until everybody is done; ``forgets``: tick, scope and thread."""
    policy = made.policy
    for tick in range(max_ticks):
        for ask, one in everyone:
            if ask.at == tick:
                one.is_background = ask.is_background
                policy.add(one)
        if rests_every and tick % rests_every == 0:
            policy.rest()
        step = made.plan()
        if step is not None:
            made.plan_ahead(step)
        for ask, one in everyone:  # people stop replies while a step is under way
            if ask.cancel_at == tick and tick >= ask.at:
                policy.finish(one, FinishReason.CANCELLED)
        for at, scope, thread in forgets:
            if at == tick:
                policy.forget(scope, thread)
        if step is not None:
            made.run(step)
        elif tick > 130 and all(one.is_finished for _, one in everyone):
            break
        if disk:
            disk.settle(step)
    while made.step():
        pass
