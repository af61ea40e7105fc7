"""Files that people attach in Slack: what is read, what is said, and where the token goes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters.slack.adapter import SlackAdapter
from bot.capabilities import FetchesFiles
from bot.errors import FileRefused, MessageGone, PlatformError, PlatformRefused, Unavailable
from bot.types import Attachment
from tests.adapters.slack.conftest import adapter_on_local_slack
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_files import SIGN_IN
from tests.local_slack import BOT, CHANNEL
from tests.scenarios.stage import Stage, staged

NOTES = b"The secret is 42."
LACKING = (
    "notes.txt could not be fetched: my Slack app lacks the scope files:read, "
    "which whoever runs me can add."
)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as stage:
        yield stage


def attachment(file: dict[str, Any], **other: Any) -> Attachment:
    known = (file["name"], file["mimetype"], file["size"], file["url_private_download"])
    return Attachment(*(other.get(key, value) for key, value in zip(_KEYS, known, strict=True)))


_KEYS = ("name", "media_type", "size", "url")


async def asked(stage: Stage, *files: dict[str, Any], text: str = "What is it?") -> str:
    return await stage.slack.say(f"<@{BOT}> {text}", files=files)


async def shown_to_the_model(stage: Stage) -> str:
    generation = await stage.generation()
    generation.say("It is that.")
    generation.finish()
    return generation.question


def test_slack_gives_files(adapter: SlackAdapter) -> None:
    assert isinstance(adapter, FetchesFiles)


async def test_the_model_reads_a_file_that_comes_with_a_question(stage: Stage) -> None:
    ts = await asked(stage, stage.slack.shelf.put("notes.txt", NOTES))
    assert "[Attached file: notes.txt]\n```\nThe secret is 42." in await shown_to_the_model(stage)
    assert [file.name for file in (await stage.ended(ts)).files] == ["notes.txt"]
    assert stage.replies(ts) == ["It is that."]


async def test_a_file_of_another_workspace_is_looked_up(stage: Stage) -> None:
    await asked(stage, stage.slack.shelf.put_abroad("notes.txt", NOTES))
    assert "The secret is 42." in await shown_to_the_model(stage)


async def test_one_that_cannot_be_looked_up_is_said_to_be_missing(stage: Stage) -> None:
    stub = {"id": "F404", "mode": "file_access", "file_access": "check_file_info"}
    await asked(stage, stub)
    assert await shown_to_the_model(stage) == "What is it?"
    await stage.until(lambda: len(stage.slack.whispers) == 1)
    assert stage.slack.whispers[0]["text"] == (
        "A file of another workspace could not be fetched; please attach it again."
    )


async def test_a_missing_scope_is_said_as_what_it_is(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.slack.shelf.is_open = False
    await asked(stage, stage.slack.shelf.put("notes.txt", NOTES))
    assert await shown_to_the_model(stage) == "What is it?"
    await stage.until(lambda: len(stage.slack.whispers) == 1)
    assert stage.slack.whispers[0]["text"] == LACKING
    assert "add the scope files:read" in caplog.text


@pytest.mark.parametrize(
    ("name", "media", "sentence"),
    [
        ("voice.m4a", "audio/mp4", "I cannot listen to recordings (voice.m4a)"),
        ("clip.mp4", "video/mp4", "I cannot watch videos (clip.mp4)"),
        ("cat.png", "image/png", "I cannot see images (cat.png)"),
        ("plan.zip", "application/zip", "I cannot read plan.zip"),
    ],
)
async def test_what_parley_has_no_eyes_or_ears_for_is_declined_by_its_name(
    stage: Stage, name: str, media: str, sentence: str
) -> None:
    await asked(stage, stage.slack.shelf.put(name, b"\x00\x01", media))
    await shown_to_the_model(stage)
    await stage.until(lambda: len(stage.slack.whispers) == 1)
    assert stage.slack.whispers[0]["text"].startswith(sentence)
    assert stage.slack.shelf.asked == []


async def test_a_voice_note_is_one_though_slack_calls_it_a_video(stage: Stage) -> None:
    note = stage.slack.shelf.put("audio_message.webm", b"\x1aE", "video/webm")
    await asked(stage, {**note, "subtype": "slack_audio"})
    await shown_to_the_model(stage)
    await stage.until(lambda: len(stage.slack.whispers) == 1)
    assert "listen to recordings (`audio_message.webm`)" in stage.slack.whispers[0]["text"]


async def test_a_pdf_is_fetched_from_the_address_for_downloads(
    adapter: SlackAdapter, slack: FakeSlack
) -> None:
    file = slack.shelf.put("plan.pdf", b"%PDF-1.7", "application/pdf")
    assert await adapter.fetch(attachment(file), 100) == b"%PDF-1.7"


async def test_a_page_that_somebody_attached_is_a_file(
    adapter: SlackAdapter, slack: FakeSlack
) -> None:
    page = b"<html>Our own page</html>"
    file = slack.shelf.put("index.html", page, "text/html")
    assert await adapter.fetch(attachment(file), 100) == page
    slack.shelf.is_open = False
    with pytest.raises(FileRefused):
        await adapter.fetch(attachment(file), 1000)


@pytest.mark.parametrize("page", [SIGN_IN, b"\xef\xbb\xbf\n <!-- x --><HTML lang=en>", b"<html>"])
async def test_a_sign_in_page_is_told_by_its_bytes(
    adapter: SlackAdapter, slack: FakeSlack, page: bytes
) -> None:
    file = slack.shelf.put("notes.txt", page)
    with pytest.raises(FileRefused, match="sign_in_page"):
        await adapter.fetch(attachment(file, size=17), 1000)


@pytest.mark.parametrize(
    "address",
    [
        "https://slack.com.example.org/f",
        "https://files.slack.com@example.org/f",
        "https://notslack.com/f",
        "http://files.slack.com/f",
        "https://files.slack.com:8443/f",
        "https://user:secret@files.slack.com/f",
        "file:///etc/passwd",
        "//files.slack.com/f",
        "",
    ],
)
async def test_the_token_goes_to_no_host_but_slacks(adapter: SlackAdapter, address: str) -> None:
    with pytest.raises(PlatformRefused, match="foreign_host"):
        await adapter.fetch(Attachment("f.txt", "text/plain", 1, address), 100)


async def test_a_redirect_elsewhere_is_not_followed(
    adapter: SlackAdapter, slack: FakeSlack
) -> None:
    async with FakeSlack() as elsewhere:
        elsewhere.shelf.put("stolen.txt", b"x")
        file = slack.shelf.put("notes.txt", NOTES)
        slack.shelf.moved["notes.txt"] = f"{elsewhere.shelf.url}/files-pri/stolen.txt"
        with pytest.raises(PlatformRefused, match="foreign_host"):
            await adapter.fetch(attachment(file), 100)
        assert elsewhere.shelf.asked == []


async def test_a_redirect_within_slack_is_followed_but_not_for_ever(
    adapter: SlackAdapter, slack: FakeSlack
) -> None:
    file = slack.shelf.put("old.txt", NOTES)
    slack.shelf.put("new.txt", NOTES)
    slack.shelf.moved["old.txt"] = "/files-pri/new.txt"
    assert await adapter.fetch(attachment(file), 100) == NOTES
    slack.shelf.moved["new.txt"] = "/files-pri/old.txt"
    with pytest.raises(PlatformRefused, match="too_many_redirects"):
        await adapter.fetch(attachment(file), 100)


@pytest.mark.parametrize(
    ("status", "error"),
    [(403, FileRefused), (404, MessageGone), (418, PlatformRefused), (503, Unavailable)],
)
async def test_a_file_that_slack_refuses_is_an_error_of_the_platform(
    adapter: SlackAdapter, slack: FakeSlack, status: int, error: type[PlatformError]
) -> None:
    slack.shelf.statuses["notes.txt"] = status
    with pytest.raises(error):
        await adapter.fetch(attachment(slack.shelf.put("notes.txt", NOTES)), 100)


async def test_a_file_larger_than_it_says_is_given_up(
    adapter: SlackAdapter, slack: FakeSlack
) -> None:
    with pytest.raises(PlatformRefused, match="too_large"):
        await adapter.fetch(attachment(slack.shelf.put("notes.txt", NOTES)), len(NOTES) - 1)


@pytest.mark.local_slack
async def test_the_local_slack_gives_its_files(tmp_path: Path) -> None:
    async with adapter_on_local_slack(tmp_path) as (adapter, local):
        file = await local.upload("notes.txt", NOTES, channel=CHANNEL)
        assert await adapter.fetch(attachment(file), 100) == NOTES
