"""Nobody unproven is heard, and who is proven gets an answer in time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest

from adapters.teams.adapter import TeamsAdapter
from adapters.teams.settings import TeamsSettings, token_source
from bot.errors import StorageFull
from bot.types import Feedback, Incoming, Question
from tests.adapters.teams.conftest import SHORT, Observed, make_adapter, serving
from tests.contracts.adapter import listening
from tests.fakes.clock import FakeClock
from tests.fakes.teams import FakeTeams
from tests.fakes.teams_activities import APP, Json, activity, feedback, invoke, message
from tests.fakes.teams_issuer import ISSUER, private_key

HOUR = 3600


class Taken(list[Incoming]):
    async def __call__(self, incoming: Incoming) -> None:
        self.append(incoming)


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
async def heard(teams: FakeTeams, taken: Taken) -> AsyncIterator[TeamsAdapter]:
    """A bot on a clock of its own that listens; what it takes is in ``taken``."""
    clock = FakeClock()
    teams.clock = teams.issuer.clock = clock
    async with listening_bot(teams, taken, clock) as adapter:
        yield adapter


@asynccontextmanager
async def listening_bot(
    teams: FakeTeams, taken: Taken, clock: FakeClock, tenants: str = ""
) -> AsyncIterator[TeamsAdapter]:
    adapter = make_adapter(teams, clock=clock, tenants=tenants)
    async with serving(adapter, teams), adapter, listening(adapter, taken):
        yield adapter


def asked(teams: FakeTeams, **more: Any) -> Json:
    return message("Is anybody there?", service_url=teams.url, **more)


def now(teams: FakeTeams) -> float:
    return teams.clock.now().timestamp()


async def test_a_proven_question_is_taken(
    teams: FakeTeams, heard: TeamsAdapter, taken: Taken
) -> None:
    assert await teams.deliver(asked(teams)) == 202
    (question,) = taken
    assert isinstance(question, Question)
    assert question.text == "Is anybody there?"


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"iss": "https://sts.windows.net/"}, 401),
        ({"iss": None}, 401),
        ({"iss": ""}, 401),
        ({"aud": "another-app"}, 403),
        ({"aud": [APP, "another-app"]}, 403),
        ({"aud": None}, 403),
        ({"exp": None}, 401),
        ({"exp": "soon"}, 401),
        ({"exp": True}, 401),
        ({"nbf": "now"}, 401),
        ({"serviceurl": None}, 403),
        ({"serviceurl": "https://smba.trafficmanager.net/emea/"}, 403),
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused(
    teams: FakeTeams, heard: TeamsAdapter, taken: Taken, claims: dict[str, Any], status: int
) -> None:
    assert await teams.deliver(asked(teams), **claims) == status
    assert taken == []


@pytest.mark.parametrize(
    ("exp", "nbf", "status"),
    [
        (HOUR, -60, 202),
        (-240, -HOUR, 202),  # their clock and ours differ by less than five minutes
        (-301, -HOUR, 401),
        (HOUR, 240, 202),
        (HOUR, 301, 401),
        (10**400, 0, 401),
        (-HOUR, -2 * HOUR, 401),
    ],
)
async def test_a_token_is_good_for_its_time_and_five_minutes(
    teams: FakeTeams, heard: TeamsAdapter, exp: int, nbf: int, status: int
) -> None:
    times = {"exp": int(now(teams)) + exp, "nbf": int(now(teams)) + nbf}
    assert await teams.deliver(asked(teams), **times) == status


@pytest.mark.parametrize(
    "signing",
    [
        {"key": "key-of-a-stranger", "key_id": "key-1"},
        {"key": "key-of-a-stranger"},
        {"key_id": "../key-1"},
        {"algorithm": "none"},
        {"algorithm": "HS256"},
        {"algorithm": "HS256", "key_id": "key-1"},
    ],
)
async def test_a_token_that_microsoft_did_not_sign_is_refused(
    teams: FakeTeams, heard: TeamsAdapter, taken: Taken, signing: dict[str, str]
) -> None:
    assert await teams.deliver(asked(teams), **signing) == 401
    assert taken == []


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer garbage",
        "Bearer a.b.c",
        "Bearer ....",
        "Basic YTpi",
        "Bearer " + "a" * 7000 + "." + "b" * 10 + ".c",
        "Bearer eyJhbGciOiJSUzI1NiJ9.e30.x",
        "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6MX0.e30.x",
    ],
)
async def test_garbage_instead_of_a_token_is_refused(
    teams: FakeTeams, heard: TeamsAdapter, taken: Taken, header: str
) -> None:
    headers = {"Authorization": header} if header else {}
    assert (await teams.send(asked(teams), headers))[0] == 401
    assert taken == []


async def test_a_token_with_a_changed_payload_is_refused(
    teams: FakeTeams, heard: TeamsAdapter
) -> None:
    head, _, signature = teams.issuer.sign(teams.url).split(".")
    claims = {"iss": ISSUER, "aud": APP, "exp": now(teams) + 99 * HOUR, "serviceurl": teams.url}
    forged = jwt.encode(claims, private_key("key-of-a-stranger"), algorithm="RS256").split(".")[1]
    headers = {"Authorization": f"Bearer {head}.{forged}.{signature}"}
    assert (await teams.send(asked(teams), headers))[0] == 401


async def test_a_key_that_does_not_endorse_teams_is_refused(
    teams: FakeTeams, heard: TeamsAdapter
) -> None:
    teams.issuer.keys = {"key-1": ("msteams",), "key-2": ("webchat",), "key-3": ()}
    assert await teams.deliver(asked(teams), key="key-2") == 403
    assert await teams.deliver(asked(teams), key="key-3") == 403
    assert await teams.deliver(asked(teams), key="key-1") == 202


async def test_a_proven_activity_of_another_channel_is_refused(
    teams: FakeTeams, heard: TeamsAdapter
) -> None:
    teams.issuer.keys = {"key-1": ("msteams", "webchat")}
    assert await teams.deliver({**asked(teams), "channelId": "webchat"}) == 403


async def test_a_new_key_is_taken_within_a_minute_and_the_old_one_ends(
    teams: FakeTeams, heard: TeamsAdapter
) -> None:
    clock = teams.clock
    assert isinstance(clock, FakeClock)
    assert await teams.deliver(asked(teams)) == 202
    teams.issuer.keys = {"key-2": ("msteams",)}
    await clock.advance(61)
    assert await teams.deliver(asked(teams), key="key-2") == 202
    assert await teams.deliver(asked(teams), key="key-1") == 401


async def test_strangers_with_invented_keys_cannot_make_the_bot_fetch_keys_all_the_time(
    teams: FakeTeams, heard: TeamsAdapter
) -> None:
    await teams.deliver(asked(teams))
    for number in range(10):
        stranger = teams.deliver(asked(teams), key="key-of-a-stranger", key_id=f"key-{number + 5}")
        assert await stranger == 401
    assert teams.issuer.num_key_fetches == 1


async def test_many_at_once_fetch_the_keys_once(teams: FakeTeams, heard: TeamsAdapter) -> None:
    answers = await asyncio.gather(*(teams.deliver(asked(teams)) for _ in range(10)))
    assert answers == [202] * 10
    assert teams.issuer.num_key_fetches == 1


async def test_while_no_key_can_be_had_teams_is_asked_to_come_again(
    teams: FakeTeams, heard: TeamsAdapter
) -> None:
    teams.issuer.is_down = True
    assert await teams.deliver(asked(teams)) == 503
    teams.issuer.is_down = False
    assert await teams.deliver(asked(teams)) == 202


async def test_known_keys_serve_while_microsoft_is_out_of_reach(
    teams: FakeTeams, heard: TeamsAdapter
) -> None:
    clock = teams.clock
    assert isinstance(clock, FakeClock)
    assert await teams.deliver(asked(teams)) == 202
    teams.issuer.is_down = True
    await clock.advance(24 * HOUR)
    assert await teams.deliver(asked(teams)) == 202


@pytest.mark.parametrize(
    "service_url",
    [
        "http://169.254.169.254/metadata/",
        "https://evil.example/",
        "https://smba.trafficmanager.net.evil.example/",
        "https://parley.trafficmanager.net/",
        "https://evil.example/?smba.trafficmanager.net",
        "https://smba.trafficmanager.net@evil.example/",
        "https://user@smba.trafficmanager.net/",
        "http://smba.trafficmanager.net/emea/",
        "https://smba.trafficmanager.net:8443/",
        "http://127.0.0.1:1/",
        "file:///etc/passwd",
        "//smba.trafficmanager.net",
        "",
    ],
)
async def test_a_proven_token_for_a_foreign_address_is_refused(
    teams: FakeTeams, heard: TeamsAdapter, taken: Taken, service_url: str
) -> None:
    """Whoever got Microsoft to sign an address still cannot have our token sent there."""
    assert await teams.deliver({**asked(teams), "serviceUrl": service_url}) == 403
    assert taken == []


@pytest.mark.parametrize(
    "service_url",
    [
        "https://smba.trafficmanager.net/emea/",
        "https://smba.infra.gcc.teams.microsoft.com/teams",
        "https://europe.botframework.com/",
    ],
)
async def test_microsofts_own_addresses_are_trusted(
    teams: FakeTeams, heard: TeamsAdapter, service_url: str
) -> None:
    assert await teams.deliver({**asked(teams), "serviceUrl": service_url}) == 202


async def test_people_of_another_tenant_are_refused_unless_their_tenant_is_allowed(
    teams: FakeTeams, heard: TeamsAdapter, taken: Taken
) -> None:
    strange = asked(teams)
    strange["conversation"]["tenantId"] = "another-tenant"
    assert await teams.deliver(strange) == 403
    async with listening_bot(teams, taken, FakeClock(), tenants="another-tenant"):
        assert await teams.deliver(strange) == 202
        assert await teams.deliver(asked(teams)) == 403


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[not json",
        b"[]",
        b"7",
        b"{}",
        b'{"type": 7}',
        b"\xff\xfe",
        b"[" * 100_000,
        json.dumps({"type": "message", "timestamp": "never"}).encode(),
        json.dumps({"type": "message", "from": "Ada", "conversation": []}).encode(),
    ],
)
async def test_a_body_that_is_no_activity_is_refused_without_a_stumble(
    teams: FakeTeams, heard: TeamsAdapter, body: bytes
) -> None:
    token = teams.issuer.sign(teams.url)
    status, _ = await teams.send(body, {"Authorization": f"Bearer {token}"})
    assert status in (400, 403)


@pytest.mark.parametrize("key", ["from", "conversation", "recipient", "channelData", "entities"])
@pytest.mark.parametrize("value", [None, 7, "text", [], {}, [7], [None]])
async def test_an_activity_of_an_unknown_shape_never_makes_the_bot_stumble(
    teams: FakeTeams, heard: TeamsAdapter, key: str, value: object
) -> None:
    assert await teams.deliver({**asked(teams), key: value}) in (202, 400, 403)


async def test_a_body_that_is_too_large_is_refused(teams: FakeTeams, heard: TeamsAdapter) -> None:
    assert await teams.deliver({**asked(teams), "text": "x" * 1_100_000}) == 413


async def test_each_delivery_is_counted_by_how_it_was_answered(teams: FakeTeams) -> None:
    observed = Observed()
    adapter = make_adapter(teams, observed=observed)
    async with serving(adapter, teams), adapter, listening(adapter, Taken()):
        await teams.deliver(asked(teams))
        await teams.deliver(asked(teams), iss="somebody")
        await teams.deliver(asked(teams), aud="another-app")
        await teams.request({**feedback("m-1"), "serviceUrl": teams.url})
    answered = [status for method, status in observed if method == "deliver"]
    assert answered == ["202", "401", "403", "200"]


async def test_before_the_bot_listens_teams_is_asked_to_come_again(teams: FakeTeams) -> None:
    adapter = make_adapter(teams)
    async with serving(adapter, teams), adapter:
        assert await teams.deliver(asked(teams)) == 503


async def test_a_question_that_finds_no_room_on_disk_is_asked_for_again(teams: FakeTeams) -> None:
    async def full(_: Incoming) -> None:
        raise StorageFull("The disk is full.")

    adapter = make_adapter(teams)
    async with serving(adapter, teams), adapter, listening(adapter, full):
        assert await teams.deliver(asked(teams)) == 503


async def test_feedback_is_taken_and_answered_at_once_with_an_empty_object(
    teams: FakeTeams, heard: TeamsAdapter, taken: Taken
) -> None:
    judged = {**feedback("m-1"), "serviceUrl": teams.url}
    assert await teams.request(judged) == (200, "{}")
    (rating,) = taken
    assert isinstance(rating, Feedback)


async def test_a_card_button_is_answered_in_the_shape_that_teams_reads(
    teams: FakeTeams, heard: TeamsAdapter, taken: Taken
) -> None:
    value = {"action": {"type": "Action.Execute", "data": {"parley": {"says": "status"}}}}
    pressed = invoke("adaptiveCard/action", value, service_url=teams.url)
    status, body = await teams.request(pressed)
    assert (status, json.loads(body)["statusCode"]) == (200, 200)
    assert [type(each) for each in taken] == [Question]


async def test_an_invoke_that_nobody_understands_is_answered_as_such(
    teams: FakeTeams, heard: TeamsAdapter, taken: Taken
) -> None:
    assert (await teams.request(invoke("task/fetch", {}, service_url=teams.url)))[0] == 501
    assert taken == []


async def test_what_concerns_nobody_is_acknowledged(
    teams: FakeTeams, heard: TeamsAdapter, taken: Taken
) -> None:
    assert await teams.deliver(activity("event", service_url=teams.url)) == 202
    assert taken == []


# Without an app id


@pytest.fixture
async def anonymous(taken: Taken) -> AsyncIterator[FakeTeams]:
    async with FakeTeams() as teams:
        settings = TeamsSettings.read({})
        source = token_source(settings, {})
        adapter = TeamsAdapter(settings, source, FakeClock(), Observed(), SHORT)
        async with serving(adapter, teams), adapter, listening(adapter, taken):
            yield teams


async def test_without_an_app_id_this_machine_is_believed(
    anonymous: FakeTeams, taken: Taken
) -> None:
    assert (await anonymous.send(asked(anonymous), {}))[0] == 202
    assert len(taken) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "parley.example.com"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Forwarded-Port": "443"},
        {"X-Real-IP": "127.0.0.1"},
        {"Via": "1.1 tunnel"},
    ],
)
async def test_without_an_app_id_a_tunnel_is_not_believed(
    anonymous: FakeTeams, taken: Taken, headers: dict[str, str]
) -> None:
    assert (await anonymous.send(asked(anonymous), headers))[0] == 403
    assert taken == []


async def test_without_an_app_id_replies_go_nowhere_but_to_this_machine(
    anonymous: FakeTeams, taken: Taken
) -> None:
    elsewhere = message("hello", service_url="https://smba.trafficmanager.net/emea/")
    assert (await anonymous.send(elsewhere, {}))[0] == 403
    assert taken == []
