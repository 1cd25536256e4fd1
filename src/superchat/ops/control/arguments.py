"""The arguments of a request, looked at before they are used: whoever writes to the socket may have erred."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from superchat.ops.control.messages import ControlError, ErrorKind

LONGEST_TEXT: Final = 4096
LARGEST_NUMBER: Final = 2**63 - 1


class Arguments:
    """Takes arguments by name and kind; every method raises `ControlError` when there is something else."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self._given = dict(given)

    def text(self, name: str) -> str:
        """Text that must be there."""
        value = self.text_or_none(name)
        if value is None:
            raise _wrong(name, "is missing")
        return value

    def text_or_none(self, name: str) -> str | None:
        """Text, or nothing."""
        value = self._given.pop(name, None)
        if value is not None and not (isinstance(value, str) and len(value) <= LONGEST_TEXT):
            raise _wrong(name, f"is no text of at most {LONGEST_TEXT} characters")
        return value

    def number(self, name: str, *, maximum: int = LARGEST_NUMBER) -> int:
        """A number from 0 on that must be there."""
        value = self.number_or_none(name, maximum=maximum)
        if value is None:
            raise _wrong(name, "is missing")
        return value

    def number_or_none(self, name: str, *, maximum: int = LARGEST_NUMBER) -> int | None:
        """A number from 0 on, or nothing."""
        value = self._given.pop(name, None)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= maximum:
            raise _wrong(name, f"is no number from 0 to {maximum}")
        return value

    def flag(self, name: str) -> bool:
        """True or false; false when it is not there."""
        value = self._given.pop(name, False)
        if not isinstance(value, bool):
            raise _wrong(name, "is neither true nor false")
        return value

    def end(self) -> None:
        """Make sure that nothing was given that nobody asked for."""
        if self._given:
            raise _wrong(min(self._given), "is not known")


def _wrong(name: str, problem: str) -> ControlError:
    return ControlError(ErrorKind.USAGE, f"the argument {name[:40]!r} {problem}")
