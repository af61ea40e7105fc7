"""The ``[teams]`` table: what is wrong is said in sentences, and no secret with it."""

from __future__ import annotations

import pytest

from adapters.teams.settings import TeamsSettings
from bot.errors import SettingsError

APP = {"app_id": "a", "app_password": "hush", "tenant_id": "t"}


def test_with_a_password_the_bot_is_an_app_of_one_tenant() -> None:
    settings = TeamsSettings.read(APP)
    assert not settings.is_managed_identity
    assert not settings.is_anonymous


def test_without_a_password_the_bot_is_a_managed_identity() -> None:
    assert TeamsSettings.read({"app_id": "a", "tenant_id": "t"}).is_managed_identity


def test_without_an_app_id_the_bot_is_anonymous() -> None:
    assert TeamsSettings.read({}).is_anonymous


@pytest.mark.parametrize(
    ("tenants", "tenant", "is_allowed"),
    [
        ("", "t", True),
        ("", "T", True),
        ("", "other", False),
        ("other, third", "third", True),
        ("other", "t", False),
        ("*", "anybody", True),
    ],
)
def test_only_people_of_allowed_tenants_may_use_it(
    tenants: str, tenant: str, is_allowed: bool
) -> None:
    assert TeamsSettings.read({**APP, "tenants": tenants}).allows_tenant(tenant) is is_allowed


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ({"app_id": "a", "app_password": "hush"}, "TEAMS_TENANT_ID"),
        ({"app_password": "hush"}, "TEAMS_APP_ID"),
        ({**APP, "token_url": "http://evil.example/token"}, "TEAMS_TOKEN_URL"),
        ({**APP, "openid_metadata_url": "ftp://x"}, "TEAMS_OPENID_METADATA_URL"),
        ({**APP, "openid_metadata_url": "http://evil.example/"}, "TEAMS_OPENID_METADATA_URL"),
    ],
)
def test_what_is_wrong_is_named(table: dict[str, str], word: str) -> None:
    with pytest.raises(SettingsError, match=word) as caught:
        TeamsSettings.read(table)
    assert "hush" not in str(caught.value)


def test_the_secret_is_not_shown() -> None:
    assert "hush" not in repr(TeamsSettings.read(APP))
