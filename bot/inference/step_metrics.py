"""What is counted of each step, beside what other models count into the same metrics."""

from __future__ import annotations

from bot.inference.core.model import Model
from bot.inference.core.sequence import Step
from bot.inference.scheduling.scheduler import Scheduler
from bot.metrics import Metrics, Share


class StepMetrics:
    def __init__(self, metrics: Metrics, scheduler: Scheduler, model: Model) -> None:
        self._metrics = metrics
        self._scheduler = scheduler
        self._model = model
        self._preempted, self._overtaken = Share(metrics.preempted), Share(metrics.overtaken)
        self._held = Share(metrics.held)
        self._resampled = Share(metrics.grammar_resampled, model.num_resampled)

    def observe(self, step: Step, seconds: float) -> None:
        metrics, scheduler = self._metrics, self._scheduler
        metrics.step.observe(seconds)
        metrics.prompt_tokens.labels("evaluated").inc(step.num_prefill)
        self._preempted.set(scheduler.num_preempted)
        self._overtaken.set(scheduler.num_overtaken)
        self._held.set(scheduler.num_held)
        self._resampled.set(self._model.num_resampled)
        metrics.queue_length.set(len(scheduler.waiting))
        metrics.running_sequences.set(len(scheduler.running))
        metrics.resident_threads.set(scheduler.num_residents)
