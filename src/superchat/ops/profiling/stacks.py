"""Reads the stacks of running threads and of suspended coroutines, to a bounded depth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import CodeType, FrameType
from typing import Final

from superchat.ops.profiling.profile import Frame, Stack

MAX_DEPTH: Final = 128
"""Frames per stack; of a deeper one the outer frames are left out."""

CUT: Final = Frame(f"(outside the innermost {MAX_DEPTH} frames)")


def outwards(frame: FrameType | None) -> Iterator[FrameType]:
    """The frame, who called it, and so on."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def stack_of(frames: Iterable[FrameType]) -> Stack:
    """Name the frames, innermost first. Take them from a thread that runs only while holding the GIL."""
    named: list[Frame] = []
    for frame in frames:
        if len(named) == MAX_DEPTH:
            return (*named, CUT)
        named.append(place(frame.f_code, frame.f_globals.get("__name__"), frame.f_lineno))
    return tuple(named)


def place(code: CodeType, module: object, line: int | None = None) -> Frame:
    """Name a line of some code; without a line, its first."""
    first = code.co_firstlineno
    name = f"{module}.{code.co_qualname}" if isinstance(module, str) else code.co_qualname
    return Frame(name, code.co_filename, first if line is None else line, first)
