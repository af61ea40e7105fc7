"""A machine that lacks something: no test passes over it in CI."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import local_slack, vocabularies
from tests.clients import environment as clients
from tests.dialects import discord as dialect
from tests.lacking import go_on_without, skip_for_lack
from tests.venvs import PackagesMissing

TESTS = Path(__file__).parent
ABOUT_WHAT_IS_THERE = ("supports_gpu()", 'sys.platform == "darwin"')
"""A test without a meaning there; CI, a Linux without a GPU, runs it."""

WHY = "npm is not installed."


@pytest.fixture(params=["laptop", "ci"])
def is_ci(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param == "laptop":
        monkeypatch.delenv("CI", raising=False)
    else:
        monkeypatch.setenv("CI", "true")
    return bool(request.param == "ci")


def test_a_laptop_skips_with_the_reason_and_ci_fails_with_it(is_ci: bool) -> None:
    with pytest.raises(pytest.fail.Exception if is_ci else pytest.skip.Exception, match=WHY):
        skip_for_lack(WHY)


def test_what_make_cannot_fetch_stops_only_ci(
    is_ci: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    if is_ci:
        with pytest.raises(SystemExit, match=WHY):
            go_on_without(WHY)
        return
    go_on_without(WHY)
    assert capsys.readouterr().err == f"  {WHY}\n"


def test_on_a_laptop_off_the_network_make_test_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def lacks_vocabularies(*_: object) -> Path:
        raise vocabularies.VocabulariesMissing("No vocabularies.")

    def lacks_dialect(*_: object) -> Path:
        raise dialect.DialectMissing("No dialect.")

    def lacks_local_slack(*_: object) -> Path:
        raise local_slack.LocalSlackMissing("No local Slack.")

    def lacks_clients(*_: object) -> Path:
        raise PackagesMissing("No clients.")

    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(clients, "ensure_clients", lacks_clients)
    monkeypatch.setattr(vocabularies, "ensure_vocabularies", lacks_vocabularies)
    monkeypatch.setattr(local_slack, "ensure_binary", lacks_local_slack)
    monkeypatch.setattr(dialect, "ensure_parser", lacks_dialect)
    clients.main()
    vocabularies.main()
    local_slack.main()
    dialect.main()
    said = capsys.readouterr().err
    assert "No clients." in said
    assert "No vocabularies." in said
    assert "No dialect." in said
    assert "No local Slack." in said


def test_nothing_else_skips_for_want_of_something() -> None:
    for path in TESTS.rglob("*.py"):
        if path.name in ("lacking.py", Path(__file__).name):
            continue
        text = path.read_text(encoding="utf-8")
        skip = re.search(r"pytest\.(mark\.)?(skip|importorskip|xfail)\b", text)
        assert skip is None, path
        for condition in re.findall(r"mark\.skipif\((.*), reason", text):
            assert condition in ABOUT_WHAT_IS_THERE, f"{path}: {condition}"
