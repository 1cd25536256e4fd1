"""Which ways an input takes through the code: line to line, in the files of a target."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeVar

import superchat

T = TypeVar("T")

_HOME = str(Path(superchat.__file__).parent) + "/"
_GENERATED = "<superchat.wire "


class TooMuchWork(AssertionError):
    """An input kept the code busy for longer than its size allows."""


class Edges:
    """Runs functions and takes note of every pair of lines that were executed one after the other.

    Only in source files whose names, from the package's folder on, begin with one of *files*; the functions that
    `superchat.wire` generates belong to ``wire/``, and a name with a slash in front is any folder's.
    """

    def __init__(self, files: tuple[str, ...]) -> None:
        self._files = files
        self._wanted: dict[CodeType, bool] = {}
        self.steps = 0
        """Lines that the latest run has executed."""

    def of(self, function: Callable[[], T], most_steps: int) -> tuple[T, set[Hashable]]:
        """What *function* returns, and its edges. Raises `TooMuchWork`, and whatever *function* raises."""
        edges: set[Hashable] = set()
        self.steps = 0

        def local(code: CodeType) -> Callable[[FrameType, str, Any], Any]:
            before = 0

            def line(frame: FrameType, event: str, argument: Any) -> Any:
                nonlocal before
                if event == "line":
                    edges.add((code, before, frame.f_lineno))
                    before = frame.f_lineno
                    self.steps += 1
                    if self.steps > most_steps:
                        raise TooMuchWork(f"more than {most_steps} lines executed")
                return line

            return line

        def called(frame: FrameType, event: str, argument: Any) -> Any:
            return local(frame.f_code) if self._is_wanted(frame.f_code) else None

        others = sys.gettrace()  # a coverage report of the tests, say
        sys.settrace(called)
        try:
            result = function()
        finally:
            sys.settrace(others)
        if self.steps > most_steps:  # and who executed them has caught what was raised about it
            raise TooMuchWork(f"more than {most_steps} lines executed")
        return result, edges

    def _is_wanted(self, code: CodeType) -> bool:
        wanted = self._wanted.get(code)
        if wanted is None:
            wanted = self._wanted[code] = self._is_ours(code.co_filename)
        return wanted

    def _is_ours(self, filename: str) -> bool:
        if filename.startswith(_GENERATED):
            return "wire/" in self._files
        if filename.startswith(_HOME):
            return filename.removeprefix(_HOME).startswith(self._files)
        return any(name.startswith("/") and name in filename for name in self._files)
