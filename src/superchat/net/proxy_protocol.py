"""The header by which a proxy tells whose connection it passes on: PROXY protocol, versions 1 and 2; without I/O."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Final

import attrs

LONGEST_BYTES: Final = 4096
"""A header with more than that is refused, whatever it may hold; version 1 has 107 bytes at most."""

_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_HEAD: Final = struct.Struct("!12sBBH")
_LONGEST_LINE: Final = 107
_TCP4, _TCP6 = 0x11, 0x21
_LOCAL, _PROXY = 0x20, 0x21


class NoHeader(Exception):
    """What came is no PROXY header."""


@attrs.frozen
class Source:
    """Whose connection it is; *host* is None when it is the proxy's own, to see whether the server is there."""

    host: str | None
    port: int
    header_bytes: int  # how much of what came was the header


def parse(data: bytes) -> Source | None:
    """Read the header at the beginning of *data*; None while it is incomplete, however it is split.

    Raises `NoHeader`, as soon as it is sure.
    """
    if data.startswith(_SIGNATURE[: len(data)]):
        return _version_2(data)
    if data.startswith(b"PROXY "[: len(data)]):
        return _version_1(data)
    raise NoHeader("the connection does not begin with a PROXY header")


def _version_1(data: bytes) -> Source | None:
    line, end, _ = data[:_LONGEST_LINE].partition(b"\r\n")
    if not end:
        if len(data) >= _LONGEST_LINE:
            raise NoHeader("the line of a PROXY header is too long")
        return None
    words = line.split(b" ")
    if words[1] == b"UNKNOWN":
        return Source(None, 0, len(line) + 2)
    try:
        _, family, source, _, port, _ = words
        if b"%" in source or not port.isdigit():
            raise ValueError  # Python takes the names of links for a part of an address, and signs and _ in numbers
        address = ip_address(source.decode("ascii"))
        number = int(port)
    except ValueError as error:
        raise NoHeader("a PROXY header that cannot be read") from error
    if family != f"TCP{address.version}".encode() or not 0 <= number <= 65535:
        raise NoHeader("a PROXY header that contradicts itself")
    return Source(str(address), number, len(line) + 2)


def _version_2(data: bytes) -> Source | None:
    if len(data) < _HEAD.size:
        return None
    _, command, family, length = _HEAD.unpack_from(data)
    end = _HEAD.size + length
    if command not in (_LOCAL, _PROXY) or end > LONGEST_BYTES:
        raise NoHeader("a PROXY header of another version, or too long")
    if len(data) < end:
        return None
    address_bytes = {_TCP4: 4, _TCP6: 16}.get(family)
    if command == _LOCAL or address_bytes is None:
        return Source(None, 0, end)
    if length < 2 * address_bytes + 4:
        raise NoHeader("a PROXY header without the addresses that it promises")
    source = ip_address(data[_HEAD.size : _HEAD.size + address_bytes])
    (port,) = struct.unpack_from("!H", data, _HEAD.size + 2 * address_bytes)
    return Source(str(source), port, end)
