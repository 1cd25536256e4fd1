"""Finds the function around a line of a file, for tracemalloc knows only lines."""

from __future__ import annotations

import linecache
import re
import sys
import tokenize
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

import attrs

from superchat.ops.profiling.profile import Frame

MAX_FILES: Final = 2_000
"""Of more, only file and line are told."""

MAX_FILE_BYTES: Final = 4_194_304

_DEFINITION: Final = re.compile(r"\s*(?:async\s+)?(def|class)\s+(\w+)")
_CODE: Final = re.compile(r"(\s*)[^\s#)\]}]")
_TRIPLE: Final = re.compile(r"\"{3}|'{3}")


@attrs.frozen
class _Scope:
    """A function or class, and from which line on it is the innermost one."""

    line: int
    indentation: int = -1
    name: str = ""  # qualified, as in co_qualname; of a module, empty
    is_function: bool = False
    first_line: int = 0


class Sources:
    """Reads each file once, line by line: parsing it would hold the GIL, and so the reactor, for many milliseconds.

    By indentation, so a text within a function that looks like a function at its beginning may be taken for one.
    """

    def __init__(self) -> None:
        self._modules = _module_names()
        self._files: dict[str, list[_Scope]] = {}

    def frame(self, file: str, line: int) -> Frame:
        """Name the function at a line; the module, if the line is in none or the file cannot be read."""
        if file not in self._files:
            self._files[file] = list(_scopes(_lines(file))) if len(self._files) < MAX_FILES else []
        scopes = self._files[file]
        module = self._modules.get(file, file)
        index = bisect_right(scopes, line, key=lambda scope: scope.line) - 1
        if index < 0:
            return Frame(f"{module}:{line}", file, line)
        return Frame(f"{module}.{scopes[index].name or '<module>'}", file, line, scopes[index].first_line)


def _module_names() -> dict[str, str]:
    names: dict[str, str] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            names.setdefault(file, name)
    return names


def _scopes(lines: Iterator[str]) -> Iterator[_Scope]:
    """Where functions and classes begin, and where those around them go on, by line."""
    enclosing = [_Scope(1)]
    quotes = ""
    for number, line in enumerate(lines, 1):
        marks = _TRIPLE.findall(line)
        code = None if quotes else _CODE.match(line)
        if quotes:
            quotes = "" if quotes in marks else quotes
        elif len(marks) % 2:
            quotes = marks[-1]
        if number == 1:
            yield enclosing[0]
        if code is not None and (changed := _entered_or_left(enclosing, number, line, len(code[1].expandtabs()))):
            yield changed


def _entered_or_left(enclosing: list[_Scope], number: int, line: str, indentation: int) -> _Scope | None:
    """Change the list of scopes around a line of code; return the innermost one if it is another than before."""
    before = enclosing[-1]
    while indentation <= enclosing[-1].indentation:
        enclosing.pop()
    around = enclosing[-1]
    definition = _DEFINITION.match(line)
    if definition is not None:
        name = f"{around.name}{'.<locals>' * around.is_function}.{definition[2]}".removeprefix(".")
        enclosing.append(_Scope(number, indentation, name, definition[1] == "def", number))
    return None if enclosing[-1] is before else attrs.evolve(enclosing[-1], line=number)


def _lines(file: str) -> Iterator[str]:
    if file in linecache.cache:
        # Generated code is only there.
        yield from linecache.getlines(file)
        return
    try:
        with tokenize.open(file) as source:
            yield from source.readlines(MAX_FILE_BYTES)
    except (OSError, SyntaxError, UnicodeError):
        return
