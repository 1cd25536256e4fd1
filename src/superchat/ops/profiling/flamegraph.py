"""Draws a profile as a flame graph: one SVG without scripts, for the browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from xml.sax.saxutils import escape
from zlib import crc32

import attrs

from superchat.ops.profiling.profile import Measure, Profile
from superchat.ops.profiling.text import amount, path

WIDTH_PIXELS: Final = 1200.0
ROW_PIXELS: Final = 17
MIN_PIXELS: Final = 0.5
"""What is narrower is not drawn."""

MAX_BOXES: Final = 20_000
"""Of more, the outermost are drawn."""

_HEAD_PIXELS: Final = 44
_CHARACTER_PIXELS: Final = 6.6
_ILLEGAL: Final = dict.fromkeys((*range(32), *range(55296, 57344), 65534, 65535), "�")
_STYLE: Final = "text{font:11px monospace;pointer-events:none}rect{stroke:#fff;stroke-width:.5}rect:hover{stroke:#000}"


@attrs.define
class _Node:
    """A function, called the way that leads to it, with what it called."""

    name: str
    value: int = 0
    children: dict[str, _Node] = attrs.field(factory=dict)


@attrs.frozen
class _Box:
    node: _Node
    left: float  # pixels
    depth: int
    width: float  # pixels


def flame_graph(profile: Profile, title: str) -> str:
    """Return an SVG document: callers above, callees below, as wide as the measure that is shown first is large.

    The tooltip of a box has its full name and its share. Stacks whose value is not positive are left out.
    """
    root = _tree(profile, title)
    boxes = list(_boxes(root))[:MAX_BOXES]
    height = _HEAD_PIXELS + ROW_PIXELS * (1 + max(box.depth for box in boxes))
    heading = f"{title}: {amount(root.value, profile.shown)}, {profile.duration_seconds:.1f} s"
    return "".join(
        (
            '<?xml version="1.0" encoding="utf-8"?>\n',
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PIXELS:.0f} {height}" width="100%">',
            f"<style>{_STYLE}</style>\n",
            f'<rect width="100%" height="100%" fill="#f8f8f8"/><text x="6" y="18">{_text(heading)}</text>\n',
            f'<text x="6" y="34">{_text("; ".join(profile.comments))}</text>\n',
            *(_drawn(box, root.value, profile.shown) for box in boxes),
            "</svg>\n",
        )
    )


def _tree(profile: Profile, title: str) -> _Node:
    root = _Node(title)
    for sample in profile.samples:
        value = sample.values[-1]
        if value <= 0:
            continue
        node = root
        node.value += value
        for name in path(sample):
            node = node.children.setdefault(name, _Node(name))
            node.value += value
    return root


def _boxes(root: _Node) -> Iterator[_Box]:
    """What is wide enough to be drawn, row by row."""
    row = [_Box(root, 0.0, 0, WIDTH_PIXELS)]
    while row:
        yield from row
        row = [below for box in row for below in _below(box)]


def _below(box: _Box) -> Iterator[_Box]:
    left = box.left
    for _, child in sorted(box.node.children.items()):
        width = box.width * child.value / box.node.value
        if width >= MIN_PIXELS:
            yield _Box(child, left, box.depth + 1, width)
        left += width


def _drawn(box: _Box, total: int, measure: Measure) -> str:
    name, top = box.node.name, _HEAD_PIXELS + ROW_PIXELS * box.depth
    share = 100 * box.node.value / total if total else 0.0
    tooltip = _text(f"{name}: {amount(box.node.value, measure)}, {share:.1f} %")
    shape = f'x="{box.left:.2f}" y="{top}" width="{box.width:.2f}" height="{ROW_PIXELS - 1}" fill="{_colour(name)}"'
    label = _label(name, box.width)
    written = f'<text x="{box.left + 3:.2f}" y="{top + 12}">{_text(label)}</text>' if label else ""
    return f"<g><title>{tooltip}</title><rect {shape}/>{written}</g>\n"


def _label(name: str, width: float) -> str:
    """As much of a name as fits: its end says more than its beginning."""
    room = int((width - 6) / _CHARACTER_PIXELS)
    if room < 3:
        return ""
    return name if len(name) <= room else f"\N{HORIZONTAL ELLIPSIS}{name[-(room - 1) :]}"


def _colour(name: str) -> str:
    """The server's own code is warm, Twisted's is blue, everything else grey; names differ a little."""
    shade = crc32(name.encode("utf-8", "replace")) % 20
    if name.startswith("superchat."):
        return f"hsl({15 + 2 * shade},85%,68%)"
    if name.startswith("twisted."):
        return f"hsl({195 + shade},55%,76%)"
    return f"hsl(90,8%,{76 + shade // 2}%)"


def _text(text: str) -> str:
    return escape(text.translate(_ILLEGAL))
