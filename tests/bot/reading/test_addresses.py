"""No spelling of an address leads into this machine, its network or its cloud."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.reading.addresses import AddressRules, host_and_port, is_public
from bot.reading.page import PageRefused

HOSTILE = """
http://127.0.0.1/
http://127.0.0.1:8080/
http://127.0.0.1./
http://127.1/
http://127.0.1/
http://127.1:80/
http://127.255.255.254/
http://2130706433/
http://2130706433./
http://0x7f000001/
http://0X7F000001/
http://0x7f.1/
http://0x7f.0x0.0x0.0x1/
http://127.0.0.0x1/
http://017700000001/
http://0177.0.0.1/
http://0177.1/
http://00000177.0.0.01/
http://127.000.000.001/
http://127.0.0.256/
http://127.0.0.1.2/
http://127.0.0.1%2f@example.org/
http://127.0.0.1%00.example.org/
http://%31%32%37.0.0.1/
http://127%2e0%2e0%2e1/
http://１２７.０.０.１/
http://①②⑦.0.0.1/
http://127。0。0。1/
http://127．0．0．1/
http://0/
http://0.0.0.0/
http://0x0/
http://0x/
http://00/
http://0.1.2.3/
http://10.0.0.1/
http://10.1/
http://167772161/
http://012.0.0.1/
http://172.16.0.1/
http://172.31.255.255/
http://192.168.1.1/
http://192.168.257/
http://3232235777/
http://169.254.169.254/latest/meta-data/
http://169.254.43518/
http://2852039166/
http://0xA9FEA9FE/
http://0251.0376.0251.0376/
http://168.63.129.16/machine
http://100.64.0.1/
http://100.100.100.200/
http://192.0.0.192/opc/v2/
http://192.0.2.1/
http://192.88.99.1/
http://198.18.0.1/
http://198.19.255.255/
http://198.51.100.7/
http://203.0.113.9/
http://224.0.0.1/
http://239.255.255.250/
http://240.0.0.1/
http://255.255.255.255/
http://4294967295/
http://4294967296/
http://xn--/
http://xn--xn--.example/
http://[::]/
http://[::1]/
http://[0:0:0:0:0:0:0:1]/
http://[0000:0000:0000:0000:0000:0000:0000:0001]/
http://[::1]:80/
http://[::127.0.0.1]/
http://[::7f00:1]/
http://[::ffff:127.0.0.1]/
http://[::ffff:7f00:1]/
http://[::FFFF:7F00:0001]/
http://[0:0:0:0:0:ffff:10.0.0.1]/
http://[::ffff:169.254.169.254]/
http://[::ffff:0:127.0.0.1]/
http://[64:ff9b::127.0.0.1]/
http://[64:ff9b::a00:1]/
http://[64:ff9b:1::808:808]/
http://[2002:7f00:1::]/
http://[2002:808:808::1]/
http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/
http://[2001::1]/
http://[2001:2::1]/
http://[2001:10::1]/
http://[2001:db8::1]/
http://[3fff::1]/
http://[100::1]/
http://[fc00::1]/
http://[fd00:ec2::254]/
http://[fe80::1]/
http://[fe80::1%25eth0]/
http://[fe80::1%eth0]/
http://[fec0::1]/
http://[ff02::1]/
http://[5f00::1]/
http://[4000::1]/
http://[::1%25lo]/
http://[2606:4700::1111%251]/
http://[v1.fe80::a+en1]/
http://[::1/
http://::1/
http://user@example.org/
http://user:secret@example.org/
http://@example.org/
http://:@example.org/
http://example.org@127.0.0.1/
http://127.0.0.1@example.org/
http://example.org:80@127.0.0.1/
http://example.org\\@127.0.0.1/
http://example.org\\127.0.0.1/
http:\\\\127.0.0.1/
http://\\127.0.0.1/
http:127.0.0.1/
http:/127.0.0.1/
http:///127.0.0.1/
http:////127.0.0.1/
http://
http:///
http://?x
http://#x
http://.
http://./
http://../
http://.example.org/
http://example..org/
http://example.org../
http://exa%6dple.org/
http://example.org%20/
http://example.org:0/
http://example.org:22/
http://example.org:25/
http://example.org:6667/
http://example.org:65536/
http://example.org:-1/
http://example.org:80:80/
http://example.org:x/
http://exa<mple.org/
http://exa;mple.org/
http://exa mple.org/
file:///etc/passwd
ftp://example.org/
gopher://127.0.0.1:6379/_
javascript:alert(1)
data:text/html,x
ws://example.org/
httpx://example.org/
//example.org/
example.org
/etc/passwd
"""
UNPRINTABLE = (
    "http://exam\tple.org/",
    "http://exam\nple.org/",
    "ht\ntp://example.org/",
    "http://example.org/\r\nHost: inner",
    "http://example.org/a b",
    "http://127.0.0.1\u3000/",
    "http://example.org\x00.inner/",
    "http://example.org/\x7f",
    "http://exam\u200bple.org/",
    "http://exam\u00adple.org/",
    "\ufeffhttp://example.org/",
    " http://example.org/",
    "http://example.org/\u2028",
    "http://" + "a" * 64 + ".example/",
    "http://" + "a." * 127 + "example/",
    "http://example.org/" + "a" * 2048,
    "",
)

NOT_PUBLIC_4 = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
    192.0.2.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
"""


