"""The bot's own token: from whom, how often, and where it never goes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from adapters.teams.adapter import TeamsAdapter
from adapters.teams.settings import TeamsSettings, token_source
from bot.errors import PlatformRefused, SettingsError, Unavailable
from bot.types import Label
from tests.adapters.teams.conftest import HERE, IN_CHANNEL, introduce, make_adapter, serving
from tests.adapters.teams.talk import until
from tests.fakes import teams as wire
from tests.fakes.clock import FakeClock
from tests.fakes.teams import FakeTeams
from tests.fakes.teams_activities import CHANNEL, TENANT
from tests.fakes.teams_issuer import IDENTITY_HEADER

REPLY = Label("turn-1", 0)


async def introduce_here(adapter: TeamsAdapter, teams: FakeTeams) -> None:
    async with serving(adapter, teams):
        await introduce(adapter, teams)


async def speaks(adapter: TeamsAdapter, teams: FakeTeams) -> None:
    """It is heard with the token that it has."""
    await introduce_here(adapter, teams)
    message_id = await adapter.post(HERE, adapter.render("hello"), REPLY)
    assert teams.text(message_id) == "hello"


async def test_the_token_is_fetched_once_for_many_calls(
    adapter: TeamsAdapter, teams: FakeTeams
) -> None:
    await asyncio.gather(*(adapter.typing(IN_CHANNEL) for _ in range(5)))
    assert teams.issuer.num_tokens == 1


async def test_a_token_near_its_end_is_renewed_beside_the_calls(teams: FakeTeams) -> None:
    clock = FakeClock()
    teams.clock = teams.issuer.clock = clock
    async with make_adapter(teams, clock=clock) as adapter:
        teams.takes_anonymous = False
        await introduce_here(adapter, teams)
        await clock.advance(3600 - 200)
        await adapter.typing(HERE)
        await until(lambda: teams.issuer.num_tokens == 2)
        await clock.advance(300)
        await adapter.typing(HERE)
        assert teams.issuer.num_tokens == 2


async def test_a_token_that_is_not_taken_any_more_is_replaced_at_once(
    adapter: TeamsAdapter, teams: FakeTeams
) -> None:
    teams.issuer.issued.clear()
    await adapter.post(IN_CHANNEL, adapter.render("still here"), REPLY)
    assert teams.texts(CHANNEL) == ["still here"]
    assert teams.issuer.num_tokens == 2


async def test_a_wrong_secret_is_said_in_one_sentence_without_the_secret(teams: FakeTeams) -> None:
    with pytest.raises(SettingsError, match="TEAMS_APP_PASSWORD") as caught:
        async with make_adapter(teams, app_password="hush-hush"):
            pass
    assert "hush-hush" not in str(caught.value)


async def test_an_issuer_out_of_reach_is_tried_again_later(teams: FakeTeams) -> None:
    teams.issuer.is_down = True
    with pytest.raises(Unavailable):
        async with make_adapter(teams):
            pass


async def test_a_managed_identity_asks_the_machine_for_its_token(teams: FakeTeams) -> None:
    identity = f"{teams.url}identity"
    async with make_adapter(teams, app_password="", token_url=identity) as adapter:
        await speaks(adapter, teams)


async def test_on_app_service_the_managed_identity_asks_where_its_environment_says(
    teams: FakeTeams,
) -> None:
    environ = {"IDENTITY_ENDPOINT": f"{teams.url}app-service", "IDENTITY_HEADER": IDENTITY_HEADER}
    clock = FakeClock()
    teams.clock = teams.issuer.clock = clock
    async with make_adapter(
        teams, clock=clock, app_password="", token_url="", environ=environ
    ) as adapter:
        await speaks(adapter, teams)
        await clock.advance(3600 - 200)
        await speaks(adapter, teams)
        await until(lambda: teams.issuer.num_tokens == 2)
    assert teams.issuer.num_tokens == 2, "renewed ahead of the second that the answer names"


async def test_in_a_cluster_what_it_vouches_with_is_exchanged_as_it_is_at_that_moment(
    teams: FakeTeams, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text(f"{teams.issuer.cluster_token}\n")
    environ = {
        "AZURE_FEDERATED_TOKEN_FILE": str(path),
        "AZURE_TENANT_ID": TENANT,
        "AZURE_AUTHORITY_HOST": teams.url,
    }
    async with make_adapter(teams, app_password="", token_url="", environ=environ) as adapter:
        await speaks(adapter, teams)
        teams.issuer.cluster_token = "another"
        path.write_text("another")
        teams.issuer.issued.clear()
        await speaks(adapter, teams)
    assert teams.issuer.num_tokens == 2


_LOCAL = {"IDENTITY_ENDPOINT": "http://local/", "IDENTITY_HEADER": "h"}
_ENTRA = "https://login.microsoftonline.com/t/oauth2/v2.0/token"
_MACHINE = "http://169.254.169.254/metadata/identity/oauth2/token"


@pytest.mark.parametrize(
    ("table", "environ", "url"),
    [
        ({"app_password": "x"}, {}, _ENTRA),
        ({"app_password": "x"}, _LOCAL, _ENTRA),
        ({}, {}, _MACHINE),
        ({}, {"IDENTITY_ENDPOINT": "http://local/"}, _MACHINE),
        ({}, _LOCAL, "http://local/"),
        ({"token_url": "https://own.example/"}, _LOCAL, "https://own.example/"),
    ],
)
def test_who_is_asked_for_the_token_follows_from_settings_and_environment(
    table: dict[str, str], environ: dict[str, str], url: str
) -> None:
    settings = TeamsSettings.read({"app_id": "a", "tenant_id": "t", **table})
    assert token_source(settings, environ).request().url == url


@pytest.mark.parametrize("wrong", [{"IDENTITY_HEADER": "rotated"}, {"token": "missing"}])
async def test_an_identity_that_is_refused_is_said_in_one_sentence_without_secrets(
    teams: FakeTeams, tmp_path: Path, wrong: dict[str, str]
) -> None:
    environ = {"IDENTITY_ENDPOINT": f"{teams.url}app-service", "IDENTITY_HEADER": "rotated"}
    if "token" in wrong:
        environ = {"AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "missing"), "AZURE_TENANT_ID": "t"}
    with pytest.raises((SettingsError, Unavailable)) as caught:
        async with make_adapter(teams, app_password="", token_url="", environ=environ):
            pass
    assert "rotated" not in str(caught.value)


def test_no_secret_is_shown_by_a_token_source_or_its_request() -> None:
    settings = TeamsSettings.read({"app_id": "a", "app_password": "hush", "tenant_id": "t"})
    managed = TeamsSettings.read({"app_id": "a"})
    environ = {"IDENTITY_ENDPOINT": "http://x/", "IDENTITY_HEADER": "hush"}
    for source in (token_source(settings, {}), token_source(managed, environ)):
        assert "hush" not in repr((source, source.request()))


async def test_the_token_never_goes_to_a_host_that_is_not_trusted(
    teams: FakeTeams, tmp_path: Path
) -> None:
    (tmp_path / "services.json").write_text(json.dumps({HERE.workspace: "http://evil.example/"}))
    async with make_adapter(teams, folder=tmp_path) as adapter:
        with pytest.raises(Unavailable):
            await adapter.post(HERE, adapter.render("hello"), REPLY)


async def test_the_token_does_not_follow_a_redirect(
    adapter: TeamsAdapter, teams: FakeTeams
) -> None:
    teams.fail("post", wire.Fault(307, headers={"Location": "http://127.0.0.1:9/"}))
    with pytest.raises(PlatformRefused):
        await adapter.post(IN_CHANNEL, adapter.render("hello"), REPLY)
