"""The server as one service: what starts when, and what stops in which order."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from socket import socket
from typing import Any, Final

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from superchat.config import Config
from superchat.net.factory import SuperChatFactory
from superchat.ops.control.listening import Control, ControlUnavailable
from superchat.ops.descriptors import AcceptFailures, raise_limit, within
from superchat.ops.logs import LogFiles
from superchat.ops.monitor import Monitor
from superchat.ops.notify import Silence
from superchat.ops.reload import Reload
from superchat.ops.trimming import Trimming
from superchat.storage.errors import StorageError
from superchat.storage.interface import IStorage
from superchat.storage.lock import DatabaseLock

SWITCH_SECONDS: Final = 0.001
"""How long a thread may wait for a busy reactor. With Python's 5 ms the database's writer starves: one poster's p99
was 24 ms instead of 6 (benchmarks/storage.py beside a reactor that computes for 1 ms a turn)."""
COLLECTING: Final = (2_000, 5, 25)
"""When garbage is collected. With Python's (700, 10, 10), 9,900 arrivals meet three or four full collections, each of
which holds the reactor for 0.2 s; with these they meet one, and the smaller ones still take milliseconds."""


@attrs.frozen
class Listener:
    """A bound socket, what serves it, and how the log names it; the port is known also when any was asked for."""

    socket: socket
    factory: IProtocolFactory
    name: str

    @property
    def port(self) -> int:
        """The number of the port."""
        number: int = self.socket.getsockname()[1]
        return number

    def listen(self, reactor: Any) -> Any:
        """Accept connections from now on."""
        return reactor.adoptStreamPort(self.socket.fileno(), self.socket.family, self.factory)


class StartFailed(SystemExit, Exception):
    """The server cannot start. Being a `SystemExit`, it ends the process with code 1 and no traceback. But twistd
    takes only an `Exception` back from a daemon, and would wait for any other end of its for ever."""

    def __init__(self, text: str) -> None:
        super().__init__(1)
        self._text = text

    def __str__(self) -> str:
        return self._text


class Server(Service):
    """Starts everything in order, logs, storage, chat, listeners, and stops it in the opposite one."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: Config,
        logs: LogFiles,
        storage: IStorage,
        factory: SuperChatFactory,
        listeners: Sequence[Listener],
        read: Callable[[], Config],
        notifier: Silence,
        lock: DatabaseLock,
        control: Control,
    ) -> None:
        self.config = config
        self.lock = lock
        """Of the database; it must be held already."""
        self.listeners = listeners
        """For clients; the first one is the TCP transport's."""
        self.operators: Sequence[Listener] = ()
        """For operators: open from the start to the end, so that they can tell of both."""
        self.monitor = Monitor(reactor, config, storage, factory, logs, lambda: self._ports)
        self._reactor = reactor
        self._logs = logs
        self._storage = storage
        self._factory = factory
        self._notifier = notifier
        self._control = control
        self._reload = Reload(config, read, self._reconfigure, logs, notifier)
        self._ports: list[Any] = []
        self._operator_ports: list[Any] = []
        self._accept_failures = AcceptFailures(
            factory.chat.counters, reactor, lambda: [*self._ports, *self._operator_ports, *control.ports]
        )
        self._trimming = Trimming(reactor)
        self._failure: str | None = None
        self._heeds_signals: Deferred[None] = Deferred()

    def startService(self) -> None:
        """Start. What goes wrong is one sentence on standard error; raises `StartFailed` before the reactor runs."""
        super().startService()
        _end_when_interrupted()
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.set_threshold(*COLLECTING)
        self._start_logs()
        self._accept_failures.start()
        self._reload.listen(self._reactor)
        self._reactor.callWhenRunning(self._reactor.callLater, 0, self._stop_on_signals)
        Deferred.fromCoroutine(self._start()).addErrback(self._give_up)
        if self._failure is not None:
            # Raised here, for a Deferred would keep it to itself.
            raise StartFailed(self._failure)

    def stopService(self) -> Deferred[None]:
        """Refuse new connections, answer what is under way, say goodbye, commit; bounded (decisions 1.8)."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    def _start_logs(self) -> None:
        try:
            self._logs.start()
        except OSError as error:
            text = f"cannot write the log {error.filename}: {error.strerror}"
            print(f"superchat: {text}", file=sys.__stderr__, flush=True)
            raise StartFailed(text) from None

    def _stop_on_signals(self) -> None:
        """Stop in order, and end with exit code 0. Twisted's own handlers, which this replaces once the reactor has
        installed them, make the process end by the signal, and a supervisor take that for a crash."""

        def stop(number: int, frame: object) -> None:
            self._reactor.callFromThread(self._stop_reactor, signal.Signals(number).name)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        self._heeds_signals.callback(None)

    def _stop_reactor(self, reason: str) -> None:
        if self.running:
            self._log.info("Received {reason}, shutting down", reason=reason)
            self._reactor.stop()

    def _listen(self, listener: Listener) -> Any:
        port = listener.listen(self._reactor)
        self._log.info("{name} listening on port {port}", name=listener.name, port=listener.port)
        listener.socket.close()
        return port

    async def _start(self) -> None:
        self.monitor.start()
        self._operator_ports.extend(map(self._listen, self.operators))
        await self._storage.open()
        await self._factory.chat.start()
        if not self.running:
            return  # it was stopped meanwhile
        about = self.config.discovery
        self._log.info("{name}: {text}", name=about.server_name, text=about.server_description)
        self._control.start()
        await self._heeds_signals  # from now on nothing ends it but in order
        if not self.running:
            return
        self._ports.extend(map(self._listen, self.listeners))
        self.monitor.serving()
        self._factory.chat.retention.start()
        self._trimming.start()
        self._log.info("Server started on port {port}", port=self._ports[0].getHost().port)
        self._notifier.ready(self._status)

    async def _stop(self) -> None:
        timeout = self.config.server.shutdown_timeout_seconds
        self._notifier.stopping()
        self.monitor.draining()
        self._factory.chat.retention.stop()
        await self._control.stop()
        await DeferredList([maybeDeferred(port.stopListening) for port in self._ports])
        # Whose password waits for a thread is told at once that it will not be computed: else goodbyes would wait, too.
        computing = self._factory.chat.passwords.stop()
        await self._factory.close_all(timeout)
        await DeferredList([computing.addTimeout(timeout, self._reactor)], consumeErrors=True)
        closing: Deferred[None] = self._storage.close()
        try:
            await closing.addTimeout(timeout, self._reactor)
        except (StorageError, TimeoutError) as error:
            self._log.error("database did not close: {error}", error=error)
        else:
            self.lock.release()
        self._log.info("Server stopped")
        self._accept_failures.stop()
        self._trimming.stop()
        self.monitor.stop()
        self._notifier.stopped()
        self._logs.stop()

    def _status(self) -> str:
        return f"{len(self._factory.chat.sessions)} sessions"

    def _reconfigure(self, config: Config) -> None:
        """Go by another configuration while running (decisions 9.5)."""
        self._logs.choose(config.logging.debug, config.logging.json)
        self._factory.chat.reconfigure(affordable(config))
        self.config = config

    def _give_up(self, failure: Failure) -> None:
        if not self.running:
            return  # what fails because the server was stopped meanwhile is no news
        expected = failure.check(StorageError, ControlUnavailable) is not None
        text = failure.getErrorMessage() or f"cannot start: {type(failure.value).__name__}"
        if expected:
            self._log.error("{text}", text=text)
        else:
            self._log.failure("Server cannot start", failure)
        self._failure = text
        # Standard error itself: twistd has put its log in the place of sys.stderr by now.
        print(f"superchat: {text}", file=sys.__stderr__, flush=True)
        if self._reactor.running:
            self._reactor.addSystemEventTrigger("after", "shutdown", os._exit, 1)
            self._reactor.stop()
        else:
            self._logs.stop()


def _end_when_interrupted() -> None:
    """Let Ctrl-C end the process on the spot, as SIGTERM does, until the reactor runs: what Python raises for it would
    be kept by some Deferred. Nobody is served yet, and the database survives any end."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def affordable(config: Config) -> Config:
    """The configuration with as many users as there are file descriptors for."""
    return attrs.evolve(config, limits=within(config.limits, raise_limit()))
