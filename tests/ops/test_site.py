"""Tests for `superchat.ops.site`: the operators' port as it is served, on transports in memory."""

from __future__ import annotations

from twisted.internet.error import ConnectionAborted
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.clocks import wall_ms
from superchat.net.http import REQUEST_TIMEOUT_SECONDS
from superchat.ops.health import Health, Phase
from superchat.ops.http import monitoring_resource
from superchat.ops.metrics import Metrics
from superchat.ops.site import GRACE_SECONDS, MAX_CONNECTIONS, READ_TIMEOUT_SECONDS, REST, OperatorsSite
from superchat.storage.memory import MemoryStorage
from tests.ops.profiling.http import ADDRESS, Answer, Client, CuttableTransport
from tests.ops.test_http import families

SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
SCRAPE_SECONDS = 0.0025


class SlowMetrics(Metrics):
    """Counts scrapes, each of which takes its time."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(families)
        self.clock = clock
        self.scrapes = 0

    def render(self, accept: str) -> tuple[bytes, str]:
        self.scrapes += 1
        self.clock.rightNow += SCRAPE_SECONDS
        return super().render(accept)


class OperatorsSiteTests(SynchronousTestCase):
    """/metrics and its neighbours."""

    def setUp(self) -> None:
        self.clock = Clock()
        storage = MemoryStorage()
        storage.open()
        health = Health(storage, lambda: 1, lambda: iter(()), self.clock, wall_ms)
        health.phase = Phase.SERVING
        self.metrics = SlowMetrics(self.clock)
        self.site = OperatorsSite(monitoring_resource(self.metrics, health), self.clock)

    def connect(self, reads: bool = True) -> Client:
        """A connection, which must be taken."""
        client = self.try_to_connect(reads)
        assert client is not None
        return client

    def try_to_connect(self, reads: bool = True) -> Client | None:
        """A connection, if it is taken."""
        protocol = self.site.buildProtocol(ADDRESS)
        if protocol is None:
            return None
        transport = CuttableTransport(reads)
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return Client(self.clock, transport)

    def answer(self, client: Client) -> Answer:
        """The answer that must be there."""
        answer = client.answer()
        assert answer is not None
        return answer

    def test_scrape(self) -> None:
        """Each scrape has its answer on a connection of its own, which ends with it."""
        for _ in range(3):
            client = self.connect()
            client.send("/metrics")
            answer = self.answer(client)
            self.assertEqual((answer.code, answer.headers["connection"]), (200, "close"))
            self.assertIn("things_total 3.0\n", answer.text)
            self.assertIsNotNone(client.transport.closed)
            self.clock.advance(1)

    def test_packet_of_requests(self) -> None:
        """A packet full of requests costs one scrape and holds one answer."""
        client = self.connect(reads=False)
        client.transport.protocol.dataReceived(SCRAPE * (55_000 // len(SCRAPE)))
        self.assertEqual(self.metrics.scrapes, 1)
        self.assertEqual(client.transport.value().count(b"HTTP/1.1 200 "), 1)
        client.transport.protocol.dataReceived(SCRAPE * 1000)
        self.clock.advance(1)
        self.assertEqual(self.metrics.scrapes, 1)

    def test_many_at_once(self) -> None:
        """However many ask at once, scrapes take a fiftieth of the time at the most, and all are answered."""
        clients = [self.connect() for _ in range(MAX_CONNECTIONS)]
        started = self.clock.seconds()
        for client in clients:
            client.transport.protocol.dataReceived(SCRAPE)
        self.assertEqual(self.metrics.scrapes, 1)
        while self.metrics.scrapes < MAX_CONNECTIONS:
            self.clock.advance(0.0005)
        spent = (MAX_CONNECTIONS - 1) * SCRAPE_SECONDS
        self.assertGreater(self.clock.seconds() - started, spent * REST)
        for client in clients:
            self.assertEqual(self.answer(client).code, 200)

    def test_dribbled(self) -> None:
        """A request that comes byte by byte ends after some seconds."""
        client = self.connect()
        for byte in SCRAPE[:REQUEST_TIMEOUT_SECONDS]:
            client.transport.protocol.dataReceived(bytes((byte,)))
            self.clock.advance(1)
        self.assertIsNotNone(client.transport.closed)
        self.assertEqual(self.metrics.scrapes, 0)

    def test_never_reads(self) -> None:
        """An answer that nobody reads is kept for a while only."""
        client = self.connect(reads=False)
        client.transport.protocol.dataReceived(SCRAPE)
        self.clock.advance(READ_TIMEOUT_SECONDS - 1)
        self.assertIsNone(client.transport.closed)
        self.clock.advance(1)
        self.assertIs(client.transport.closed, ConnectionAborted)

    def test_prometheus_gets_in(self) -> None:
        """Whoever takes every connection and does nothing with it keeps nobody out."""
        idle = [self.connect() for _ in range(MAX_CONNECTIONS)]
        self.assertIsNone(self.try_to_connect())
        self.clock.advance(GRACE_SECONDS)
        client = self.connect()
        client.send("/metrics")
        self.assertEqual(self.answer(client).code, 200)
        self.assertIs(idle[0].transport.closed, ConnectionAborted)
        self.assertEqual([each.transport.closed for each in idle[1:]], [None] * (MAX_CONNECTIONS - 1))
