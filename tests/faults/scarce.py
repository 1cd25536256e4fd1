"""A server short of file descriptors: the people on it, the crowd at its doors, and what it says and costs."""

from __future__ import annotations

import os
import random
import re
import resource
import select
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import attrs
from twisted.trial.unittest import SynchronousTestCase

from superchat.loadtest.processes import cpu_seconds
from superchat.wire import frames
from superchat.wire import messages as wire
from tests.e2e import peers
from tests.e2e.phrases import CHAT, page, posting
from tests.e2e.server import PATIENCE_SECONDS, UNLIMITED, Place, RunningServer, free_port

_UPGRADE: Final = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
_LIFE: Final = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
_PROFILES: Final = b"GET /debug/pprof/cmdline HTTP/1.1\r\nHost: localhost\r\n\r\n"
_FAILURES: Final = re.compile(r"^superchat_accept_failures_total (\S+)$", re.MULTILINE)
_OF_CONNECTIONS: Final = ("Connection from", "Session ", "POST_MESSAGE")
_TOLD: Final = "Connections not accepted"


@attrs.frozen
class Door:
    """Where one can connect, and what one says there; the server answers something to each of these."""

    name: str
    address: int | str
    """A port of this machine, or the path of a Unix socket."""
    greeting: bytes

    def knock(self) -> socket.socket:
        """A connection that has said all it has to say; it never blocks. Raises OSError."""
        family = socket.AF_INET if isinstance(self.address, int) else socket.AF_UNIX
        connection = socket.socket(family)
        try:
            connection.settimeout(PATIENCE_SECONDS)
            connection.connect(("127.0.0.1", self.address) if isinstance(self.address, int) else self.address)
            connection.sendall(self.greeting)
        except OSError:
            connection.close()
            raise
        connection.setblocking(False)
        return connection


