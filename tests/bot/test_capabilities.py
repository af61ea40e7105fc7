"""One look-up says what an adapter can do beside what every adapter can."""

from __future__ import annotations

import ast
from dataclasses import fields
from typing import cast

from bot import capabilities
from bot.capabilities import Capabilities
from bot.ports import Adapter
from bot.types import Place
from tests.shape.sources import modules

PROTOCOLS = {
    "Whispers",
    "Reacts",
    "GrowsReplies",
    "CountsGrowth",
    "OffersChoices",
    "FindsPosts",
    "HasEditDeadlines",
    "EndsAsFile",
    "HasEarlierMessages",
    "PostsQuestions",
    "CatchesUp",
    "MayBeDeaf",
    "FetchesFiles",
    "TellsTrouble",
    "HasRoutes",
}


class Reacting:
    async def react(self, place: Place, message_id: str) -> None: ...
    async def unreact(self, place: Place, message_id: str) -> None: ...


def test_an_adapter_can_do_what_it_has_methods_for_and_nothing_else() -> None:
    adapter = Reacting()
    found = Capabilities.of(cast(Adapter, adapter))
    assert {each.name for each in fields(found) if getattr(found, each.name)} == {"reacts"}
    assert found.reacts is cast(object, adapter)


def test_the_look_up_names_every_optional_port_of_an_adapter() -> None:
    assert len(fields(Capabilities)) == len(PROTOCOLS)
    assert all(hasattr(capabilities, name) for name in PROTOCOLS)


def test_nothing_else_in_the_product_asks_an_adapter_what_it_is() -> None:
    home = Capabilities.__module__
    asking = [name for name, each in modules().items() if _asks(each.tree) and name != home]
    assert not asking, f"use Capabilities.of in {', '.join(asking)}"


def _asks(tree: ast.Module) -> bool:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return any(
        isinstance(call.func, ast.Name)
        and call.func.id == "isinstance"
        and bool(PROTOCOLS & {n.id for n in ast.walk(call.args[1]) if isinstance(n, ast.Name)})
        for call in calls
    )
