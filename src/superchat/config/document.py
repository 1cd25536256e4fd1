"""Reads a TOML file and tells on which line a key stands, so that a mistake can name its place."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

Place = tuple[str | int, ...]
"""Where a value stands in a document: section, position in an array of tables, key."""

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]#]+?)\s*\]")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_SYNTAX_LINE = re.compile(r"\s*\(at line (\d+), column \d+\)$")


class Unreadable(Exception):
    """The file cannot be read or is no TOML."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where
        self.problem = problem


@attrs.frozen
class Document:
    """What a file says, and where; a missing optional file is a Document without content."""

    path: Path | None = None
    content: Mapping[str, Any] = attrs.field(factory=dict)
    lines: Mapping[Place, int] = attrs.field(factory=dict)

    def where(self, *place: str | int) -> str:
        """`file:line` of a place, of what contains it when its own line is unknown, else the file alone."""
        for length in range(len(place), 0, -1):
            if line := self.lines.get(place[:length]):
                return f"{self.path}:{line}"
        return str(self.path)


def read(path: Path) -> Document:
    """Read one TOML file.

    Raises FileNotFoundError when there is none, Unreadable for everything else that is wrong.
    """
    try:
        text = path.read_bytes().decode()
        return Document(path, tomllib.loads(text), _key_lines(text))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unreadable(str(path), f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"{path}:{line}", "is not UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found = _SYNTAX_LINE.search(str(error))
        where = f"{path}:{found[1]}" if found else str(path)
        raise Unreadable(where, f"TOML syntax: {_SYNTAX_LINE.sub('', str(error))}") from None


def _key_lines(text: str) -> dict[Place, int]:
    """The line each header and key stands on, found by looking at line beginnings only.

    Keys inside inline tables are not found; `Document.where` then names the line of what contains them.
    """
    lines: dict[Place, int] = {}
    counts: dict[Place, int] = {}
    section: Place = ()
    quote = ""
    for number, line in enumerate(text.split("\n"), start=1):
        inside, quote = quote, _open_quote(line, quote)
        if inside:
            continue
        if header := _HEADER.match(line):
            section = _parts(header[2])
            if header[1] == "[[":
                counts[section] = counts.get(section, -1) + 1
                section = (*section, counts[section])
            lines.setdefault(section, number)
        elif key := _KEY.match(line):
            lines.setdefault((*section, *_parts(key[1])), number)
    return lines


def _open_quote(line: str, quote: str) -> str:
    """The multi-line quote still open at the end of a line."""
    for found in re.findall(r'"""|\'\'\'', line):
        if not quote:
            quote = found
        elif found == quote:
            quote = ""
    return quote


def _parts(dotted: str) -> Place:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
