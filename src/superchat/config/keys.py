"""One configuration key: its type, range and meaning, and how a value given for it is checked.

Values arrive typed from TOML, and as text from the environment and the command line.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import attrs

_METADATA = "superchat.key"
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_DIGITS = re.compile(r"-?[0-9]{1,20}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Wrong(ValueError):
    """A value a key does not allow; the text says what is wrong and what is allowed."""


@attrs.frozen
class Key:
    """What one key accepts.

    `read` turns a TOML value into the stored value or raises Wrong; `parse` does the same for text.
    """

    doc: str
    allowed: str
    read: Callable[[object], Any]
    parse: Callable[[str], Any]


def declared(section: type) -> dict[str, Key]:
    """The keys of a section class, by name, in the order they are declared."""
    return {field.name: field.metadata[_METADATA] for field in attrs.fields(section)}


def integer(default: int | None, minimum: int, maximum: int, doc: str) -> Any:
    """A whole number from `minimum` to `maximum`, both included."""
    allowed = f"a whole number from {minimum} to {maximum}"

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Wrong(f"{_kind(value)} given, allowed is {allowed}")
        if not minimum <= value <= maximum:
            raise Wrong(f"{_shown(value)} is out of range, allowed is {allowed}")
        return value

    def parse(text: str) -> int:
        digits = text.strip()
        # int() would take "1_000" and other scripts' digits, and is slow on very long text.
        if not _DIGITS.fullmatch(digits):
            raise Wrong(f"{_shown(text)} is no whole number, allowed is {allowed}")
        return read(int(digits))

    return _field(default, Key(doc, allowed, read, parse))


def flag(default: bool, doc: str) -> Any:
    """true or false; as text also yes/no, on/off, 1/0."""
    allowed = "true or false"

    def read(value: object) -> bool:
        if not isinstance(value, bool):
            raise Wrong(f"{_kind(value)} given, allowed is {allowed}")
        return value

    def parse(text: str) -> bool:
        word = text.strip().lower()
        if word not in _TRUE | _FALSE:
            raise Wrong(f"{_shown(text)} given, allowed is {allowed}")
        return word in _TRUE

    return _field(default, Key(doc, allowed, read, parse))


def text(default: str | None, minimum: int, maximum: int, doc: str) -> Any:
    """One line of `minimum` to `maximum` bytes of UTF-8 without control characters."""
    allowed = f"text of {minimum} to {maximum} bytes without control characters"

    def read(value: object) -> str:
        if not isinstance(value, str):
            raise Wrong(f"{_kind(value)} given, allowed is {allowed}")
        if _CONTROL.search(value):
            raise Wrong(f"{_shown(value)} has control characters, allowed is {allowed}")
        if not minimum <= len(value.encode()) <= maximum:
            raise Wrong(f"{_shown(value)} has {len(value.encode())} bytes, allowed is {allowed}")
        return value

    return _field(default, Key(doc, allowed, read, read))


def password(minimum: int, maximum: int, doc: str) -> Any:
    """Text of `minimum` to `maximum` characters, or none; neither mistakes nor `repr` ever show it."""
    allowed = f"{minimum} to {maximum} characters"

    def read(value: object) -> str:
        if not isinstance(value, str):
            raise Wrong(f"{_kind(value)} given, allowed is text of {allowed}")
        if value and not minimum <= len(value) <= maximum:
            raise Wrong(f"it has {len(value)} characters, allowed are {allowed}")
        return value

    return _field("", Key(doc, f"text of {allowed}", read, read), repr=False)


def choice(default: str, options: Sequence[str], doc: str) -> Any:
    """One of a few words."""
    allowed = " or ".join(f'"{option}"' for option in options)

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in options:
            raise Wrong(f"{_shown(value)} given, allowed is {allowed}")
        return value

    return _field(default, Key(doc, allowed, read, read))


def words(default: tuple[str, ...], valid: Callable[[str], bool], allowed_word: str, doc: str) -> Any:
    """A list of words, in TOML an array, as text separated by commas."""
    allowed = f"a list of {allowed_word}"

    def read(value: object) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise Wrong(f"{_kind(value)} given, allowed is {allowed}")
        for word in value:
            if not isinstance(word, str) or not valid(word):
                raise Wrong(f"{_shown(word)} in the list, allowed is {allowed}")
        return tuple(value)

    def parse(text: str) -> tuple[str, ...]:
        return read([word for part in text.split(",") if (word := part.strip())])

    return _field(default, Key(doc, allowed, read, parse))


def _field(default: object, key: Key, *, repr: bool = True) -> Any:
    return attrs.field(default=default, metadata={_METADATA: key}, repr=repr)


def _shown(value: object) -> str:
    """A value as a mistake shows it: on one line and never long."""
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _kind(value: object) -> str:
    """What a TOML value is, in TOML's own words."""
    kinds = {
        bool: "true/false",
        int: "a whole number",
        float: "a fraction",
        str: "text",
        list: "a list",
        dict: "a table",
    }
    return kinds.get(type(value), "a date or time")
