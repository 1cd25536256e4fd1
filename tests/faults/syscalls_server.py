"""A real server whose file system fails, two people on it, and what they are told."""

from __future__ import annotations

import errno
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Final, TypeVar
from urllib.error import HTTPError
from urllib.request import urlopen

import attrs
from twisted.trial.unittest import SynchronousTestCase

from superchat.wire import messages as wire
from superchat.wire.errors import ErrorCode
from superchat.wire.records import Message
from tests.e2e.peers import Peer, connect
from tests.e2e.phrases import GENERAL, page, posting
from tests.e2e.server import PATIENCE_SECONDS, UNLIMITED, Place, RunningServer, end, free_port, new_place, spawn
from tests.faults.syscalls_calls import ERRORS, FOR_EVER, Call, Faults, File, Kind, build
from tests.faults.syscalls_judge import messages_in

M = TypeVar("M", bound=Message)

CONFIG: Final = f"""
{UNLIMITED}
max_channel_creates = 0
session_timeout_seconds = 0
[monitoring]
canary_interval_seconds = 0
min_free_disk_bytes = 0
"""
REFUSAL: Final = wire.Error(error_code=ErrorCode.DATABASE_ERROR, message="Database error")
FULL: Final = (Kind.WRITE, Kind.SYNC, Kind.TRUNCATE)
_STAMP: Final = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6} \[")
_POLL_SECONDS: Final = 0.05


@attrs.define
class Ledger:
    """What the author was told."""

    said: dict[int, bytes] = attrs.field(factory=dict)
    """What each acknowledged message says now, by id."""
    deleted: set[int] = attrs.field(factory=set)
    refused: list[bytes] = attrs.field(factory=list)
    """Contents that must be nowhere."""
    roots: list[int] = attrs.field(factory=list)
    """Acknowledged posts that the listener has not been compared with yet."""


class FailingServer:
    """A server, an author with an account, and somebody who is subscribed to the channel."""

    def __init__(self, case: SynchronousTestCase, config: str = "") -> None:
        self.case = case
        self.place = new_place(case)
        self.place.data_directory.mkdir(parents=True)
        self.faults = Faults(self.place.root / "control", self.place.data_directory)
        self.ledger = Ledger()
        self._config = CONFIG + config
        self._library = build(self.place.root)
        self._number = 0
        self.start()
        self.author, self.listener = self.join("author"), self.join("listener")
        self.author.send(wire.RegisterUser(password_hash="a" * 43))
        case.assertTrue(self.author.until(wire.RegisterResponse).success)
        self.listener.send(wire.SubscribeChannel(channel_id=GENERAL))
        self.listener.until(wire.SubscribeOk)

    def environment(self) -> dict[str, str]:
        """What makes a server fail when it is told to."""
        self._metrics_port = free_port()
        metrics = {"SUPERCHAT_MONITORING_METRICS_PORT": str(self._metrics_port)}
        return self.faults.environment(self._library) | metrics

    def start(self) -> None:
        """Start the server, on what the one before left."""
        self.running = RunningServer(self.case, self._config, place=self.place, environment=self.environment())

    def join(self, nickname: str) -> Peer:
        """A client."""
        return connect(self.case, self.running).named(nickname)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of one of the operators' pages."""
        try:
            with urlopen(f"http://127.0.0.1:{self._metrics_port}{path}", timeout=PATIENCE_SECONDS) as response:
                return response.status, response.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def wait_until_ready(self) -> None:
        """Wait until /readyz says so."""
        self.wait_for(lambda: self.get("/readyz")[0] == 200, "it does not become ready again")

    def wait_for(self, condition: Callable[[], bool], complaint: str) -> None:
        """Wait until something is true."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            self.case.assertLess(time.monotonic(), deadline, f"{complaint}\n{self.running.output}")
            time.sleep(_POLL_SECONDS)

    # What the author does; the answer, or None for what was refused, in the documented way and no other

    def ask(self, question: Message, kind: type[M]) -> M | None:
        """Ask, on the one connection that goes through everything."""
        self.author.send(question)
        while not isinstance(answer := self.author.receive(), (kind, wire.Error)):
            pass
        if isinstance(answer, kind):
            return answer
        self.case.assertEqual(answer, REFUSAL)
        return None

    def post(self, parent_id: int | None = None) -> int | None:
        """Post a message; its id."""
        content = self._content()
        answer = self.ask(posting(GENERAL, content, parent_id), wire.MessagePosted)
        if answer is None:
            self.ledger.refused.append(content)
            return None
        self.ledger.said[answer.message_id] = content
        if parent_id is None:
            self.ledger.roots.append(answer.message_id)
        return answer.message_id

    def edit(self, message_id: int) -> None:
        """Change a message."""
        content = self._content()
        if self.ask(wire.EditMessage(message_id=message_id, new_content=content), wire.MessageEdited) is None:
            self.ledger.refused.append(content)
        else:
            self.ledger.said[message_id] = content

    def delete(self, message_id: int) -> None:
        """Delete a message."""
        answer = self.ask(wire.DeleteMessage(message_id=message_id), wire.MessageDeleted)
        if answer is not None:
            self.ledger.said[message_id] = answer.message
            self.ledger.deleted.add(message_id)

    def talk(self) -> None:
        """A little of everything."""
        root, other = self.post(), self.post()
        if root is not None:
            reply = self.post(root)
            self.edit(root)
            if reply is not None:
                self.delete(reply)
        if other is not None:
            self.delete(other)
        self.ask(page(GENERAL), wire.MessageList)
        name = f"channel-{self._content()[:12].decode().strip()}"
        creation = wire.CreateChannel(name=name, display_name=name, channel_type=1, retention_hours=1)
        self.ask(creation, wire.ChannelCreated)
        self.post()

    def _content(self) -> bytes:
        self._number += 1
        return b"%06d said once" % self._number

    # What must be true

    def check_listener(self) -> None:
        """The listener has heard of every acknowledged root, in order, and of nothing that was refused."""
        heard = [each.message_id for each in self.listener.caught_up() if isinstance(each, wire.NewMessage)]
        self.case.assertEqual(heard, self.ledger.roots)
        self.ledger.roots.clear()

    def check_all_well(self) -> None:
        """Nothing fails any more, so posts are taken and readiness is back, on the same connection."""
        self.wait_until_ready()
        self.case.assertIsNotNone(self.post(), "posts are refused when the fault is over")
        self.check_listener()

    def check_stored(self) -> None:
        """All that was acknowledged is in the database of a server that has ended, and nothing that was refused."""
        found = messages_in(self.place.database)
        expected = {each: (content, each in self.ledger.deleted) for each, content in self.ledger.said.items()}
        self.case.assertEqual({each: found[each] for each in expected if each in found}, expected)
        contents = {content for content, _ in found.values()}
        self.case.assertEqual(contents & {*self.ledger.refused}, set())

    def check_no_mistakes(self) -> None:
        """What failed was foreseen: there is no traceback in the log."""
        self.case.assertNotIn("Traceback", (self.place.data_directory / "errors.log").read_text())


def fail_each(server: FailingServer, rng: random.Random, count: int, errors: tuple[int, ...] = ()) -> Iterator[str]:
    """Let so many calls of the server fail while people talk, each once or from then on; says what it did.

    *count* 0 is all of them, with all *errors* that they can have.
    """
    server.faults.count()
    server.talk()
    trace = server.faults.trace
    cases = [(number, call, error) for number, call in enumerate(trace, 1) for error in ERRORS[call.kind]]
    cases = [case for case in cases if not errors or case[2] in errors]
    for number, call, error in rng.sample(cases, count) if count else cases:
        lasts = call.kind in FULL and error != errno.EINTR and rng.random() < 0.5
        kinds = FULL if lasts else tuple(Kind)
        if lasts:
            number = rng.randint(1, sum(each.kind in FULL for each in trace))
        what = f"call {number} ({call}) {errno.errorcode[error]}{' and all after it' if lasts else ''}"
        try:
            server.faults.fail(number, FOR_EVER if lasts else number, error, kinds=kinds)
            server.talk()
            server.faults.rest()
            server.check_listener()
            if lasts:
                server.check_all_well()
        except AssertionError as failure:
            raise AssertionError(f"{what}: {failure}") from failure
        yield what


def fill_disk(server: FailingServer) -> None:
    """There is no space on the disk for a while: posts are refused, and everything else goes on."""
    kept = server.post()
    assert kept is not None
    server.faults.fail(1, FOR_EVER, errno.ENOSPC, kinds=FULL)
    for _ in range(3):
        server.case.assertIsNone(server.post())
        server.case.assertIsNone(server.ask(wire.DeleteMessage(message_id=kept), wire.MessageDeleted))
        listed = server.ask(page(GENERAL), wire.MessageList)
        assert listed is not None
        server.case.assertEqual({each.message_id for each in listed.messages} - server.ledger.said.keys(), set())
        server.case.assertIn(kept, {each.message_id for each in listed.messages})
    # The answer of one probe serves everybody for a second.
    server.wait_for(lambda: server.get("/readyz")[0] == 503, "it is said to be ready")
    server.case.assertRegex(server.get("/readyz")[1], "^database: .*full")
    server.case.assertEqual(server.get("/livez")[0], 200)
    newcomer = server.join("newcomer")
    newcomer.send(page(GENERAL))
    newcomer.until(wire.MessageList)
    newcomer.close()
    server.faults.rest()
    server.check_all_well()
    log = server.place.data_directory / "server.log"
    server.wait_for(lambda: "set nickname: newcomer" in log.read_text(), "the log does not go on")
    server.wait_for(lambda: "database error in post message" in log.read_text(), "the log lacks the refusal")


def refuse_and_kill(server: FailingServer, error: int, last: int) -> None:
    """A commit cannot be synced, and the server is killed as soon as it has said so; the next one goes on."""
    server.faults.fail(1, last, error, kinds=(Kind.SYNC,), files=(File.WAL,))
    server.case.assertIsNone(server.post())
    server.running.kill()
    server.faults.rest()
    server.start()
    server.author = server.join("author2")
    listed = server.ask(page(GENERAL), wire.MessageList)
    assert listed is not None
    server.case.assertEqual({each.content for each in listed.messages} & {*server.ledger.refused}, set())


def lose_lines(server: FailingServer, bytes_wanted: int) -> int:
    """The logs cannot be written for long: the chat goes on, the loss is counted, said, and told; how many lines."""
    log = server.place.data_directory / "debug.log"
    server.faults.fail(1, FOR_EVER, errno.ENOSPC, kinds=(Kind.WRITE,), files=(File.TEXT,))
    pings = [wire.Ping(timestamp=number) for number in range(200)]
    for _ in range(bytes_wanted // (len(pings) * 40)):
        server.author.send(*pings)
        server.author.caught_up()
        if _counted(server, "superchat_log_lines_lost_total"):
            break
    server.case.assertIsNotNone(server.post())
    server.faults.rest()
    server.wait_for(lambda: "log lines were lost" in log.read_text(), "nobody says that lines were lost")
    lost = _counted(server, "superchat_log_lines_lost_total")
    server.case.assertGreater(_counted(server, "superchat_log_write_failures_total"), 0)
    server.case.assertGreater(lost, 0)
    for line in log.read_text().splitlines():
        server.case.assertEqual([found.start() for found in _STAMP.finditer(line)], [0], line)
    return lost


def _counted(server: FailingServer, name: str) -> int:
    _, text = server.get("/metrics")
    values = [line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")]
    return int(float(values[0]))


def fail_starts(server: FailingServer, rng: random.Random, count: int, errors: tuple[int, ...] = ()) -> Iterator[str]:
    """Let a call fail while a server starts, on a database that is there or on none: it says so in a line and ends
    with 1, or it serves. *count* 0 is every call."""
    server.running.stop()
    for place in (server.place, None):
        trace = _trace_of_start(server, place)
        cases = [(number, call, error) for number, call in enumerate(trace, 1) for error in ERRORS[call.kind]]
        cases = [case for case in cases if not errors or case[2] in errors]
        for number, call, error in rng.sample(cases, count) if count else cases:
            what = f"start{'' if place else ' anew'}, call {number} ({call}) {errno.errorcode[error]}"
            try:
                _fail_start(server, place, number, error)
            except AssertionError as failure:
                raise AssertionError(f"{what}: {failure}") from failure
            yield what


def _trace_of_start(server: FailingServer, place: Place | None) -> list[Call]:
    starter = _Starter(server, place)
    starter.faults.count()
    process = starter.spawn()
    assert starter.is_served(process)
    trace = starter.faults.trace
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_SECONDS)
    starter.finish()
    return trace


def _fail_start(server: FailingServer, place: Place | None, number: int, error: int) -> None:
    case, starter = server.case, _Starter(server, place)
    starter.faults.fail(number, number, error)
    process = starter.spawn()
    if not starter.is_served(process):
        process.communicate(timeout=PATIENCE_SECONDS)
        said = starter.place.stderr.read_text()
        case.assertEqual(process.returncode, 1, said)
        case.assertNotIn("Traceback", said)
        case.assertRegex(said, r"(?m)^superchat: .+$")
        starter.faults.rest()
        process = starter.spawn()
        case.assertTrue(starter.is_served(process), "it does not start when the fault is over")
    starter.faults.rest()
    end(process)
    process.communicate()
    starter.finish()


class _Starter:
    """Starts servers that may fail to."""

    def __init__(self, server: FailingServer, place: Place | None) -> None:
        self._case = server.case
        self._library = server._library
        self._is_anew = place is None
        if place is None:
            place = new_place(server.case)
            place.data_directory.mkdir(parents=True)
        self.place = place
        self.faults = Faults(place.root / "control", place.data_directory)
        place.config.write_text(CONFIG)

    def spawn(self) -> subprocess.Popen[str]:
        """A process."""
        return spawn(self._case, self.place, self.place.environment(**self.faults.environment(self._library)))

    def is_served(self, process: subprocess.Popen[str]) -> bool:
        """Whether it serves, or has ended instead."""
        assert process.stdout is not None
        return any("Server started on port" in line for line in process.stdout)

    def finish(self) -> None:
        """Remove what was made; there may be thousands."""
        self.faults.close()
        if self._is_anew:
            shutil.rmtree(self.place.root)
