"""Writes docs/protocol.md from the declarations, so that the page cannot disagree with the code.

``python -m superchat.tools.protocol_docs`` writes the page; with ``--check`` it only says whether the page is
current, and exits with 1 when it is stale.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from superchat.wire import frames
from superchat.wire.errors import ErrorCode
from superchat.wire.fields import Codec, Data, Sequence, Trailing
from superchat.wire.messages import BY_CODE
from superchat.wire.records import Message, Record, Sender

PAGE = Path("docs/protocol.md")

INTRODUCTION = f"""\
# The SuperChat protocol

*This page is generated from `superchat.wire.messages` by `python -m superchat.tools.protocol_docs`.
Change the declarations, not the page.*

Client and server exchange frames over any reliable byte stream: TCP, TLS, an SSH session channel, or the binary
messages of a WebSocket taken as one stream. There are no request ids. A session's requests are answered in their
order, but frames that others caused may stand between a request and its answer. All numbers are big-endian.

## Frames

| offset | bytes | field | meaning |
|---|---|---|---|
| 0 | 4 | length | bytes behind this field: {frames.MIN_LENGTH} + payload |
| 4 | 1 | version | what the sender speaks: {frames.VERSION} here |
| 5 | 1 | type | which message this is |
| 6 | 1 | flags | bit 0: the payload is compressed; the others are ignored |
| 7 | length - {frames.MIN_LENGTH} | payload | the message's fields |

The length lies within {frames.MIN_LENGTH} and {frames.MAX_LENGTH}. No version byte is ever refused: the first one
from a peer that is not zero is that peer's version as long as the connection lasts, and zero counts as unknown.

## Compression

A compressed payload is a u32 with the plain payload's size, followed by one raw LZ4 block (no LZ4 frame around
it). The server compresses for peers of exactly version {frames.VERSION}, payloads of {frames.COMPRESS_FROM_BYTES}
bytes or more, and only if that makes the frame smaller. Whoever receives the flag decompresses, whatever versions
and sizes are; on an empty payload the flag means nothing. The plain payload has at most {frames.MAX_PAYLOAD} bytes,
and the block yields exactly as many as were declared.

## Types

| type | bytes |
|---|---|
| `u8` `u16` `u32` `u64` | unsigned number of 1, 2, 4, 8 bytes |
| `i64` | signed number of 8 bytes |
| `timestamp_ms` | `i64`, milliseconds since 1970 |
| `bool` | one byte: 0 false, anything else true; written as 0 or 1 |
| `string` | `u16` count of bytes, then the bytes: UTF-8, but not checked on the way |
| `string`, raw | the same with arbitrary bytes: message content, which may be ciphertext |
| `bytes32` | 32 bytes as they are |
| `optional<T>` | a presence byte read like a `bool`, then T if it is true |
| `list<R>` | `u16` count (one list: `u32`), then the records one after the other |

## Decoding

- Fields come in the order of the tables. A payload that ends inside or before a field is malformed.
- "Only if" names an earlier field that decides; otherwise the field takes no bytes at all.
- A field marked *may be missing* is the last of its message, and a payload may end before it.
- What follows the last field is ignored, so that messages can grow at the end.
- Absent, zero and empty are different values of an `optional<T>`.
- The codec does not check sizes and alphabets of texts. The rules of the chat do, and answer in their own words.
- Receivers are kind to three messages: LEAVE_CHANNEL with no payload at all leaves the current channel, a
  DISCONNECT that cannot be decoded gives no reason, and LOGOUT and LIST_SSH_KEYS may carry anything.

## When something is wrong

| what | answer | connection |
|---|---|---|
| the payload cannot be decoded | ERROR 1000, or the request's own answer with `success` false | stays |
| unknown type, or one that only servers send | ERROR 1001 | stays |
| length out of bounds, payload does not decompress | ERROR 1002, DISCONNECT | closes |

A server takes VERIFY_REGISTRATION although its code lies in the server's range: a directory sends it as the client
of the server that it verifies.
"""


def page() -> str:
    """The whole page as Markdown."""
    parts = [
        INTRODUCTION,
        "## Error codes\n\nThe values of ERROR's `error_code`.",
        "\n".join(_error_codes()),
        "## Messages from clients",
        *_messages(Sender.CLIENT),
        "## Messages from either side",
        *_messages(Sender.EITHER),
        "## Messages from servers",
        *_messages(Sender.SERVER),
        "## Records\n\nWhat lists are made of.",
        *(_section(f"### {each.NAME}", each) for each in _records(BY_CODE.values())),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _error_codes() -> Iterator[str]:
    yield "| code | name | meaning |\n|---|---|---|"
    for code in ErrorCode:
        yield f"| {code} | {code.name} | {code.doc} |"


def _messages(sender: Sender) -> Iterator[str]:
    for code, each in BY_CODE.items():
        if each.SENDER is sender:
            yield _section(f"### 0x{code:02X} {each.NAME}", each)


def _records(messages: Iterable[type[Message]]) -> Iterator[type[Record]]:
    for each in messages:
        for codec in each.FIELDS.values():
            if isinstance(codec, Sequence):
                yield codec.of


def _section(heading: str, cls: type[Record]) -> str:
    lines = [heading, "", inspect.getdoc(cls) or "", ""]
    if not cls.FIELDS:
        return "\n".join([*lines, "No fields."])
    lines.append("| field | type | only if | notes |\n|---|---|---|---|")
    for name, codec in cls.FIELDS.items():
        condition = "" if codec.when == "always" else f"`{codec.when}`"
        lines.append(f"| {name} | {_type(codec)} | {condition} | {_notes(codec)} |")
    return "\n".join(lines)


def _type(codec: Codec) -> str:
    shown = f"`{codec.wire_type}`"
    return f"{shown}, raw" if isinstance(codec.core, Data) else shown


def _notes(codec: Codec) -> str:
    missing = ""
    if isinstance(codec, Trailing):
        missing = "*may be missing*" + (" (false)" if codec.default is False else "")
    return "; ".join(note for note in (codec.doc, missing) if note)


def main(arguments: list[str] | None = None) -> int:
    """Write or check the page; the exit status is 1 if a checked page is stale or absent."""
    parser = argparse.ArgumentParser(prog="protocol_docs", description="Write the protocol page.")
    parser.add_argument("--check", action="store_true", help="only say whether the page is current")
    parser.add_argument("path", nargs="?", type=Path, default=PAGE, help="the page (default: %(default)s)")
    options = parser.parse_args(arguments)
    path: Path = options.path
    if not options.check:
        path.write_text(page(), encoding="utf-8")
        return 0
    if path.is_file() and path.read_text(encoding="utf-8") == page():
        return 0
    print(f"{path} is stale: run python -m superchat.tools.protocol_docs", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