@pytest.mark.parametrize("address", [*filter(None, HOSTILE.splitlines()), *UNPRINTABLE])
def test_a_hostile_spelling_is_refused_in_one_sentence(address: str) -> None:
    with pytest.raises(PageRefused) as refused:
        AddressRules().check(address)
    sentence = str(refused.value)
    assert sentence.endswith(".")
    assert len(sentence.splitlines()) == 1
    assert "secret" not in sentence


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("http://example.org", "http://example.org/"),
        ("HTTPS://Example.ORG:443/A?b=C#d", "https://example.org/A?b=C"),
        ("http://example.org.:8080/x", "http://example.org:8080/x"),
        ("http://example.org?q=@127.0.0.1", "http://example.org/?q=@127.0.0.1"),
        ("http://example.org/@127.0.0.1/\u00e4", "http://example.org/@127.0.0.1/%C3%A4"),
        ("http://m\u00fcnchen.example/", "http://xn--mnchen-3ya.example/"),
        ("http://1.1.1.1/", "http://1.1.1.1/"),
        ("http://[2606:4700:0::1111]/", "http://[2606:4700::1111]/"),
        ("http://[::ffff:8.8.8.8]/", "http://[::ffff:808:808]/"),
        ("http://[64:ff9b::8.8.8.8]/", "http://[64:ff9b::808:808]/"),
        ("http://a_b.example/", "http://a_b.example/"),
        ("http://0x7f.example/", "http://0x7f.example/"),
        ("http://localhost/", "http://localhost/"),  # a name: what it means decides
    ],
)
def test_an_address_is_put_together_anew(address: str, asked: str) -> None:
    assert str(AddressRules().check(address)) == asked


@st.composite
def inner_ipv4(draw: st.DrawFn) -> IPv4Address:
    network = IPv4Network(draw(st.sampled_from(NOT_PUBLIC_4.split())))
    first, last = int(network.network_address), int(network.broadcast_address)
    return IPv4Address(draw(st.integers(first, last)))


def _number(draw: st.DrawFn, value: int) -> str:
    zeros = "0" * draw(st.integers(0, 3))
    forms = [f"{value}", f"0x{zeros}{value:x}", f"0X{value:X}", f"0{zeros}{value:o}"]
    return draw(st.sampled_from(forms))


@st.composite
def spelled_for_c(draw: st.DrawFn) -> tuple[IPv4Address, str]:
    """An inner address and one of its spellings for ``inet_aton``: one to four numbers."""
    address = draw(inner_ipv4())
    parts, num_parts = [*address.packed], draw(st.integers(1, 4))
    last = int.from_bytes(bytes(parts[num_parts - 1 :]))
    numbers = [_number(draw, each) for each in [*parts[: num_parts - 1], last]]
    return address, ".".join(numbers)


@given(spelled_for_c(), st.sampled_from(["", "."]), st.sampled_from(["", ":80", ":8443"]))
def test_no_inner_address_passes_as_the_c_library_reads_it(
    spelled: tuple[IPv4Address, str], dot: str, port: str
) -> None:
    address, text = spelled
    assert socket.inet_aton(text) == address.packed
    with pytest.raises(PageRefused):
        AddressRules().check(f"http://{text}{dot}{port}/")


