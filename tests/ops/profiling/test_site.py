"""The pages at /debug/pprof/."""

import signal
import sys
import tracemalloc
from http import HTTPStatus

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted
from twisted.trial.unittest import SynchronousTestCase

from superchat.net.http import REQUEST_TIMEOUT_SECONDS
from superchat.ops.profiling import resource
from superchat.ops.profiling.stalls import BEAT_SECONDS
from superchat.ops.site import MAX_CONNECTIONS, READ_TIMEOUT_SECONDS
from tests.ops.profiling.http import Answer, Client, ProfilingServer
from tests.ops.profiling.pprof_reader import read
from tests.ops.profiling.work import busy_function

P = "/debug/pprof/"
NANOSECONDS = 1_000_000_000
FORMATS = {
    "pprof": "application/octet-stream",
    "text": "text/plain; charset=utf-8",
    "folded": "text/plain; charset=utf-8",
    "svg": "image/svg+xml",
}


class SiteTestCase(SynchronousTestCase):
    """A server, and some clients."""

    def setUp(self) -> None:
        self.server = ProfilingServer()
        self.clock = self.server.clock

    def answered(self, client: Client) -> Answer:
        """The answer that must be there by now."""
        answer = client.answer()
        assert answer is not None
        return answer

    def refused(self, path: str, code: HTTPStatus, method: str = "GET", body: bytes = b"") -> str:
        """The sentence of a refusal, which Go's tool prints as well."""
        answer = self.server.ask(path, method, body)
        self.assertEqual((path, answer.code), (path, code))
        self.assertEqual(answer.headers["content-type"], "text/plain; charset=utf-8")
        self.assertEqual(answer.headers["x-go-pprof"], "1")
        return answer.text


class IndexTests(SiteTestCase):
    """The index page."""

    def test_links(self) -> None:
        """It leads to every profile, in every format."""
        page = self.server.ask(P)
        self.assertEqual((page.code, page.headers["content-type"]), (200, "text/html; charset=utf-8"))
        for name in ("profile", "heap", "allocs", "goroutine", "block"):
            self.assertIn(f'<a href="{name}">', page.text)
            for form in ("text", "folded", "svg"):
                self.assertIn(f'<a href="{name}?format={form}">', page.text)

    def test_warning(self) -> None:
        """It warns of what tracing memory costs, tells whether that is on, and does not start it."""
        page = self.server.ask(P).text
        self.assertIn("every allocation takes about 4 times as long, and 20 times with frames=16", page)
        self.assertIn("Memory is not being traced by this page now.", page)
        self.assertFalse(tracemalloc.is_tracing())
        client = self.server.connected()
        client.send(P + "heap?frames=2")
        self.addCleanup(tracemalloc.stop)
        self.assertIn("Memory has been traced with 2 frames since 20", self.server.ask(P).text)
        client.leave()
        self.assertFalse(tracemalloc.is_tracing())

    def test_stalls(self) -> None:
        """It tells how the reactor is."""
        self.server.watch.stalls, self.server.watch.stalled_seconds = 3, 1.25
        self.assertIn("The reactor stalled 3 times for more than 50 ms since the start, 1.2 s", self.server.ask(P).text)

    def test_without_slash(self) -> None:
        """The address without its slash leads there, wherever the client thinks it is."""
        answer = self.server.ask(P.rstrip("/"))
        self.assertEqual((answer.code, answer.headers["location"]), (301, P))

    def test_go(self) -> None:
        """What Go's tool may ask besides: the command line, and symbols, of which there are none to look up."""
        self.assertEqual(self.server.ask(P + "cmdline").text, "\0".join(sys.argv))
        self.assertEqual(self.server.ask(P + "symbol").text, "num_symbols: 0\n")

    def test_headers(self) -> None:
        """No answer is kept, guessed about, or loads anything."""
        for path in (P, P + "cmdline", P + "block?debug=1", "/nothing"):
            headers = self.server.ask(path).headers
            self.assertEqual((headers["cache-control"], headers["x-content-type-options"]), ("no-store", "nosniff"))
            self.assertIn("default-src 'none'", headers["content-security-policy"])


