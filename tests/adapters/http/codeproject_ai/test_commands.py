"""A command in the background: what its client is told while it runs, and afterwards."""

from __future__ import annotations

import asyncio
from collections import Counter
from email.utils import parsedate_to_datetime

import aiohttp
import pytest

from adapters.http.codeproject_ai.commands import CommandNotFound, CommandsByAccount, LongCommands
from adapters.http.routes import routes
from bot.errors import AccessDenied, EngineFailed, OverLimit, ParleyError, QueueFull
from bot.generation import Delta, Finished, FinishReason, GenerationEvent, Queued, Reasoning
from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from tests.adapters.http.codeproject_ai.client import (
    CANCEL,
    CHAT,
    STATUS,
    Json,
    PollingClient,
    polling_client,
)
from tests.adapters.http.conftest import MODEL, Serve
from tests.fakes.clock import FakeClock
from tests.fakes.conversations import HELLO, FakeConversations, ScriptedGeneration
from tests.fakes.readiness import always

ENVELOPE = {
    *("moduleId", "moduleName", "code", "command", "requestId", "inferenceDevice"),
    *("processedBy", "analysisRoundTripMs", "timestampUTC", "success"),
}
RUNNING = {"message", "commandId", "commandStatus", "reply"}
COMPLETED = RUNNING | {"error", "stop_reason", "processMs", "inferenceMs"}


def told(answer: Json, *keys: str) -> tuple[object, ...]:
    return tuple(answer.get(key) for key in keys)


def ending(answer: Json) -> tuple[object, ...]:
    assert answer.keys() == ENVELOPE | COMPLETED
    assert answer["message"] == "Command has completed"
    assert answer["commandStatus"] == "completed"
    assert answer["code"] == (200 if answer["success"] else 500)
    return told(answer, "success", "stop_reason", "reply", "error")


async def ended(client: PollingClient, command_id: str) -> Json:
    """Its status once it does not run any more; nothing here takes time."""
    while (answer := await client.status(command_id))["commandStatus"] == "running":
        pass
    return answer


async def test_a_command_begins_runs_and_completes(serve: Serve, clock: FakeClock) -> None:
    conversations = FakeConversations(script=())
    async with polling_client(await serve(conversations)) as client:
        begun = await client.fields(CHAT, prompt="Hi")
        assert begun.keys() == ENVELOPE | {"message", "commandId", "commandStatus"}
        assert told(begun, "success", "code", "command", "commandStatus", "message") == (
            *(True, 200, "prompt", "running"),
            "Command is running in the background",
        )
        assert begun["commandId"] == begun["requestId"]
        assert told(begun, "moduleId", "inferenceDevice", "processedBy") == (
            *("LlamaChat", "CPU", "localhost"),
        )
        assert begun["timestampUTC"].endswith(" GMT")
        assert parsedate_to_datetime(begun["timestampUTC"]) == clock.now()

        generation = await conversations.begun()
        generation.say(Reasoning("They greet me."), Delta("Hel"))
        await clock.settle()
        running = await client.status(begun["commandId"])
        assert running.keys() == ENVELOPE | RUNNING
        assert told(running, "success", "command", "commandStatus", "reply") == (
            *(True, "get_command_status", "running", "Hel"),
        )
        assert running["message"] == "The long running command is still in progress"
        assert running["requestId"] != begun["requestId"]

        generation.say(Delta("lo."), Finished(FinishReason.STOP))
        done = await ended(client, begun["commandId"])
        assert ending(done) == (True, "completed", "Hello.", None)
        assert ending(await client.status(begun["commandId"])) == ending(done)


async def test_its_times_are_those_that_it_took(serve: Serve, clock: FakeClock) -> None:
    conversations = FakeConversations(script=(Queued(2), Queued(1)))
    async with polling_client(await serve(conversations)) as client:
        command_id = await client.ask()
        generation = await conversations.begun()
        await clock.advance(2.0)
        generation.say(Queued(1))
        await clock.advance(1.5)
        generation.say(Finished(FinishReason.LENGTH))
        await clock.settle()
        await clock.advance(60.0)
        done = await client.status(command_id)
        assert told(done, "processMs", "inferenceMs", "stop_reason") == (3500, 1500, "completed")
        assert done["analysisRoundTripMs"] == 0


async def test_one_that_never_left_the_queue_took_no_inference(
    serve: Serve, clock: FakeClock
) -> None:
    async with polling_client(await serve(FakeConversations(script=(Queued(9),)))) as client:
        command_id = await client.ask()
        await clock.advance(2.0)
        await client.cancel(command_id)
        done = await client.status(command_id)
        assert told(done, "processMs", "inferenceMs") == (2000, 0)


