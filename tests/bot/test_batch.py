"""``ask --batch`` as a person runs it, and again after it was cut short."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from bot.answer_formats import JsonSchema
from bot.cli.batch.answers import StreamSink, sink_of
from bot.cli.batch.questions import Defaults, read_questions
from bot.cli.batch.run import BatchRun
from bot.errors import OverLimit, ParleyError, RequestError, StartError, UnsupportedFormat
from bot.generation import CompletionRequest, Delta, Finished, FinishReason, GenerationEvent
from tests.bot.test_cli import Result, parley, running, start
from tests.fakes.conversations import HELLO, FakeConversations
from tests.scenarios.polling import eventually

BATCH = ("ask", "--batch", "questions.jsonl")
OUTPUT = ("--output", "answers.jsonl")
DEFAULTS = Defaults("assistant", None)
THREE = '"One?"\n"Two?"\n"Three?"\n'


def write(folder: Path, lines: str) -> None:
    (folder / "questions.jsonl").write_text(lines)


def answers(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]


def asked(conversations: FakeConversations) -> list[str]:
    return sorted(request.messages[-1].content for request in conversations.requests)


async def test_every_kind_of_line_is_answered_in_order_behind_everybody_else(
    tmp_path: Path,
) -> None:
    of_openai = {
        "custom_id": "c",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": "coder",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Three?"},
            ],
        },
    }
    lines = [
        "One?",
        {"question": "Two?", "id": "b", "personality": "coder", "schema": {"type": "object"}},
        of_openai,
    ]
    write(tmp_path, "\ufeff" + "\r\n\n".join(map(json.dumps, lines)))
    conversations = FakeConversations()
    async with running(tmp_path, conversations):
        result = await parley(tmp_path, *BATCH, "--jobs", "1")
    assert (result.code, result.err) == (0, "")
    records = [json.loads(line) for line in result.out.splitlines()]
    assert [list(each.items())[:3] for each in records] == [
        [("id", 1), ("question", "One?"), ("text", "Hello there")],
        [("id", "b"), ("question", "Two?"), ("text", "Hello there")],
        [("custom_id", "c"), ("question", "Three?"), ("text", "Hello there")],
    ]
    assert {(each["model"], each["finish_reason"]) for each in records} == {("smollm2", "stop")}
    assert all(request.is_background for request in conversations.requests)
    assert [request.personality for request in conversations.requests] == [
        *("assistant", "coder", "coder")
    ]
    assert conversations.requests[1].answer_format == JsonSchema('{"type": "object"}')
    assert conversations.requests[2].messages[0].content == "Be brief."


@pytest.mark.parametrize("output", [(), OUTPUT])
async def test_answers_stand_in_order_though_the_last_comes_first(
    tmp_path: Path, output: tuple[str, ...]
) -> None:
    write(tmp_path, THREE)
    conversations = FakeConversations(())
    async with running(tmp_path, conversations):
        running_batch = asyncio.create_task(parley(tmp_path, *BATCH, *output, "-j", "3"))
        await conversations.begun(3)
        pairs = zip(conversations.requests, conversations.generations, strict=True)
        for request, generation in sorted(pairs, key=lambda pair: pair[0].messages[-1].content):
            generation.say(Delta(f"{request.messages[-1].content}!"), HELLO[-1])
            await asyncio.sleep(0)
        result = await running_batch
    assert (result.code, result.err) == (0, "")
    shown = answers(tmp_path) if output else [json.loads(line) for line in result.out.splitlines()]
    assert [each["text"] for each in shown] == ["One?!", "Two?!", "Three?!"]


async def test_a_second_run_asks_what_failed_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, THREE)
    conversations = FakeConversations(())
    async with running(tmp_path, conversations):
        first = asyncio.create_task(parley(tmp_path, *BATCH, *OUTPUT, "-j", "3"))
        await conversations.begun(3)
        for request, generation in zip(
            conversations.requests, conversations.generations, strict=True
        ):
            failed = Finished(FinishReason.ERROR, detail="It broke.")
            is_second = request.messages[-1].content == "Two?"
            generation.say(Delta("Yes."), failed if is_second else HELLO[-1])
        assert await first == Result(
            1,
            "",
            "1 of the questions could not be answered; the same command asks them again.\n",
        )
        assert [each.get("error") for each in answers(tmp_path)] == [None, "It broke.", None]
        conversations.requests.clear()
        conversations.script = HELLO
        second = await parley(tmp_path, *BATCH, *OUTPUT)
        third = await parley(tmp_path, *BATCH, *OUTPUT)
    assert second == third == Result(0, "", "")
    assert asked(conversations) == ["Two?"]
    assert [each["text"] for each in answers(tmp_path)] == ["Yes.", "Hello there", "Yes."]


async def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    write(tmp_path, THREE)
    conversations = FakeConversations(())
    async with running(tmp_path, conversations):
        killed = await start(tmp_path, *BATCH, *OUTPUT, "-j", "1")
        for number in (1, 2):
            (await conversations.begun(number)).say(*HELLO)
        await conversations.begun(3)
        await eventually(lambda: len(answers(tmp_path)) == 2)
        killed.kill()
        await killed.wait()
        conversations.requests.clear()
        conversations.script = HELLO
        again = await parley(tmp_path, *BATCH, *OUTPUT)
    assert again == Result(0, "", "")
    assert asked(conversations) == ["Three?"]
    assert [each["id"] for each in answers(tmp_path)] == [1, 2, 3]


@pytest.mark.parametrize("whole", [0, 1])
@pytest.mark.parametrize("cut_off", [b"{", b'{"id": 3, "question": "Th', b'{"id": 3, "que\xc3'])
def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path, whole: int, cut_off: bytes) -> None:
    record = {"id": 1, "question": "One?", "text": "Yes."}
    path = tmp_path / "answers.jsonl"
    path.write_bytes(f"{json.dumps(record)}\n".encode() * whole + cut_off)
    questions = read_questions(path, THREE.encode(), DEFAULTS)
    sink = sink_of(path, questions)
    assert len(sink.missing) == 3 - whole
    for question in reversed(sink.missing):
        sink.put(question, {"id": question.id, "question": question.text, "text": "Yes."})
    sink.close()
    assert [each["id"] for each in answers(tmp_path)] == [1, 2, 3]


async def test_a_question_that_reads_otherwise_now_is_asked_again(tmp_path: Path) -> None:
    write(tmp_path, THREE)
    conversations = FakeConversations()
    async with running(tmp_path, conversations):
        await parley(tmp_path, *BATCH, *OUTPUT)
        write(tmp_path, THREE.replace("Two", "How many"))
        conversations.requests.clear()
        await parley(tmp_path, *BATCH, *OUTPUT)
    assert asked(conversations) == ["How many?"]
    assert [each["question"] for each in answers(tmp_path)] == ["One?", "How many?", "Three?"]


async def test_a_batch_ends_where_parley_does_and_keeps_what_it_has(tmp_path: Path) -> None:
    write(tmp_path, THREE)
    conversations = FakeConversations(())
    async with running(tmp_path, conversations):
        batch = asyncio.create_task(parley(tmp_path, *BATCH, *OUTPUT, "-j", "1"))
        (await conversations.begun(1)).say(*HELLO)
        await conversations.begun(2)
    result = await batch
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("The running Parley at http://127.0.0.1:")
    assert result.err.count("\n") == 1
    assert [each["id"] for each in answers(tmp_path)] == [1]


async def test_the_batch_waits_where_too_many_ask(tmp_path: Path) -> None:
    (question,) = read_questions(tmp_path, b'"One?"', DEFAULTS)
    record = await BatchRun(_Crowded(), StreamSink([question]), DEFAULTS).record(question)
    assert record["text"] == "Hello"


class _Crowded:
    """Refuses the first two times."""

    def __init__(self) -> None:
        self._num_asked = 0

    async def ask(self, asked: CompletionRequest) -> AsyncGenerator[GenerationEvent, None]:
        self._num_asked += 1
        if self._num_asked < 3:
            raise OverLimit("Too many questions are waiting.", 0.0)
        yield Delta("Hello")
        yield HELLO[-1]

    async def model_of(self, personality: str) -> str:
        return "smollm2"


async def test_a_refusal_of_one_line_is_its_error(tmp_path: Path) -> None:
    write(tmp_path, '{"question": "One?", "schema": {}}\n')
    async with running(tmp_path, FakeConversations(refusal=RequestError("No."))):
        result = await parley(tmp_path, *BATCH)
    assert json.loads(result.out) == {"id": 1, "question": "One?", "error": "No."}
    assert result.err == "1 of the questions could not be answered.\n"
    assert result.code == 1


async def test_a_personality_of_all_lines_that_is_unknown_is_exit_code_2(tmp_path: Path) -> None:
    write(tmp_path, THREE)
    async with running(tmp_path, FakeConversations()):
        result = await parley(tmp_path, *BATCH, "-p", "poet")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("There is no model 'poet'; known are ")
    assert result.err.count("\n") == 1


def test_answers_that_find_no_room_to_be_put_in_order_are_kept(tmp_path: Path) -> None:
    questions = read_questions(Path("q"), THREE.encode(), DEFAULTS)
    sink = sink_of(tmp_path / "answers.jsonl", questions)
    sink.put(questions[1], {"id": 2, "question": "Two?", "text": "2"})
    (tmp_path / "answers.jsonl.new").mkdir()  # what is to take the file's place cannot be written
    with pytest.raises(ParleyError, match=r"cannot be written: .* the same command goes on"):
        sink.close()
    assert [answer["text"] for answer in answers(tmp_path)] == ["2"]


async def test_a_schema_of_all_lines_that_cannot_be_followed_is_exit_code_2(
    tmp_path: Path,
) -> None:
    write(tmp_path, THREE)
    (tmp_path / "schema.json").write_text("{}")
    refusal = UnsupportedFormat("The answer format is endlessly recursive.")
    async with running(tmp_path, FakeConversations(refusal=refusal)):
        result = await parley(tmp_path, *BATCH, "--schema", "schema.json")
    assert result == Result(2, "", f"{refusal}\n")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("One?", "is no JSON: a text in quotes, or an object with a question"),
        ("7", "is neither a text nor an object with a question"),
        ('""', "has no question that is a text"),
        ('{"question": ["a"]}', "has no question that is a text"),
        ('{"quesion": "a"}', "has quesion, which is unknown; known are id, personality, question"),
        ('{"question": "a", "id": 1.5}', "has an id that is neither a text nor a number"),
        ('{"question": "a", "schema": []}', "has a schema that is no object"),
        ('{"question": "a", "id": 1}', "has the id 1, as line 1 has"),
        ('{"custom_id": "a", "body": {"messages": [{"role": "tool"}]}}', "has a message that is"),
        ('{"custom_id": "a", "body": {"seed": 1}}', "has body.seed, which is unknown; known are"),
    ],
)
def test_a_line_that_is_wrong_is_named_before_anything_is_asked(line: str, problem: str) -> None:
    with pytest.raises(StartError, match=r"q.jsonl, line 2 ") as caught:
        read_questions(Path("q.jsonl"), f'"first"\n{line}\n'.encode(), DEFAULTS)
    assert str(caught.value).startswith(f"q.jsonl, line 2 {problem}")


@pytest.mark.parametrize("content", ["My diary\n", '{"id": 1}\n', "My diary", '{"a": 1}'])
def test_a_file_that_holds_something_else_stays_as_it_is(tmp_path: Path, content: str) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(content)
    with pytest.raises(StartError, match=r"holds something else; choose another --output\.$"):
        sink_of(path, read_questions(path, THREE.encode(), DEFAULTS))
    assert path.read_text() == content


async def test_a_batch_says_what_it_cannot_do(tmp_path: Path) -> None:
    write(tmp_path, THREE)
    both = await parley(tmp_path, *BATCH, "And this?")
    no_batch = await parley(tmp_path, "ask", "--output", "x", "Hi")
    no_file = await parley(tmp_path, "ask", "--batch", "nowhere.jsonl")
    no_output = await parley(tmp_path, *BATCH, "--output", "/dev/full")
    assert [each.code for each in (both, no_batch, no_file, no_output)] == [2, 2, 2, 2]
    assert both.err == "Ask a question or a --batch of them, not both.\n"
    assert no_file.err == "nowhere.jsonl cannot be read: No such file or directory.\n"
    assert no_output.err == "/dev/full is no file; leave --output out to write to stdout.\n"
