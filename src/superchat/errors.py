"""The one exception by which a rule says no."""

from __future__ import annotations

from superchat.wire.errors import ErrorCode


class Refused(Exception):
    """A request was understood and turned down; it is answered with ERROR *code* and *text*, and changes nothing."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text
