"""The event loop serves sockets, and calls what is due in its order."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from superchat.loadtest.loop import READ, WRITE, Loop, now_us


class LoopTests(SynchronousTestCase):
    """Turns of the loop."""

    def test_timers(self) -> None:
        """What is due is called in the order of its times, and of being asked for; what is not due waits."""
        loop, called, now = Loop(), list[str](), now_us()
        loop.at(now - 10, lambda: called.append("second"))
        loop.at(now - 10, lambda: called.append("third"))
        loop.at(now - 20, lambda: called.append("first"))
        loop.at(now + 3_600_000_000, lambda: called.append("never"))
        loop.turn()
        self.assertEqual(called, ["first", "second", "third"])

    def test_sockets(self) -> None:
        """A socket is heard of while it is watched, for what it is watched for."""
        loop, events = Loop(), list[int]()
        here, there = socket.socketpair()
        self.addCleanup(here.close)
        self.addCleanup(there.close)
        loop.watch(here, WRITE, events.append)
        loop.turn()
        there.send(b"x")
        loop.watch(here, READ, events.append)
        loop.turn()
        loop.forget(here)
        loop.forget(here)
        loop.at(now_us(), lambda: None)
        loop.turn()
        self.assertEqual(events, [WRITE, READ])

    def test_stop(self) -> None:
        """It runs until it is stopped."""
        loop = Loop()
        loop.at(now_us(), loop.stop)
        loop.run()