class ScarceServer:
    """A server whose limit of descriptors is set while it runs, with two people on it who talk all the time."""

    def __init__(self, case: SynchronousTestCase, place: Place | None = None) -> None:
        self.metrics_port, profiling_port = free_port(), free_port()
        self.running = RunningServer(
            case,
            UNLIMITED + "session_timeout_seconds = 0\n",
            websocket=True,
            place=place,
            environment={
                "SUPERCHAT_MONITORING_METRICS_PORT": str(self.metrics_port),
                "SUPERCHAT_MONITORING_PROFILING_PORT": str(profiling_port),
            },
        )
        self.pid = self.running.pid
        self.doors = (
            Door("TCP", self.running.port, frames.encode(wire.Ping(timestamp=1))),
            Door("WebSocket", self.running.http_port, _UPGRADE),
            Door("metrics", self.metrics_port, _LIFE),
            Door("profiles", profiling_port, _PROFILES),
            Door("control", _short(case, self.running.data_directory / "control.sock"), b"{}\n"),
        )
        self._limits = resource.prlimit(self.pid, resource.RLIMIT_NOFILE)
        self._ann = peers.connect(case, self.running).named("ann")
        self._bob = peers.connect_websocket(case, self.running).named("bob")
        self._bob.ask_past_presence(wire.SubscribeChannel(channel_id=CHAT), wire.SubscribeOk)
        self.acknowledged: list[bytes] = []

    # Descriptors

    @property
    def open_descriptors(self) -> int:
        """How many the server has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def limit(self, descriptors: int) -> None:
        """Let the running server have so many, whatever it has already."""
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (descriptors, self._limits[1]))

    def relax(self) -> None:
        """Let it have what it had at its start."""
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, self._limits)

    # People

    def talk(self, seconds: float) -> list[float]:
        """Post and read, at least once, each post seen by the other before the next; how long each took, in seconds."""
        took: list[float] = []
        end = time.monotonic() + seconds
        while not took or time.monotonic() < end:
            started = time.monotonic()
            self.say(b"post %d" % len(self.acknowledged))
            took.append(time.monotonic() - started)
        return took

    def say(self, text: bytes) -> None:
        """One post, its delivery over WebSocket, and a page of history for each of the two."""
        self._ann.send(posting(CHAT, text))
        self._ann.until(wire.MessagePosted, success=True)
        self.acknowledged.append(text)
        self._bob.until(wire.NewMessage, content=text)
        for peer in (self._ann, self._bob):
            peer.send(page(CHAT, limit=5))
            assert text in [each.content for each in peer.until(wire.MessageList).messages], text

    def kept(self) -> set[bytes]:
        """What is in the database of a server that has ended."""
        with closing(sqlite3.connect(self.running.place.database)) as connection:
            return {text for (text,) in connection.execute("SELECT content FROM message")}

    # What it says and costs

    def cpu_seconds(self, seconds: float) -> float:
        """The CPU time that it uses within a time."""
        before = cpu_seconds(self.pid) or 0.0
        time.sleep(seconds)
        return (cpu_seconds(self.pid) or 0.0) - before

    def accept_failures(self) -> int:
        """What the metrics say about connections that were not accepted; needs a descriptor."""
        with urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=PATIENCE_SECONDS) as response:
            found = _FAILURES.search(response.read().decode())
        assert found is not None
        return int(float(found[1]))

    def lines(self, name: str) -> list[str]:
        """The lines of a log, but for those that tell of the connections that there are, and what was said there."""
        text = (self.running.data_directory / name).read_text()
        return [line for line in text.splitlines() if not any(each in line for each in _OF_CONNECTIONS)]

    def told(self) -> list[str]:
        """The lines that tell of connections that there are not."""
        return [line for line in self.lines("errors.log") if _TOLD in line]


class Crowd:
    """Connections that are held as long as the server lets them."""

    def __init__(self, case: SynchronousTestCase) -> None:
        self.tried = self.dropped = 0
        self._held: list[tuple[Door, socket.socket]] = []
        case.addCleanup(self.leave)

    def knock(self, door: Door) -> None:
        """One more; one that is turned away at once is dropped."""
        self.tried += 1
        try:
            self._held.append((door, door.knock()))
        except OSError:
            self.dropped += 1

    def storm(self, doors: Iterator[Door], least: int, seconds: float, between: Callable[[], object]) -> None:
        """Come as fast as possible, for so long and *least* so often; *between* is called now and then."""
        end = time.monotonic() + seconds
        while time.monotonic() < end or self.tried < least:
            for _ in range(50):
                self.knock(next(doors))
            self.look()
            between()

    def look(self) -> None:
        """Give up connections that the server has ended."""
        still: list[tuple[Door, socket.socket]] = []
        for door, connection in self._held:
            if _is_over(connection):
                self.dropped += 1
                connection.close()
            else:
                still.append((door, connection))
        self._held = still

    def seconds_until_served(self) -> dict[str, float]:
        """How long it takes until everybody who waits has an answer, by door. Fails if somebody gets none."""
        started, took = time.monotonic(), dict[str, float]()
        waiting = {connection.fileno(): (door, connection) for door, connection in self._held}
        poll = select.poll()
        for descriptor in waiting:
            poll.register(descriptor, select.POLLIN)
        while waiting:
            ready = poll.poll(PATIENCE_SECONDS * 1000)
            assert ready, f"nobody answers {[door.name for door, _ in waiting.values()]}"
            for descriptor, _ in ready:
                door, connection = waiting.pop(descriptor)
                poll.unregister(descriptor)
                assert connection.recv(65_536), f"{door.name} was waiting, and was cut off"
                took[door.name] = time.monotonic() - started
        return took

    def leave(self) -> None:
        """Close everything."""
        for _, connection in self._held:
            connection.close()
        self._held = []


def at_random(doors: tuple[Door, ...], chance: random.Random) -> Iterator[Door]:
    """One door after the other, those for clients more often."""
    while True:
        yield chance.choices(doors, [8, 8, 3, 2, 1])[0]


def newcomers(scarce: ScarceServer) -> dict[str, float]:
    """How long somebody new waits for an answer at each door, one after the other."""
    took = {}
    for door in scarce.doors:
        started = time.monotonic()
        with closing(door.knock()) as connection:
            connection.settimeout(PATIENCE_SECONDS)
            assert connection.recv(65_536), f"{door.name} turns people away"
        took[door.name] = time.monotonic() - started
    return took


def until_let_in(door: Door) -> float:
    """How long it takes until somebody who comes again and again is let in."""
    started = time.monotonic()
    while time.monotonic() < started + PATIENCE_SECONDS:
        with suppress(OSError), closing(door.knock()) as connection:
            connection.settimeout(PATIENCE_SECONDS)
            if connection.recv(65_536):
                return time.monotonic() - started
        time.sleep(0.01)
    raise AssertionError(f"nobody is let in at {door.name}")


def _is_over(connection: socket.socket) -> bool:
    try:
        while connection.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _short(case: SynchronousTestCase, path: Path) -> str:
    """A name for a Unix socket that is short enough for the kernel."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    case.addCleanup(os.close, folder)
    return f"/proc/{os.getpid()}/fd/{folder}/{path.name}"
