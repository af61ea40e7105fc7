"""StepMetrics: the metrics of the engine's steps."""

from __future__ import annotations

from bot.inference.core.model import Model
from bot.inference.core.sequence import Step
from bot.inference.scheduling.scheduler import Scheduler
from bot.inference.scheduling.stats import SchedulerStats
from bot.metrics import Metrics, MetricShare


class StepMetrics:
    """Copies the counts that scheduler and model keep, of the latest step that was noted."""

    def __init__(self, metrics: Metrics, scheduler: Scheduler, model: Model) -> None:
        self._metrics = metrics
        self._noted: tuple[Step, float, SchedulerStats] | None = None
        self._scheduler = scheduler
        self._model = model
        self._preempted = MetricShare(metrics.preempted)
        self._overtaken = MetricShare(metrics.overtaken)
        self._held = MetricShare(metrics.held)
        self._ahead = MetricShare(metrics.ahead)
        self._forced = MetricShare(metrics.grammar_forced)
        self._prefilled = MetricShare(metrics.grammar_prefilled)
        self._arranged = MetricShare(metrics.kv_arranged)
        self._moved = MetricShare(metrics.kv_moved)
        self._drafted = MetricShare(metrics.draft_tokens)

    def note(self, step: Step, seconds: float, stats: SchedulerStats) -> None:
        """What ``publish`` counts: between two steps the model waits."""
        self._noted = step, seconds, stats

    def publish(self) -> None:
        noted, self._noted = self._noted, None
        if noted is not None:
            self._observe(*noted)

    def _observe(self, step: Step, seconds: float, stats: SchedulerStats) -> None:
        metrics, scheduler = self._metrics, self._scheduler
        metrics.step.observe(seconds)
        if num_evaluated := step.num_prefill - step.num_forced:
            metrics.prompt_tokens.labels("evaluated").inc(num_evaluated)
        self._preempted.set(stats.num_preempted)
        self._overtaken.set(stats.num_overtaken)
        self._held.set(stats.num_paused)
        self._ahead.set(stats.num_ahead)
        self._forced.set(stats.num_forced)
        self._prefilled.set(stats.num_prefilled)
        self._arranged.set(stats.num_arranged)
        self._moved.set(stats.num_moved)
        for kind, number in stats.num_drafted.items():
            self._drafted.labels(*kind).set(number)
        metrics.queue_length.set(len(scheduler.waiting))
        metrics.running_sequences.set(len(scheduler.running))
        metrics.resident_threads.set(stats.num_cached_threads)