class ProfileTests(SiteTestCase):
    """The profiles."""

    def test_cpu(self) -> None:
        """profile?seconds=2 is answered after two seconds, with the function that was kept busy."""
        client = self.server.connected()
        client.send(P + "profile?seconds=2")
        busy_function()
        self.clock.advance(1.9)
        self.assertIsNone(client.answer())
        self.clock.advance(0.1)
        answer = self.answered(client)
        self.assertEqual(answer.headers["content-disposition"], 'attachment; filename="profile.pb.gz"')
        found = read(answer.body)
        self.assertGreater(found.total("cpu", "work.busy_function"), 0.25 * NANOSECONDS)
        self.assertGreater(found.total("cpu", "work.busy_function"), found.total("cpu") / 2)

    def test_default_seconds(self) -> None:
        """Without seconds it is half a minute, as in Go."""
        client = self.server.connected()
        client.send(P + "profile")
        self.clock.advance(29)
        self.assertIsNone(client.answer())
        self.clock.advance(1)
        self.assertEqual(self.answered(client).code, 200)

    def test_one_at_a_time(self) -> None:
        """A second CPU profile is refused while the first is taken, and possible after it."""
        client = self.server.connected()
        client.send(P + "profile?seconds=2")
        sentence = "A CPU profile is being taken already: ask again when that is over.\n"
        self.assertEqual(self.refused(P + "profile?seconds=1", HTTPStatus.CONFLICT), sentence)
        self.clock.advance(2)
        self.assertEqual(self.answered(client).code, 200)
        client = self.server.connected()
        client.send(P + "profile?seconds=2")
        self.clock.advance(2)
        self.assertEqual(self.answered(client).code, 200)

    def test_client_left(self) -> None:
        """A profile that nobody waits for any more is not taken any further."""
        client = self.server.connected()
        client.send(P + "profile?seconds=300")
        self.assertNotEqual(signal.getitimer(signal.ITIMER_PROF), (0.0, 0.0))
        client.leave()
        self.assertEqual(signal.getitimer(signal.ITIMER_PROF), (0.0, 0.0))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        client = self.server.connected()
        client.send(P + "profile?seconds=1")
        self.clock.advance(1)
        self.assertEqual(self.answered(client).code, 200)

    def test_unavailable(self) -> None:
        """Where no CPU profile can be taken, the reason is told."""
        before = signal.signal(signal.SIGPROF, lambda number, frame: None)
        self.addCleanup(signal.signal, signal.SIGPROF, before)
        sentence = self.refused(P + "profile", HTTPStatus.SERVICE_UNAVAILABLE)
        self.assertEqual(sentence, "No CPU profile can be taken: something else in this process uses SIGPROF.\n")

    def test_memory(self) -> None:
        """heap and allocs are answered after their seconds, and leave nothing behind."""
        self.addCleanup(tracemalloc.stop)
        for name, measure in (("heap", "inuse_space"), ("allocs", "alloc_space")):
            client = self.server.connected()
            client.send(f"{P}{name}?seconds=1&frames=2")
            kept = [bytearray(10_000) for _ in range(100)]
            self.clock.pump([0.05] * 30)
            found = read(self.answered(client).body)
            self.assertGreaterEqual(found.total(measure, ".test_memory"), len(kept) * 10_000)
            self.assertFalse(tracemalloc.is_tracing())
            client.leave()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_goroutine(self) -> None:
        """goroutine finds a coroutine that waits, and `?debug=1` is text."""

        async def waiting_coroutine() -> None:
            await waited

        waited: Deferred[None] = Deferred()
        running = Deferred.fromCoroutine(waiting_coroutine())
        for path in (P + "goroutine", P + "goroutine?debug=1"):
            client = self.server.connected()
            client.send(path)
            while (answer := client.answer()) is None:
                self.clock.advance(0)
            if path.endswith("1"):
                self.assertIn("goroutine kind=coroutine", answer.text)
                self.assertIn("test_goroutine.<locals>.waiting_coroutine", answer.text)
            else:
                self.assertEqual(read(answer.body).total("goroutine", ".waiting_coroutine"), 1)
        waited.callback(None)
        self.successResultOf(running)

    def test_block(self) -> None:
        """block has the stalls since the start, and with seconds those in the seconds to come."""
        self.patch(self.server.watch, "_now", self.clock.seconds)
        self.server.watch.start()
        self.addCleanup(self.server.watch.stop)
        self.clock.advance(0)
        self.clock.advance(BEAT_SECONDS + 1.0)
        client = self.server.connected()
        client.send(P + "block?seconds=5")
        self.clock.advance(BEAT_SECONDS + 0.5)
        self.clock.pump([BEAT_SECONDS] * 50)
        new = read(self.answered(client).body)
        self.assertEqual(new.total("contentions"), 1)
        self.assertAlmostEqual(new.total("delay") / NANOSECONDS, 0.5, 3)
        self.assertEqual(read(self.server.ask(P + "block").body).total("contentions"), 2)

    def test_formats(self) -> None:
        """Every profile is there in every format."""
        for form, content_type in FORMATS.items():
            for path in ("profile?seconds=1&", "heap?seconds=1&", "allocs?seconds=1&", "goroutine?", "block?"):
                client = self.server.connected()
                client.send(f"{P}{path}format={form}")
                self.clock.pump([0.05] * 30)
                answer = self.answered(client)
                self.assertEqual((path, answer.code, answer.headers["content-type"]), (path, 200, content_type))
                client.leave()

    def test_failure(self) -> None:
        """What goes wrong here is in the log, and nobody is told more than that."""

        def broken(profile: object) -> str:
            raise ZeroDivisionError("secret")

        self.patch(resource, "table", broken)
        answer = self.server.ask(P + "block?debug=1")
        self.assertEqual((answer.code, answer.text), (500, "That failed; the server's log says how.\n"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class BadInputTests(SiteTestCase):
    """Nothing that is sent here does any harm."""

    def test_unknown_paths(self) -> None:
        """An unknown path is 404, whatever it looks like and whatever the method."""
        for path in (
            *("/", "/debug", "/debug/", "/metrics", P + "nothing", P + "heap/", P + "heap/x", P + "mutex", P + "trace"),
            *(
                "//debug/pprof/",
                P + "/heap",
                P + "%ff",
                P + "h%65ap",
                P + "../pprof/heap",
                "http://x/debug/pprof/",
            ),
            P + "x" * 8000,
        ):
            self.assertIn("There is nothing here", self.refused(path, HTTPStatus.NOT_FOUND))
        self.refused("/nothing", HTTPStatus.NOT_FOUND, "POST", b"x" * 100)

    def test_methods(self) -> None:
        """Only GET is possible, and a body is thrown away."""
        for name in ("", "profile", "heap", "allocs", "goroutine", "block", "cmdline", "symbol"):
            for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "FOO"):
                self.assertEqual(
                    self.refused(P + name, HTTPStatus.METHOD_NOT_ALLOWED, method, b"seconds=5"),
                    "Only GET is possible here.\n",
                )
        answer = self.server.ask(P, "DELETE", b"x" * 1_000_000)
        self.assertEqual(answer.headers["allow"], "GET")
        self.assertFalse(tracemalloc.is_tracing())

    def test_queries(self) -> None:
        """An absurd parameter is 400 with a sentence, and nothing is begun."""
        for query, words in (
            ("profile?seconds=0", "from 1 to 300, not '0'"),
            ("profile?seconds=99999999999999999999", "from 1 to 300"),
            ("profile?seconds=1&seconds=1", "once only"),
            ("profile?frames=2", "There is no parameter 'frames' here; there is debug, format, seconds."),
            ("heap?frames=1000", "from 1 to 16"),
            ("heap?seconds=-5", "from 1 to 300"),
            ("allocs?seconds=%00", "from 1 to 300"),
            ("goroutine?seconds=3", "There is no parameter 'seconds' here"),
            ("block?format=html", "must be one of pprof, text, folded, svg"),
            ("block?debug=3", "from 0 to 2"),
            ("block?%ff=1", "There is no parameter '\\xff' here"),
        ):
            self.assertIn(words, self.refused(P + query, HTTPStatus.BAD_REQUEST))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(tracemalloc.is_tracing())

    def test_host(self) -> None:
        """The name by which the client calls the server plays no role."""
        for host in (b"evil.example", b"\xff\xfe", b"..", b"x:99999999", b""):
            self.assertEqual(self.server.ask(P, host=host).code, 200)

    def test_no_parameters(self) -> None:
        """Pages without parameters do not mind any: caches are defeated that way."""
        self.assertEqual(self.server.ask(P + "?x=1").code, 200)


class StuckPeerTests(SiteTestCase):
    """Nobody can hold anything up."""

    def test_never_asks(self) -> None:
        """Who sends no request, or one slowly, is disconnected."""
        silent, slow = self.server.connected(), self.server.connected()
        for _ in range(REQUEST_TIMEOUT_SECONDS):
            slow.transport.protocol.dataReceived(b"G")
            self.clock.advance(1)
        self.assertIsNotNone(silent.transport.closed)
        self.assertIsNotNone(slow.transport.closed)

    def test_never_reads(self) -> None:
        """Who does not read an answer is cut off, whether or not the connection was to stay."""
        for version in ("1.0", "1.1"):
            stuck = self.server.connected(reads=False)
            stuck.send(P + "block", version=version)
            self.clock.pump([1] * (REQUEST_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS))
            self.assertIs(stuck.transport.closed, ConnectionAborted)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_many(self) -> None:
        """A bounded number of connections is taken, and others again when those are gone."""
        clients = [self.server.connected() for _ in range(MAX_CONNECTIONS)]
        self.assertIsNone(self.server.connect())
        clients[0].leave()
        self.assertIsNotNone(self.server.connect())
        self.assertIsNone(self.server.connect())

    def test_quiet(self) -> None:
        """Requests are not logged."""
        logged: list[bytes] = []
        self.patch(self.server.site, "_logFile", type("Log", (), {"write": lambda self, line: logged.append(line)})())
        self.server.ask(P)
        self.assertEqual(logged, [])
