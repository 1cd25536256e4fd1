"""What of Twisted's own events operators are spared."""

from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.internet.protocol import Factory
from twisted.logger import LogEvent, Logger, LogPublisher, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.noise import ACCEPTING, RESERVING, is_noise

reactor: Any = the_reactor


class NoiseTests(SynchronousTestCase):
    """The events are Twisted's own, made by Twisted."""

    def test_ports_and_factories(self) -> None:
        """A listener of Twisted's brings no lines of its own: the server has one for each."""
        events: list[LogEvent] = []
        globalLogPublisher.addObserver(events.append)  # type: ignore[arg-type]
        self.addCleanup(globalLogPublisher.removeObserver, events.append)  # type: ignore[arg-type]
        port = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
        port.stopReading()
        port.connectionLost(None)
        self.assertGreaterEqual(len(events), 4)
        self.assertEqual([event for event in events if not is_noise(event)], [])

    def test_accepting(self) -> None:
        """What Twisted says about each connection that it cannot accept is said by the server, less often."""
        for namespace in (*ACCEPTING, RESERVING):
            self.assertTrue(is_noise({"log_namespace": namespace, "log_format": "EMFILE encountered"}))

    def test_others(self) -> None:
        """Everything else is kept, whatever it looks like."""
        events: list[LogEvent] = []
        publisher = LogPublisher(events.append)  # type: ignore[arg-type]
        Logger(observer=publisher, namespace="superchat.tap.Server").info("x starting on 1")
        globalLogPublisher.addObserver(events.append)  # type: ignore[arg-type]
        self.addCleanup(globalLogPublisher.removeObserver, events.append)  # type: ignore[arg-type]
        from twisted.python import log

        log.msg("reactor class: starting on something")
        self.assertEqual([is_noise(event) for event in events], [False, False])
