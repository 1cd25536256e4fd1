"""Everything that watches a running server, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from twisted.logger import Logger
from twisted.web.server import Site

from superchat.config import Config
from superchat.net.factory import SuperChatFactory
from superchat.ops.canary import Canary
from superchat.ops.health import LAG_SECONDS, Health, Phase
from superchat.ops.http import monitoring_resource
from superchat.ops.logs import LogFiles
from superchat.ops.measurements import Measurements
from superchat.ops.metrics import Metrics
from superchat.ops.profiling import ReactorWatch, make_profiling_site
from superchat.ops.series import chat as chat_series
from superchat.ops.series import database as database_series
from superchat.ops.series import operations as operations_series
from superchat.ops.series import passwords as password_series
from superchat.ops.series.families import Family
from superchat.ops.series.runtime import Runtime
from superchat.ops.site import OperatorsSite
from superchat.ops.threads import in_daemon_thread
from superchat.storage.interface import IStorage

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class Monitor:
    """Metrics, health, profiles, the canary and the watch over the reactor.

    *ports* are those that clients connect to, as far as they are open.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: Config,
        storage: IStorage,
        factory: SuperChatFactory,
        logs: LogFiles,
        ports: Callable[[], Iterable[Any]],
    ) -> None:
        chat = factory.chat
        interval = config.monitoring.canary_interval_seconds
        self.watch = ReactorWatch(reactor)
        self.measurements = Measurements(storage, config.database_path.parent, reactor, in_daemon_thread(reactor))
        self.canary = Canary(storage, factory.flusher, reactor, chat.now_ms, interval)
        self.health = Health(storage, lambda: len(chat.sessions), self.problems, reactor, chat.now_ms)
        self._reactor = reactor
        self._config = config
        self._storage = storage
        self._factory = factory
        self._logs = logs
        self._ports = ports
        self._runtime = Runtime(reactor, self.watch, chat.counters, storage, self.measurements)

    def metrics_site(self) -> Site:
        """/metrics, /health, /livez and /readyz."""
        return OperatorsSite(monitoring_resource(Metrics(self.families), self.health), self._reactor)

    def profiling_site(self) -> Site:
        """/debug/pprof/."""
        return make_profiling_site(self._reactor, self.watch)

    def start(self) -> None:
        """Watch the reactor; the server is not ready yet."""
        interface = self._config.monitoring.interface
        if interface not in LOOPBACK:
            self._log.warn("metrics and profiles are open to others: they listen on {interface}", interface=interface)
        self.watch.start()

    def serving(self) -> None:
        """Clients are served from now on."""
        self.health.phase = Phase.SERVING
        self.measurements.start()
        self.canary.start()

    def draining(self) -> None:
        """The server has begun to stop."""
        self.health.phase = Phase.DRAINING
        self.canary.stop()
        self.measurements.stop()

    def stop(self) -> None:
        """Watch no more."""
        self.watch.stop()

    def families(self) -> Iterator[Family]:
        """Everything there is to tell, as it is now."""
        yield from chat_series.families(self._factory.chat, self._factory.flusher)
        yield from password_series.families(self._factory.chat.passwords.work)
        yield from database_series.families(self._storage, self.measurements)
        yield from operations_series.families(self.canary, self._logs)
        yield from self._runtime.families()

    def problems(self) -> Iterator[str]:
        """What is wrong with the listeners, the reactor, the disk and the canary."""
        for port in self._ports():
            if not port.connected:
                yield f"listener: port {port.getHost().port} is closed"
        lag = self.watch.last_lag_seconds
        if lag > LAG_SECONDS:
            yield f"reactor: {lag:.1f} seconds late"
        free, needed = self.measurements.free_disk_bytes, self._config.monitoring.min_free_disk_bytes
        if free is not None and free < needed:
            yield f"disk: {free} bytes free, {needed} are needed"
        if self.canary.is_late:
            yield f"canary: no delivery for {self.canary.age_seconds:.0f} seconds"
