"""Talks with a server in a process of its own, over TCP and WebSocket: the same messages, real time, real sockets."""

from __future__ import annotations

import random
import sqlite3
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from superchat.model import NewAccount
from superchat.storage.sqlite import SQLiteStorage
from superchat.wire import messages as wire
from superchat.wire.records import Message
from tests.auth.quick import quick_passwords, secret_of
from tests.e2e.server import Place, RunningServer, new_place
from tests.fuzz.talks.chance import Chance
from tests.fuzz.talks.play import Progress
from tests.fuzz.talks.real_clients import RealClient, RealWebSocketClient, exchange
from tests.fuzz.talks.script import Leave, Open, Read, Send, Settings, Step, written
from tests.fuzz.talks.stage import PASSWORD, PEOPLE, check_content
from tests.fuzz.talks.transcript import Transcript
from tests.storage.reactor import SteppedReactor

_CONFIG: Final = """
[server]
admin_users = ["root"]
moderator_users = ["mod"]
[limits]
message_rate_limit = 0
max_connections_per_ip = 0
max_frames_per_second = 0
max_channel_creates = 0
max_auth_attempts_per_minute = 0
[monitoring]
canary_interval_seconds = 0
"""
_SECONDS_EACH: Final = 20.0
"""How long people talk before a new server with new people begins: these are banned and deleted by then."""
_IN_TIME_SECONDS: Final = 60.0
_MOST_RESIDENT_KIB: Final = 400 * 1024
_TROUBLES: Final = ("Traceback", "Internal error", "Unhandled")
_TURN_SECONDS: Final = 0.002
_FIRST_MS: Final = 1_700_000_000_000


class Failed(AssertionError):
    """A server broke a promise; `data` is what was said to it, as a talk that can be tried in memory."""

    def __init__(self, data: bytes, why: Exception) -> None:
        super().__init__("".join(traceback.format_exception(why)))
        self.data = data


def run(
    new_case: Callable[[], SynchronousTestCase],
    seconds: float,
    seed: int,
    report: Callable[[Progress], None] | None = None,
) -> Progress:
    """Talk for so long, with one server after the other. Raises `Failed`."""
    progress = Progress()
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        case = new_case()
        talk = Talk(case, seed + progress.talks)
        try:
            talk.play(min(left, _SECONDS_EACH), progress, report)
        except Exception as error:
            raise Failed(written(Settings(storage="sqlite"), talk.steps), error) from error
        finally:
            case.doCleanups()
        progress.talks += 1
    return progress


class Talk:
    """One server, and those who talk on it."""

    def __init__(self, case: SynchronousTestCase, seed: int) -> None:
        self.seed = seed
        self.steps: list[Step] = []
        self._rng = random.Random(seed)
        self._chance = Chance(self._rng)
        place = new_place(case)
        _people(place)
        self._server = RunningServer(case, _CONFIG, place=place, websocket=True)
        self._clients: dict[int, RealClient] = {}
        self._transcripts: list[Transcript] = []
        self._versions: dict[int, int] = {}

    def play(self, seconds: float, progress: Progress, report: Callable[[Progress], None] | None) -> None:
        """Everything from the first word to the regular end of the server."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for step in self._chance.step(0):
                self.steps.append(step)
                self._act(step)
                progress.steps += 1
            exchange(self._clients.values(), _TURN_SECONDS)
            assert self._server.is_running, self._server.errors
            if report is not None:
                report(progress)
        self._finish()
        for transcript in self._transcripts:
            progress.features |= transcript.features

    def _act(self, step: Step) -> None:
        match step:
            case Open():
                self._open(step)
            case Send() if step.client in self._clients:
                self._send(self._clients[step.client], step)
            case Read() if step.client in self._clients:
                self._clients[step.client].is_reading = step.on
            case Leave() if step.client in self._clients:
                self._clients.pop(step.client).leave()

    def _open(self, step: Open) -> None:
        self._clients = {number: client for number, client in self._clients.items() if not client.is_over}
        transcript = Transcript(learn=self._learn)
        self._transcripts.append(transcript)
        if step.transport == "websocket":
            client: RealClient = RealWebSocketClient(self._server.http_port, 2, transcript)
        else:
            client = RealClient(self._server.port, 2, transcript)
        self._clients[step.client] = client

    def _send(self, client: RealClient, step: Send) -> None:
        """In pieces; but nobody says more than the server takes."""
        edges = (0, *step.cuts, len(step.data))
        if client.waiting_bytes < 1 << 20:
            for start, end in pairwise(edges):
                client.send(step.data[start:end])

    def _learn(self, message: Message) -> None:
        self._chance.values.learn(message)

    def _finish(self) -> None:
        """Everything is answered; then everybody leaves, and the server ends as if nothing had been."""
        for client in self._clients.values():
            client.is_reading = True
        self._wait_for(self._is_answered, "not answered in time")
        for transcript in self._transcripts:
            transcript.close()
        for client in self._clients.values():
            client.leave()
        self._wait_for_nobody()
        assert _resident_kib(self._server.pid) < _MOST_RESIDENT_KIB
        self._server.stop()
        said = f"{self._server.errors}\n{self._server.output}\n{self._server.log}"
        assert not [word for word in _TROUBLES if word in said], said[-4000:]
        self._check_stored()

    def _is_answered(self) -> bool:
        exchange(self._clients.values(), _TURN_SECONDS)
        return all(client.is_over or client.transcript.is_answered for client in self._clients.values())

    def _wait_for(self, is_so: Callable[[], bool], complaint: str) -> None:
        deadline = time.monotonic() + _IN_TIME_SECONDS
        while not is_so():
            assert time.monotonic() < deadline, complaint
            assert self._server.is_running, self._server.errors

    def _wait_for_nobody(self) -> None:
        """A newcomer finds nobody here, once the server has noticed."""
        heard: list[Message] = []
        last = RealClient(self._server.port, 2, Transcript(learn=heard.append))

        def is_alone() -> bool:
            heard.clear()
            last.send(_LIST_USERS)
            while not any(isinstance(message, wire.UserList) for message in heard):
                exchange([last], _IN_TIME_SECONDS)
            return any(isinstance(message, wire.UserList) and not message.users for message in heard)

        self._wait_for(is_alone, "sessions of those who have left")
        last.leave()

    def _check_stored(self) -> None:
        """What was acknowledged is there as it was said, unless it was changed, or its channel deleted."""
        with closing(sqlite3.connect(self._server.place.database)) as database:
            for transcript in self._transcripts:
                for message_id, request in transcript.acknowledged:
                    row: Any = database.execute(_STORED, (message_id,)).fetchone()
                    if row is not None and request is not None and row[1] is None and row[2] is None:
                        check_content(request, row[0])


_LIST_USERS: Final = bytes.fromhex("00000006 02 16 00 0000 00")
_STORED: Final = "SELECT content, edited_at, deleted_at FROM message WHERE id = ?"


def _people(place: Place) -> None:
    """Those who have accounts before the server begins."""
    place.data_directory.mkdir(parents=True)
    reactor = SteppedReactor()
    storage = SQLiteStorage(place.database, reactor, 1)
    passwords = quick_passwords()
    work: list[Callable[[], Deferred[Any]]] = [storage.open]
    for name, flags in PEOPLE:
        hashed: list[str] = []
        passwords.hash(secret_of(name, PASSWORD)).addCallback(hashed.append)
        work.append(partial(storage.create_account, NewAccount(name, hashed[0], flags, _FIRST_MS)))
    for each in (*work, storage.close):
        reactor.run_until_fired(each())


def _resident_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0
