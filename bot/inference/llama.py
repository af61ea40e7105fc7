"""llama.cpp: the only file that touches native code.

A model, one context with a unified KV pool, a sampler chain per slot. What is known of the
API, and which of its traps each line avoids, is said where it matters.
"""

from __future__ import annotations

import ctypes
import logging
import mmap
import random
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import llama_cpp as llama
import numpy as np
import numpy.typing as npt

from bot.errors import ModelError
from bot.inference import fingerprint, fit, states
from bot.inference.gguf import read_lists
from bot.inference.grammar.beginnings import Beginnings, Ids, Mask
from bot.inference.grammar.held import HeldReply, Logits
from bot.inference.kinds import Kind
from bot.inference.model import NoRoom, NotRestored, StepFailed
from bot.inference.parked import Parked
from bot.inference.reasoning import TAG_TOKENS, Tag
from bot.inference.sequence import (
    Action,
    Chunk,
    Opening,
    Park,
    Release,
    Restore,
    Share,
    Step,
    Trim,
)
from bot.inference.specials import Special, SpecialTokens
from bot.inference.template import ChatTemplate
from bot.types import ChatMessage, Sampling

logger = logging.getLogger(__name__)

_TESTED = "0.3.36"
_USED_FIELDS = {
    "llama_context_params": ("n_ctx", "n_batch", "n_ubatch", "n_seq_max", "kv_unified", "no_perf"),
    "llama_model_params": ("n_gpu_layers", "vocab_only", "no_alloc", "progress_callback"),
    "llama_batch": ("n_tokens", "token", "pos", "n_seq_id", "seq_id", "logits"),
}
_USED_FUNCTIONS = (
    "llama_decode",
    "llama_memory_seq_rm",
    "llama_sampler_sample",
    "llama_state_seq_get_data",
    "llama_state_seq_set_data",
    "llama_tokenize",
)
_MAX_UBATCH = 512
_PENALTY_WINDOW = 256
_DRY_BASE, _DRY_ALLOWED_LENGTH, _DRY_BREAKERS = 1.75, 2, (b"\n", b":", b'"', b"*")
_MAX_SLOTS = 256
"""llama.cpp refuses more sequence ids."""
_ERROR_LEVEL = 4
_Bytes = ctypes.POINTER(ctypes.c_uint8)
_REASON = re.compile(r"error loading model: |failed to quantize: ")


@dataclass(frozen=True, slots=True)
class LlamaOptions:
    """``num_cells``: KV pool. ``window``: tokens per sequence, 0 for the model's own.

    ``num_slots``: running, idle and shared sequences. ``num_threads`` of the CPU.
    ``gpu_layers`` -1: all that the build can offload.
    """

    num_cells: int = 16_384
    window: int = 0
    max_running: int = 16
    num_slots: int = 128
    num_threads: int = 2
    gpu_layers: int = -1


class _Log:
    """llama.cpp's own log: debug for us, and the last error for the sentence a person reads."""

    def __init__(self) -> None:
        self.last_error = ""
        self._callback = llama.llama_log_callback(self._take)

    def install(self) -> None:
        llama.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _take(self, level: int, text: bytes, _data: object) -> None:
        line = text.decode("utf-8", "replace").strip()
        if level == _ERROR_LEVEL and "error" in line:
            self.last_error = _REASON.split(line)[-1]
        logger.debug("llama.cpp: %s", line)


_log = _Log()


@cache
def _start_backend() -> None:
    _check_binding()
    _log.install()
    llama.llama_backend_init()


def _check_binding() -> None:
    """The binding is hand-written against a moving C API: refuse one that lost what is used."""
    missing = [name for name in _USED_FUNCTIONS if not hasattr(llama, name)]
    for struct, fields in _USED_FIELDS.items():
        known = {field[0] for field in getattr(llama, struct)._fields_}
        missing += [f"{struct}.{field}" for field in fields if field not in known]
    if missing:
        raise ModelError(
            f"llama-cpp-python {llama.__version__} lacks {', '.join(missing)}: install the "
            f"tested version with `pip install llama-cpp-python=={_TESTED}`."
        )


