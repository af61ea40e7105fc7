"""A name means what it meant when it was checked, and nothing inside is reached through one."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterable
from typing import Any

import pytest
from aiohttp import ClientTimeout

from bot.reading.addresses import AddressRules
from bot.reading.page import PageFailed, PageRefused
from bot.reading.resolver import CheckedResolver, Lookup, own_addresses
from tests.bot.reading.site import Readers, Site, read

PUBLIC, OTHER_PUBLIC = "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"


@pytest.fixture
def readers() -> Readers:
    return Readers()


def saying(*answers: Iterable[str]) -> Lookup:
    """A name server that answers each question with the next of these, the last one for ever."""
    rest = list(answers)

    def look_up(host: str, port: int, *_: Any) -> list[tuple[Any, Any, int, str, Any]]:
        addresses = rest.pop(0) if len(rest) > 1 else rest[0]
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (address, port),
            )
            for address in addresses
        ]

    return look_up


async def addresses_of(resolver: CheckedResolver, host: str = "example.org") -> list[str]:
    try:
        return [found["host"] for found in await resolver.resolve(host, 80)]
    finally:
        await resolver.close()


async def test_of_mixed_addresses_only_the_public_ones_are_used() -> None:
    look_up = saying(["10.0.0.1", PUBLIC, "::1", "::ffff:127.0.0.1", OTHER_PUBLIC])
    resolver = CheckedResolver(AddressRules(), look_up)
    assert await addresses_of(resolver) == [PUBLIC, OTHER_PUBLIC]


@pytest.mark.parametrize(
    "inner",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fe80::1%eth0", "64:ff9b::7f00:1", ""],
)
async def test_a_name_of_an_inner_address_has_no_public_one(inner: str) -> None:
    with pytest.raises(PageRefused, match=r"^example\.org has no public address\.$"):
        await addresses_of(CheckedResolver(AddressRules(), saying([inner] if inner else [])))


async def test_localhost_has_no_public_address() -> None:
    with pytest.raises(PageRefused, match="localhost has no public address"):
        await addresses_of(CheckedResolver(AddressRules()), "localhost")


async def test_whether_an_inner_name_exists_is_not_told() -> None:
    def unknown(*_: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with pytest.raises(PageRefused, match=r"^example\.org has no public address\.$"):
        await addresses_of(CheckedResolver(AddressRules(), unknown))


async def test_a_name_server_that_is_away_is_a_sentence() -> None:
    def away(*_: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    with pytest.raises(PageFailed, match="cannot be looked up now"):
        await addresses_of(CheckedResolver(AddressRules(), away))


async def test_an_allowed_name_may_mean_an_inner_address() -> None:
    rules = AddressRules.of(["wiki.example:80"])
    assert await addresses_of(CheckedResolver(rules, saying(["10.0.0.1"])), "wiki.example") == [
        "10.0.0.1"
    ]


async def test_a_name_that_turns_inward_between_check_and_connection_changes_nothing(
    readers: Readers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the first answer is public, all later ones are this machine."""
    reached: list[str] = []

    async def connect(sock: socket.socket, address: tuple[str, int]) -> None:
        reached.append(address[0])
        raise ConnectionRefusedError

    look_up = saying([PUBLIC], ["127.0.0.1"])
    async with (
        Site({"/": "The inner page."}) as inner,
        readers.reader(look_up=look_up) as reader,
    ):
        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", connect)
        address = inner.url().replace("127.0.0.1", "rebind.example")
        with pytest.raises(PageFailed, match=r"rebind\.example cannot be reached"):
            await read(reader, address)
        with pytest.raises(PageRefused, match=r"rebind\.example has no public address"):
            await read(reader, address)
    assert reached == [PUBLIC]
    assert inner.asked == []


async def test_a_name_that_leads_inward_is_never_connected_to(readers: Readers) -> None:
    async with (
        Site({"/": "The inner page."}) as inner,
        readers.reader(look_up=saying(["127.0.0.1"])) as reader,
    ):
        with pytest.raises(PageRefused, match="no public address"):
            await read(reader, inner.url().replace("127.0.0.1", "inward.example"))
    assert inner.asked == []


async def test_a_name_server_that_never_answers_ends_by_time(readers: Readers) -> None:
    is_over, waiting = threading.Event(), []

    def never(*_: Any) -> Any:
        waiting.append(threading.current_thread())
        is_over.wait()
        return []

    timeout = ClientTimeout(total=0.05)
    async with readers.reader(look_up=never, timeout=timeout) as reader:
        with pytest.raises(PageFailed, match="takes too long"):
            await read(reader, "http://tarpit.example/")
        assert [thread.daemon for thread in waiting] == [True]  # it keeps no process from ending
        is_over.set()


async def test_names_that_are_never_answered_take_a_few_threads_only() -> None:
    is_over, asked = threading.Event(), asyncio.Event()
    loop, names = asyncio.get_running_loop(), list[str]()

    def look_up(host: str, *_: Any) -> Any:
        names.append(host)
        if len(names) == 4:
            loop.call_soon_threadsafe(asked.set)
        is_over.wait()
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    resolver = CheckedResolver(AddressRules(), look_up)
    looking = [asyncio.create_task(resolver.resolve(f"{n}.example", 80)) for n in range(9)]
    await asked.wait()
    for task in looking[:4]:
        task.cancel()
    await asyncio.wait(looking[:4])
    assert len(names) == 4
    is_over.set()
    await asyncio.wait(looking)
    assert len(names) == 9
    assert all(isinstance(task.exception(), PageRefused) for task in looking[4:])


def test_this_machine_knows_its_own_addresses() -> None:
    assert "127.0.0.1" in own_addresses()
