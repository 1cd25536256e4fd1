"""Storage and passwords that answer when a talk says so: everything else happens meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, fail

from superchat.auth.passwords import Passwords
from superchat.storage.errors import Unavailable
from superchat.storage.interface import IStorage

_AT_ONCE: Final = frozenset({"open", "close", "statistics"})
_READS: Final = frozenset(
    {
        "account",
        "account_named",
        "accounts",
        "acts",
        "bans",
        "channels",
        "channels_of",
        "counts_since",
        "invite",
        "invite_between",
        "invites",
        "message",
        "participants",
        "read_positions",
        "root_page",
        "seen_ancestor",
        "ssh_key",
        "ssh_keys",
        "thread_page",
    }
)
"""What several threads answer in any order. Everything else is done by one, in the order in which it was asked."""

Wait = Callable[[Deferred[Any]], None]
"""Makes a Deferred of the real storage fire."""


@attrs.frozen(eq=False)
class _Call:
    begin: Callable[[], Deferred[Any]]
    answer: Deferred[Any]
    is_ordered: bool
    may_fail: bool


class Late:
    """Keeps calls waiting while `is_late`; otherwise they are answered at once."""

    def __init__(self, wait: Wait = lambda deferred: None) -> None:
        self.is_late = False
        self.is_full = False
        """Whether the storage takes nothing more, as long as somebody waits for it."""
        self._wait = wait
        self._calls: list[_Call] = []

    def __len__(self) -> int:
        return len(self._calls)

    def ask(self, begin: Callable[[], Deferred[Any]], *, is_ordered: bool, may_fail: bool) -> Deferred[Any]:
        """Begin now or later, or not at all."""
        if self.is_full and may_fail and self._calls:
            return fail(Unavailable("too many wait"))
        if not self.is_late and not (is_ordered and any(call.is_ordered for call in self._calls)):
            deferred = begin()
            self._wait(deferred)
            return deferred
        call = _Call(begin, Deferred(), is_ordered, may_fail)
        self._calls.append(call)
        return call.answer

    def answer(self, number: int, *, fails: bool = False) -> None:
        """Answer the call with this number, counted from the oldest and round again, or the one it has to wait for."""
        if not self._calls:
            return
        call = self._calls[number % len(self._calls)]
        if call.is_ordered:
            call = next(each for each in self._calls if each.is_ordered)
        self._calls.remove(call)
        result = fail(Unavailable("the storage is tired")) if fails and call.may_fail else call.begin()
        self._wait(result)
        result.addBoth(call.answer.callback)

    def answer_all(self) -> None:
        """Until nobody waits any more."""
        while self._calls:
            self.answer(0)


class LateStorage:
    """A storage whose every operation may be late, and may fail."""

    def __init__(self, late: Late, storage: Any) -> None:
        self._late = late
        self._storage = storage

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._storage, name)
        if name in _AT_ONCE or name not in IStorage.names(all=True):
            return method

        def asked(*arguments: Any, **named: Any) -> Deferred[Any]:
            def begin() -> Deferred[Any]:
                done: Deferred[Any] = method(*arguments, **named)
                return done

            return self._late.ask(begin, is_ordered=name not in _READS, may_fail=True)

        return asked


class LatePasswords:
    """Passwords that may be late."""

    def __init__(self, late: Late, passwords: Passwords) -> None:
        self.work = passwords.work
        self.derive = passwords.derive
        self.stop = passwords.stop
        self._late = late
        self._passwords = passwords

    def hash(self, secret: str) -> Deferred[str]:
        """See `Passwords`."""
        return self._computed(lambda: self._passwords.hash(secret))

    def verify(self, secret: str, stored: str) -> Deferred[bool]:
        """See `Passwords`."""
        return self._computed(lambda: self._passwords.verify(secret, stored))

    def verify_nobody(self, secret: str) -> Deferred[bool]:
        """See `Passwords`."""
        return self._computed(lambda: self._passwords.verify_nobody(secret))

    def _computed(self, begin: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        return self._late.ask(begin, is_ordered=False, may_fail=False)
