"""The server that is soaked: how it is started, what is in it before, and what can be seen of it from outside."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from superchat.client.passwords import password_hash
from superchat.model import ChannelType, NewChannel, NewMessage
from superchat.storage.sqlite import SQLiteStorage
from superchat.wire import messages as wire
from tests.e2e.peers import Peer, TCPStream
from tests.e2e.server import PATIENCE_SECONDS, UNLIMITED, Place, RunningServer, free_port
from tests.faults import census
from tests.storage.reactor import SteppedReactor

ADMIN: Final = "caretaker"
PASSWORD: Final = "a soaked password"
CONFIG: Final = f"""
[server]
admin_users = ["{ADMIN}"]

[retention]
cleanup_interval_minutes = 1

[monitoring]
canary_interval_seconds = %d
{UNLIMITED}
max_auth_attempts_per_minute = 0
max_channel_creates = 0
session_timeout_seconds = 600
"""
"""What the load needs, and retention as often as possible; everything else is as it comes."""

LOUNGE: Final = 1
"""The channel of those who come, edit, delete and go."""
ATTIC: Final = 2
"""The channel of what becomes too old while the server runs."""
ATTIC_POSTS_PER_MINUTE: Final = 600
HOUR_MS: Final = 3_600_000

_SERIES: Final = re.compile(r"^([a-z_]+)(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)


@attrs.frozen
class SoakPlace(Place):
    """A place whose server counts what is alive in it."""

    @property
    def census(self) -> Path:
        """Where it puts that."""
        return self.root / "census.json"

    def twistd(self, *options: str) -> list[str]:
        return [sys.executable, census.__file__, str(self.census), *options, "superchat", "--config", str(self.config)]


class SoakedServer:
    """A server whose ports for operators are open, with an administrator, old messages for *minutes*, and a canary that
    posts every *canary_seconds*, or none when that is 0."""

    def __init__(self, case: SynchronousTestCase, minutes: float, canary_seconds: int) -> None:
        self.place = SoakPlace(Path(case.mktemp()).absolute())
        self.place.data_directory.mkdir(parents=True)
        _furnish(self.place.database, minutes)
        self._metrics_port = free_port()
        self._secret = password_hash(ADMIN, PASSWORD)
        self.running = RunningServer(
            case,
            CONFIG % canary_seconds,
            websocket=True,
            place=self.place,
            environment={
                "SUPERCHAT_MONITORING_METRICS_PORT": str(self._metrics_port),
                "SUPERCHAT_SERVER_ADMIN_PASSWORD": PASSWORD,
            },
        )
        self.pid = self.running.pid

    # What can be seen

    def metrics(self) -> Mapping[str, float]:
        """Every series that has no labels, and the sum of those that have, by name."""
        summed: dict[str, float] = {}
        with urlopen(f"http://127.0.0.1:{self._metrics_port}/metrics", timeout=PATIENCE_SECONDS) as response:
            for name, _, value in _SERIES.findall(response.read().decode()):
                summed[name] = summed.get(name, 0.0) + float(value)
        return summed

    def census(self) -> Mapping[str, Any]:
        """What is alive, garbage apart."""
        self.place.census.unlink(missing_ok=True)
        self.running.send_signal(signal.SIGUSR2)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.place.census.exists():
            assert time.monotonic() < deadline, "the server does not count"
            time.sleep(0.01)
        counted: Mapping[str, Any] = json.loads(self.place.census.read_text())
        return counted

    def resident_kb(self) -> float:
        """Memory in use."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1024

    def descriptors(self) -> int:
        """How many are open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self) -> int:
        """How many there are."""
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def database_bytes(self) -> int:
        """The size of the database without its log."""
        return self.place.database.stat().st_size

    def log_bytes(self) -> int:
        """The size of the write-ahead log."""
        return self.place.database.with_name(f"{self.place.database.name}-wal").stat().st_size

    def complaints(self) -> list[str]:
        """What the logs hold of errors and warnings."""
        errors = (self.running.data_directory / "errors.log").read_text().splitlines()
        return errors + [line for line in self.running.log.splitlines() if "[WARN" in line and line not in errors]

    def messages_of(self, channel_id: int) -> int:
        """How many messages of a channel are in the database."""
        with closing(sqlite3.connect(f"file:{self.place.database}?mode=ro", uri=True)) as connection:
            (number,) = connection.execute(
                "SELECT count(*) FROM message WHERE channel_id = ?", (channel_id,)
            ).fetchone()
        return int(number)

    # What the administrator does

    def make_channel(self, name: str) -> int:
        """A new forum; its id."""
        with closing(self._administrator()) as peer:
            asked = wire.CreateChannel(
                name=name, display_name=name, description=None, channel_type=ChannelType.FORUM, retention_hours=1
            )
            peer.send(asked)
            made = peer.until(wire.ChannelCreated, name=name)
        assert made.channel_id is not None
        return made.channel_id

    def delete_channel(self, channel_id: int) -> None:
        """Delete a channel and everything in it."""
        with closing(self._administrator()) as peer:
            peer.send(wire.DeleteChannel(channel_id=channel_id, reason="the load is over"))
            peer.until(wire.ChannelDeleted, channel_id=channel_id, success=True)

    def _administrator(self) -> Peer:
        peer = Peer(TCPStream(self.running.port))
        peer.send(wire.AuthRequest(nickname=ADMIN, password_hash=self._secret))
        peer.until(wire.AuthResponse, success=True)
        return peer


def _furnish(path: Path, minutes: float) -> None:
    """A database with messages of which some become an hour old in every minute from now on."""
    reactor = SteppedReactor()
    storage = SQLiteStorage(path, reactor)

    def done(deferred: Deferred[Any]) -> None:
        reactor.run_until_fired(deferred)

    seeds = [
        NewChannel(name, name, "", ChannelType.FORUM, retention_hours=1) for name in ("lounge", "attic")
    ]
    now_ms = int(time.time() * 1000)
    done(storage.open())
    done(storage.seed_channels(seeds, now_ms))
    number = int((minutes + 2) * ATTIC_POSTS_PER_MINUTE)
    posts = [
        NewMessage(
            channel_id=ATTIC,
            parent_id=None,
            author_nickname="elder",
            author_session=1,
            content=b"old %d" % each,
            created_at=now_ms - HOUR_MS - 60_000 + each * 60_000 // ATTIC_POSTS_PER_MINUTE,
        )
        for each in range(number)
    ]
    appended = [storage.append_message(post) for post in posts]
    done(appended[-1])
    done(storage.close())
