"""``eval`` as a person runs it: beside a running Parley, alone, at a server, and with votes."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.answer_formats import JsonSchema
from bot.cli.ask import ParleyGone
from bot.cli.evaluation.run import EvalOptions, run
from bot.cli.evaluation.votes import cases_of, counted, write_cases
from bot.config import load_settings
from bot.errors import ParleyError, StartError, UnknownPersonality
from bot.history.rated import read_rated
from bot.history.usage import read
from tests.bot.talk import talking
from tests.bot.test_cli import Result, parley, running, script, start
from tests.bot.test_votes import press
from tests.fakes.conversations import HELLO, FakeConversations
from tests.fakes.model_server import FakeModelServer, says
from tests.scenarios.command import command

TWO = """\
title: Two
seed: 5
cases:
  - name: greets
    question: Say hello.
    checks: [contains: hello]
  - name: counts
    personality: coder
    question: Count to three.
    checks: [contains: "3", max-tokens: 1]
"""
ALL_CODER = TWO.replace("greets", "greets\n    personality: coder")
OUTPUT = ("--output", "report.json")


def write(folder: Path, text: str = TWO) -> str:
    (folder / "set.yaml").write_text(text, encoding="utf-8")
    return "set.yaml"


async def evaluated(folder: Path, text: str = TWO, **options: Any) -> int:
    """The exit code, in this process."""
    file = await asyncio.to_thread(write, folder, text)
    settings = await asyncio.to_thread(load_settings, {}, folder)
    return await run(settings, folder / file, EvalOptions(**options))


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return found


async def test_answers_of_the_running_parley_are_checked_behind_everybody_else(
    tmp_path: Path,
) -> None:
    conversations = FakeConversations()
    file = write(tmp_path)
    async with running(tmp_path, conversations):
        result = await parley(tmp_path, "eval", file, "-n", "2", "--temperature", "0", *OUTPUT)
    assert (result.code, result.err) == (0, "")
    rows = [line.split() for line in result.out.splitlines()]
    assert ["assistant", "smollm2", "2/2", "100", "2", "0.0", "0"] in [
        [*row[:5], "0.0", row[-1]] for row in rows if row[:1] == ["assistant"]
    ]
    assert "  coder: counts (1 of 2): contains: lacks “3”" in result.out.splitlines()
    requests = conversations.requests
    assert all(each.is_background and each.route == "eval" for each in requests)
    assert sorted((each.personality, each.sampling["seed"]) for each in requests) == [
        ("assistant", 5),
        ("assistant", 6),
        ("coder", 5),
        ("coder", 6),
    ]
    assert {each.sampling["temperature"] for each in requests} == {0}
    found = report(tmp_path)
    assert [(each["personality"], each["rate"]) for each in found["summaries"]] == [
        ("assistant", 100.0),
        ("coder", 0.0),
    ]
    assert {run["answers"][0] for run in found["runs"]} == {"Hello there"}


async def test_a_person_who_asks_the_same_route_is_no_eval(tmp_path: Path) -> None:
    conversations = FakeConversations()
    async with running(tmp_path, conversations):
        await parley(tmp_path, "ask", "Hi")
    assert [each.route for each in conversations.requests] == ["/v1/chat/completions"]


async def test_a_model_by_name_gets_the_prompt_and_sampling_of_the_personality(
    tmp_path: Path,
) -> None:
    conversations = FakeConversations()
    async with running(tmp_path, conversations):
        code = await evaluated(tmp_path, personalities=("coder",), models=("smollm2",))
    assert code == 0
    for request in conversations.requests:
        assert request.personality is None
        assert request.messages[0].role == "system"
        assert "programming assistant" in request.messages[0].content
        assert (request.sampling["repeat_penalty"], request.sampling["seed"]) == (1.05, 5)


async def test_worse_than_before_by_more_than_the_bound_is_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    conversations = FakeConversations()
    compare = tmp_path / "report.json"
    async with running(tmp_path, conversations):
        await evaluated(tmp_path, output=compare)
        assert await evaluated(tmp_path, compare=compare) == 0
        conversations.script = tuple(script("Hm."))
        capsys.readouterr()
        assert await evaluated(tmp_path, compare=compare) == 1
        lines = capsys.readouterr().out.splitlines()
        assert await evaluated(tmp_path, compare=compare, bound=100.0) == 0
    assert "  assistant: 100 % -> 0 % of 1 cases, worse by more than 5 points" in lines
    assert "  assistant: greets: 1/1 -> 0/1, worse" in lines
    assert "worse by more than" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("title: T\ncases: []\n", {}, "set.yaml:2: cases should have at least one, a line with"),
        (TWO, {"compare": Path("nowhere.json")}, "nowhere.json cannot be read: No such file"),
        (TWO, {"personalities": ("poet",)}, "There is no personality 'poet'"),
        (
            TWO.replace("greets", "g\n    personality: coder"),
            {"personalities": ("tutor",)},
            "No case",
        ),
        (TWO, {"output": Path("nowhere/r.json")}, "nowhere/r.json cannot be written; choose"),
        (TWO, {"url": "gpu1:8000"}, "--url is 'gpu1:8000'; write it as http://gpu1:8000/v1."),
        (TWO, {"url": "http://gpu1/v1", "key": "@nowhere"}, "--key: the file nowhere cannot be re"),
    ],
)
async def test_what_cannot_be_asked_is_a_sentence_before_anything_is(
    tmp_path: Path, text: str, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises((StartError, UnknownPersonality)) as caught:
        await evaluated(tmp_path, text, **options)
    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(sentence)
    assert not (tmp_path / "data").exists()


async def test_a_report_of_other_questions_is_no_measure(tmp_path: Path) -> None:
    compare = tmp_path / "report.json"
    async with running(tmp_path, FakeConversations()):
        await evaluated(tmp_path, output=compare)
        other = TWO.replace("Say", "Tell").replace("Count", "Number")
        with pytest.raises(StartError, match=r"has none of the cases of .*, asked in this way\.$"):
            await evaluated(tmp_path, other, compare=compare)


async def test_a_model_that_nobody_has_is_a_wrong_option(tmp_path: Path) -> None:
    async with running(tmp_path, FakeConversations()):
        with pytest.raises(StartError, match=r"^There is no model 'nowhere-7b'; known are "):
            await evaluated(tmp_path, models=("nowhere-7b",))


async def test_ctrl_c_shows_and_keeps_what_was_answered(tmp_path: Path) -> None:
    conversations = FakeConversations(())
    file = write(tmp_path)
    async with running(tmp_path, conversations):
        process = await start(tmp_path, "eval", file, *OUTPUT, "-j", "1")
        (await conversations.begun(1)).say(*HELLO)
        second = await conversations.begun(2)
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
        await second.cancelled.wait()
    assert (process.returncode, err) == (130, b"")
    assert b"Stopped: the table has what was asked until then." in out
    found = report(tmp_path)
    assert [run["case"] for run in found["runs"]] == ["greets"]
    assert found["is_whole"] is False


async def test_a_parley_that_ends_before_the_eval_leaves_what_was_answered(tmp_path: Path) -> None:
    conversations = FakeConversations(())
    async with running(tmp_path, conversations):
        output = tmp_path / "report.json"
        ending = asyncio.create_task(evaluated(tmp_path, output=output, num_at_once=1))
        (await conversations.begun(1)).say(*HELLO)
        await conversations.begun(2)
    with pytest.raises(ParleyGone):
        await ending
    assert [run["case"] for run in report(tmp_path)["runs"]] == ["greets"]


async def test_the_judge_is_asked_of_the_model_alone_and_held_to_yes_or_no(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judged_text = TWO.replace("contains: hello", "judge: It greets.")
    conversations = FakeConversations(script('{"verdict": "no"}'))
    async with running(tmp_path, conversations):
        await evaluated(tmp_path, judged_text, personalities=("assistant",))
    lines = capsys.readouterr().out.splitlines()
    assert "  assistant: greets: judge: the judge says no" in lines
    asked, judged = conversations.requests
    assert asked.personality == "assistant"
    assert (judged.personality, judged.is_background, judged.route) == (None, True, "eval")
    assert isinstance(judged.answer_format, JsonSchema)
    assert "It greets." in judged.messages[-1].content


async def test_a_server_is_asked_with_the_prompt_and_no_parley_is_needed(tmp_path: Path) -> None:
    await asyncio.to_thread((tmp_path / "key").write_text, "sesame\n")
    at_server: dict[str, Any] = {"key": f"@{tmp_path / 'key'}", "output": tmp_path / "report.json"}
    async with FakeModelServer(key="sesame") as server:
        server.otherwise = says("Hello, 1 2 3.")
        assert await evaluated(tmp_path, url=server.url, temperature=0.0, **at_server) == 0
        with pytest.raises(StartError) as refused:
            await evaluated(tmp_path, url=server.url, key="of another")
    assert not (tmp_path / "data").exists()
    by_question = {body["messages"][-1]["content"]: body for body in server.asked}
    coder = by_question["Count to three."]
    assert "programming assistant" in coder["messages"][0]["content"]
    assert (coder["temperature"], coder["seed"]) == (0, 5)
    summaries = report(tmp_path)["summaries"]
    assert [(each["personality"], each["passed"]) for each in summaries] == [
        ("assistant", 1),
        ("coder", 1),
    ]
    assert summaries[0]["engine"] == server.url.removeprefix("http://").partition("/")[0]
    assert "sesame" not in (tmp_path / "report.json").read_text()
    assert "of another" not in str(refused.value)


async def test_personalities_at_a_server_and_at_parley_are_told_apart(tmp_path: Path) -> None:
    async with FakeModelServer() as server, running(tmp_path, FakeConversations()):
        server.otherwise = says("No.")
        engines = f"models: [smollm2]\nengines: [{{name: gpu, url: '{server.url}'}}]\n"
        assert await evaluated(tmp_path, TWO + engines, output=tmp_path / "report.json") == 0
    assert [
        (each["personality"], each["model"], each["engine"], each["passed"])
        for each in report(tmp_path)["summaries"]
    ] == [
        ("assistant", "smollm2", "", 1),
        ("coder", "smollm2", "", 0),
        ("assistant", "", "gpu", 0),
        ("coder", "", "gpu", 0),
    ]


async def test_where_nothing_is_answered_that_is_no_score(tmp_path: Path) -> None:
    async with FakeModelServer() as server:
        server.otherwise = says("")
        with pytest.raises(ParleyError, match=r"^Nothing was answered: The model gave no answer"):
            await evaluated(tmp_path, url=server.url)


async def voted(folder: Path) -> None:
    """Two answers in one thread, the first liked and the second disliked."""
    (folder / "data").mkdir()
    async with talking(folder / "data") as talk:
        for text, reply, rating in (
            ("What is a llama?", "A camelid: *soft*.", 1),
            ("Where does it live?", "In the sea.", -1),
        ):
            before = set(talk.platform.messages)
            await talk.answered(text, reply)
            await talk.clock.advance(1)
            (message,) = set(talk.platform.messages) - before
            await press(talk, message, rating)
        await talk.clock.advance(1)


async def test_votes_become_cases_only_with_the_word_for_it(tmp_path: Path) -> None:
    await voted(tmp_path)
    shown = await parley(tmp_path, "eval", "from-votes")
    assert (shown.code, shown.err) == (0, "")
    assert "llama" not in shown.out
    assert shown.out.splitlines()[1].split()[-2:] == ["1", "1"]
    refused = await parley(tmp_path, "eval", "from-votes", "-o", "v.yaml")
    sentence = "Cases hold what people wrote: --output and --with-text go together.\n"
    assert refused == Result(2, "", sentence)
    assert not (tmp_path / "v.yaml").exists()


async def test_cases_of_votes_can_be_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await voted(tmp_path)
    options = ("--with-text", "-o", "v.yaml")
    written = await parley(tmp_path, "eval", "from-votes", *options)
    with pytest.raises(StartError, match=r"exists already; name a new file\.$"):
        write_cases(tmp_path / "v.yaml", [{}])
    assert written == Result(0, "Written: v.yaml with 2 cases of 2 votes.\n", "")
    assert stat.S_IMODE((tmp_path / "v.yaml").stat().st_mode) == 0o600
    liked, disliked = yaml.safe_load((tmp_path / "v.yaml").read_text())["cases"]
    assert liked["question"] == "What is a llama?"
    assert liked["checks"][0]["judge"].endswith(": A camelid: *soft*.")
    assert disliked["turns"] == [
        {"question": "What is a llama?", "answer": "A camelid: *soft*."},
        {"question": "Where does it live?", "checks": [{"not-equals": "In the sea."}]},
    ]
    (tmp_path / "data").rename(tmp_path / "before")
    text = (tmp_path / "v.yaml").read_text()
    async with running(tmp_path, FakeConversations(script("In the sea."))):
        assert await evaluated(tmp_path, text) == 0
    assert "not-equals: is the same answer again" in capsys.readouterr().out


async def test_votes_that_nobody_cast_are_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    async with talking(tmp_path / "data") as talk:
        await talk.answered("What is a llama?", "A camelid.")
        await talk.clock.advance(1)
    rated = await asyncio.to_thread(
        read_rated, tmp_path / "data" / "parley.db", None, with_text=True
    )
    assert counted(rated) == ["Nobody has voted on an answer in this time."]
    with pytest.raises(StartError, match=r"nothing was written\.$"):
        write_cases(tmp_path / "v.yaml", cases_of(rated))


@pytest.mark.model
async def test_alone_the_embedded_model_answers_and_judges(tmp_path: Path) -> None:
    text = TWO + "  - {name: judged, question: Say hi., checks: [judge: It is short., is-json]}\n"
    text += "max-tokens: 8\ntemperature: 0\n"
    limits = {"PARLEY_PER_MINUTE": "1", "PARLEY_MAX_IN_FLIGHT": "1"}  # of people
    result = await command(tmp_path, "eval", write(tmp_path, text), *OUTPUT, environ=limits)
    assert (result.code, result.err) == (0, "")
    found = report(tmp_path)
    assert [(run["case"], run["error"]) for run in found["runs"]] == [
        ("greets", ""),
        ("judged", ""),
        ("counts", ""),
    ]
    assert all(0 < run["num_tokens"] <= 8 for run in found["runs"])
    assert [check["kind"] for check in found["runs"][1]["checks"]] == ["judge", "is-json"]
    logged = await asyncio.to_thread(lambda: list(read(tmp_path / "data" / "parley.db", None)))
    assert [(row.platform, row.person) for row in logged] == [("eval", "http:local")] * 4
