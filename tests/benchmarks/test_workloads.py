"""What the long workloads make of what they saw."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.benchmarks import chat_load, depth, long_paste, looped, memory, rendering
from tests.benchmarks.chat_load import Reply
from tests.benchmarks.depth import Decoding, Written
from tests.benchmarks.long_paste import Heard, Paste, Reader, Story
from tests.benchmarks.looped import Answers
from tests.benchmarks.memory import Reading, Size
from tests.benchmarks.sides import LLAMA_SERVER, LLAMA_SERVER_BEST, PARLEY

MB = 1_000_000


def paste(gap: float, beside: float, speed: float) -> Paste:
    quiet, busy = Heard([0.05] * 100, 80.0), Heard([gap] * 100, speed)
    return Paste(quiet, busy, alone=8.0, beside=beside, num_tokens=0)


def test_the_others_gaps_and_speed_and_the_pastes_wait_are_judged_by_their_ratios() -> None:
    row = long_paste.row_of("Parley", 4_000, [paste(gap=0.25, beside=20.0, speed=41.0)])
    assert (row[0], row[5], row[8], row[9]) == ("4,000", "5.0", "2.50", "0.51")
    assert row[-1] == "gap <= 6: met, first token <= 4: met, speed >= 0.5: met"
    row = long_paste.row_of("Parley", 4_000, [paste(gap=0.5, beside=40.0, speed=39.0)])
    assert row[-1] == "gap <= 6: MISSED, first token <= 4: MISSED, speed >= 0.5: MISSED"


def test_a_reply_that_stands_still_has_a_gap_though_nothing_came_after_it() -> None:
    reader = Reader("reader")
    reader.stories = [Story([1.0, 1.5, 2.0, 9.0])]
    assert reader.gaps(1.2, 5.0) == [0.5, 0.5, 3.0]


def test_who_reads_one_reply_after_the_other_has_no_gap_between_them() -> None:
    reader = Reader("reader")
    reader.stories = [Story([1.0, 1.5], ended_at=1.6), Story([4.0, 4.25, 9.0]), Story()]
    assert reader.gaps(0.0, 5.0) == [0.5, 0.25, 0.75]
    assert long_paste.heard([reader, reader], 1.2, 5.2).speed == 6 / 4


def written(*times: float, num_tokens: int = 0, lengths: Sequence[int] = ()) -> Written:
    num_tokens, each = num_tokens or len(times), [*(lengths or (1 for _ in times))]
    return Written(times, Reply(ttft=0.5, tokens=num_tokens, lengths=each))


def test_decoding_is_timed_from_when_every_reply_has_begun_to_the_first_that_ends() -> None:
    early = written(1.0, 2.0, 3.0, 4.0, 5.0)
    late = written(3.0, 4.0, 5.0, 6.0)
    decoding = depth.decoding_of([early, late])
    assert decoding.seconds == 2.0
    assert decoding.num_tokens == 4.0


def test_a_part_of_a_reply_counts_as_many_tokens_as_it_has() -> None:
    decoding = depth.decoding_of([written(1.0, 2.0, 3.0, 4.0, num_tokens=8)])
    assert decoding.speed == 2.0
    lone = written(1.0, 2.0, 3.0, num_tokens=9, lengths=[2, 8, 8])
    assert depth.decoding_of([lone]).num_tokens == 8


def test_replies_of_which_one_ended_before_the_last_began_have_no_speed() -> None:
    assert depth.decoding_of([written(1.0, 2.0), written(3.0, 4.0)]).num_tokens == 0


def test_a_server_is_compared_with_its_defaults_and_with_its_best_flags() -> None:
    def found(num_tokens: float) -> list[Decoding]:
        return [Decoding(1.0, num_tokens, 0.2)]

    speeds = {PARLEY: found(90), LLAMA_SERVER: found(40), LLAMA_SERVER_BEST: found(100)}
    ours, theirs, best = depth.rows_of(8, speeds)
    assert ours == ("8", PARLEY, "90", "", "0.20", "")
    assert theirs[3:] == ("2.25", "0.20", ">= 2: met")
    assert best[3:] == ("0.90", "0.20", ">= 1: MISSED")


def test_memory_is_told_beside_what_is_parked_on_purpose() -> None:
    readings = [
        Reading("the start", 600 * MB, 0),
        Reading("50 threads", 620 * MB, 10 * MB),
        Reading("500 threads", 700 * MB, 60 * MB),
        Reading("half", 702 * MB, 60 * MB),
        Reading("all", 722 * MB, 60 * MB),
    ]
    rows = memory.rows_of(readings)
    assert rows[2][-2:] == ("30.0", "<= 40: met")
    assert rows[4][-2:] == ("20.0", "<= 8: MISSED")


def test_the_loop_guard_is_judged_by_what_it_spares() -> None:
    on, off = looped.rows_of({"on": Answers(3, 900, 4.0), "off": Answers(0, 2_000, 10.0)})
    assert on == ("on", "3", "900", "4.0", "0.45", "0.40")
    assert off == ("off", "0", "2000", "10.0", "1.00", "1.00")


def test_the_questions_to_loop_on_leave_nothing_to_chance() -> None:
    questions = looped.looping()
    assert "Write a song about rain." in questions
    assert "Write a rhyme for every month of the year." not in questions


class EveryTurn:
    """An OpenAI-like server that notes each question and answers in one word."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int]] = []

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        thread = request.headers.get("X-Parley-Thread", "")
        self.asked.append((thread, body["user"], len(body["messages"])))
        text = 'data: {"choices": [{"delta": {"content": "yes"}}]}\n\ndata: [DONE]\n\n'
        return web.Response(text=text, content_type="text/event-stream")

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.answer)
        return app


@pytest.mark.parametrize(("named", "name"), [(False, ""), (True, "t0")])
async def test_each_thread_has_a_person_of_its_own_and_carries_all_its_turns(
    named: bool, name: str
) -> None:
    far_side = EveryTurn()
    async with TestServer(far_side.application()) as server, aiohttp.ClientSession() as session:
        given = [str(server.make_url("")).rstrip("/"), "--threads", "3", "--turns", "2"]
        arguments = chat_load.parser().parse_args([*given, *(["--named"] if named else [])])
        out = await chat_load.threads(chat_load.Users(session, arguments), arguments)
    assert out["n"] == 6
    assert len(out["ttft_p50_by_turn"]) == 2
    assert {user for _, user, _ in far_side.asked} == {"u0", "u1", "u2"}
    assert [each for each in far_side.asked if each[1] == "u0"] == [
        (name, "u0", 2),
        (name, "u0", 4),
    ]


async def test_memory_is_read_after_so_many_threads_and_turns() -> None:
    far_side = EveryTurn()
    async with TestServer(far_side.application()) as server, aiohttp.ClientSession() as session:
        options = Namespace(
            url=str(server.make_url("")).rstrip("/"), model="m", max_tokens=2, key=None
        )
        people = memory.People(chat_load.Users(session, options))
        size = Size(2, 12, 24)
        for turns in memory.phases(size):
            await people.take_turns(turns)
    assert len(far_side.asked) == size.num_many + size.num_turns
    assert {thread for thread, _, _ in far_side.asked} == {f"thread {i}" for i in range(12)}


async def test_rendering_compares_the_same_lengths_on_every_platform() -> None:
    (table,) = await rendering.measure(quick=True)
    assert [row[1] for row in table.rows] == ["slack", "discord", "teams", "web"]
    assert all(float(row[-1]) > 0 for row in table.rows)
