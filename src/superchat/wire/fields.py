"""Field codecs: everything that can stand in a message, declared once.

``channel_id: int = u64("what it is")`` in a class body says all there is to know about the field: its bytes,
the tables in docs/protocol.md, the test strategies and what a debug line may show are derived from it. A
codec touches no bytes itself. It describes its place in the record to the two builders of ``source``, which
compile one function each way per class.

Declarations use the constructors at the end of this module.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

import attrs

from superchat.wire.source import PackSource, UnpackSource

if TYPE_CHECKING:
    from superchat.wire.records import Record

REQUIRED: Final = object()  # the default of fields that have none
SHOWN_CHARACTERS: Final = 40  # of a text, in debug lines


@attrs.frozen(kw_only=True)
class Codec(ABC):
    """How one field looks on the wire; ``doc`` is a short note for the protocol page."""

    doc: str = ""
    default: object = REQUIRED
    when: str = "always"

    @property
    @abstractmethod
    def wire_type(self) -> str:
        """The type's name in the protocol's own notation."""

    @abstractmethod
    def pack(self, source: PackSource, value: str) -> None:
        """Add the bytes of the expression ``value`` to the record."""

    @abstractmethod
    def unpack(self, source: UnpackSource, target: str) -> None:
        """Add the statements that read this field into the variable ``target``."""

    @property
    def core(self) -> Codec:
        """The codec of the value itself, without conditions around it."""
        return self

    def show(self, value: Any) -> str:
        """Describe a value for people, shortly. Bytes are content or keys, and never shown."""
        return f"<{len(value)} bytes>" if isinstance(value, bytes) else str(value)


@attrs.frozen(kw_only=True)
class Fixed(Codec):
    """A value of fixed size, packed by one ``struct`` character."""

    wire_type: str
    format: str

    def pack(self, source: PackSource, value: str) -> None:
        source.fixed(self.format, value)

    def unpack(self, source: UnpackSource, target: str) -> None:
        source.fixed(self.format, target)


@attrs.frozen(kw_only=True)
class Integer(Fixed):
    """A whole number; ``struct`` refuses anything outside ``minimum..maximum``."""

    minimum: int
    maximum: int


@attrs.frozen(kw_only=True)
class Key(Fixed):
    """Exactly ``size`` raw bytes; ``struct`` alone would pad or cut them silently."""

    size: int

    def pack(self, source: PackSource, value: str) -> None:
        source.scope["sized"] = sized
        source.fixed(self.format, f"sized({value}, {self.size})")


@attrs.frozen(kw_only=True)
class Counted(Codec):
    """Bytes after a u16 count of them; ``struct`` refuses a count over 65535."""

    wire_type: str = "string"
    conversion: str = ""

    def unpack(self, source: UnpackSource, target: str) -> None:
        source.fixed("H", f"_{target}_size")
        source.line(f"{target} = payload[at : at + _{target}_size]{self.conversion}")
        source.line(f"at += _{target}_size")


@attrs.frozen(kw_only=True)
class Data(Counted):
    """Bytes that mean something to the clients only."""

    def pack(self, source: PackSource, value: str) -> None:
        source.fixed("H", f"len({value})")
        source.piece(value)


@attrs.frozen(kw_only=True)
class Text(Counted):
    """UTF-8; bytes that are none come back as they were (wire 3). If ``secret``, it is never shown."""

    secret: bool = False
    conversion: str = ".decode('utf-8', 'surrogateescape')"

    def pack(self, source: PackSource, value: str) -> None:
        encoded = f"_{value.removeprefix('self.')}"
        source.fixed("H", f"len({encoded} := {value}.encode('utf-8', 'surrogateescape'))")
        source.piece(encoded)

    def show(self, value: Any) -> str:
        if self.secret:
            return f"<{len(value)} characters>"
        if len(value) > SHOWN_CHARACTERS:
            return f"{value[:SHOWN_CHARACTERS]!r}...({len(value)})"
        return repr(value)


@attrs.frozen(kw_only=True)
class Wrapped(Codec):
    """Another codec that is not always there; ``None`` stands for its absence."""

    inner: Codec
    default: object = None

    @property
    def wire_type(self) -> str:
        return self.inner.wire_type

    @property
    def core(self) -> Codec:
        return self.inner.core

    def show(self, value: Any) -> str:
        return self.inner.show(value)

    def _pack_if(self, source: PackSource, condition: str, value: str) -> None:
        present = source.branch()
        self.inner.pack(present, value)
        source.piece(f"({present.expression()} if {condition} else b'')")

    def _unpack_if(self, source: UnpackSource, condition: str, target: str) -> None:
        source.line(f"{target} = {self.default!r}")
        with source.block(f"if {condition}:"):
            self.inner.unpack(source, target)


@attrs.frozen(kw_only=True)
class Optional(Wrapped):
    """A presence byte, then the value if that byte is not zero."""

    @property
    def wire_type(self) -> str:
        return f"optional<{self.inner.wire_type}>"

    def pack(self, source: PackSource, value: str) -> None:
        source.fixed("?", f"{value} is not None")
        self._pack_if(source, f"{value} is not None", value)

    def unpack(self, source: UnpackSource, target: str) -> None:
        source.fixed("?", f"_{target}_present")
        self._unpack_if(source, f"_{target}_present", target)


@attrs.frozen(kw_only=True)
class Given(Wrapped):
    """On the wire only if ``when``, a condition on an earlier field, holds; else its value is ignored.

    A condition is Python and begins with that field's name: ``success``, ``target_type in [0, 2]``. So it holds
    for the local variables of the reading function as it is, and with ``self.`` before it for the writing one's.
    """

    when: str

    def pack(self, source: PackSource, value: str) -> None:
        self._pack_if(source, f"self.{self.when}", value)

    def unpack(self, source: UnpackSource, target: str) -> None:
        self._unpack_if(source, self.when, target)


@attrs.frozen(kw_only=True)
class Trailing(Wrapped):
    """A last field that a peer may leave out by ending the payload; ``None`` leaves it out."""

    def pack(self, source: PackSource, value: str) -> None:
        self._pack_if(source, f"{value} is not None", value)

    def unpack(self, source: UnpackSource, target: str) -> None:
        self._unpack_if(source, "at < len(payload)", target)


@attrs.frozen(kw_only=True)
class Sequence(Codec):
    """A count, then that many records; read one by one, so that a false count reserves nothing."""

    of: type[Record]
    count: Integer
    default: object = ()

    @property
    def wire_type(self) -> str:
        return f"list<{self.of.NAME}>"

    def pack(self, source: PackSource, value: str) -> None:
        write = f"write_{self.of.__name__}"
        source.scope[write] = self.of.write
        source.fixed(self.count.format, f"len({value})")
        source.piece(f"b''.join([{write}(item) for item in {value}])")

    def unpack(self, source: UnpackSource, target: str) -> None:
        read = f"read_{self.of.__name__}"
        source.scope[read] = self.of.read
        source.fixed(self.count.format, f"_{target}_count")
        source.line(f"_{target} = []")
        with source.block(f"for _ in range(_{target}_count):"):
            source.line(f"item, at = {read}(payload, at)")
            source.line(f"_{target}.append(item)")
        source.line(f"{target} = tuple(_{target})")

    def show(self, value: Any) -> str:
        return f"<{len(value)} items>"


def sized(value: bytes, size: int) -> bytes:
    """Return ``value`` if it has ``size`` bytes. Raises ValueError otherwise."""
    if len(value) != size:
        raise ValueError(f"{size} bytes wanted, not {len(value)}")
    return value


def _unsigned(wire_type: str, format: str, bits: int, doc: str) -> Integer:
    return Integer(wire_type=wire_type, format=format, minimum=0, maximum=(1 << bits) - 1, doc=doc)


def _signed(wire_type: str, doc: str) -> Integer:
    return Integer(wire_type=wire_type, format="q", minimum=-(1 << 63), maximum=(1 << 63) - 1, doc=doc)


# What declarations are written with. The annotation beside them names the type of the value, hence Any.


def u8(doc: str = "") -> Any:
    """A number of 1 byte: 0..255."""
    return _unsigned("u8", "B", 8, doc)


def u16(doc: str = "") -> Any:
    """A number of 2 bytes: 0..65535."""
    return _unsigned("u16", "H", 16, doc)


def u32(doc: str = "") -> Any:
    """A number of 4 bytes: 0..2**32-1."""
    return _unsigned("u32", "I", 32, doc)


def u64(doc: str = "") -> Any:
    """A number of 8 bytes: 0..2**64-1."""
    return _unsigned("u64", "Q", 64, doc)


def i64(doc: str = "") -> Any:
    """A signed number of 8 bytes: -2**63..2**63-1."""
    return _signed("i64", doc)


def timestamp(doc: str = "") -> Any:
    """A moment in milliseconds since 1970, signed, 8 bytes."""
    return _signed("timestamp_ms", doc)


def flag(doc: str = "") -> Any:
    """A truth value of 1 byte, written as 0 or 1; any other byte reads as true."""
    return Fixed(wire_type="bool", format="?", doc=doc)


def text(doc: str = "", *, secret: bool = False) -> Any:
    """Up to 65535 bytes of UTF-8 as ``str``; other bytes survive as surrogate escapes."""
    return Text(doc=doc, secret=secret)


def data(doc: str = "") -> Any:
    """Up to 65535 bytes as ``bytes``: message content, which may be ciphertext and is never shown."""
    return Data(doc=doc)


def key32(doc: str = "") -> Any:
    """Exactly 32 bytes, without a count."""
    return Key(wire_type="bytes32", format="32s", size=32, doc=doc)


def optional(inner: Any) -> Any:
    """``inner`` behind a presence byte; None when absent, which is also the default."""
    return Optional(inner=inner, doc=inner.doc)


def sequence(of: type[Record], doc: str = "", *, count: Any = None) -> Any:
    """A tuple of records behind their count (u16 unless told otherwise); empty by default."""
    return Sequence(of=of, count=count or u16(), doc=doc)


def given(when: str, inner: Any) -> Any:
    """``inner``, present only if ``when`` holds; None when absent, which is also the default."""
    return Given(when=when, inner=inner, doc=inner.doc)


def trailing(inner: Any, *, default: object) -> Any:
    """``inner`` at the very end of a message, where older peers may stop early."""
    return Trailing(inner=inner, default=default, when=inner.when, doc=inner.doc)