@given(st.text("0123456789abcdefxX.", min_size=1, max_size=20))
def test_what_passes_as_a_name_is_no_number_to_the_c_library(text: str) -> None:
    try:
        host = AddressRules().check(f"http://{text}/").raw_host or ""
    except PageRefused:
        return
    try:
        read = IPv4Address(socket.inet_aton(host))
    except OSError:
        return
    assert str(read) == host
    assert read.is_global


@given(
    inner_ipv4(),
    st.sampled_from(["::ffff:", "::", "64:ff9b::", "::ffff:0:", "64:ff9b:1::", "2002:"]),
    st.sampled_from([str.lower, str.upper]),
    st.booleans(),
)
def test_no_inner_address_passes_within_ipv6(
    address: IPv4Address, prefix: str, case: type[str], is_whole: bool
) -> None:
    high, low = divmod(int(address), 65536)
    rest = f"{high:x}:{low:x}" + ("::1" if prefix == "2002:" else "")
    ip = IPv6Address(prefix + rest)
    text = case(ip.exploded if is_whole else str(ip))
    assert not is_public(text)
    with pytest.raises(PageRefused):
        AddressRules().check(f"http://[{text}]/")


@given(st.ip_addresses())
def test_what_is_public_is_global_to_python_too(ip: IPv4Address | IPv6Address) -> None:
    if is_public(str(ip)) and not (isinstance(ip, IPv6Address) and ip in IPv6Network("::/8")):
        assert ip.is_global
        assert not ip.is_multicast


@pytest.mark.parametrize(
    "text",
    ["", "example.org", "127.1", "8.8.8", "8.8.8.8%eth0", "08.8.8.8", "2606:4700::1111%1"],
)
def test_what_is_no_ip_address_is_not_public(text: str) -> None:
    assert not is_public(text)


def test_this_machines_own_public_address_is_refused() -> None:
    rules = AddressRules(own=frozenset({"1.1.1.1"}))
    with pytest.raises(PageRefused):
        rules.check("http://1.1.1.1:8080/")
    for address in ("1.1.1.1", "::ffff:1.1.1.1", "64:ff9b::101:101"):
        assert not rules.may_connect("example.org", 443, address)
    assert rules.may_connect("example.org", 443, "1.0.0.1")


def test_exactly_what_is_allowed_is_exempt() -> None:
    rules = AddressRules.of(["intranet:8080", "10.0.0.7:22", "[FD00::1]:80"])
    assert str(rules.check("http://INTRANET:8080/x")) == "http://intranet:8080/x"
    assert str(rules.check("http://10.0.0.7:22/")) == "http://10.0.0.7:22/"
    assert str(rules.check("http://[fd00:0::1]/")) == "http://[fd00::1]/"
    assert rules.may_connect("intranet", 8080, "10.0.0.9")
    assert not rules.may_connect("intranet", 8081, "10.0.0.9")
    assert not rules.may_connect("elsewhere", 8080, "10.0.0.9")
    for other in ("http://10.0.0.7/", "http://10.0.0.8:22/", "http://[fd00::1]:81/"):
        with pytest.raises(PageRefused):
            rules.check(other)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("intranet:80", "intranet", 80),
        ("Wiki.Example.:443", "wiki.example", 443),
        ("10.1.2.3:8080", "10.1.2.3", 8080),
        ("[fd00::1]:80", "fd00::1", 80),
    ],
)
def test_a_host_with_its_port_is_read(text: str, host: str, port: int) -> None:
    assert host_and_port(text) == (host, port)
    assert ip_address(host) if host[0] in "1f" else True


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "intranet", "intranet:", ":80", "intranet:0", "intranet:65536", "intranet:-1"),
        *("http://intranet:80", "intranet:80/x", "user@intranet:80", "10.0.0:80", "fd00::1:80"),
        *("intra net:80", "*:80", "*.example:80", "10.0.0.0/8:80", "intranet:8\u0660"),
    ],
)
def test_anything_else_is_no_host_with_its_port(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no host with a port, such as"):
        host_and_port(text)
