"""Why a request is not answered with a profile."""

from __future__ import annotations

from http import HTTPStatus
from types import TracebackType


class Refusal(Exception):
    """An HTTP status, and a sentence for who asked."""

    def __init__(self, code: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class OneAtATime:
    """Lets one request through, and refuses the others with `sentence` and 409 until that one has left."""

    def __init__(self, sentence: str) -> None:
        self._sentence = sentence
        self._taken = False

    def __enter__(self) -> None:
        if self._taken:
            raise Refusal(HTTPStatus.CONFLICT, self._sentence)
        self._taken = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._taken = False
