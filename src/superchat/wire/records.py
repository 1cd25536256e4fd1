"""Makes classes of field declarations: records inside messages, and the messages themselves."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, ClassVar, Final, Self, TypeVar, dataclass_transform

import attrs

from superchat.wire.errors import Malformed, Unencodable
from superchat.wire.fields import (
    REQUIRED,
    Codec,
    data,
    flag,
    i64,
    key32,
    text,
    timestamp,
    u8,
    u16,
    u32,
    u64,
)
from superchat.wire.source import PackSource, Scope, UnpackSource, build

R = TypeVar("R", bound="Record")
M = TypeVar("M", bound="Message")


class Sender(Enum):
    """Which side of a connection sends a message."""

    CLIENT = "client"
    SERVER = "server"
    EITHER = "either"


# Fields that imply a default (``optional``, ``sequence``, ``given``, ``trailing``) are no specifiers on
# purpose: a type checker takes them for default values, and that is what they are.
@dataclass_transform(
    kw_only_default=True,
    frozen_default=True,
    field_specifiers=(u8, u16, u32, u64, i64, timestamp, flag, text, data, key32),
)
class Record:
    """Declared fields in the order of the wire. Subclasses are frozen attrs classes made by ``record``."""

    __slots__ = ()

    NAME: ClassVar[str]
    FIELDS: ClassVar[Mapping[str, Codec]] = MappingProxyType({})

    # Compiled from FIELDS. ``read`` takes a payload and an offset, and returns the record and the offset
    # after it. Neither translates errors: that is up to the message around them.
    write: ClassVar[Callable[[Any], bytes]]
    read: ClassVar[Callable[[bytes, int], tuple[Any, int]]]

    def __str__(self) -> str:
        shown = [self.NAME]
        for name, codec in self.FIELDS.items():
            value = getattr(self, name)
            if value is not None:
                shown.append(f"{name}={codec.show(value)}")
        return " ".join(shown)

    __repr__ = __str__


class Message(Record):
    """What one frame carries. Subclasses are made by ``message``.

    Sizes of texts are the rules' business, not the codec's: an empty POST_MESSAGE packs and unpacks
    (decisions 2.1 and 4.4).
    """

    __slots__ = ()

    CODE: ClassVar[int]
    SENDER: ClassVar[Sender]

    def pack(self) -> bytes:
        """Encode the payload. Raises Unencodable if a value does not fit its field."""
        try:
            return self.write()
        except (struct.error, AttributeError, TypeError, ValueError) as error:
            raise Unencodable(f"{self.NAME}: {error}") from error

    @classmethod
    def unpack(cls, payload: bytes) -> Self:
        """Decode a payload, ignoring what follows the last field (wire 4). Raises Malformed if it ends early."""
        try:
            message, end = cls.read(payload, 0)
        except (struct.error, IndexError) as error:
            raise Malformed(cls.CODE, cls.NAME, f"{len(payload)} bytes are too few") from error
        if end > len(payload):
            raise Malformed(cls.CODE, cls.NAME, f"{end} bytes wanted, {len(payload)} received")
        return message  # type: ignore[no-any-return]

    @classmethod
    def accept(cls, payload: bytes) -> Self:
        """Decode what a peer sent: as ``unpack``, but some messages take payloads that are not theirs."""
        return cls.unpack(payload)


REGISTERED: Final[dict[int, type[Message]]] = {}
"""Every class made by ``message``, in the order of declaration."""


def record(name: str) -> Callable[[type[R]], type[R]]:
    """Make a class of declared fields a frozen record, known to the protocol as ``name``."""

    def decorate(cls: type[R]) -> type[R]:
        made = _freeze(cls)
        made.NAME = name
        return made

    return decorate


def message(code: int, sender: Sender) -> Callable[[type[M]], type[M]]:
    """Make a class of declared fields the message with type ``code``; its name follows from the class's."""

    def decorate(cls: type[M]) -> type[M]:
        made = _freeze(cls)
        made.NAME = _wire_name(cls.__name__)
        made.CODE = code
        made.SENDER = sender
        REGISTERED[code] = made
        return made

    return decorate


def _wire_name(class_name: str) -> str:
    """Turn ``AddSSHKey`` into ``ADD_SSH_KEY``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", class_name).upper()


def _freeze(cls: type[R]) -> type[R]:
    own = {name: value for name, value in vars(cls).items() if isinstance(value, Codec)}
    these = {name: attrs.field(default=_default(codec)) for name, codec in own.items()}
    made = attrs.frozen(cls, these=these, kw_only=True, repr=False, str=False)
    made.FIELDS = MappingProxyType({**cls.FIELDS, **own})
    made.write, made.read = _compile(made)
    return made


def _default(codec: Codec) -> object:
    return attrs.NOTHING if codec.default is REQUIRED else codec.default


def _compile(cls: type[Record]) -> tuple[Any, Any]:
    scope: Scope = {"cls": cls}
    pack, unpack = PackSource(scope), UnpackSource(scope)
    for name, codec in cls.FIELDS.items():
        codec.pack(pack, f"self.{name}")
        codec.unpack(unpack, name)
    unpack.line(f"return cls({', '.join(f'{name}={name}' for name in cls.FIELDS)}), at")
    build(f"{cls.__name__}.write", f"def write(self):\n    return {pack.expression()}\n", scope)
    build(f"{cls.__name__}.read", f"def read(payload, at):\n{unpack.statements()}\n", scope)
    return scope["write"], staticmethod(scope["read"])
