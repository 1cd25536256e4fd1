"""Golden vectors as messages: the vectors' JSON values, read by the declarations of our own classes."""

from __future__ import annotations

from typing import Any, TypeVar

from superchat.wire.fields import Codec, Data, Key, Sequence, Text, Wrapped
from superchat.wire.messages import BY_CODE
from superchat.wire.records import Message, Record
from tests import spec

R = TypeVar("R", bound=Record)

VECTORS = spec.vectors("wire_vectors.jsonl")
NEGATIVES = spec.vectors("wire_negative_vectors.jsonl")
FRAMES = spec.vectors("wire_frame_vectors.jsonl")


def message_class(vector: dict[str, Any]) -> type[Message]:
    """The class of the vector's message."""
    return BY_CODE[int(vector["code"], 16)]


def expected(vector: dict[str, Any]) -> Message:
    """The message that the vector describes."""
    return _record(message_class(vector), vector["fields"])


def _record(cls: type[R], values: dict[str, Any]) -> R:
    return cls(**{name: _value(cls.FIELDS[name], value) for name, value in values.items()})


def _value(codec: Codec, value: Any) -> Any:
    match codec:
        case Wrapped():
            return None if value is None else _value(codec.inner, value)
        case Sequence():
            return tuple(_record(codec.of, item) for item in value)
        case Key():
            return bytes.fromhex(value)
        case Text():
            return _raw(value).decode("utf-8", "surrogateescape")
        case Data():
            return _raw(value)
        case _:
            return value


def _raw(value: Any) -> bytes:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else str(value).encode()
