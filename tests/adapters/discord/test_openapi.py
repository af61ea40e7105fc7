"""The fake's own check: what is not in Discord's description is noticed, there and back."""

from __future__ import annotations

import pytest

from tests.fakes.discord_openapi import problem_with, problem_with_answer

MESSAGES = "/channels/{channel_id}/messages"
EDIT = "/channels/{channel_id}/messages/{message_id}"


@pytest.mark.parametrize(
    ("verb", "path", "body", "query", "says"),
    [
        ("POST", MESSAGES, {"content": "hello"}, (), None),
        ("GET", MESSAGES, None, ("limit", "before"), None),
        ("POST", MESSAGES, {"content": 5}, (), "POST /channels"),
        ("POST", MESSAGES, {"allowed_mentions": {"parse": ["all"]}}, (), "POST /channels"),
        ("GET", MESSAGES, None, ("newest",), "knows no newest"),
        ("DELETE", EDIT, {"why": "so"}, (), "takes no body"),
    ],
)
def test_a_request(
    verb: str, path: str, body: object, query: tuple[str, ...], says: str | None
) -> None:
    problem = problem_with(verb, path, body, query)
    assert problem is None if says is None else says in (problem or "")


@pytest.mark.parametrize(
    ("verb", "path", "status", "body", "says"),
    [
        ("DELETE", EDIT, 204, None, None),
        ("PATCH", EDIT, 404, {"code": 10008, "message": "Unknown Message"}, None),
        ("PATCH", EDIT, 404, {"message": "no code"}, "'code' is a required property"),
        ("PATCH", EDIT, 200, {"id": "1"}, "is a required property"),
        ("PATCH", EDIT, 204, None, "never answered with 204"),
        ("DELETE", EDIT, 204, {"id": "1"}, "without a body"),
        ("POST", MESSAGES, 429, {"message": "slow"}, "is a required property"),
    ],
)
def test_an_answer(verb: str, path: str, status: int, body: object, says: str | None) -> None:
    problem = problem_with_answer(verb, path, status, body)
    assert problem is None if says is None else says in (problem or "")


def test_an_operation_that_discord_does_not_have_is_an_error() -> None:
    with pytest.raises(AssertionError, match="Discord has no PUT"):
        problem_with("PUT", MESSAGES, None)
