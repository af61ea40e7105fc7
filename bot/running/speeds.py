"""Says which options a model runs with, and the speeds for which they were chosen."""

from __future__ import annotations

from bot.inference.llama.options import KVLayout, LlamaOptions
from bot.inference.llama.tuning import Figure, Tuning

_LAYOUTS = {
    KVLayout.UNIFIED: "one pool for all replies",
    KVLayout.STREAMS: "a stream for each reply",
}


_DISTURBED = (
    "measured with {:.0%} of the processors, since others computed; the next start measures again"
)


def in_short(options: LlamaOptions, tuning: Tuning) -> str:
    """Empty if nothing was measured."""
    speeds = _measured(options, tuning)
    return f"{_name(options)}: {speeds[0]}" if speeds else ""


def in_full(options: LlamaOptions, tuning: Tuning | None) -> str:
    """``tuning`` is None before a trial."""
    threads = f"{options.num_threads} CPU thread{'s' * (options.num_threads > 1)}"
    used = f"{_name(options)}, micro-batches of {options.max_ubatch} tokens, {threads}"
    speeds = _measured(options, tuning) if tuning else []
    return f"{used}: {'; '.join(speeds)}" if speeds else f"{used}; nothing was measured"


def _measured(options: LlamaOptions, tuning: Tuning) -> list[str]:
    """The speed with ``options``, and that of the other attention at its best; or a fault."""
    if tuning.fault:
        return [f"nothing was measured, since {tuning.fault}"]
    used, num_threads = _name(options), options.num_threads
    chosen = [f for f in tuning.figures if _name(f) == used and f.num_threads == num_threads]
    others = [f for f in tuning.figures if _name(f) != used]
    others.sort(key=lambda f: (f.attention != options.attention, f.speed))
    speeds = [
        f"{f.together:.0f} tokens/s for {tuning.num_replies} replies at depth {tuning.depth}, "
        f"{f.alone:.0f} for one"
        for f in chosen
    ]
    beside = [f"{_name(f)}: {f.together:.0f}, {f.alone:.0f}" for f in others[-1:]]
    if not chosen:
        return []
    if tuning.is_disturbed:
        speeds = [f"{speed}, {_DISTURBED.format(tuning.share)}" for speed in speeds]
    return [*speeds, *beside]


def _name(of: LlamaOptions | Figure) -> str:
    return f"{of.attention} attention, {_LAYOUTS[of.kv_layout]}"