def system_info() -> str:
    """What llama.cpp was built for, as it says itself."""
    _start_backend()
    info: bytes = llama.llama_print_system_info()
    return info.decode()


def supports_gpu() -> bool:
    _start_backend()
    return bool(llama.llama_supports_gpu_offload())


def read_facts(path: Path) -> fit.ModelFacts:
    """A model file's metadata, read without its tensors; ModelError for a bad file."""
    _start_backend()
    params = llama.llama_model_default_params()
    params.vocab_only = True
    model = _load(path, params)
    try:
        return _facts(model, path)
    finally:
        llama.llama_model_free(model)


def _load(path: Path, params: Any) -> Any:
    _log.last_error = ""
    model = llama.llama_model_load_from_file(str(path).encode(), params)
    if not model:
        why = _log.last_error or "llama.cpp gave no reason"
        raise ModelError(
            f"The model {path} cannot be loaded ({why}): download it again or use another one."
        )
    return model


def _metadata(model: Any) -> dict[str, str]:
    buffer = ctypes.create_string_buffer(1024)
    found = {}
    for index in range(llama.llama_model_meta_count(model)):
        llama.llama_model_meta_key_by_index(model, index, buffer, len(buffer))
        key = buffer.value.decode("utf-8", "replace")
        llama.llama_model_meta_val_str_by_index(model, index, buffer, len(buffer))
        found[key] = buffer.value.decode("utf-8", "replace")
    return found


def _facts(model: Any, path: Path) -> fit.ModelFacts:
    num_vocab = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    metadata = _metadata(model) | read_lists(path)
    facts = fit.ModelFacts.read(metadata, num_bytes=path.stat().st_size, num_vocab=num_vocab)
    if not facts.is_causal:
        raise ModelError(
            f"{path} is an embedding model and cannot write text: set PARLEY_MODEL to a chat model."
        )
    return facts


def read_kind(path: Path) -> Kind:
    """A model file's kind, asked of llama.cpp without reading a weight; ModelError."""
    _start_backend()
    params = llama.llama_model_default_params()
    params.no_alloc, params.load_mode = True, llama.LLAMA_LOAD_MODE_NONE
    model = _load(path, params)
    try:
        return _kind(model)
    finally:
        llama.llama_model_free(model)


def quantize(source: Path, target: Path, quantisation: str, num_threads: int) -> None:
    """Write a copy of ``source`` with weights of that kind, such as Q8_0; ModelError."""
    _start_backend()
    params = llama.llama_model_quantize_default_params()
    params.ftype = getattr(llama, f"LLAMA_FTYPE_MOSTLY_{quantisation}")
    params.nthread = num_threads
    params.allow_requantize = True
    _log.last_error = ""
    files = str(source).encode(), str(target).encode()
    if llama.llama_model_quantize(*files, ctypes.byref(params)):
        raise ModelError(f"llama.cpp could not write it: {_log.last_error or 'no reason given'}")


def _kind(model: Any) -> Kind:
    if llama.llama_model_is_recurrent(model):
        return Kind.RECURRENT
    if llama.llama_model_is_hybrid(model):
        return Kind.HYBRID
    return Kind.SLIDING_WINDOW if llama.llama_model_n_swa(model) else Kind.ATTENTION