async def test_a_cancelled_one_is_completed_with_the_text_so_far_for_an_hour(
    serve: Serve, clock: FakeClock
) -> None:
    conversations = FakeConversations(script=(Delta("Once upon"),))
    async with polling_client(await serve(conversations)) as client:
        command_id = await client.ask()
        generation = await conversations.begun()
        await clock.settle()
        cancelled = await client.cancel(command_id)
        assert cancelled.keys() == ENVELOPE | {"message", "commandId", "commandStatus"}
        assert told(cancelled, "success", "command", "commandId", "commandStatus", "message") == (
            *(True, "cancel_command", command_id, "cancelled"),
            "The command has been cancelled",
        )
        assert generation.cancelled.is_set()
        generation.say(Delta(" a time"))
        for _ in range(2):
            assert ending(await client.status(command_id)) == (True, "cancelled", "Once upon", None)
            assert (await client.cancel(command_id))["success"]
            await clock.advance(3599.0 / 2)
        assert (await client.status(command_id))["commandStatus"] == "completed"
        await clock.advance(2.0)
        assert told(await client.status(command_id), "success", "commandStatus", "error") == (
            *(False, "unknown"),
            "The long running command task has been lost",
        )


async def test_cancelling_what_has_ended_changes_nothing(serve: Serve) -> None:
    async with polling_client(await serve(FakeConversations(script=HELLO))) as client:
        command_id = await client.ask()
        before = ending(await ended(client, command_id))
        assert (await client.cancel(command_id))["commandStatus"] == "cancelled"
        assert ending(await client.status(command_id)) == before
        assert before == (True, "completed", "Hello there", None)


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (Finished(FinishReason.ERROR, detail="CUDA error 2"), "Unable to generate text"),
        (
            Finished(FinishReason.CANCELLED),
            "Parley is stopping; please ask again in a moment.",
        ),
    ],
)
async def test_one_that_fails_is_completed_too_since_pages_wait_for_that(
    serve: Serve, last: Finished, error: str
) -> None:
    conversations = FakeConversations(script=(Delta("Once"), last))
    async with polling_client(await serve(conversations)) as client:
        done = await ended(client, await client.ask())
        assert ending(done) == (False, None, "Once", error)


@pytest.mark.parametrize(
    "refusal",
    [
        QueueFull(retry_after=3.0),
        OverLimit("You have 4 questions under way; wait for one of them.", 10.0),
        AccessDenied("You may not use Parley here."),
        EngineFailed("The model is still loading; please try again in a moment."),
    ],
)
async def test_a_refused_one_has_the_refusal_as_its_error(
    serve: Serve, refusal: ParleyError
) -> None:
    async with polling_client(await serve(FakeConversations(refusal=refusal))) as client:
        answer = await client.fields(CHAT, prompt="Hi")
        assert answer.keys() == ENVELOPE | {"error"}
        assert told(answer, "success", "code", "error") == (False, 500, str(refusal))


NOT_STARTED = "No long running command is currently in progress"
NO_ID = "No command ID provided"
OTHER_ID = "The command ID provided does not match the current long running command"


async def test_each_error_of_a_status_has_its_words(serve: Serve) -> None:
    async def status(**fields: object) -> tuple[object, ...]:
        answer = await client.fields(STATUS, **fields)
        assert answer.keys() == ENVELOPE | {"commandStatus", "error"}
        return told(answer, "success", "code", "commandStatus", "error")

    async with polling_client(await serve(FakeConversations())) as client:
        assert await status(other="1") == (False, 500, "unknown", NO_ID)
        assert await status(commandId="x") == (False, 500, "not started", NOT_STARTED)
        await client.ask()
        assert await status(commandId="") == (False, 500, "unknown", NO_ID)
        assert await status(commandId="x") == (False, 500, "unknown", OTHER_ID)


async def test_errors_of_a_cancel_have_no_status(serve: Serve) -> None:
    async def cancel(**fields: object) -> tuple[object, ...]:
        answer = await client.fields(CANCEL, **fields)
        assert answer.keys() == ENVELOPE | {"error"}
        return told(answer, "success", "code", "error")

    async with polling_client(await serve(FakeConversations())) as client:
        assert await cancel(other="1") == (False, 500, NO_ID)
        assert await cancel(commandId="x") == (False, 500, NOT_STARTED)
        await client.ask()
        assert await cancel(commandId="x") == (False, 500, OTHER_ID)


