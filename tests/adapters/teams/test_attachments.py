"""Files that people send in Teams: what the model reads of them, and what a reply says it is from.

The file is fetched over a real socket and read by the real child process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from bot.stored import TurnState
from tests.adapters.teams.talk import Talk, talking, until
from tests.bot.documents.documents import document, paragraph
from tests.bot.documents.test_reader import pdf, shown
from tests.fakes.teams import FakeTeams
from tests.fakes.teams_activities import (
    PERSONAL,
    Json,
    Scope,
    attached,
    edit,
    message,
)

BUDGET = b"The budget of the picnic is 42 pounds."


@pytest.fixture
async def talk(teams: FakeTeams, tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(teams, tmp_path) as talk:
        yield talk


def asking(
    teams: FakeTeams, *names: str, text: str = "How much?", scope: Scope = "personal"
) -> Json:
    files = [attached(f"{teams.url}files/{name}?tempauth=x", name) for name in names]
    return message(text, scope, attachments=files)


def last_reply(teams: FakeTeams) -> Json:
    return list(teams.messages.values())[-1].body


def citations(teams: FakeTeams) -> list[Json]:
    """Name and beginning of what the last reply says it was made from."""
    labels = [each for each in last_reply(teams)["entities"] if each["type"] != "streaminfo"]
    return [claim["appearance"] for label in labels for claim in label.get("citation", [])]


async def replied(talk: Talk, asked: Json, reply: str = "42 pounds.") -> str:
    """What the model was asked, once its reply has ended."""
    generation = await talk.asked(asked)
    generation.say(reply)
    generation.finish()
    await until(lambda: bool(talk.teams.messages) and bool(last_reply(talk.teams).get("entities")))
    assert await talk.state(asked) is TurnState.DONE
    return generation.question


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("budget.txt", BUDGET),
        ("budget.pdf", pdf(shown(BUDGET.decode()))),
        ("budget.docx", document(paragraph(BUDGET.decode()))),
    ],
)
async def test_a_file_is_read_by_the_model_and_cited_under_the_reply(
    talk: Talk, teams: FakeTeams, name: str, content: bytes
) -> None:
    teams.files[name] = content
    question = await replied(talk, asking(teams, name))
    assert BUDGET.decode() in question
    assert teams.texts(PERSONAL) == ["42 pounds. [1]"]
    (cited,) = citations(teams)
    assert (cited["name"], cited["abstract"]) == (name, BUDGET.decode())
    assert teams.num_made("stream"), "it streamed all the same"
    counted = talk.metrics.registry.get_sample_value("parley_sources_total", {"adapter": "teams"})
    assert counted == 1


async def test_a_reply_that_grows_by_edits_cites_at_its_last_edit_only(
    talk: Talk, teams: FakeTeams
) -> None:
    teams.takes_streams = False
    teams.files["budget.txt"] = BUDGET
    generation = await talk.asked(asking(teams, "budget.txt"))
    generation.say("42")
    await talk.sees(PERSONAL, "42")
    assert "entities" not in last_reply(teams)
    generation.say(" pounds.")
    generation.finish()
    await talk.sees(PERSONAL, "42 pounds. [1]")
    assert [each["name"] for each in citations(teams)] == ["budget.txt"]


async def test_each_file_that_was_read_has_its_number_and_what_was_not_read_has_none(
    talk: Talk, teams: FakeTeams
) -> None:
    teams.files |= {"a.txt": b"x" * 500, "b.pdf": b"no pdf", "c.py": b"print(7)"}
    asked = asking(teams, "a.txt", "b.pdf", "c.py")
    await talk.say(asked)
    generation = await talk.generator.started()
    generation.say("Done.\n\n```\nprint(7)\n```")
    generation.finish()
    assert await talk.state(asked) is TurnState.DONE
    texts = teams.texts(PERSONAL)
    assert "I cannot read b.pdf: it holds no pdf that I understand." in texts
    assert "Done.\n\n```\nprint(7)\n```\n\n[1][2]" in texts
    bodies = [each.body for each in teams.messages.values() if each.body.get("entities")]
    (label,) = [each for each in bodies[-1]["entities"] if "citation" in each]
    names = [claim["appearance"]["name"] for claim in label["citation"]]
    assert names == ["a.txt", "c.py"]
    assert len(label["citation"][0]["appearance"]["abstract"]) == 160


async def test_a_reply_without_files_cites_nothing(talk: Talk, teams: FakeTeams) -> None:
    await replied(talk, message("How much?"))
    assert teams.texts(PERSONAL) == ["42 pounds."]
    assert citations(teams) == []


async def test_a_question_that_is_edited_keeps_its_file(talk: Talk, teams: FakeTeams) -> None:
    teams.files["budget.txt"] = BUDGET
    asked = asking(teams, "budget.txt")
    await replied(talk, asked)
    talk.generator.replies.append("Not much.")
    await talk.say(edit(asked, "Is it much?"))
    await talk.sees(PERSONAL, "Not much. [1]")
    assert BUDGET.decode() in talk.generator.generations[-1].question


async def test_a_picture_is_declined_and_never_fetched(talk: Talk, teams: FakeTeams) -> None:
    picture = {
        "contentType": "image/*",
        "contentUrl": f"{teams.url}v3/attachments/0-weu-d1/views/original",
    }
    await talk.say(message("What is this?", attachments=[picture]))
    generation = await talk.generator.started()
    await until(lambda: any("I cannot see images" in text for text in teams.texts(PERSONAL)))
    assert any("I cannot see images" in text for text in teams.texts(PERSONAL))
    assert generation.question == "What is this?"
    assert teams.num_fetched == 0


async def test_nobody_can_make_the_bot_fetch_from_elsewhere(talk: Talk, teams: FakeTeams) -> None:
    """Neither by an address of their own, nor by one that leads on."""
    visits: list[str] = []

    async def note(request: web.Request) -> web.Response:
        visits.append(request.path)
        return web.Response(text="the secrets of this machine")

    inner = web.Application()
    inner.router.add_get("/{path:.*}", note)
    runner = web.AppRunner(inner, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    there = f"http://127.0.0.1:{runner.addresses[0][1]}/secrets.txt"
    teams.moved["leads-on.txt"] = there
    try:
        direct = message("Read it", attachments=[attached(there, "direct.txt")])
        for asked, name in (
            (direct, "direct.txt"),
            (asking(teams, "leads-on.txt", text="Read it"), "leads-on.txt"),
        ):
            assert await replied(talk, asked) == "Read it"
            said = f"{name} could not be fetched; please attach it again."
            await until(lambda said=said: said in teams.texts(PERSONAL))  # type: ignore[misc]
            assert said in teams.texts(PERSONAL)
    finally:
        await runner.cleanup()
    assert visits == []