class Vocabulary:
    """Text to tokens and back; reads only, so any thread may ask."""

    def __init__(self, model: Any) -> None:
        self.native = llama.llama_model_get_vocab(model)
        self.num_tokens: int = llama.llama_vocab_n_tokens(self.native)
        self._pieces: dict[int, bytes] = {}
        source = llama.llama_model_chat_template(model, None)
        self._bos: int = llama.llama_vocab_bos(self.native)
        self._adds_bos = bool(llama.llama_vocab_get_add_bos(self.native))
        self.template = ChatTemplate(
            source.decode() if source else None,
            bos=self._text(self._bos),
            eos=self._text(llama.llama_vocab_eos(self.native)),
        )
        written = (source or b"").decode("utf-8", "replace") + self.template.shown()
        self._specials = SpecialTokens(self._find_specials(written))

    def encode(self, messages: Sequence[ChatMessage]) -> list[int]:
        """The prompt's tokens; text from people never becomes a special token."""
        tokens: list[int] = []
        for run in self._specials.split(self.template.segments(messages)):
            tokens += [run] if isinstance(run, int) else self.tokenize(run)
        if self._adds_bos and tokens[:1] != [self._bos]:
            tokens.insert(0, self._bos)
        return tokens

    def tokenize(self, text: str) -> list[int]:
        """Plain text, no special tokens."""
        data = text.encode("utf-8", "replace")
        size = len(data) + 2
        buffer = (llama.llama_token * size)()
        count = llama.llama_tokenize(self.native, data, len(data), buffer, size, False, False)
        if count < 0:
            buffer = (llama.llama_token * -count)()
            count = llama.llama_tokenize(self.native, data, len(data), buffer, -count, False, False)
        return buffer[:count]

    def piece(self, token: int) -> bytes:
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._read_piece(token)
        return piece

    @cached_property
    def beginnings(self) -> Beginnings:
        """Takes a tenth of a second and more; ``can_follow`` does it before it is needed."""
        tokens = range(self.num_tokens)
        return Beginnings(map(self._read_piece, tokens), filter(self.is_end, tokens))

    def is_end(self, token: int) -> bool:
        return bool(llama.llama_vocab_is_eog(self.native, token))

    def _read_piece(self, token: int) -> bytes:
        buffer = ctypes.create_string_buffer(64)
        size = llama.llama_token_to_piece(self.native, token, buffer, len(buffer), 0, False)
        if size < 0:
            buffer = ctypes.create_string_buffer(-size)
            size = llama.llama_token_to_piece(self.native, token, buffer, len(buffer), 0, False)
        if size == 0 and (text := self._text(token)) in TAG_TOKENS:
            return text.encode()
        return buffer.raw[:size]

    def _text(self, token: int) -> str:
        if token < 0:
            return ""
        text: bytes = llama.llama_vocab_get_text(self.native, token)
        return text.decode("utf-8", "replace")

    def _find_specials(self, written: str) -> list[Special]:
        named = llama.LLAMA_TOKEN_ATTR_CONTROL | llama.LLAMA_TOKEN_ATTR_USER_DEFINED
        found = []
        for token in range(self.num_tokens):
            attributes = llama.llama_vocab_get_attr(self.native, token)
            if attributes & named:
                found.append(self._special(token, attributes, written))
        return found

    def _special(self, token: int, attributes: int, written: str) -> Special:
        """User-defined tokens are parsed in any text: those with a role must be defused.

        ``written``: the template's source, and what it puts together from pieces.
        """
        text = self._text(token)
        is_user_defined = bool(attributes & llama.LLAMA_TOKEN_ATTR_USER_DEFINED)
        has_role = text in written or self.is_end(token)
        return Special(
            id=token,
            text=text,
            strips_left=bool(attributes & llama.LLAMA_TOKEN_ATTR_LSTRIP),
            strips_right=bool(attributes & llama.LLAMA_TOKEN_ATTR_RSTRIP),
            is_marker=is_user_defined and has_role,
        )


