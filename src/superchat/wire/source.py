"""Writes the two functions, one each way, that turn a declared record into bytes and back.

The codecs in ``fields`` say what stands on the wire, in order. The two classes here collect that as Python
source and merge neighbouring fields of fixed size into a single ``struct.Struct``, so that a message costs a
handful of calls instead of one or two per field. ``build`` compiles the result, once per class at import.

    PackSource      one expression: the byte strings of all fields, joined
    UnpackSource    statements: each reads at offset ``at`` of ``payload`` and moves ``at`` on
"""

from __future__ import annotations

import linecache
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

Scope = dict[str, Any]


def _struct(formats: list[str]) -> tuple[str, struct.Struct]:
    """Name a big-endian struct for use in generated source, such as ``QQ_`` for ``>QQ?``."""
    layout = "".join(formats)
    return layout.replace("?", "_"), struct.Struct(">" + layout)


class PackSource:
    """The expression that makes one record's bytes."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._parts: list[str] = []
        self._formats: list[str] = []
        self._values: list[str] = []

    def fixed(self, format: str, value: str) -> None:
        """Add the expression ``value``, packed by the struct character ``format``."""
        self._formats.append(format)
        self._values.append(value)

    def piece(self, expression: str) -> None:
        """Add an expression that is a byte string already."""
        self._flush()
        self._parts.append(expression)

    def branch(self) -> PackSource:
        """Start an expression of its own, for something that is not always there."""
        return PackSource(self.scope)

    def expression(self) -> str:
        """Everything added so far as one Python expression of type bytes."""
        self._flush()
        if len(self._parts) == 1:
            return self._parts[0]
        return f"b''.join(({''.join(part + ', ' for part in self._parts)}))"

    def _flush(self) -> None:
        if self._formats:
            name, layout = _struct(self._formats)
            self.scope[f"pack_{name}"] = layout.pack
            self._parts.append(f"pack_{name}({', '.join(self._values)})")
            self._formats, self._values = [], []


class UnpackSource:
    """The statements that read one record's fields into local variables of the same names.

    A variable part may claim more bytes than there are: its slice comes out short and ``at`` moves past the
    end. Then the next fixed read fails, or the caller's comparison of the final ``at`` with the length does.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._lines: list[str] = []
        self._indent = "    "
        self._formats: list[str] = []
        self._targets: list[str] = []

    def fixed(self, format: str, target: str) -> None:
        """Read one value by the struct character ``format`` into ``target``."""
        self._formats.append(format)
        self._targets.append(target)

    def line(self, statement: str) -> None:
        """Add a statement as it is."""
        self._flush()
        self._lines.append(self._indent + statement)

    @contextmanager
    def block(self, header: str) -> Iterator[None]:
        """Indent what is added meanwhile under ``header``."""
        self.line(header)
        outer, self._indent = self._indent, self._indent + "    "
        yield
        self._flush()
        self._indent = outer

    def statements(self) -> str:
        """Everything added so far."""
        self._flush()
        return "\n".join(self._lines)

    def _flush(self) -> None:
        if self._formats:
            name, layout = _struct(self._formats)
            self.scope[f"unpack_{name}"] = layout.unpack_from
            targets = ", ".join(self._targets) + ","
            self._formats, self._targets = [], []
            self.line(f"{targets} = unpack_{name}(payload, at)")
            self.line(f"at += {layout.size}")


def build(name: str, source: str, scope: Scope) -> None:
    """Run ``source`` in ``scope``; tracebacks and debuggers can show its lines."""
    filename = f"<superchat.wire {name}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    exec(compile(source, filename, "exec"), scope)
