"""The names of Parley's metrics. No person, channel or thread ever stands in a label."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_FIRST_TOKEN = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 180)
_STEP = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_LAG = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)


class MetricShare:
    """The part of one of several models in a counter, or in a gauge that shows the sum of all.

    ``value`` is counted in the metric already; the value of a counter's share only grows.
    """

    def __init__(self, metric: Gauge | Counter, value: float = 0.0) -> None:
        self._metric = metric
        self._value = value
        self._labelled: dict[tuple[str, ...], MetricShare] = {}

    def labels(self, *values: str) -> MetricShare:
        if values not in self._labelled:
            self._labelled[values] = MetricShare(self._metric.labels(*values))
        return self._labelled[values]

    def set(self, value: float) -> None:
        if value != self._value:
            self._metric.inc(value - self._value)
            self._value = value


def _counter(name: str, meaning: str, *labels: str) -> Any:
    return partial(Counter, name, meaning, labels)


def _gauge(name: str, meaning: str, *labels: str) -> Any:
    return partial(Gauge, name, meaning, labels)


def _histogram(name: str, meaning: str, buckets: tuple[float, ...]) -> Any:
    return partial(Histogram, name, meaning, buckets=buckets)


class Metrics:
    """One set of metrics on a registry of its own, so that two Parleys in a test do not mix."""

    turns: Counter = _counter("parley_turns", "Turns that ended.", "adapter", "state")
    queue_length: Gauge | MetricShare = _gauge("parley_queue_length", "Generations waiting.")
    running_sequences: Gauge | MetricShare = _gauge(
        "parley_running_sequences", "Sequences decoded at once."
    )
    resident_threads: Gauge | MetricShare = _gauge(
        "parley_resident_threads", "Threads whose cells are in the KV pool."
    )
    kv_arranged: Counter = _counter(
        "parley_kv_arrangements", "Times that the KV cache was divided into streams anew."
    )
    kv_moved: Counter = _counter(
        "parley_kv_moves", "Sequences that moved to another stream while they ran."
    )
    parked_bytes: Gauge | MetricShare = _gauge("parley_parked_bytes", "Parked state.", "tier")
    parked: Counter = _counter("parley_parked", "Idle threads whose state was saved.")
    restored: Counter = _counter(
        "parley_restored", "Threads that went on from their parked state.", "tier"
    )
    parked_ignored: Counter = _counter(
        "parley_parked_ignored", "Parked states that were not usable."
    )
    parked_dropped: Counter = _counter(
        "parley_parked_dropped", "Parked states given up for want of room."
    )
    prompt_tokens: Counter = _counter(
        "parley_prompt_tokens", "Prompt tokens, by where they came from.", "source"
    )
    completion_tokens: Counter = _counter("parley_completion_tokens", "Tokens generated.")
    reasoning_tokens: Counter = _counter(
        "parley_reasoning_tokens", "Tokens generated before the answer."
    )
    preempted: Counter = _counter("parley_preempted", "Sequences sent back to the queue for room.")
    held: Counter = _counter(
        "parley_held_steps", "Steps that only read prompts while replies waited."
    )
    ahead: Counter = _counter(
        "parley_steps_ahead", "Steps planned while the one before them was computed."
    )
    overtaken: Counter = _counter(
        "parley_overtaken", "Waiting sequences passed by one that needs less."
    )
    warmed: Counter = _counter("parley_warmed", "Prompts evaluated before they are asked for.")
    completions: Counter = _counter(
        "parley_completions", "Requests of programs, by what they are answered with.", "kind"
    )
    grammar_forced: Counter = _counter(
        "parley_grammar_forced",
        "Tokens for which the answer's format left no choice.",
    )
    grammar_prefilled: Counter = _counter(
        "parley_grammar_prefilled", "Those of them that were evaluated in a step with others."
    )
    draft_tokens: Counter = _counter(
        "parley_draft_tokens",
        "Tokens proposed for replies and evaluated, by the lookup or the draft model: accepted or "
        "rejected.",
        "source",
        "outcome",
    )
    quoted_answers: Counter = _counter(
        "parley_quoted_answers",
        "Answers of quotations: quoted, refused by the model, or empty, without asking it.",
        "outcome",
    )
    tool_calls: Counter = _counter("parley_tool_calls", "Calls of tools that answers made.")
    cancelled: Counter = _counter("parley_cancelled", "Generations cancelled.")
    looped: Counter = _counter(
        "parley_looped", "Replies ended because they only repeated themselves."
    )
    engine_restarts: Counter = _counter(
        "parley_engine_restarts", "Times the engine loop was restarted."
    )
    model_copies: Counter = _counter(
        "parley_model_copies",
        "Faster copies of the model at a start: made, used or failed.",
        "outcome",
    )
    sources: Counter = _counter("parley_sources", "Files that replies were made from.", "adapter")
    pages: Counter = _counter(
        "parley_pages",
        "Pages and feeds asked for: read, cached, revalidated, refused, failed or stopped.",
        "outcome",
    )
    page_bytes: Counter = _counter("parley_page_bytes", "Bytes of pages and feeds, unpacked.")
    gathered: Counter = _counter(
        "parley_gathered",
        "Pages, feeds and passages gathered for questions: read, found or refused.",
        "kind",
        "outcome",
    )
    source_choices: Counter = _counter(
        "parley_source_choices",
        "Choices among the sources of a personality: by its model, a trigger word or nobody.",
        "by",
    )
    sources_refreshed: Counter = _counter(
        "parley_sources_refreshed",
        "Sources of personalities read before they are asked for: read or refused.",
        "outcome",
    )
    first_token: Histogram = _histogram(
        "parley_first_token_seconds", "From accepted to first token.", _FIRST_TOKEN
    )
    step: Histogram = _histogram("parley_step_seconds", "One engine step.", _STEP)
    refusals: Counter = _counter(
        "parley_refusals", "Questions and commands of those who may not.", "adapter", "said"
    )
    files: Counter = _counter(
        "parley_files", "Files that came with questions.", "adapter", "outcome"
    )
    platform_calls: Counter = _counter(
        "parley_platform_calls",
        "Calls to platforms, and deliveries by them.",
        *("adapter", "method", "status"),
    )
    routed: Counter = _counter(
        "parley_routed",
        "Answers of personalities that route: by whom, and how the local model judged its own.",
        "answered_by",
        "verdict",
    )
    plans: Counter = _counter("parley_plans", "Plans, by what came of them.", "outcome")
    plan_steps: Counter = _counter("parley_plan_steps", "Steps of plans.")
    models_loaded: Gauge = _gauge("parley_models_loaded", "Models in memory.")
    model_loads: Counter = _counter("parley_model_loads", "Models loaded.")
    model_unloads: Counter = _counter(
        "parley_model_unloads", "Models unloaded to make room for others."
    )
    engine_calls: Counter = _counter(
        "parley_engine_calls", "Questions sent to model servers.", "status"
    )
    engine_retries: Counter = _counter(
        "parley_engine_retries", "Questions sent again before their first token."
    )
    commands: Counter = _counter(
        "parley_commands",
        "Commands of HTTP clients in the background, begun and by how they ended.",
        "outcome",
    )
    usage_lost: Counter = _counter(
        "parley_usage_lost", "Answers that the usage log had no room for."
    )
    chat_watches: Gauge = _gauge("parley_chat_watches", "Pages and terminals that watch chats.")
    page_requests: Counter = _counter(
        "parley_page_requests", "Requests of pages and terminals.", "route", "status"
    )
    fact_passages: Gauge = _gauge("parley_fact_passages", "Passages of all fact bases.")
    fact_searches: Counter = _counter(
        "parley_fact_searches",
        "Searches in fact bases: found, nothing, not ready or failed.",
        "outcome",
    )
    fact_files: Counter = _counter(
        "parley_fact_files", "Files of fact bases: read, unread or removed.", "outcome"
    )
    loop_lag: Histogram = _histogram(
        "parley_loop_lag_seconds", "How late the event loop wakes.", _LAG
    )

    def __init__(self) -> None:
        """Each attribute declared above becomes a metric on ``registry``."""
        self.registry = CollectorRegistry()
        for name, declared in vars(Metrics).items():
            if isinstance(declared, partial):
                setattr(self, name, declared(registry=self.registry))

    def share(self) -> Metrics:
        """The same metrics for one of several models: its gauges add up with the others'."""
        shared = copy(self)
        for name in ("queue_length", "running_sequences", "resident_threads", "parked_bytes"):
            setattr(shared, name, MetricShare(getattr(self, name)))
        return shared

    def platform_observer(self, adapter: str) -> Callable[[str, str], None]:
        """Counts that adapter's calls to its platform by method and status."""

        def observe(method: str, status: str) -> None:
            self.platform_calls.labels(adapter, method, status).inc()

        return observe

    def count_page_request(self, route: str, status: int) -> None:
        self.page_requests.labels(route, str(status)).inc()

    def count_command(self, outcome: str) -> None:
        self.commands.labels(outcome).inc()

    def expose(self) -> bytes:
        """The text format that Prometheus scrapes."""
        return generate_latest(self.registry)