class _Batch:
    """A llama_batch over arrays of ours: filled through numpy, one slot per token.

    The binding's ``add_sequence`` restarts positions at 0 and cannot continue a sequence.
    """

    def __init__(self, size: int) -> None:
        self._tokens = np.zeros(size, np.int32)
        self._positions = np.zeros(size, np.int32)
        self._slots = np.zeros(size, np.int32)
        self._wants = np.zeros(size, np.int8)
        self._ones = np.ones(size, np.int32)
        addresses = self._slots.ctypes.data + 4 * np.arange(size, dtype=np.uint64)
        self._slot_pointers = np.ascontiguousarray(addresses, np.uint64)
        self.native = llama.llama_batch()
        self.native.token = _pointer(self._tokens, llama.llama_token)
        self.native.pos = _pointer(self._positions, llama.llama_pos)
        self.native.n_seq_id = _pointer(self._ones, ctypes.c_int32)
        self.native.seq_id = _pointer(self._slot_pointers, ctypes.POINTER(llama.llama_seq_id))
        self.native.logits = _pointer(self._wants, ctypes.c_int8)

    def fill(self, chunks: Sequence[Chunk]) -> list[tuple[int, int]]:
        """Lay the chunks in; ``(slot, index)`` of every token whose successor is wanted."""
        outputs, end = [], 0
        for chunk in chunks:
            start, end = end, end + len(chunk.tokens)
            self._tokens[start:end] = chunk.tokens
            self._positions[start:end] = range(chunk.start, chunk.start + len(chunk.tokens))
            self._slots[start:end] = chunk.slot
            self._wants[start:end] = 0
            if chunk.wants_token:
                self._wants[end - 1] = 1
                outputs.append((chunk.slot, end - 1))
        self.native.n_tokens = end
        return outputs

    def want_all(self) -> None:
        """Scores after every token, not after the last of a chunk alone."""
        self._wants[: self.native.n_tokens] = 1


def _pointer(array: npt.NDArray[Any], kind: Any) -> Any:
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))


class _Candidates:
    """A llama_token_data_array over an array of ours."""

    _DATA = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])

    def __init__(self, ids: Ids, logits: Logits) -> None:
        self._data = np.zeros(len(ids), self._DATA)
        self._data["id"], self._data["logit"] = ids, logits
        self._array = llama.llama_token_data_array()
        self._array.data = _pointer(self._data, llama.llama_token_data)
        self._array.size, self._array.selected = len(ids), -1

    def apply(self, sampler: Any) -> None:
        llama.llama_sampler_apply(sampler, ctypes.byref(self._array))

    @property
    def selected(self) -> int:
        return int(self._data["id"][self._array.selected])

    @property
    def are_left(self) -> Mask:
        """Which ones no sampler ruled out, in the order in which they came."""
        left: Mask = np.isfinite(self._data["logit"])
        return left


class NativeGrammar:
    """A grammar in llama.cpp, and where a reply stands in it."""

    def __init__(self, vocabulary: Any, text: str) -> None:
        """Raises ValueError where llama.cpp cannot follow it."""
        self._native = llama.llama_sampler_init_grammar(vocabulary, text.encode(), b"root")
        if not self._native:
            raise ValueError("llama.cpp cannot follow this grammar")

    def allowed(self, ids: Ids) -> Mask:
        candidates = _Candidates(ids, np.zeros(len(ids), np.float32))
        candidates.apply(self._native)
        return candidates.are_left

    def accept(self, token: int) -> None:
        """llama.cpp ends the process at a token that is not allowed."""
        llama.llama_sampler_accept(self._native, token)

    def close(self) -> None:
        llama.llama_sampler_free(self._native)


