"""File descriptors, and what happens without any."""

import errno
import resource
import socket
from typing import Any

from twisted.internet import unix
from twisted.internet.task import Clock
from twisted.internet.tcp import Port
from twisted.logger import LogEvent, Logger, LogPublisher
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.counters import Counters
from superchat.config import Limits
from superchat.ops.descriptors import (
    LEAST,
    PAUSE_SECONDS,
    RESERVED,
    AcceptFailures,
    TooFewDescriptors,
    raise_limit,
    require,
    within,
)
from superchat.ops.noise import ACCEPTING


class LimitTests(SynchronousTestCase):
    """As many users as there are descriptors for."""

    def test_raise(self) -> None:
        """The process gets all that it may have."""
        self.assertEqual(raise_limit(), resource.getrlimit(resource.RLIMIT_NOFILE)[1])

    def test_cannot_raise(self) -> None:
        """A system that does not allow it leaves things as they are."""
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]

        def refuse(which: int, limits: object) -> None:
            raise PermissionError(errno.EPERM, "seccomp")

        self.patch(resource, "setrlimit", refuse)
        self.assertEqual(raise_limit(), soft)

    def test_within(self) -> None:
        """Some descriptors are kept for the server itself, and a lower `max_users` stays."""
        self.assertEqual(within(Limits(), 1024).max_users, 1024 - RESERVED)
        self.assertEqual(within(Limits(max_users=5000), 1024).max_users, 1024 - RESERVED)
        self.assertEqual(within(Limits(max_users=10), 1024).max_users, 10)
        self.assertEqual(within(Limits(), 100).max_users, 50)
        self.assertEqual(within(Limits(), resource.RLIM_INFINITY).max_users, 0)

    def test_too_few(self) -> None:
        """With fewer than it needs for itself a server does not begin to start, and says how many it needs."""
        require(LEAST)
        require(resource.RLIM_INFINITY)
        with self.assertRaises(TooFewDescriptors) as raised:
            require(LEAST - 1)
        self.assertIn(f"{LEAST - 1} files", str(raised.exception))


class FakePort:
    """A listener."""

    connected = True
    disconnecting = False

    def __init__(self) -> None:
        self.reading = True

    def stopReading(self) -> None:
        """Pause."""
        self.reading = False

    def startReading(self) -> None:
        """Go on."""
        self.reading = True


