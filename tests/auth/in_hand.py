"""Passwords that take as long as a test wants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from superchat.auth.passwords import Computation, PasswordWork, TooBusy
from tests.auth.quick import LOWEST_COST, secret_of


class PasswordsInHand:
    """`Passwords` whose every answer comes when the test says so; while it is `full`, they refuse."""

    def __init__(self) -> None:
        self.work = PasswordWork()
        self.full = False
        self._computation = Computation(LOWEST_COST, secret_of)
        self._waiting: list[tuple[Deferred[Any], Callable[[], Any]]] = []

    def hash(self, secret: str) -> Deferred[str]:
        return self._later(lambda: self._computation.hash(secret))

    def verify(self, secret: str, stored: str) -> Deferred[bool]:
        return self._later(lambda: self._computation.verify(secret, stored))

    def verify_nobody(self, secret: str) -> Deferred[bool]:
        return self._later(lambda: self._computation.verify_nobody(secret))

    def derive(self, nickname: str, password: str) -> Deferred[str]:
        return self._later(lambda: self._computation.derivation(nickname, password))

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def answer(self) -> None:
        """Answer what was asked first."""
        deferred, compute = self._waiting.pop(0)
        deferred.callback(compute())

    @property
    def waiting(self) -> int:
        """How many wait for their answers."""
        return len(self._waiting)

    def _later(self, compute: Callable[[], Any]) -> Deferred[Any]:
        if self.full:
            return fail(TooBusy("the test says so"))
        deferred: Deferred[Any] = Deferred()
        self._waiting.append((deferred, compute))
        return deferred
