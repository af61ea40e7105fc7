"""LlamaModel, a loaded model as the engine uses it, and LlamaOutline, one without weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import llama_cpp as llama

from bot.errors import ModelError
from bot.generation import ChatMessage, RawPrompt
from bot.inference.core.calls import AnyGrammar
from bot.inference.core.lanes import (
    MAX_STREAMS,
    STREAM_QUANTUM,
    Lane,
    Lanes,
    equal_lanes,
    round_down,
)
from bot.inference.core.model import NoRoom, NotRestored, StepFailed
from bot.inference.core.sequence import (
    Action,
    Arrange,
    Chunk,
    Move,
    Offload,
    Opening,
    Release,
    Restore,
    Share,
    Step,
    Trim,
)
from bot.inference.gguf import fingerprint, memory_check
from bot.inference.grammar.constrained import Logits, ahead
from bot.inference.llama import state_check
from bot.inference.llama.apart import apart
from bot.inference.llama.backend import supports_gpu, system_info
from bot.inference.llama.context import Context
from bot.inference.llama.contexts import Contexts
from bot.inference.llama.draft_model import DraftModel
from bot.inference.llama.files import facts_of, kind_of, load_vocabulary, load_weights, read_facts
from bot.inference.llama.grammars import Grammars
from bot.inference.llama.options import Attention, KVLayout, LlamaOptions
from bot.inference.llama.samplers import Samplers
from bot.inference.llama.vocabulary import Vocabulary

_MAX_SLOTS = 256
"""llama.cpp supports no more sequence ids."""


class LlamaModel:
    """``bot.inference.core.model.Model`` over llama.cpp."""

    def __init__(
        self,
        path: Path,
        options: LlamaOptions,
        *,
        name: str = "",
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        """Load ``path``; ``on_progress`` gets values from 0 to 1. Raises ModelError."""
        self.path = path
        self.facts = read_facts(path)
        self.name = name or self.facts.name
        self._options = options
        self.num_cells = options.num_cells
        self.max_batch = options.max_batch
        self.window = options.window_of(self.facts)
        self._check_fit()
        self._model = apart(lambda: load_weights(path, options.gpu_layers, on_progress))
        self.kind = kind_of(self._model)
        idle = options.num_slots if self.kind.can_reuse else 0  # each takes a state, even if unused
        self.num_slots = min(_MAX_SLOTS, max(idle, options.max_running))
        self.vocabulary = Vocabulary(self._model)
        self.open_tag = self.vocabulary.template.open_tag
        self.calls = self.vocabulary.calls
        self._grammars = Grammars(self.vocabulary)
        self._samplers = Samplers(self.vocabulary, self._grammars, self._num_samplers())
        self._refused: list[int] = []
        self.lanes = self._first_lanes()
        self._contexts = Contexts(self._open_context, self.lanes)
        self.can_reuse = self.kind.can_reuse and self._context.can_trim()
        self._keeps_states = bool(self.lanes) and apart(self._try_states)
        if self.lanes and not self._keeps_states:  # its cells cannot be moved
            self.lanes = ()
            self._contexts.close()
            self._contexts = Contexts(self._open_context, ())
        if self.lanes:
            self.window = min(self.window, round_down(self.num_cells))
        self.flash_prefill = bool(self.lanes) and apart(self._can_change_attention)
        self.draft_model: DraftModel | None = None

    def draft_with(self, path: Path) -> None:
        """Load a draft model, which answers the requests of chunks from now on.

        Raises ModelError.
        """
        if not self.can_reuse:
            raise ModelError(
                f"{self.name} cannot have a draft model, for it cannot forget tokens that are not "
                "said: leave PARLEY_DRAFT_MODEL unset."
            )
        in_streams = bool(self.lanes)
        self.draft_model = DraftModel(path, self._options, self.vocabulary, in_streams=in_streams)

    @property
    def can_draft(self) -> bool:
        return self.draft_model is not None

    @property
    def needed_bytes(self) -> int:
        drafting = self.draft_model.needed_bytes if self.draft_model else 0
        return self._options.needed_bytes(self.facts) + drafting

    def _first_lanes(self) -> Lanes:
        options = self._options
        is_asked = options.kv_layout == KVLayout.STREAMS and self.kind.can_reuse
        if not is_asked or self.num_cells < 2 * STREAM_QUANTUM:
            return ()
        return equal_lanes(self.num_cells, options.max_running)

    def _open_context(self, lane: Lane | None) -> Context:
        num_vocab = self.vocabulary.num_tokens
        return Context(
            self._model, self._options, num_slots=self.num_slots, num_vocab=num_vocab, lane=lane
        )

    def _can_change_attention(self) -> bool:
        """Whether a state of flash attention is understood, and goes on with plain attention."""
        options = self._options
        if not options.flash_prefill or options.attention != Attention.PLAIN:
            return False
        flash = self._open_context(Lane(MAX_STREAMS, 1, STREAM_QUANTUM, is_flash=True))
        try:
            return state_check.can_change(flash, self._context)
        finally:
            flash.close()

    @property
    def _context(self) -> Context:
        """The only one of a unified pool, or that of the first lane."""
        return self._contexts.first

    @property
    def pass_cells(self) -> int:
        return self._options.pass_cells

    def _num_samplers(self) -> int:
        """A GPU leaves the processor's cores free, and computes faster than one of them chooses."""
        return self._options.num_threads if self._is_on_gpu() else 1

    def _is_on_gpu(self) -> bool:
        return self._options.gpu_layers != 0 and supports_gpu()

    def _check_fit(self) -> None:
        """Check the memory of this machine; llama.cpp itself reports a lack of GPU memory."""
        if self._is_on_gpu():
            return
        memory_check.check_fit(
            self.facts,
            num_cells=self.num_cells,
            max_batch=self.max_batch,
            num_running=self._options.max_running,
            num_scores=self._options.num_scores(self.facts),
            num_copies=self._options.num_copies,
            available=memory_check.available_bytes(),
        )

    @property
    def options(self) -> LlamaOptions:
        return self._options

    @property
    def num_tokens(self) -> int:
        return self.vocabulary.num_tokens

    def encode(self, messages: Sequence[ChatMessage]) -> list[int]:
        return self.vocabulary.encode(messages)

    def encode_raw(self, prompt: RawPrompt) -> list[int]:
        return self.vocabulary.encode_raw(prompt)

    def texts(self, tokens: Sequence[int]) -> list[bytes]:
        return self.vocabulary.texts(tokens)

    def detokenize(self, tokens: Sequence[int], *, shows_special: bool) -> str:
        return self.vocabulary.detokenize(tokens, shows_special=shows_special)

    def piece(self, token: int) -> bytes:
        return self.vocabulary.piece(token)

    def is_end(self, token: int) -> bool:
        return self.vocabulary.is_end(token)

    @property
    def fingerprint(self) -> str:
        """A hash of everything that determines the layout of a state: file, context and build."""
        build = llama.__version__, system_info(), llama.LLAMA_STATE_SEQ_VERSION
        options = self._options
        context = (
            self.num_cells,
            options.gpu_layers,
            supports_gpu(),
            options.attention,
            bool(self.lanes),
        )
        return fingerprint.of(self.path, *build, *context)

    def can_follow(self, grammar: str) -> bool:
        try:
            self._grammars.matcher(grammar)
        except ValueError:
            return False
        return True

    def beginning(self, grammar: AnyGrammar) -> list[int]:
        return ahead(self._grammars.follow(grammar))

    def run(self, step: Step) -> dict[int, list[int]]:
        """Also samples, since the next decode overwrites the logits."""
        self._refused.clear()
        for action in step.actions:
            self._act(action)
        if self._refused:
            raise NotRestored(self._refused)
        if not step.chunks:
            return {}
        if self.draft_model and (requests := step.requests):
            self.draft_model.answer(requests)
        sampled: dict[int, list[int]] = {}
        for context, chunks in self._contexts.split(step.chunks):
            try:
                outputs = context.decode(chunks)
            except NoRoom as error:
                if len(chunks) == len(step.chunks):
                    raise
                raise StepFailed("one lane of several had no room") from error
            sampled |= self._samplers.sample_all(context.native, outputs)
        for chunk in step.chunks:
            if chunk.draft:
                self._remove_rejected(chunk, chunk.num_accepted(sampled[chunk.slot]))
        return sampled

    def _remove_rejected(self, chunk: Chunk, num_accepted: int) -> None:
        if num_accepted < len(chunk.draft):
            end = chunk.start + len(chunk.tokens) + num_accepted
            self._contexts.remove(chunk.slot, end)

    def _act(self, action: Action) -> None:
        contexts = self._contexts
        match action:
            case Release(slot):
                self._samplers.close(slot)
                contexts.remove(slot, 0)
            case Trim(slot, num_tokens):
                self._samplers.close(slot)
                contexts.remove(slot, num_tokens)
            case Offload(slot, saved):
                contexts.of(slot).memory.offload(slot, saved)
            case Restore(slot):
                if not contexts.of(slot).memory.restore(action):
                    self._refused.append(slot)
            case Share(source, target, num_tokens):
                contexts.share(source, target, num_tokens)
            case Opening():
                self._samplers.open(action)
            case Move():
                contexts.move(action)
                self._samplers.move([action])
            case Arrange(lanes, moves):
                contexts.arrange(lanes, moves)
                self._samplers.move(moves)

    def keeps_states(self) -> bool:
        return self._keeps_states or self._try_states()

    def _try_states(self) -> bool:
        return self.can_reuse and state_check.are_kept(self)

    def logits(self, chunk: Chunk) -> Logits:
        """Evaluate the chunk; the logits after its last token."""
        return self._contexts.of(chunk.slot).logits(chunk)

    def scores(self, chunk: Chunk) -> Logits:
        """Evaluate the chunk; the logits after each of its tokens."""
        return self._contexts.of(chunk.slot).scores(chunk)

    def save(self, slot: int) -> memoryview:
        return self._contexts.of(slot).memory.save(slot)

    def load(self, slot: int, state: memoryview) -> bool:
        return self._contexts.of(slot).memory.load(slot, state)

    def clear(self, slot: int) -> None:
        self._contexts.remove(slot, 0)

    def reset(self) -> None:
        self._samplers.close_all()
        self._contexts.reset()
        if self.draft_model:
            self.draft_model.reset()

    def close(self) -> None:
        if self.draft_model:
            self.draft_model.close()
        self._samplers.shutdown()
        self._contexts.close()
        llama.llama_model_free(self._model)


class LlamaOutline:
    """A model's vocabulary and metadata without its weights."""

    def __init__(self, path: Path, options: LlamaOptions) -> None:
        """Raises ModelError."""
        self._model = load_vocabulary(path)
        self.facts = facts_of(self._model, path)
        self.window = options.window_of(self.facts)
        self.needed_bytes = options.needed_bytes(self.facts)
        self._vocabulary = Vocabulary(self._model)

    def encode(self, messages: Sequence[ChatMessage]) -> list[int]:
        return self._vocabulary.encode(messages)

    def encode_raw(self, prompt: RawPrompt) -> list[int]:
        return self._vocabulary.encode_raw(prompt)

    def texts(self, tokens: Sequence[int]) -> list[bytes]:
        return self._vocabulary.texts(tokens)

    def detokenize(self, tokens: Sequence[int], *, shows_special: bool) -> str:
        return self._vocabulary.detokenize(tokens, shows_special=shows_special)

    def close(self) -> None:
        llama.llama_model_free(self._model)