class SamplerChain:
    """llama.cpp's samplers in its usual order; remembers what it sampled."""

    def __init__(self, vocabulary: Any, num_vocab: int, sampling: Sampling) -> None:
        params = llama.llama_sampler_chain_default_params()
        params.no_perf = True
        self.native = llama.llama_sampler_chain_init(params)
        self._add_penalties(vocabulary, num_vocab, sampling)
        if sampling.temperature <= 0:
            self._add(llama.llama_sampler_init_greedy())
        else:
            self._add_random(sampling)

    def accept(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            llama.llama_sampler_accept(self.native, token)

    def choose(self, ids: Ids, logits: Logits) -> int:
        """One of these tokens; it is not remembered yet."""
        candidates = _Candidates(ids, logits)
        candidates.apply(self.native)
        return candidates.selected

    def close(self) -> None:
        llama.llama_sampler_free(self.native)

    def _add(self, sampler: Any) -> None:
        llama.llama_sampler_chain_add(self.native, sampler)

    def _add_penalties(self, vocabulary: Any, num_vocab: int, s: Sampling) -> None:
        last, repeat = _PENALTY_WINDOW, s.repeat_penalty
        frequency, presence = s.frequency_penalty, s.presence_penalty
        if repeat != 1 or frequency or presence:
            penalties = llama.llama_sampler_init_penalties
            self._add(penalties(num_vocab, last, repeat, frequency, presence))
        if s.dry_multiplier > 0:
            breakers = (ctypes.c_char_p * len(_DRY_BREAKERS))(*_DRY_BREAKERS)
            dry = (s.dry_multiplier, _DRY_BASE, _DRY_ALLOWED_LENGTH, last)
            self._add(llama.llama_sampler_init_dry(vocabulary, *dry, breakers, len(breakers)))

    def _add_random(self, s: Sampling) -> None:
        if s.top_k > 0:
            self._add(llama.llama_sampler_init_top_k(s.top_k))
        if s.top_p < 1:
            self._add(llama.llama_sampler_init_top_p(s.top_p, 1))
        if s.min_p > 0:
            self._add(llama.llama_sampler_init_min_p(s.min_p, 1))
        self._add(llama.llama_sampler_init_temp(s.temperature))
        seed = s.seed if s.seed is not None else random.getrandbits(32)
        self._add(llama.llama_sampler_init_dist(seed & 0xFFFFFFFF))


class LlamaOutline:
    """A model's file without its weights: enough to count tokens, and to know what it takes."""

    def __init__(self, path: Path, options: LlamaOptions) -> None:
        """Raises ModelError."""
        _start_backend()
        params = llama.llama_model_default_params()
        params.vocab_only = True
        self._model = _load(path, params)
        self.facts = _facts(self._model, path)
        self.window = min(options.window or self.facts.max_context, options.num_cells)
        self.needed_bytes = needed_bytes(self.facts, options)
        self._vocabulary = Vocabulary(self._model)

    def encode(self, messages: Sequence[ChatMessage]) -> list[int]:
        return self._vocabulary.encode(messages)

    def close(self) -> None:
        llama.llama_model_free(self._model)


def needed_bytes(facts: fit.ModelFacts, options: LlamaOptions) -> int:
    max_batch = _MAX_UBATCH + options.max_running
    return facts.needed_bytes(options.num_cells, max_batch, options.max_running)


class LlamaModel:
    """``bot.inference.model.Model`` over llama.cpp."""

    def __init__(
        self,
        path: Path,
        options: LlamaOptions,
        *,
        name: str = "",
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        """Load ``path``; ``on_progress`` gets a share from 0 to 1. Raises ModelError."""
        self.path = path
        self.facts = read_facts(path)
        self.name = name or self.facts.name
        self._options = options
        self.num_cells = options.num_cells
        self.max_batch = _MAX_UBATCH + options.max_running
        self.window = min(options.window or self.facts.max_context, options.num_cells)
        if not self._offloads:
            fit.check_fit(
                self.facts,
                num_cells=self.num_cells,
                max_batch=self.max_batch,
                num_running=options.max_running,
                available=fit.available_bytes(),
            )
        self._model = self._open_model(path, on_progress)
        self.kind = _kind(self._model)
        idle = options.num_slots if self.kind.can_reuse else 0  # a state each, used or not
        self.num_slots = min(_MAX_SLOTS, max(idle, options.max_running))
        self._vocabulary = Vocabulary(self._model)
        self._batch = _Batch(self.max_batch)
        self._chains: dict[int, SamplerChain] = {}
        self._refused: list[int] = []
        self._held: dict[int, HeldReply] = {}
        self.num_resampled = 0
        self._context = self._open_context()
        self.can_reuse = self.kind.can_reuse and self._can_trim()

    @property
    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    @property
    def _offloads(self) -> bool:
        return self._options.gpu_layers != 0 and supports_gpu()

    @property
    def open_tag(self) -> Tag | None:
        return self._vocabulary.template.open_tag

    def encode(self, messages: Sequence[ChatMessage]) -> list[int]:
        return self._vocabulary.encode(messages)

    def piece(self, token: int) -> bytes:
        return self._vocabulary.piece(token)

    def is_end(self, token: int) -> bool:
        return self._vocabulary.is_end(token)

    @property
    def fingerprint(self) -> str:
        """Of all that decides how a state is laid out: file, context parameters, build."""
        build = llama.__version__, system_info(), llama.LLAMA_STATE_SEQ_VERSION
        context = self.num_cells, self._options.gpu_layers, supports_gpu()
        return fingerprint.of(self.path, *build, *context)

    def can_follow(self, grammar: str) -> bool:
        try:
            NativeGrammar(self._vocabulary.native, grammar).close()
        except ValueError:
            return False
        self._vocabulary.beginnings  # noqa: B018 - read here, not in the first step that needs it
        return True

    def run(self, step: Step) -> dict[int, int]:
        """Sampling happens in here too: the next decode overwrites the logits."""
        self._refused.clear()
        for action in step.actions:
            self._act(action)
        if self._refused:
            raise NotRestored(self._refused)
        if not step.chunks:
            return {}
        outputs = self._decode(step.chunks)
        return {slot: self._sample(slot, index) for slot, index in outputs}

    def _decode(self, chunks: Sequence[Chunk]) -> list[tuple[int, int]]:
        outputs = self._batch.fill(chunks)
        code = llama.llama_decode(self._context, self._batch.native)
        if code == 1:
            raise NoRoom
        if code:
            raise StepFailed(f"llama_decode returned {code}")
        return outputs

    def keeps_states(self) -> bool:
        return self.can_reuse and states.are_kept(self)

    def logits(self, chunk: Chunk) -> npt.NDArray[np.float32]:
        """Of the token after the chunk."""
        ((_, index),) = self._decode([chunk])
        native = llama.llama_get_logits_ith(self._context, index)
        return np.ctypeslib.as_array(native, (self._vocabulary.num_tokens,)).copy()

    def save(self, slot: int) -> memoryview:
        """The slot's state, in pages of its own: they go back to the system with it."""
        size = llama.llama_state_seq_get_size(self._context, slot)
        state = memoryview(mmap.mmap(-1, size))
        native = (ctypes.c_uint8 * size).from_buffer(state)
        if llama.llama_state_seq_get_data(self._context, native, size, slot) != size:
            raise StepFailed(f"the state of slot {slot} could not be saved")
        return state

    def load(self, slot: int, state: memoryview) -> bool:
        """False if llama.cpp refuses it, or has no room; the slot is empty then."""
        size = len(state)
        native = ctypes.cast(np.frombuffer(state, np.uint8).ctypes.data, _Bytes)
        return bool(llama.llama_state_seq_set_data(self._context, native, size, slot) == size)

    def clear(self, slot: int) -> None:
        self._remove_cells(slot, 0)

    def scores(self, chunk: Chunk) -> npt.NDArray[np.float32]:
        """Evaluate a chunk; the logits after each of its tokens."""
        self._batch.fill([chunk])
        self._batch.want_all()
        if code := llama.llama_decode(self._context, self._batch.native):
            raise StepFailed(f"llama_decode returned {code}")
        shape = len(chunk.tokens), self._vocabulary.num_tokens
        return np.ctypeslib.as_array(llama.llama_get_logits(self._context), shape).copy()

    def reset(self) -> None:
        """A new context: whatever state a failed step left is gone with the old one."""
        for slot in list(self._chains):
            self._close_chain(slot)
        llama.llama_free(self._context)
        self._context = self._open_context()

    def close(self) -> None:
        for slot in list(self._chains):
            self._close_chain(slot)
        llama.llama_free(self._context)
        llama.llama_model_free(self._model)

    def _sample(self, slot: int, index: int) -> int:
        held = self._held.get(slot)
        if held is not None:
            return self._sample_held(held, index)
        token: int = llama.llama_sampler_sample(self._chains[slot].native, self._context, index)
        return token

    def _sample_held(self, held: HeldReply, index: int) -> int:
        logits = llama.llama_get_logits_ith(self._context, index)
        token = held.sample(np.ctypeslib.as_array(logits, (self._vocabulary.num_tokens,)))
        self.num_resampled += held.was_refused
        return token

    def _act(self, action: Action) -> None:
        match action:
            case Release(slot):
                self._close_chain(slot)
                self._remove_cells(slot, 0)
            case Trim(slot, num_tokens):
                self._remove_cells(slot, num_tokens)
            case Park(slot, parked):
                self._park(slot, parked)
            case Restore():
                self._restore(action)
            case Share(source, target, num_tokens):
                llama.llama_memory_seq_cp(self._memory, source, target, 0, num_tokens)
            case Opening():
                self._open(action)

    def _park(self, slot: int, parked: Parked) -> None:
        started = time.perf_counter()
        self._check_length(slot, parked)
        parked.state = self.save(slot)
        parked.num_bytes = len(parked.state)
        parked.seconds = time.perf_counter() - started

    def _restore(self, action: Restore) -> None:
        started, slot, parked = time.perf_counter(), action.slot, action.parked
        if parked.state is None or not self.load(slot, parked.state):
            self._refused.append(slot)
            return
        self._check_length(slot, parked)
        self._remove_cells(slot, action.num_tokens)
        if action.prefix is not None:
            self._remove_cells(slot, 0, action.num_shared)
            shared = self._memory, action.prefix, slot, 0, action.num_shared
            llama.llama_memory_seq_cp(*shared)
        parked.seconds = time.perf_counter() - started

    def _check_length(self, slot: int, parked: Parked) -> None:
        num_tokens = llama.llama_memory_seq_pos_max(self._memory, slot) + 1
        if num_tokens != len(parked.tokens):
            raise StepFailed(f"slot {slot} has {num_tokens} tokens, not {len(parked.tokens)}")

    def _remove_cells(self, slot: int, start: int, end: int = -1) -> None:
        if not llama.llama_memory_seq_rm(self._memory, slot, start, end):
            raise StepFailed(f"the cells of slot {slot} could not be removed from {start} on")

    def _can_trim(self) -> bool:
        """Compressed caches cannot, though their models count as attention: try it once.

        In a thread that ends with it. OpenMP keeps helpers for every thread that ever computed,
        and once they are more than the cores, none of them waits awake for the next step any
        more: a single reply took 14 instead of 10 ms a token.
        """
        with ThreadPoolExecutor(1) as alone:
            return alone.submit(self._try_to_trim).result()

    def _try_to_trim(self) -> bool:
        self._batch.fill([Chunk(0, 0, [0, 0], False)])
        llama.llama_decode(self._context, self._batch.native)
        can_trim = bool(llama.llama_memory_seq_rm(self._memory, 0, 1, -1))
        self._remove_cells(0, 0)
        return can_trim

    def _close_chain(self, slot: int) -> None:
        for owned in (self._held.pop(slot, None), self._chains.pop(slot, None)):
            if owned:
                owned.close()

    def _open(self, opening: Opening) -> None:
        self._close_chain(opening.slot)
        vocab = self._vocabulary
        chain = SamplerChain(vocab.native, vocab.num_tokens, opening.sampling)
        chain.accept(opening.generated)
        self._chains[opening.slot] = chain
        if opening.grammar is not None:
            held = HeldReply(NativeGrammar(vocab.native, opening.grammar), chain, vocab)
            held.resume(opening.generated)
            self._held[opening.slot] = held

    def _open_model(self, path: Path, on_progress: Callable[[float], None] | None) -> Any:
        params = llama.llama_model_default_params()
        params.n_gpu_layers = self._options.gpu_layers

        def report(share: float, _data: object) -> bool:
            if on_progress:
                on_progress(share)
            return True

        callback = llama.llama_progress_callback(report)
        params.progress_callback = callback
        return _load(path, params)

    def _open_context(self) -> Any:
        params = llama.llama_context_default_params()
        params.n_ctx = self.num_cells
        params.n_batch = self.max_batch
        params.n_ubatch = min(self.max_batch, _MAX_UBATCH)
        params.n_seq_max = self.num_slots
        params.n_threads = params.n_threads_batch = self._options.num_threads
        params.kv_unified = True
        params.no_perf = True
        context = llama.llama_init_from_model(self._model, params)
        if not context:
            raise ModelError(
                f"llama.cpp could not make a context of {self.num_cells:,} tokens "
                f"({_log.last_error or 'no reason given'}): lower PARLEY_KV_TOKENS."
            )
        self._memory = llama.llama_get_memory(context)
        return context
