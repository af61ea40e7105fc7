"""``python -m bot teams package``: what an admin uploads is what Microsoft's schema asks for."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bot.__main__ import main
from bot.turns.spoken import parse
from tests.fakes.teams_activities import APP
from tests.teams_manifest import schema_or_skip


def package(path: Path, *more: str) -> zipfile.ZipFile:
    with pytest.raises(SystemExit) as ended:
        main(["teams", "package", "--domain", "parley.example.com", "-o", str(path), *more])
    assert ended.value.code == 0
    return zipfile.ZipFile(path)


@pytest.fixture
def manifest(tmp_path: Path) -> Any:
    with package(tmp_path / "app.zip", "--app-id", APP) as made:
        return json.loads(made.read("manifest.json"))


def test_the_manifest_is_valid_by_microsofts_published_schema(manifest: Any) -> None:
    schema = schema_or_skip(manifest["manifestVersion"])
    checker = jsonschema.Draft4Validator(schema)
    assert [error.message for error in checker.iter_errors(manifest)] == []
    manifest["bots"][0]["botId"] = "not a guid"
    assert list(checker.iter_errors(manifest)), "the schema refuses nothing"


def test_it_names_the_bot_and_all_three_scopes(manifest: Any) -> None:
    (bot,) = manifest["bots"]
    assert manifest["id"] == bot["botId"] == APP
    assert set(bot["scopes"]) == {"personal", "team", "groupChat"}
    assert manifest["validDomains"] == ["parley.example.com"]


def test_every_command_it_offers_is_one(manifest: Any) -> None:
    (commands,) = [each["commands"] for each in manifest["bots"][0]["commandLists"]]
    assert {each["title"] for each in commands} == {
        *("personality", "stop", "retry", "forget", "status", "help")
    }
    assert all(parse(each["title"]) for each in commands)


def test_the_icons_have_the_sizes_that_teams_wants(tmp_path: Path) -> None:
    with package(tmp_path / "app.zip", "--app-id", APP) as made:
        sizes = {name: _size(made.read(name)) for name in ("color.png", "outline.png")}
        assert set(made.namelist()) == {"manifest.json", *sizes}
    assert sizes == {"color.png": (192, 192), "outline.png": (32, 32)}


def _size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_the_app_id_may_come_from_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAMS_APP_ID", APP)
    with package(tmp_path / "app.zip") as made:
        assert APP in made.read("manifest.json").decode()


@pytest.mark.parametrize(
    ("app_id", "domain", "word"),
    [
        ("", "parley.example.com", "TEAMS_APP_ID"),
        ("parley", "parley.example.com", "app id"),
        (APP, "https://parley.example.com", "--domain"),
        (APP, "localhost", "--domain"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], app_id: str, domain: str, word: str
) -> None:
    path = tmp_path / "app.zip"
    with pytest.raises(SystemExit) as ended:
        main(["teams", "package", "--app-id", app_id, "--domain", domain, "-o", str(path)])
    assert ended.value.code == 2
    assert word in capsys.readouterr().err
    assert not path.exists()
