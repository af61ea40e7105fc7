"""When a draft model is asked how replies go on, and for how many tokens. Pure.

It pays where the tokens that come true take longer one by one than all that is done for them: the
draft model's steps, those of the model over what they say, and what the draft model has yet to
evaluate of the thread. All of it is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.inference.core.sequence import DraftRequest, Sequence, Step
from bot.inference.scheduling.speculation import LENGTHS, MAX_ROWS, DraftCosts, num_expected

_FIRST_ACCEPTANCE = 0.6
"""Of a draft model that nothing is known of, and what it could come to again."""
_SMOOTHING, _MODEL_SMOOTHING = 0.1, 0.05
"""Of the acceptance of one reply, and of all."""
_RETURN, _MODEL_RETURN = 1 / 512, 1 / 4096
"""The part of its way back to the first acceptance that each goes in a step without a draft."""
_HOPEFUL = 0.5
_MARGIN = 1.2
"""Times the time that drafts cost that they should save: both are estimates."""
_MAX_DELAY, _MAX_LONGER = 0.25, 3.0
"""Of a step: what drafts may take from the replies beside them, and where all have drafts."""
_MAX_LEFT = 128
"""Tokens that a reply is expected to have yet, at most."""
_FIRST_COST, _FIRST_CATCH_UP = 0.1, 0.01
"""Of the model's step: a draft model's, and a token that it reads, before they are measured."""
_FEW = 3
"""Tokens a reply: so many are missing after any draft, so they are part of a draft model's step."""
_MANY = 32
"""Tokens from which the time that it takes to read one can be told."""
_COST_SMOOTHING = 0.5
_FIRST_HOPE, _RELENT = 0.5, 0.999
"""What is too dear by a measurement becomes cheaper by that in each step, until it is tried."""


@dataclass(slots=True)
class _Drafted:
    """A reply for which the draft model may be asked.

    ``acceptance``: the share of proposed tokens that the reply then said, as long as all before
    them were right. ``num_evaluated``: of its tokens, by the draft model.
    """

    acceptance: float
    num_evaluated: int = 0
    request: DraftRequest | None = None


class DraftModelCosts:
    """What a draft model takes for a token of so many replies, and to read one of a thread.

    In steps of the model, which are slow in the same moments. ``catch_up``: that of a token that
    is read. ``hope``: by it the costs of drafts are multiplied, for they may be lower by now.
    """

    def __init__(self) -> None:
        self.hope = _FIRST_HOPE
        self._steps: dict[int, float] = {}
        self.catch_up = _FIRST_CATCH_UP

    def observe(self, requests: list[DraftRequest], base: float) -> None:
        """``base``: the seconds of the model's step."""
        taken = sum(request.seconds for request in requests) / base
        num_read = sum(request.num_caught_up for request in requests)
        num_steps, size = max(len(r.draft) for r in requests), len(requests).bit_length()
        late = self.catch_up * max(0, num_read - _FEW * len(requests))
        if num_read >= _MANY:
            reading = max(0.0, taken - num_steps * self.step(len(requests))) / num_read
            self.catch_up += _COST_SMOOTHING * (reading - self.catch_up)
        elif num_steps and late <= taken / 2:
            cost = (taken - late) / num_steps
            known = self._steps.get(size, cost)
            self._steps[size] = min(cost, known + _COST_SMOOTHING * (cost - known))
            self.hope = 1.0

    def step(self, num_replies: int) -> float:
        """From the nearest number of replies measured."""
        if not self._steps:
            return _FIRST_COST
        size = num_replies.bit_length()
        return self._steps[min(self._steps, key=lambda known: abs(known - size))]

    def relent(self) -> None:
        """A reply that should speed up has no draft."""
        self.hope *= _RELENT


