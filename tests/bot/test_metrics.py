"""Dashboards and alerts know the metrics by name, type and labels: none may change unnoticed."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from bot.metrics import Metrics

EXPOSED: dict[str, tuple[str, tuple[str, ...]]] = {
    "parley_turns": ("counter", ("adapter", "state")),
    "parley_queue_length": ("gauge", ()),
    "parley_running_sequences": ("gauge", ()),
    "parley_resident_threads": ("gauge", ()),
    "parley_kv_arrangements": ("counter", ()),
    "parley_kv_moves": ("counter", ()),
    "parley_parked_bytes": ("gauge", ("tier",)),
    "parley_parked": ("counter", ()),
    "parley_restored": ("counter", ("tier",)),
    "parley_parked_ignored": ("counter", ()),
    "parley_parked_dropped": ("counter", ()),
    "parley_prompt_tokens": ("counter", ("source",)),
    "parley_completion_tokens": ("counter", ()),
    "parley_reasoning_tokens": ("counter", ()),
    "parley_preempted": ("counter", ()),
    "parley_held_steps": ("counter", ()),
    "parley_steps_ahead": ("counter", ()),
    "parley_overtaken": ("counter", ()),
    "parley_warmed": ("counter", ()),
    "parley_completions": ("counter", ("kind",)),
    "parley_grammar_forced": ("counter", ()),
    "parley_grammar_prefilled": ("counter", ()),
    "parley_draft_tokens": ("counter", ("outcome", "source")),
    "parley_quoted_answers": ("counter", ("outcome",)),
    "parley_tool_calls": ("counter", ()),
    "parley_cancelled": ("counter", ()),
    "parley_looped": ("counter", ()),
    "parley_engine_restarts": ("counter", ()),
    "parley_model_copies": ("counter", ("outcome",)),
    "parley_sources": ("counter", ("adapter",)),
    "parley_gathered": ("counter", ("kind", "outcome")),
    "parley_source_choices": ("counter", ("by",)),
    "parley_sources_refreshed": ("counter", ("outcome",)),
    "parley_pages": ("counter", ("outcome",)),
    "parley_page_bytes": ("counter", ()),
    "parley_first_token_seconds": ("histogram", ()),
    "parley_step_seconds": ("histogram", ()),
    "parley_refusals": ("counter", ("adapter", "said")),
    "parley_files": ("counter", ("adapter", "outcome")),
    "parley_platform_calls": ("counter", ("adapter", "method", "status")),
    "parley_models_loaded": ("gauge", ()),
    "parley_model_loads": ("counter", ()),
    "parley_model_unloads": ("counter", ()),
    "parley_engine_calls": ("counter", ("status",)),
    "parley_engine_retries": ("counter", ()),
    "parley_commands": ("counter", ("outcome",)),
    "parley_usage_lost": ("counter", ()),
    "parley_chat_watches": ("gauge", ()),
    "parley_page_requests": ("counter", ("route", "status")),
    "parley_routed": ("counter", ("answered_by", "verdict")),
    "parley_plans": ("counter", ("outcome",)),
    "parley_plan_steps": ("counter", ()),
    "parley_fact_passages": ("gauge", ()),
    "parley_fact_searches": ("counter", ("outcome",)),
    "parley_fact_files": ("counter", ("outcome",)),
    "parley_loop_lag_seconds": ("histogram", ()),
}


def test_every_metric_keeps_its_name_type_and_labels() -> None:
    metrics = Metrics()
    for name, (_, labels) in EXPOSED.items():
        if labels:
            getattr(metrics, name.removeprefix("parley_")).labels(*labels)
    exposed = {
        family.name: (family.type, _labels(family.samples[0].labels))
        for family in text_string_to_metric_families(metrics.expose().decode())
        if not family.name.endswith("_created")
    }
    assert exposed == EXPOSED


def _labels(found: dict[str, str]) -> tuple[str, ...]:
    return tuple(sorted(found.keys() - {"le"}))