async def test_many_run_at_once_and_each_keeps_its_own_text(serve: Serve) -> None:
    conversations = FakeConversations(script=())
    async with polling_client(await serve(conversations)) as client:
        ids = await asyncio.gather(*(client.ask(f"Say {n}.") for n in range(50)))
        for request, generation in zip(
            conversations.requests, conversations.generations, strict=True
        ):
            generation.say(Delta(request.messages[-1].content), Finished(FinishReason.STOP))
        said = [(await ended(client, command_id))["reply"] for command_id in ids]
        assert said == [f"Say {n}." for n in range(50)]


async def test_nobody_sees_or_ends_the_command_of_another_account(clock: FakeClock) -> None:
    settings = ServerSettings(port=0, api_keys={"ada": "a", "bob": "b"}, is_public=True)
    server = Server(settings, Metrics(), always())
    conversations = FakeConversations(script=())
    server.mount(routes(conversations, model_names=lambda: (MODEL,), clock=clock))
    async with server, polling_client(server, "a") as ada, polling_client(server, "b") as bob:
        hers = await ada.ask()
        assert (await bob.status(hers))["error"] == NOT_STARTED
        await bob.ask()
        assert (await bob.status(hers))["error"] == OTHER_ID
        assert (await bob.cancel(hers))["error"] == OTHER_ID
        assert (await ada.status(hers))["commandStatus"] == "running"
        assert [request.account for request in conversations.requests] == ["ada", "bob"]


@pytest.mark.parametrize(
    ("script", "reply"),
    [
        ((), ""),
        ((Queued(3),), ""),
        ((Queued(1), Reasoning("They want a story.")), ""),
        ((Delta("Once"),), "Once"),
    ],
)
async def test_one_that_nobody_asks_about_is_ended_whatever_it_does(
    serve: Serve, clock: FakeClock, script: tuple[GenerationEvent, ...], reply: str
) -> None:
    conversations = FakeConversations(script)
    async with polling_client(await serve(conversations)) as client:
        command_id = await client.ask()
        generation = await conversations.begun()
        for _ in range(3):
            await clock.advance(110.0)
            assert (await client.status(command_id))["commandStatus"] == "running"
        assert not generation.cancelled.is_set()
        await clock.advance(121.0)
        assert generation.cancelled.is_set()
        assert ending(await client.status(command_id)) == (True, "cancelled", reply, None)


async def test_only_the_latest_that_ended_are_kept_and_those_that_run(clock: FakeClock) -> None:
    observed = Counter[str]()
    commands = LongCommands(clock, lambda outcome: observed.update([outcome]), max_kept=3)
    running = commands.begin("running", ScriptedGeneration())
    for number in range(20):
        commands.begin(str(number), ScriptedGeneration(HELLO))
        await clock.settle()
    commands.begin("last", ScriptedGeneration())
    assert commands.find("running") is running
    assert commands.find("17").reply == "Hello there"
    with pytest.raises(CommandNotFound, match="has been lost"):
        commands.find("16")
    with pytest.raises(CommandNotFound, match="does not match"):
        commands.find("0")
    assert observed == {"begun": 22, "completed": 20}


async def test_accounts_that_come_no_more_are_forgotten_after_an_hour(clock: FakeClock) -> None:
    accounts = CommandsByAccount(clock, lambda outcome: None)
    for number in range(100):
        accounts[f"user:{number}"].begin("id", ScriptedGeneration(HELLO))
    running = accounts["user:100"].begin("running", ScriptedGeneration())
    for _ in range(40):
        await clock.advance(100.0)
        assert accounts["user:100"].find("running") is running
    assert len(accounts) == 1


async def test_commands_are_counted(clock: FakeClock) -> None:
    metrics = Metrics()
    server = Server(ServerSettings(port=0), metrics, always())
    conversations = FakeConversations(script=())
    observe = metrics.count_command
    server.mount(
        routes(conversations, model_names=lambda: (MODEL,), clock=clock, observe_command=observe)
    )
    async with server, polling_client(server) as client:
        await client.cancel(await client.ask())
        await client.ask()
        exposed = metrics.expose().decode()
    assert 'parley_commands_total{outcome="begun"} 2.0' in exposed
    assert 'parley_commands_total{outcome="cancelled"} 1.0' in exposed


async def test_a_client_that_hangs_up_while_it_asks_leaves_nothing_behind(
    serve: Serve, clock: FakeClock
) -> None:
    """The answer with the id never reached it, so nobody will ask."""
    conversations = FakeConversations(script=())
    server = await serve(conversations)
    async with aiohttp.ClientSession() as session:
        asking = asyncio.create_task(session.post(f"{server.url}/v1/{CHAT}?prompt=Hi"))
        generation = await conversations.begun()
        asking.cancel()
    await clock.advance(121.0)
    assert generation.cancelled.is_set()
    assert conversations.num_running == 0
