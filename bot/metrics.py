"""The names of Parley's metrics. No person, channel or thread ever stands in a label."""

from __future__ import annotations

from copy import copy

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_FIRST_TOKEN = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 180)
_STEP = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_LAG = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)


class Share:
    """What one of several adds to a gauge that shows the sum of all, or to a counter.

    ``value`` is in it already; a counter's only grows.
    """

    def __init__(self, metric: Gauge | Counter, value: float = 0.0) -> None:
        self._metric = metric
        self._value = value
        self._labelled: dict[tuple[str, ...], Share] = {}

    def labels(self, *values: str) -> Share:
        return self._labelled.setdefault(values, Share(self._metric.labels(*values)))

    def set(self, value: float) -> None:
        self._metric.inc(value - self._value)
        self._value = value


class Metrics:
    """One set of metrics on a registry of its own, so that two Parleys in a test do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.turns = Counter("parley_turns", "Turns that ended.", ["adapter", "state"], registry=r)
        self.queue_length: Gauge | Share = Gauge(
            "parley_queue_length", "Generations waiting.", registry=r
        )
        self.running_sequences: Gauge | Share = Gauge(
            "parley_running_sequences", "Sequences decoded at once.", registry=r
        )
        self.resident_threads: Gauge | Share = Gauge(
            "parley_resident_threads", "Threads whose cells are in the KV pool.", registry=r
        )
        self.parked_bytes: Gauge | Share = Gauge(
            "parley_parked_bytes", "Parked state.", ["tier"], registry=r
        )
        self.parked = Counter("parley_parked", "Idle threads whose state was saved.", registry=r)
        self.restored = Counter(
            "parley_restored", "Threads that went on from their parked state.", ["tier"], registry=r
        )
        self.parked_ignored = Counter(
            "parley_parked_ignored", "Parked states that were not usable.", registry=r
        )
        self.parked_dropped = Counter(
            "parley_parked_dropped", "Parked states given up for want of room.", registry=r
        )
        self.prompt_tokens = Counter(
            "parley_prompt_tokens",
            "Prompt tokens, by where they came from.",
            ["source"],
            registry=r,
        )
        self.completion_tokens = Counter(
            "parley_completion_tokens", "Tokens generated.", registry=r
        )
        self.reasoning_tokens = Counter(
            "parley_reasoning_tokens", "Tokens generated before the answer.", registry=r
        )
        self.preempted = Counter(
            "parley_preempted", "Sequences sent back to the queue for room.", registry=r
        )
        self.held = Counter(
            "parley_held_steps",
            "Steps that only read prompts while replies waited.",
            registry=r,
        )
        self.overtaken = Counter(
            "parley_overtaken", "Waiting sequences passed by one that needs less.", registry=r
        )
        self.warmed = Counter(
            "parley_warmed", "Prompts evaluated before they are asked for.", registry=r
        )
        self.grammar_resampled = Counter(
            "parley_grammar_resampled",
            "Tokens chosen again, since the answer's format refused the first choice.",
            registry=r,
        )
        self.cancelled = Counter("parley_cancelled", "Generations cancelled.", registry=r)
        self.looped = Counter(
            "parley_looped", "Replies ended because they only repeated themselves.", registry=r
        )
        self.engine_restarts = Counter(
            "parley_engine_restarts", "Times the engine loop was restarted.", registry=r
        )
        self.model_copies = Counter(
            "parley_model_copies",
            "Faster copies of the model at a start: made, used or failed.",
            ["outcome"],
            registry=r,
        )
        self.sources = Counter(
            "parley_sources", "Files that replies were made from.", ["adapter"], registry=r
        )
        self.first_token = Histogram(
            "parley_first_token_seconds",
            "From accepted to first token.",
            buckets=_FIRST_TOKEN,
            registry=r,
        )
        self.step = Histogram("parley_step_seconds", "One engine step.", buckets=_STEP, registry=r)
        self.refusals = Counter(
            "parley_refusals",
            "Questions and commands of those who may not.",
            ["adapter", "said"],
            registry=r,
        )
        self.files = Counter(
            "parley_files", "Files that came with questions.", ["adapter", "outcome"], registry=r
        )
        self.platform_calls = Counter(
            "parley_platform_calls",
            "Calls to platforms, and deliveries by them.",
            ["adapter", "method", "status"],
            registry=r,
        )
        self.models_loaded = Gauge("parley_models_loaded", "Models in memory.", registry=r)
        self.model_loads = Counter("parley_model_loads", "Models loaded.", registry=r)
        self.model_unloads = Counter(
            "parley_model_unloads", "Models unloaded to make room for others.", registry=r
        )
        self.engine_calls = Counter(
            "parley_engine_calls", "Questions sent to model servers.", ["status"], registry=r
        )
        self.engine_retries = Counter(
            "parley_engine_retries", "Questions sent again before their first token.", registry=r
        )
        self.loop_lag = Histogram(
            "parley_loop_lag_seconds", "How late the event loop wakes.", buckets=_LAG, registry=r
        )

    def share(self) -> Metrics:
        """The same metrics for one of several models: its gauges add up with the others'."""
        shared = copy(self)
        for name in ("queue_length", "running_sequences", "resident_threads", "parked_bytes"):
            setattr(shared, name, Share(getattr(self, name)))
        return shared

    def expose(self) -> bytes:
        """The text format that Prometheus scrapes."""
        return generate_latest(self.registry)