class AcceptFailuresTests(SynchronousTestCase):
    """Few words, all counted, and no busy loop."""

    def setUp(self) -> None:
        """Twisted's own events, without Twisted."""
        self.clock, self.counters, self.port = Clock(), Counters(), FakePort()
        self.publisher = LogPublisher()
        self.reserved: list[bool] = []
        self.failures = AcceptFailures(
            self.counters, self.clock, lambda: [self.port], lambda: self.reserved.append(self.port.reading)
        )
        self.failures.start(self.publisher)
        self.twisted = Logger(namespace=Port._logger.namespace, observer=self.publisher)
        self.lines: list[str] = []
        log = LogPublisher(lambda event: self.lines.append(event["log_format"].format(**event)))  # type: ignore[arg-type]
        self.patch(AcceptFailures, "_log", Logger(observer=log))

    def drop(self, count: int) -> None:
        """What Twisted says when it drops connections."""
        for _ in range(count):
            self.twisted.info("EMFILE encountered; releasing reserved file descriptor.")
            self.twisted.info("EMFILE recovery: Closed socket from {address}", address=("192.0.2.1", 1))
            self.twisted.info("Re-reserving EMFILE recovery file descriptor.")

    def test_one_line_a_second(self) -> None:
        """The first is told at once, the others with the next second's line; each is counted."""
        self.drop(3)
        self.clock.advance(PAUSE_SECONDS)
        self.clock.advance(PAUSE_SECONDS)
        self.drop(1)
        counts = [f"Connections not accepted: {count} (Too many open files)" for count in (1, 2, 1)]
        self.assertEqual(self.lines, counts)
        self.assertEqual(self.counters.accept_failures, 4)
        self.assertTrue(self.port.reading)

    def test_control_socket(self) -> None:
        """What is not accepted at the control socket counts as well."""
        self.twisted = Logger(namespace=unix.Port._logger.namespace, observer=self.publisher)
        self.drop(1)
        self.assertEqual(self.lines, ["Connections not accepted: 1 (Too many open files)"])

    def test_pause(self) -> None:
        """Without its reserve Twisted would try again at once, for ever; so the listeners rest for a second."""
        self.twisted.info("Could not accept new connection ({acceptError})", acceptError="ENFILE")
        self.assertFalse(self.port.reading)
        self.clock.advance(PAUSE_SECONDS)
        self.assertTrue(self.port.reading)
        self.assertEqual(self.lines, ["Connections not accepted: 1 (Too many open files in system)"])

    def test_one_rest_for_all(self) -> None:
        """Listeners that fail in the same turn rest together, and those that open meanwhile listen on."""
        ports = [self.port, FakePort()]
        self.failures._listeners = lambda: ports
        for _ in ports:
            self.twisted.info("Could not accept new connection ({acceptError})", acceptError="EMFILE")
        self.assertEqual([port.reading for port in ports], [False, False])
        ports.append(FakePort())
        self.assertEqual(len(self.clock.getDelayedCalls()), 2)  # the end of the rest, and the next line
        self.clock.advance(PAUSE_SECONDS)
        self.assertEqual([port.reading for port in ports], [True, True, True])

    def test_reserve(self) -> None:
        """Twisted gets its reserve back, before any newcomer gets a descriptor: so it can turn others away again."""
        self.twisted.info("Could not accept new connection ({acceptError})", acceptError="EMFILE")
        self.assertEqual(self.reserved, [])
        self.clock.advance(PAUSE_SECONDS)
        self.assertEqual(self.reserved, [False])

    def test_closed_meanwhile(self) -> None:
        """A listener that was closed during the pause stays closed."""
        self.twisted.info("Could not accept new connection ({acceptError})", acceptError="EMFILE")
        self.port.connected = False
        self.clock.advance(PAUSE_SECONDS)
        self.assertFalse(self.port.reading)

    def test_others(self) -> None:
        """A connection that its client gave up is nothing to tell, and neither is what others say."""
        self.twisted.info("Could not accept new connection ({acceptError})", acceptError="ECONNABORTED")
        Logger(namespace="x", observer=self.publisher).info("EMFILE recovery: Closed socket")
        self.assertEqual((self.lines, self.counters.accept_failures, self.port.reading), ([], 0, True))

    def test_stop(self) -> None:
        """After the stop nothing is left to do."""
        self.drop(2)
        self.twisted.info("Could not accept new connection ({acceptError})", acceptError="EMFILE")
        self.failures.stop(self.publisher)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_twisted_still_says_so(self) -> None:
        """The texts are those of the Twisted that is installed."""
        events: list[LogEvent] = []
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        failing = _Failing()
        from twisted.internet import tcp

        logger = Logger(namespace="test", observer=events.append)  # type: ignore[arg-type]
        self.assertEqual(list(tcp._accept(logger, range(1), failing, tcp._NullFileDescriptorReservation())), [])
        self.assertIsInstance(tcp._reservedFD, tcp._FileDescriptorReservation)
        reserve = tcp._FileDescriptorReservation(_NothingOpen)
        reserve.reserve()
        list(tcp._accept(logger, range(2), failing, reserve))
        formats = [str(event["log_format"]) for event in events]
        self.assertTrue(formats[0].startswith("Could not accept"))
        self.assertTrue(any(one.startswith("EMFILE recovery: Closed socket") for one in formats), formats)
        self.assertEqual({Port._logger.namespace, unix.Port._logger.namespace}, ACCEPTING)


class _NothingOpen:
    """In place of an open file."""

    def close(self) -> None:
        """Do nothing."""


class _Failing:
    """A listening socket that has a client for whoever has a descriptor."""

    def __init__(self) -> None:
        self._calls = 0

    def accept(self) -> Any:
        """Fail at first, and at every other call."""
        self._calls += 1
        if self._calls == 3:
            return socket.socket(), ("192.0.2.1", 1)
        raise OSError(errno.EMFILE if self._calls < 3 else errno.EAGAIN, "x")
