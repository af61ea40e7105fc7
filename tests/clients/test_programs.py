"""Programs with the clients that people use, against Parley."""

from __future__ import annotations

from pathlib import Path

from bot.server import Server
from tests.clients.conftest import Replies
from tests.clients.environment import run
from tests.ports import free_port

ADA = {"name": "Ada", "age": 36}


async def test_the_official_client_chats_and_tells_failures_apart(
    server: Server, tmp_path: Path
) -> None:
    found = await run("openai_chat", server.url, tmp_path)
    assert found["whole"] == "Hi (2)"
    assert "".join(found["streamed"]) == "Hi (2)"
    assert found["parsed"] == ADA
    assert found["events"]["person"] == ADA
    assert found["events"]["tokens"] == 11
    assert found["events"]["kinds"] == ["chunk", "content.delta", "content.done"]
    assert found["tools"] == ["tool_calls", "Sun, Bern (4)"]
    assert found["streamed tools"] == [True, "Bern"]
    assert found["older"] == [" and so on"] * 3
    assert found["models"]["names"][0] == found["models"]["one"] == "smollm2"
    assert found["async"]["whole"] == [f"Question {number} (2)" for number in range(3)]
    assert "".join(found["async"]["streamed"]) == "Hi (2)"
    assert found["cut"] == "LengthFinishReasonError"
    assert found["failures"] == {
        "wrong key": ["AuthenticationError", "invalid_api_key", None],
        "unknown model": ["NotFoundError", "model_not_found", "model"],
        "too long": ["BadRequestError", "context_length_exceeded", "messages"],
        "busy": ["RateLimitError", "rate_limit_exceeded", None],
        "failed": ["InternalServerError", "engine_failed", None],
    }


async def test_the_official_client_uses_the_responses_api(server: Server, tmp_path: Path) -> None:
    found = await run("openai_responses", server.url, tmp_path)
    assert found["whole"] == "Hi (2)"
    assert found["conversation"] == "And you? (3)"
    assert "".join(found["streamed"]) == found["async"] == "Hi (1)"
    assert found["parsed"] == found["events"]["person"] == ADA
    assert found["events"]["tokens"] == 11
    assert found["events"]["kinds"][0] == "response.created"
    assert found["events"]["kinds"][-1] == "response.completed"
    assert found["tools"] == "Sun, Bern (3)"
    assert found["cut"] == ["incomplete", "max_output_tokens"]
    assert found["failures"] == {
        "too long": ["BadRequestError", "context_length_exceeded", "input"],
        "failed": ["InternalServerError", "engine_failed", None],
        "earlier": ["BadRequestError", "unsupported_parameter", "previous_response_id"],
    }


async def test_langchain(server: Server, tmp_path: Path) -> None:
    found = await run("langchain_chat", server.url, tmp_path)
    assert found["invoke"] == "".join(found["stream"]) == "Hi (1)"
    assert found["conversation"] == "How are you? (4)"
    assert found["chain"] == "What is Rust? (2)"
    assert found["batch"] == ["One (1)", "Two (1)"]
    assert found["usage"] == {"whole": 11, "streamed": 11}
    assert found["json_schema"] == found["json_mode"] == found["function_calling"] == ADA
    assert found["tools"] == ["Sun, Bern (3)", [{"city": "Bern"}]]
    assert found["responses"] == "How are you? (4)"


async def test_a_gradio_page_passes_on_its_history_as_it_stands(
    server: Server, replies: Replies, tmp_path: Path
) -> None:
    found = await run("gradio_chat", server.url, tmp_path, str(free_port()))
    assert found["first"][-1] == "Hi (2)"
    assert found["second"] == "And you? (4)"
    assert found["called"] == ["Hi (2)", "And you? (4)"]
    assert {"metadata", "options"} <= set(found["keys"])
    request = replies.requests[1]
    assert [message.role for message in request.messages] == ["user", "assistant", "system", "user"]
    assert [message.content for message in request.messages[:2]] == ["Hi", "Hi (2)"]
    assert request.sampling["temperature"] == 0


async def test_the_command_line_llm(server: Server, tmp_path: Path) -> None:
    found = await run("llm_commands", server.url, tmp_path)
    assert found["streamed"] == found["whole"] == "Hi (1)"
    assert found["system"] == "Hi (2)"
    assert found["further"] == "And you? (4)"
    assert found["tools"] == "Sun, Bern (3)"
    assert found["responses"] == "Hi (1)"
    assert found["schema"].replace(" ", "") == '{"name":"Ada","age":36}'
