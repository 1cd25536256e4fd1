"""The parameters of a request, checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from http import HTTPStatus
from typing import Final

import attrs

from superchat.ops.profiling.refusal import Refusal

MAX_SECONDS: Final = 300
MAX_FRAMES: Final = 16

_RANGES: Final = {b"seconds": (1, MAX_SECONDS), b"frames": (1, MAX_FRAMES), b"debug": (0, 2)}


class Format(Enum):
    """What a profile may be asked for as."""

    PPROF = "pprof"
    TEXT = "text"
    FOLDED = "folded"
    SVG = "svg"


@attrs.frozen
class Query:
    """What was asked for; None is for what was not said."""

    seconds: int | None = None
    frames: int | None = None
    format: Format = Format.PPROF

    @classmethod
    def parse(cls, arguments: Mapping[bytes, Sequence[bytes]], allowed: Collection[bytes]) -> Query:
        """Read a query. Raises `Refusal` with 400 for a parameter that is unknown, repeated or out of its range.

        `debug=1` is Go's way to ask for text.
        """
        for name, values in arguments.items():
            if name not in allowed:
                known = ", ".join(sorted(each.decode() for each in allowed))
                raise _bad(f"There is no parameter {_shown(name)} here; there is {known or 'none'}.")
            if len(values) != 1:
                raise _bad(f"{name.decode()} can be given once only.")
        numbers = {name: _number(name, *arguments[name]) for name in _RANGES if name in arguments}
        form = _format(*arguments[b"format"]) if b"format" in arguments else None
        default = Format.TEXT if numbers.get(b"debug") else Format.PPROF
        return cls(numbers.get(b"seconds"), numbers.get(b"frames"), form or default)


def _number(name: bytes, text: bytes) -> int:
    lowest, highest = _RANGES[name]
    # Not int() alone, which takes "1_0" and digits of any script; and no long numbers, which take it long.
    if not (len(text) <= 9 and text.isdigit() and lowest <= int(text) <= highest):
        raise _bad(f"{name.decode()} must be a whole number from {lowest} to {highest}, not {_shown(text)}.")
    return int(text)


def _format(text: bytes) -> Format:
    for each in Format:
        if each.value.encode() == text:
            return each
    known = ", ".join(each.value for each in Format)
    raise _bad(f"format must be one of {known}, not {_shown(text)}.")


def _shown(text: bytes) -> str:
    """What a stranger sent, in a way that can be printed."""
    return ascii(text[:40].decode("latin-1"))


def _bad(sentence: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, sentence)
