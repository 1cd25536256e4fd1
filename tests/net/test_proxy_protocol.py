"""Tests for `superchat.net.proxy_protocol`: PROXY headers however they are split, and whatever is none."""

from __future__ import annotations

import struct
from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.net.proxy_protocol import LONGEST_BYTES, NoHeader, Source, parse

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")


def version_2(command: int, family: int, body: bytes) -> bytes:
    """A header as the specification of the PROXY protocol draws it."""
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


def addresses(source: str, destination: str, port: int) -> bytes:
    """The addresses of a version 2 header."""
    return ip_address(source).packed + ip_address(destination).packed + struct.pack("!HH", port, 6465)


V4 = addresses("192.0.2.7", "198.51.100.1", 4711)
V6 = addresses("2001:db8::7", "2001:db8::1", 4711)
HEADERS = (
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 6465\r\n", "192.0.2.7", 4711),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 6465\r\n", "2001:db8::7", 4711),
    (b"PROXY UNKNOWN\r\n", None, 0),
    (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None, 0),
    (version_2(0x21, 0x11, V4), "192.0.2.7", 4711),
    (version_2(0x21, 0x21, V6), "2001:db8::7", 4711),
    (version_2(0x21, 0x11, V4 + b"\x04\x00\x03abc"), "192.0.2.7", 4711),
    (version_2(0x20, 0x00, b""), None, 0),
    (version_2(0x21, 0x31, bytes(216)), None, 0),
)
JUNK = (
    b"\x00\x00\x00\x07",
    b"GET / HTTP/1.1\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 6465\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 70000 6465\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 +4711 6465\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4_711 6465\r\n",
    b"PROXY TCP6 fe80::7%eth0 2001:db8::1 4711 6465\r\n",
    b"PROXY TCP6 fe80::7%a\nb 2001:db8::1 4711 6465\r\n",
    b"PROXY TCP4 a b c d\r\n",
    b"PROXY  \r\n",
    b"PROXY TCP4 " + b"1" * 200,
    SIGNATURE[:-1] + b"x",
    version_2(0x11, 0x11, V4),
    version_2(0x22, 0x11, V4),
    version_2(0x21, 0x11, V4[:11]),
    SIGNATURE + struct.pack("!BBH", 0x21, 0x11, LONGEST_BYTES),
)


class ParseTests(SynchronousTestCase):
    """`parse`."""

    def test_headers(self) -> None:
        """Every kind of header names its client, whatever follows it, and whole or byte by byte."""
        for header, host, port in HEADERS:
            for rest in (b"", b"\x00\x00\x00\x03", b"PROXY "):
                self.assertEqual(parse(header + rest), Source(host, port, len(header)))
            for length in range(len(header)):
                self.assertIsNone(parse(header[:length]), header[:length])

    def test_junk(self) -> None:
        """What is no header is refused, at the latest when it is as long as a header may be."""
        for junk in JUNK:
            self.assertRaises(NoHeader, parse, junk)

    @settings(max_examples=300, derandomize=True, database=None, deadline=None)
    @given(st.sampled_from((b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE)), st.binary(max_size=300))
    def test_any_bytes(self, beginning: bytes, data: bytes) -> None:
        """Whatever comes gives a source, or more is waited for, or it is refused; nothing else ever happens."""
        try:
            source = parse(beginning + data)
        except NoHeader:
            return
        if source is not None:
            self.assertLessEqual(source.header_bytes, len(beginning + data))
