from __future__ import annotations

from collections.abc import Sequence

from bot.generation import ChatMessage
from bot.inference.engine.intake import PromptEncoder
from tests.fakes.model import FakeModel


class Dated(FakeModel):
    """Its template writes the date, as Llama 3's does."""

    today = "Monday"

    def encode(self, messages: Sequence[ChatMessage]) -> list[int]:
        return super().encode([ChatMessage("system", f"It is {self.today}. "), *messages])


def test_on_a_new_day_the_system_prompt_is_shared_as_before() -> None:
    model = Dated()
    encoder = PromptEncoder(model)
    asked = [ChatMessage("system", "Be kind. "), ChatMessage("user", "Hello")]
    _, num_shared = encoder.encode(asked)
    assert num_shared == len("It is Monday. Be kind. ")
    model.today = "Tuesday"
    encoder.encode(asked)
    _, num_shared = encoder.encode(asked)
    assert num_shared == len("It is Tuesday. Be kind. ")
