"""What the server tells unasked."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from superchat.tools.cli_incoming import EVENTS_KEPT, REQUESTS_KEPT, Incoming
from superchat.wire import messages as wire
from superchat.wire.records import Message
from tests.tools.people_in_memory import request


def ready(name: str) -> wire.DMReady:
    return wire.DMReady(channel_id=9, other_nickname=name, is_encrypted=False)


def is_bobs(event: Message) -> bool:
    return isinstance(event, wire.DMReady) and event.other_nickname == "bob"


class WaitingTests(SynchronousTestCase):
    """Events reach whoever waits for them."""

    def setUp(self) -> None:
        self.incoming = Incoming()

    def test_later(self) -> None:
        """An event that is waited for goes to who waits, and to nobody else."""
        waiting = self.incoming.wait(is_bobs)
        self.assertFalse(self.incoming.take(ready("carol")))
        self.assertNoResult(waiting)
        self.assertTrue(self.incoming.take(ready("bob")))
        self.assertEqual(self.successResultOf(waiting), ready("bob"))
        self.assertFalse(self.incoming.take(ready("bob")))

    def test_earlier(self) -> None:
        """An event that came before somebody waited is not lost, and is given once."""
        self.incoming.take(ready("bob"))
        self.successResultOf(self.incoming.wait(is_bobs))
        self.assertNoResult(self.incoming.wait(is_bobs))

    def test_given_up(self) -> None:
        """Who gives up takes nothing away from the next."""
        waiting = self.incoming.wait(is_bobs)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertFalse(self.incoming.take(ready("bob")))
        self.successResultOf(self.incoming.wait(is_bobs))

    def test_memory_is_bounded(self) -> None:
        """A server that talks without end costs bounded memory."""
        self.incoming.take(ready("bob"))
        for number in range(EVENTS_KEPT):
            self.incoming.take(ready(f"x{number}"))
        self.assertNoResult(self.incoming.wait(is_bobs))
        for number in range(REQUESTS_KEPT + 1):
            self.incoming.take(request(invite_id=number + 1, name=f"x{number}"))
        self.assertEqual(len(self.incoming.requests), REQUESTS_KEPT)
        self.assertIsNone(self.incoming.request_of("x0"))


class RequestTests(SynchronousTestCase):
    """Who wants to talk."""

    def setUp(self) -> None:
        self.incoming = Incoming()
        self.first, self.second = request(invite_id=5), request(invite_id=6, name="~Carol")
        self.incoming.take(self.first)
        self.incoming.take(self.second)

    def test_names(self) -> None:
        """A request goes by its sender's name, with or without ``~``, in any case, and by its id."""
        for name in ("carol", "~carol", "CAROL", "6"):
            self.assertEqual(self.incoming.request_of(name), self.second, name)
        for name in ("dave", "7", "", "²"):
            self.assertIsNone(self.incoming.request_of(name), name)

    def test_name_of_digits(self) -> None:
        """A nickname that consists of digits comes before an id."""
        third = request(invite_id=7, name="555")
        self.incoming.take(third)
        self.incoming.take(request(invite_id=555, name="eve"))
        self.assertEqual(self.incoming.request_of("555"), third)

    def test_answered(self) -> None:
        """A request that is answered, or whose conversation began, is none any more."""
        self.incoming.close(self.first)
        self.assertEqual(self.incoming.requests, [self.second])
        self.incoming.take(ready("carol"))
        self.assertEqual(self.incoming.requests, [])
