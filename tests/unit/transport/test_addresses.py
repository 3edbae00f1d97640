"""Which addresses may be reached: 0 connections to what is not the open internet, by whatever way it is written."""

import socket
from typing import Any

import pytest

from jobs.core.errors import PermanentError
from jobs.transport import connections, http
from jobs.transport.addresses import is_allowed
from jobs.transport.connections import BlockedError, Reach, judged_addresses
from jobs.transport.http import check_target, open_session, origin

PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"]
LOOPBACK = ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "::ffff:7f00:1"]
PRIVATE = [
    "100.64.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "fd00::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
]
NEVER = [
    "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
    "0.0.0.0", "::", "224.0.0.1", "239.255.255.255", "ff02::1", "240.0.0.1", "255.255.255.255",
    "2002:7f00:1::", "2002:a9fe:a9fe::", "2001:0:7f00:1::", "fec0::1", "64:ff9b:1::1", "::127.0.0.1",
]  # fmt: skip
NOT_PUBLIC = ["192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"]


@pytest.mark.parametrize("address", PUBLIC)
def test_the_open_internet(address: str) -> None:
    assert is_allowed(address, private=False, loopback=False)


@pytest.mark.parametrize("address", LOOPBACK)
def test_this_machine(address: str) -> None:
    assert not is_allowed(address, private=False, loopback=False)
    assert not is_allowed(address, private=True, loopback=False)
    assert is_allowed(address, private=False, loopback=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_inner_networks(address: str) -> None:
    assert not is_allowed(address, private=False, loopback=True)
    assert is_allowed(address, private=True, loopback=False)


@pytest.mark.parametrize("address", NEVER)
def test_never(address: str) -> None:
    assert not is_allowed(address, private=True, loopback=True)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_set_aside_for_special_uses(address: str) -> None:
    assert not is_allowed(address, private=True, loopback=True)


# Names that the resolver reads as addresses: decimal, octal, hexadecimal, short.
ODD_HOSTS = [
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "127.0.0.1",
    "localhost",
    "0",
    "[::1]",
    "[::ffff:127.0.0.1]",
]


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have been connected to; nothing is."""
    made: list[Any] = []

    def refuse(address: Any, *_: Any, **__: Any) -> socket.socket:
        made.append(address)
        raise OSError("not in a test")

    monkeypatch.setattr(connections, "create_connection", refuse)
    return made


@pytest.mark.parametrize("host", ODD_HOSTS)
def test_no_spelling_leads_to_this_machine(settings: Any, connected: list[Any], host: str) -> None:
    url = f"https://{host}/latest/meta-data"
    session = open_session(settings, [url], sleep=lambda _: None)
    with pytest.raises(BlockedError, match="address of this machine or of an inner network"):
        session.get(url)
    assert connected == []


def test_a_name_that_changes_its_mind(settings: Any, connected: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Rebinding: public when it is judged, loopback a moment later. The connection goes to the address that was judged."""
    answers = iter(["93.184.216.34", "127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1"])
    asked = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(connections.socket, "getaddrinfo", resolve)
    session = open_session(settings, ["https://rebind.example.com"], sleep=lambda _: None)
    with pytest.raises(PermanentError):
        session.get("https://rebind.example.com/")
    assert connected == [("93.184.216.34", 443)]


def test_one_bad_address_among_good_ones_blocks_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(2, 1, 6, "", (address, 443)) for address in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(connections.socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(BlockedError):
        judged_addresses(Reach(frozenset()), "two.example.com", 443)
    inner = Reach(frozenset(), private_hosts=frozenset({"two.example.com"}))
    assert judged_addresses(inner, "two.example.com", 443) == ["93.184.216.34", "10.0.0.1"]


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example.com/", "https://api.example.com.evil.example/", "https://api.example.com:8443/",
        "http://api.example.com/", "https://api.example.com@evil.example/", "https://evil.example#@api.example.com/",
        "file:///etc/passwd", "ftp://api.example.com/", "gopher://api.example.com", "//api.example.com/x", "/x", "",
        "https://", "https:///x", "https://api.example.com:99999/", "https://[::1", "https://API.example.com.:443/",
    ],
)  # fmt: skip
def test_only_declared_origins(url: str) -> None:
    reach = Reach(frozenset({origin("https://api.example.com/v1")}))
    with pytest.raises(BlockedError):
        check_target(reach, url)


@pytest.mark.parametrize(
    "url", ["https://api.example.com/x?y#z", "https://api.example.com:443", "https://API.EXAMPLE.COM/"]
)
def test_the_declared_origin(url: str) -> None:
    check_target(Reach(frozenset({origin("https://api.example.com/v1")})), url)


def test_the_connection_asks_again(settings: Any, connected: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL that is read in two ways would pass the first check and lead elsewhere."""
    monkeypatch.setattr(http, "check_target", lambda *_: None)
    session = open_session(settings, ["https://api.example.com"], sleep=lambda _: None)
    with pytest.raises(BlockedError, match=r"8\.8\.8\.8:443 is not among the declared hosts"):
        session.get("https://8.8.8.8/")
    assert connected == []


@pytest.mark.parametrize("url", ["http://api.example.com", "http://127.0.0.1:1", "ws://api.example.com"])
def test_without_tls_nothing_is_opened(settings: Any, url: str) -> None:
    with pytest.raises(BlockedError):
        open_session(settings, [url])
