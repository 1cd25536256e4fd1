"""Turns: one after the other, and nothing is left of those that are over."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.turns import Turns


class TurnsTests(SynchronousTestCase):
    """``Turns``."""

    def setUp(self) -> None:
        self.turns = Turns()
        self.log: list[str] = []

    def take(self, thing: str, name: str, until: Deferred[None]) -> Deferred[None]:
        async def turn() -> None:
            async with self.turns.of(thing):
                self.log.append(f"{name} begins")
                await until
                self.log.append(f"{name} ends")

        return Deferred.fromCoroutine(turn())

    def test_one_after_the_other(self) -> None:
        """Whoever wants the same thing waits for its turn, in the order they came."""
        ends: list[Deferred[None]] = [Deferred() for _ in range(3)]
        taken = [self.take("pair", str(number), end) for number, end in enumerate(ends)]
        for end in reversed(ends):
            end.callback(None)
        self.assertEqual(self.log, [f"{number} {what}" for number in range(3) for what in ("begins", "ends")])
        for each in taken:
            self.successResultOf(each)
        self.assertEqual(len(self.turns), 0)

    def test_different_things(self) -> None:
        """Others are not waited for, and who is alone begins at once."""
        end: Deferred[None] = Deferred()
        first = self.take("pair", "first", end)
        self.successResultOf(self.take("other", "second", _done()))
        self.assertEqual(self.log, ["first begins", "second begins", "second ends"])
        end.callback(None)
        self.successResultOf(first)

    def test_failure(self) -> None:
        """A turn that fails ends like any other."""
        end: Deferred[None] = Deferred()
        first = self.take("pair", "first", end)
        second = self.take("pair", "second", _done())
        end.errback(ValueError("broken"))
        self.failureResultOf(first, ValueError)
        self.successResultOf(second)
        self.assertEqual(self.log, ["first begins", "second begins", "second ends"])
        self.assertEqual(len(self.turns), 0)

    def test_given_up(self) -> None:
        """Who gives up waiting holds nobody up."""
        end: Deferred[None] = Deferred()
        first = self.take("pair", "first", end)
        second = self.take("pair", "second", _done())
        third = self.take("pair", "third", _done())
        second.cancel()
        self.failureResultOf(second)
        end.callback(None)
        self.successResultOf(first)
        self.successResultOf(third)
        self.assertEqual(len(self.turns), 0)


def _done() -> Deferred[None]:
    done: Deferred[None] = Deferred()
    done.callback(None)
    return done
