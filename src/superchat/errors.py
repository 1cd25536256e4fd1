"""How the rules say no."""

from superchat.wire.errors import ErrorCode


class Refused(Exception):
    """A rule said no: the answer is ERROR *code* with *text*, and nothing has changed."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(f"{code.name}: {text}")
        self.code = code
        self.text = text


class Declined(Refused):
    """A rule said no, and the request has an answer of its own that says so: success=false with *text*.

    The refusal is counted under *code* all the same (decisions 3.5). For a request without such an answer it is
    an ERROR like any other.
    """
