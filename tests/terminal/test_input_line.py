"""What was asked before, as the arrow keys bring it back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

from bot.cli.chat.client import Json, PageClient
from bot.cli.chat.input_line import Questions


class Asked(PageClient):
    """Of a Parley with these questions, the newest first, each in a chat of its own."""

    def __init__(self, folder: Path, *questions: str) -> None:
        super().__init__(folder)
        self.questions = [*questions]

    async def chats(self, search: str = "") -> Sequence[Json]:
        return [{"id": question} for question in self.questions]

    async def chat(self, chat_id: str) -> Json:
        return {"turns": [{"question": chat_id}]}


async def test_whoever_writes_faster_than_they_are_read_loses_no_earlier_questions(
    tmp_path: Path,
) -> None:
    async with Asked(tmp_path, "asked second", "asked first") as client:
        questions = Questions(client)
        async with aclosing(questions.load()) as reading:
            assert await anext(reading) == "asked second"
        questions.append_string("asked just now")
        client.questions.insert(0, "asked just now")
        for _ in range(2):
            found = [text async for text in questions.load()]
            assert found == ["asked just now", "asked second", "asked first"]
