"""Takes out of the guides what can be tried: commands, queries, files, and the table of corrections."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

ROOT: Final = Path(__file__).resolve().parents[2]
ETC: Final = ROOT / "etc"
GUIDE: Final = Path(__file__).with_name("guide.txt")
OURS: Final = ROOT / "docs" / "monitoring.md"

_COMMAND = re.compile(r"(?:tail|grep|sudo|scd|curl|ssh|open|go|go-torch|docker|wget|chmod|\./\S+|du|watch|while) ?")
_CONTINUED = re.compile(r"  (?:awk|--name|-p|grafana/|TIMESTAMP|go|sleep)")
_QUERY = re.compile(r"(?:superchat_|rate\(|histogram_quantile\(|process_|deriv\(|avg by)")
_METRIC = re.compile(r"((?:superchat|go|process)_\w+)(?:\{([^}]*)\})? \((Gauge|Counter|Histogram)\)")
_BULLET = re.compile(r" +• (?:Query|Rate): (.*)")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")


@attrs.frozen
class Metric:
    """A metric as the guide announces it."""

    name: str
    labels: frozenset[str]
    kind: str


@attrs.frozen
class Block:
    """A fenced block of a Markdown file: its language, its text, and the number of its first line."""

    language: str
    text: str
    line: int


@attrs.frozen
class Correction:
    """A row of the table "The guide says / use this", as far as it is code."""

    says: tuple[str, ...]
    use: tuple[str, ...]


# The files in the guide: the line each begins with, and the line after it.
_FILES: Final = {
    "superchat-dashboard.json": ("{", "Alert Rules"),
    "alerts.yml": ("groups:", "Alertmanager Configuration"),
    "alertmanager.yml": ("global:", "Health Checks"),
    "health.json": ("{", "Use cases:"),
    "healthcheck.sh": ("#!/bin/bash", "Usage:"),
    "pod.yml": ("apiVersion: v1", "Performance Profiling"),
    "rsyslog.conf": ("# /etc/rsyslog.d/superchat.conf", "logrotate Configuration"),
    "logrotate": ("/var/lib/superchat/*.log {", "ELK Stack Integration"),
    "filebeat.yml": ("filebeat.inputs:", "Common Patterns"),
}


class Guide:
    """The guide of the reference server: `files` by name, `commands`, `queries` and `metrics` in their order."""

    def __init__(self, text: str) -> None:
        self.files: dict[str, str] = {}
        lines = self._without_files(text.splitlines())
        self.commands = list(commands("\n".join(line for line in lines if _is_command(line))))
        self.queries = [query for line in lines if (query := _query(line))]
        self.metrics = [
            Metric(match[1], frozenset(re.findall(r"(\w+)=", match[2] or "")), match[3].lower())
            for line in lines
            if (match := _METRIC.match(line))
        ]
        self.log_lines = [line for line in lines if re.match(r"\d{4}/\d\d/\d\d ", line)]

    def _without_files(self, lines: list[str]) -> list[str]:
        for name, (first, after) in _FILES.items():
            start = lines.index(first)
            end = lines.index(after, start)
            self.files[name] = "\n".join(lines[start:end]).strip() + "\n"
            del lines[start:end]
        return lines


def guide() -> Guide:
    """The guide in this directory."""
    return Guide(GUIDE.read_text("utf-8"))


def fenced(markdown: str) -> list[Block]:
    """The fenced blocks of a Markdown text."""
    return [
        Block(match[1], match[2], markdown.count("\n", 0, match.start()) + 2) for match in _FENCE.finditer(markdown)
    ]


def ours(*languages: str) -> list[Block]:
    """The blocks of docs/monitoring.md in these languages."""
    return [block for block in fenced(OURS.read_text("utf-8")) if block.language in languages]


def commands(shell: str) -> Iterator[str]:
    """The commands of a shell text, each as one string: loops and continued lines stay together."""
    lines: list[str] = []
    for line in shell.splitlines():
        if not lines and (not line.strip() or line.startswith("#")):
            continue
        lines.append(line)
        if not line.endswith("\\") and not (lines[0].startswith("while") and line != "done"):
            yield "\n".join(lines)
            lines = []
    assert not lines, lines


def corrections() -> list[Correction]:
    """What our table at the end of docs/monitoring.md says that cannot work, and what has to take its place."""
    return _tables()[0]


def improvements() -> list[Correction]:
    """What the table after it says that works, and what is better."""
    return _tables()[1]


def _tables() -> list[list[Correction]]:
    text = OURS.read_text("utf-8").partition("\n## The guide says / use this\n")[2]
    tables: list[list[Correction]] = []
    for line in text.splitlines():
        if line.startswith("| the guide says"):
            tables.append([])
        elif line.startswith("| "):
            says, use, _ = line.strip("| ").split(" | ", 2)
            tables[-1].append(Correction(_code(says), _code(use)))
    return tables


def _code(cell: str) -> tuple[str, ...]:
    return tuple(code.replace("\\|", "|") for code in _CODE.findall(cell))


def _is_command(line: str) -> bool:
    if _query(line) or _METRIC.match(line):
        return False
    # The rest of a loop, or of a line that was continued, is indented.
    return line == "done" or _COMMAND.match(line) is not None or _CONTINUED.match(line) is not None


def _query(line: str) -> str:
    """The query in a line, without the words about it."""
    bullet = _BULLET.match(line)
    if bullet:
        return re.sub(r" = [^=].*", "", bullet[1])
    return line if _QUERY.match(line) and not _METRIC.match(line) else ""
