"""What a question in the terminal hears of a running Parley beside its answer."""

from __future__ import annotations

import pytest

from adapters.http.openai.shapes import comment
from adapters.http.openai.streaming import sign_of_life
from bot.cli.ask import _doing
from bot.generation import GenerationEvent, Progress, Queued


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        ([(0, Progress("reading example.org"))], "reading example.org"),
        ([(0, Progress("reading\nexample.org"))], "reading example.org"),
        ([(0, Queued(3)), (0, Progress("reading ä"))], "reading ä"),
        ([(0, Progress("reading a")), (0, Queued(3))], ""),
        ([(0, Queued(1, loading="qwen3"))], ""),
        ([], ""),
    ],
)
def test_what_is_done_is_told_and_signs_of_life_are_not(
    batch: list[tuple[int, GenerationEvent]], told: str
) -> None:
    first, *rest = sign_of_life(batch).splitlines()
    assert _doing(first) == told
    assert rest == [b""]


def test_a_line_of_data_tells_nothing() -> None:
    assert _doing(b'data: {"choices": []}') == _doing(b"") == _doing(comment("working")) == ""
