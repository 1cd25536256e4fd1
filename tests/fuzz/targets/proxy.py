"""The header of a trusted proxy: one of two notations, or a reason to cut the connection."""

# ruff: noqa: PT017  # what is wrong with an error is a failure, too

from __future__ import annotations

import struct
from collections.abc import Hashable, Iterable
from ipaddress import ip_address

from superchat.net.proxy_protocol import LONGEST_BYTES, NoHeader, Source, parse
from tests.fuzz.target import Target

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_UNDECIDED, _REFUSED = "more", "refused"


def version_2(command: int, family: int, addresses: bytes) -> bytes:
    """A header of version 2."""
    return _SIGNATURE + struct.pack("!BBH", command, family, len(addresses)) + addresses


class ProxyTarget(Target):
    """`superchat.net.proxy_protocol`."""

    name = "proxy"
    files = ("net/proxy_protocol.py",)
    longest_bytes = 600
    words = (
        _SIGNATURE,
        b"PROXY ",
        b"TCP4",
        b"TCP6",
        b"UNKNOWN",
        b"\r\n",
        b" ",
        b"192.0.2.1",
        b"2001:db8::1",
        b"::ffff:192.0.2.1",
        b"%1",
        b"65535",
        b"65536",
        b"-1",
        b"+1",
        b"1_0",
        b"00001",
        b"\x20\x11",
        b"\x21\x21",
    )

    def seeds(self) -> Iterable[bytes]:
        """One of each kind."""
        yield b"PROXY TCP4 192.0.2.1 198.51.100.1 40000 6465\r\nrest"
        yield b"PROXY TCP6 2001:db8::1 2001:db8::2 40000 6465\r\n"
        yield b"PROXY UNKNOWN\r\n"
        yield b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"
        yield version_2(0x21, 0x11, bytes(8) + b"\x9c\x40\x19\x41") + b"rest"
        yield version_2(0x21, 0x21, bytes(36) + b"\x03\x00\x04abcd")
        yield version_2(0x20, 0x00, b"")
        yield version_2(0x21, 0x31, bytes(216))

    def run(self, data: bytes) -> Hashable:
        """All of it at once."""
        return _short(_parsed(data))

    def check(self, data: bytes, outcome: Hashable) -> None:
        """As soon as the beginning decides, the rest changes nothing; and what is said is what was meant."""
        whole = _parsed(data)
        for end in range(len(data)):
            part = _parsed(data[:end])
            assert part in (_UNDECIDED, whole), (end, part, whole)
        assert _parsed(data + bytes(LONGEST_BYTES)) != _UNDECIDED, "no end to the header"
        if isinstance(whole, Source):
            _check_source(whole, data)


def _check_source(source: Source, data: bytes) -> None:
    assert 0 < source.header_bytes <= min(len(data), LONGEST_BYTES)
    if source.host is None:
        return
    if data.startswith(b"PROXY"):
        assert data.split(b" ")[4].lstrip(b"0") == (str(source.port).encode() if source.port else b"")
    address = ip_address(source.host)
    assert str(address) == source.host
    assert "%" not in source.host, "an address of a link that nobody knows"
    assert 0 <= source.port <= 65535
    line = f"PROXY TCP{address.version} {source.host} {source.host} {source.port} 1\r\n".encode()
    assert parse(line) == Source(source.host, source.port, len(line))


def _parsed(data: bytes) -> Source | str:
    try:
        return parse(data) or _UNDECIDED
    except NoHeader as error:
        assert str(error).isprintable()
        return _REFUSED


def _short(outcome: Source | str) -> Hashable:
    return outcome if isinstance(outcome, str) else ("source", outcome.host is None)