class ModelDrafts:
    """What is asked of the draft model. Replies are the same as without, but for rounding."""

    def __init__(self, costs: DraftCosts) -> None:
        """``costs``: what the tokens of drafts add to a step of the model itself."""
        self._costs = costs
        self._own_costs = DraftModelCosts()
        self._acceptance = _FIRST_ACCEPTANCE
        self._replies: dict[int, _Drafted] = {}

    def observe(self, step: Step) -> None:
        base = self._costs.decode_seconds(step.num_decode)
        if base and (requests := step.requests):
            self._own_costs.observe(requests, base)

    def forget(self, sequence: Sequence) -> None:
        if known := self._replies.pop(sequence.id, None):
            self._compare(known, sequence.tokens)

    def requests(
        self, sequences: list[Sequence], num_replies: int, num_drafted: int, max_tokens: int
    ) -> dict[int, DraftRequest]:
        """Slot -> request, for those of ``sequences`` that should have one; ``max_tokens`` in all.

        The step has drafts of ``num_drafted`` tokens already, for others of its replies.
        """
        found = [(self._known(sequence), sequence) for sequence in sequences]
        if not found or not (base := self._costs.decode_seconds(num_replies)):
            return {}
        found.sort(key=lambda each: each[0].acceptance, reverse=True)
        plan = _Plan(self._costs, self._own_costs, num_replies, base)
        room = min(max_tokens, MAX_ROWS - num_drafted)
        plan.choose([known for known, _ in found], room)
        asked: dict[int, DraftRequest] = {}
        for known, sequence in found[: plan.num_asked]:
            left = sequence.max_tokens - sequence.num_generated - 1
            behind = len(sequence.tokens) - known.num_evaluated
            if left > 0 and plan.pays(known, behind, min(left, _MAX_LEFT)):
                known.request = DraftRequest(
                    sequence.id, sequence.tokens[:], min(plan.length, left)
                )
                asked[sequence.held_slot] = known.request
        self._relent([known for known, sequence in found if sequence.held_slot not in asked])
        if not asked and found[0][0].acceptance >= _HOPEFUL:
            self._own_costs.relent()
        return asked

    def _known(self, sequence: Sequence) -> _Drafted:
        known = self._replies.setdefault(sequence.id, _Drafted(self._acceptance))
        self._compare(known, sequence.tokens)
        return known

    def _compare(self, known: _Drafted, tokens: list[int]) -> None:
        """Learn from what the reply said since the draft model was asked."""
        request, known.request = known.request, None
        if request is None:
            return
        known.num_evaluated = request.num_evaluated
        for proposed, said in zip(request.draft, tokens[len(request.tokens) :], strict=False):
            is_right = proposed == said
            known.acceptance += _SMOOTHING * (is_right - known.acceptance)
            self._acceptance += _MODEL_SMOOTHING * (is_right - self._acceptance)
            if not is_right:
                return

    def _relent(self, left_out: list[_Drafted]) -> None:
        """Those that the draft model is not asked for may be foreseen by now."""
        for known in left_out:
            known.acceptance += _RETURN * max(0.0, _FIRST_ACCEPTANCE - known.acceptance)
        if left_out:
            self._acceptance += _MODEL_RETURN * max(0.0, _FIRST_ACCEPTANCE - self._acceptance)


class _Plan:
    """Drafts of one ``length`` for ``num_asked`` replies of a step, the most promising ones."""

    def __init__(
        self, costs: DraftCosts, own_costs: DraftModelCosts, num_replies: int, base: float
    ) -> None:
        self.num_asked = self.length = 0
        self._costs, self._own_costs = costs, own_costs
        self._num_replies, self._base = num_replies, base

    def choose(self, replies: list[_Drafted], max_tokens: int) -> None:
        """That with which the step is worth the most."""
        longest = self._costs.max_length(self._num_replies)
        best_rate = self._num_replies / self._base
        for length in [length for length in LENGTHS if length <= longest]:
            gained = 0.0
            for number, reply in enumerate(replies[: max(0, max_tokens // length)], 1):
                gained += num_expected(reply.acceptance, length)
                rate = self._rate(number, length, gained)
                if rate > best_rate:
                    self.num_asked, self.length, best_rate = number, length, rate

    def pays(self, reply: _Drafted, behind: int, left: int) -> bool:
        """Whether the draft model catches up with it in less time than it saves later.

        ``behind``: tokens that the draft model has to evaluate; ``left``: those yet to come.
        """
        saved = left * max(self._saved(reply, length) for length in LENGTHS)
        few = _FEW + self.length
        return behind <= few or saved > behind * self._own_costs.catch_up * self._base

    def _saved(self, reply: _Drafted, length: int) -> float:
        """Seconds for each of its tokens."""
        gained = num_expected(reply.acceptance, length)
        cost = self._seconds(self.num_asked, length) / self.num_asked
        return (gained * self._base / self._num_replies - cost) / (1 + gained)

    def _rate(self, number: int, length: int, gained: float) -> float:
        """Tokens a second; 0 if it must not be."""
        seconds, share = self._seconds(number, length), number / self._num_replies
        longest = self._base * (_MAX_LONGER if share == 1 else max(_MAX_DELAY, share))
        if seconds > longest or gained * self._base < _MARGIN * seconds * self._num_replies:
            return 0.0
        return (self._num_replies + gained) / (self._base + seconds)

    def _seconds(self, number: int, length: int) -> float:
        """What the drafts add to the step."""
        verified = number * length * self._costs.per_token(length, self._num_replies)
        drafted = length * self._own_costs.step(number) * self._base
        return (verified + drafted) * self._own_costs.hope
