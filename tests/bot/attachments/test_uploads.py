"""Files of questions on disk, until they are read."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from bot.attachments.attachments import MAX_FILES
from bot.attachments.uploads import Uploads
from bot.chats import Upload
from bot.errors import PlatformError, StorageError
from bot.types import Attachment, Place

HERE = Place("web", "local", "ada", "c1")
THERE = Place("web", "local", "ada", "c2")
NOTES = Upload("notes.txt", "text/plain", b"Some notes.")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "uploads"


def files(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def names(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*")]


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}


def put(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / name).write_text(text)


async def test_a_file_is_kept_for_parleys_user_only(folder: Path) -> None:
    (kept,) = await Uploads(folder).keep(HERE, [NOTES])
    assert (kept.name, kept.media_type, kept.size) == ("notes.txt", "text/plain", 11)
    assert await Uploads(folder).fetch(kept, 100) == b"Some notes."
    assert modes(folder) == {0o700, 0o600}
    assert not [name for name in names(folder) if "notes" in name or "ada" in name]


async def test_what_is_not_read_is_not_kept(folder: Path) -> None:
    """The reader says why."""
    sent = [
        Upload("photo.png", "image/png", b"\x89PNG"),
        Upload("tool.exe", "", b"MZ"),
        Upload("large.txt", "", b"x" * (1024 * 1024 + 1)),
        *(Upload(f"{number}.txt", "", b"%d" % number) for number in range(MAX_FILES)),
    ]
    kept = await Uploads(folder).keep(HERE, sent)
    assert [each.name for each in kept] == [each.name for each in sent]
    assert files(folder) == [b"0"]
    with pytest.raises(PlatformError):
        await Uploads(folder).fetch(kept[0], 100)


@pytest.mark.parametrize("url", ["", "upload:", "upload:a/../b", "upload:../x", "https://a/b"])
async def test_only_our_own_files_are_fetched_and_dropped(folder: Path, url: str) -> None:
    put(folder, "b", "mine")
    strange = Attachment("b", "", 1, url)
    with pytest.raises(PlatformError):
        await Uploads(folder).fetch(strange, 100)
    await Uploads(folder).drop([strange])
    assert files(folder) == [b"mine"]


async def test_what_was_read_goes_with_its_folder(folder: Path) -> None:
    uploads = Uploads(folder)
    first, second = await uploads.keep(HERE, [NOTES, Upload("b.txt", "", b"b")])
    await uploads.drop([first])
    assert files(folder) == [b"b"]
    await uploads.drop([second])
    await uploads.drop([second])
    assert names(folder) == []


async def test_a_forgotten_chat_takes_its_files_along(folder: Path) -> None:
    uploads = Uploads(folder)
    await uploads.keep(HERE, [NOTES])
    await uploads.keep(THERE, [Upload("b.txt", "", b"b")])
    await uploads.forget(HERE)
    await uploads.forget(Place("slack", "T", "C", "1"))
    assert files(folder) == [b"b"]


async def test_files_that_nobody_awaits_are_deleted_at_the_start(folder: Path) -> None:
    (kept,) = await Uploads(folder).keep(HERE, [NOTES])
    await Uploads(folder).keep(HERE, [Upload("b.txt", "", b"b")])
    await Uploads(folder).sweep({kept.url}, is_first=True)
    assert files(folder) == [b"Some notes."]


async def test_a_file_whose_question_is_on_its_way_is_left_alone(folder: Path) -> None:
    uploads = Uploads(folder)
    (kept,) = await uploads.keep(HERE, [NOTES])
    await uploads.sweep(set())
    assert files(folder) == [b"Some notes."]
    await uploads.sweep({kept.url})
    await uploads.sweep(set())
    assert files(folder) == [b"Some notes."]
    await uploads.sweep(set())
    assert files(folder) == []


async def test_where_nothing_can_be_written_nothing_is_kept(folder: Path) -> None:
    uploads = Uploads(folder)
    (kept,) = await uploads.keep(HERE, [NOTES])
    bar(folder / kept.url.partition(":")[2])
    with pytest.raises(StorageError) as refused:
        await uploads.keep(HERE, [NOTES])
    assert "An upload cannot be kept in" in refused.value.detail


def bar(path: Path) -> None:
    """A file stands where the folder of the chat should be."""
    path.unlink()
    path.parent.rmdir()
    path.parent.write_text("")
