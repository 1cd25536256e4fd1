"""A server in memory that a talk is played on, and what must be true of it after every step and in the end."""

from __future__ import annotations

import gc
import re
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, Logger

from superchat.chat.service import Chat
from superchat.config import Config, Limits, Server
from superchat.model import NewAccount, UserFlags
from superchat.net.factory import SuperChatFactory
from superchat.net.websocket import WebSocketResource, make_site
from superchat.storage.memory import MemoryStorage
from superchat.storage.sqlite import SQLiteStorage
from superchat.wire.frames import LENGTH, MAX_LENGTH
from superchat.wire.messages import PostMessage
from superchat.wire.records import Message
from tests.auth.quick import quick_passwords, secret_of
from tests.fuzz.talks.clients import FLIGHT_SECONDS, TCPClient, WebSocketClient
from tests.fuzz.talks.late import Late, LatePasswords, LateStorage
from tests.fuzz.talks.script import Delay, Fill, Leave, Open, Read, Reply, Send, Settings, Step, Wait
from tests.fuzz.talks.transcript import Transcript
from tests.fuzz.troubles import no_troubles
from tests.storage.reactor import SteppedReactor

T = TypeVar("T")

PEOPLE: Final = (
    ("root", UserFlags.ADMIN),
    ("mod", UserFlags.MODERATOR),
    ("anna", UserFlags.NONE),
    ("ben", UserFlags.NONE),
)
PASSWORD: Final = "secret"
HASHES: Final[dict[str, str]] = {}
"""Computed once for all talks."""
MOST_CLIENTS: Final = 12
LARGEST_FRAME_BYTES: Final = LENGTH.size + MAX_LENGTH
READ_AHEAD_BYTES: Final = 16_384
"""What the protocol takes in beside a frame that is not whole yet, before it stops reading."""

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_START_MS: Final = 1_800_000_000_000
_SETTLE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 60.0
"""For so long, somebody who has sent too much may have to wait without hearing anything."""
_MOST_TURNS: Final = 2_000


class Stage:
    """Plays steps. Raises AssertionError for whatever is not as it must be."""

    def __init__(self, settings: Settings, storage: Any, reactor: SteppedReactor) -> None:
        self.settings = settings
        self.clients: dict[int, TCPClient] = {}
        self.transcripts: list[Transcript] = []
        self.may_fail = False
        self.heard: list[Message] = []
        """What anybody has heard since this was emptied; for whoever wants to learn from it."""
        self.late = Late(self._wait)
        self._clock = reactor
        self._storage = storage
        self._wait(storage.open())
        self._watched: list[weakref.ref[Any]] = []
        self._make_people()
        quiet = Logger(observer=cast(ILogObserver, lambda event: None))
        passwords: Any = LatePasswords(self.late, quick_passwords())
        stored: Any = LateStorage(self.late, storage)
        self.chat = Chat(_config(settings), stored, reactor, self._now_ms, quiet, passwords)
        self._done(Deferred.fromCoroutine(self.chat.start()))
        self.factory = SuperChatFactory(self.chat, reactor)
        resource = WebSocketResource(self.factory, clock=reactor, max_frames_per_second=lambda: 0)
        self._site = make_site({b"ws": resource}, reactor=reactor)
        self._timers = len(reactor.getDelayedCalls())

    @property
    def features(self) -> set[tuple[str, str]]:
        """What was answered to what, by anybody to anybody."""
        return set().union(*(transcript.features for transcript in self.transcripts))

    def play(self, step: Step) -> None:
        """One step, and a look at everything."""
        with no_troubles():
            match step:
                case Wait():
                    self._clock.advance(step.seconds)
                case Delay():
                    self.late.is_late = step.on
                case Fill():
                    self._fail_from_now_on(step.on)
                    self.late.is_full = step.on
                case Reply():
                    self._fail_from_now_on(step.fails)
                    self.late.answer(step.number, fails=step.fails)
                case Open():
                    self._open(step)
                case _:
                    self._act(step)
            self._clock.advance(0)
            self._hear()
        self._check()

    def finish(self) -> None:
        """Let everything come to its end: what was asked is answered, and once everybody has left nothing is left."""
        with no_troubles():
            self._answer_everything()
            for transcript in self.transcripts:
                transcript.close()
            self._check_stored()
            self._leave()
            self._answer_everything()
            self._clock.advance(FLIGHT_SECONDS)
            self._answer_everything()
            self._check_empty()
            self._let_go()
            gc.collect()
        assert not [thing for thing in self._watched if thing() is not None], "kept although nobody needs it any more"

    def end(self) -> None:
        """Close the storage."""
        self.chat.stop()
        self._wait(self._storage.close())

    # Steps

    def _open(self, step: Open) -> None:
        if step.client in self.clients or len(self.clients) >= MOST_CLIENTS:
            return
        transcript = Transcript(may_fail=self.may_fail, learn=self.heard.append)
        self.transcripts.append(transcript)
        if step.transport == "websocket":
            client: TCPClient = WebSocketClient(self.factory, self._clock, step.address, transcript, self._site)
        else:
            client = TCPClient(self.factory, self._clock, step.address, transcript)
        self.clients[step.client] = client
        self._watched += client.watched

    def _act(self, step: Send | Read | Leave) -> None:
        client = self.clients.get(step.client)
        if client is None:
            return
        match step:
            case Send():
                edges = (0, *sorted({min(cut, len(step.data)) for cut in step.cuts}), len(step.data))
                client.send(step.data[start:end] for start, end in pairwise(edges))
                self._check_waiting(client, len(step.data))
            case Read():
                client.read_on(step.on)
            case Leave():
                client.leave()

    def _fail_from_now_on(self, fails: bool) -> None:
        """Whoever talks may be told so."""
        self.may_fail = self.may_fail or fails
        for transcript in self.transcripts:
            transcript.may_fail = self.may_fail

    def _hear(self) -> None:
        for number, client in [*self.clients.items()]:
            client.hear()
            if client.is_gone:
                client.see_the_end()
                del self.clients[number]

    def _leave(self) -> None:
        """Everybody is gone."""
        for client in self.clients.values():
            client.leave()
        self.clients.clear()

    def _let_go(self) -> None:
        """Threads remember what they did last, until they do something else."""
        self._done(self._storage.probe(self._now_ms()))
        self._done(self._storage.channels())

    def _answer_everything(self) -> None:
        """As long as it takes, however slowly clients may send and however much there is."""
        self.late.is_late = self.late.is_full = False
        for client in self.clients.values():
            client.read_on(True)
        idle_seconds = 0.0
        for _ in range(_MOST_TURNS):
            before = self._heard()
            self.late.answer_all()
            self._clock.advance(_SETTLE_SECONDS)
            self._hear()
            idle_seconds = idle_seconds + _SETTLE_SECONDS if self._heard() == before else 0.0
            if idle_seconds >= _LONGEST_PAUSE_SECONDS or (idle_seconds and self._is_answered()):
                return
        raise AssertionError("it does not come to an end")

    def _heard(self) -> int:
        return sum(transcript.heard for transcript in self.transcripts)

    def _is_answered(self) -> bool:
        return not len(self.late) and all(client.transcript.is_answered for client in self.clients.values())

    # Looks

    def _check(self) -> None:
        counters, settings = self.chat.counters, self.settings
        assert counters.under_way >= 0
        assert len(self.chat.sessions) <= len(self.clients)
        most = settings.outbox_bytes + LARGEST_FRAME_BYTES
        assert self.factory.flusher.pending_bytes() <= len(self.clients) * most

    def _check_waiting(self, client: TCPClient, sent: int) -> None:
        """More than a frame that is not whole waits only as far as it came in one piece with what made it wait."""
        if not client.is_gone:
            assert client.waiting_bytes <= READ_AHEAD_BYTES + LARGEST_FRAME_BYTES + sent

    def _check_stored(self) -> None:
        """What was acknowledged is there, and is what was posted (decisions 4.6)."""
        everything = [one for transcript in self.transcripts for one in transcript.acknowledged]
        assert len({message_id for message_id, _ in everything}) == len(everything), "one id for two messages"
        for message_id, request in everything:
            stored = self._done(self._storage.message(message_id))
            if stored is None:
                continue  # with its channel, that of a conversation perhaps
            if request is not None and stored.edited_at is None and stored.deleted_at is None:
                check_content(request, stored.content)

    def _check_empty(self) -> None:
        chat = self.chat
        assert not len(chat.sessions), "sessions"
        assert not sum(chat.counters.sessions.values()), "sessions, as they are counted"
        assert chat.counters.under_way == 0, "requests under way"
        assert not len(chat.registry.channel_audiences), "subscriptions to channels"
        assert not len(chat.registry.thread_audiences), "subscriptions to threads"
        assert not chat.broadcasts.pending, "broadcasts on their way"
        assert not self.factory.flusher.pending_bytes(), "bytes for nobody"
        assert not self.factory.flusher.waiting, "outboxes of nobody"
        assert not len(chat.direct.conversations.turns), "turns of nobody"
        assert not len(self.late), "calls to the storage"
        left = self._clock.getDelayedCalls()
        assert len(left) == self._timers, f"something is still going to happen: {[*map(str, left)]}"

    # Storage

    def _make_people(self) -> None:
        for name, flags in PEOPLE:
            if name not in HASHES:
                HASHES[name] = self._done(quick_passwords().hash(secret_of(name, PASSWORD)))
            self._done(self._storage.create_account(NewAccount(name, HASHES[name], flags, self._now_ms())))

    def _now_ms(self) -> int:
        return _START_MS + int(self._clock.seconds() * 1000)

    def _wait(self, deferred: Deferred[Any]) -> None:
        if self.settings.storage == "sqlite":
            self._clock.run_until_fired(deferred)

    def _done(self, deferred: Deferred[T]) -> T:
        self._wait(deferred)
        results: list[T] = []
        failures: list[Any] = []
        deferred.addCallbacks(results.append, failures.append)
        for failure in failures:
            failure.raiseException()
        (result,) = results
        return result


@contextmanager
def staged(settings: Settings) -> Iterator[Stage]:
    """A stage for one talk."""
    reactor = SteppedReactor()
    with tempfile.TemporaryDirectory(prefix="superchat-talk-") as folder:
        storage: Any = MemoryStorage()
        if settings.storage == "sqlite":
            storage = SQLiteStorage(Path(folder) / "superchat.db", reactor, 1)
        stage = Stage(settings, storage, reactor)
        try:
            yield stage
        finally:
            with suppress(Exception):  # what was wrong before matters more
                stage.end()


def _config(settings: Settings) -> Config:
    limits = Limits(
        max_connections_per_ip=0,
        message_rate_limit=settings.posts_per_minute,
        max_channel_creates=0,
        max_auth_attempts_per_minute=0,
        max_message_length=settings.longest_message,
        session_timeout_seconds=settings.idle_seconds,
        max_frames_per_second=settings.frames_per_second,
        frame_burst=settings.frame_burst,
        outbox_budget_bytes=settings.outbox_bytes,
    )
    return Config(limits=limits, server=Server(admin_users=("root",), moderator_users=("mod",)))


def check_content(request: PostMessage, content: bytes) -> None:
    """Outside of direct conversations control characters are taken out (decisions 4.4); nothing else is changed."""
    cleaned = _CONTROLS.sub("", request.content.decode(errors="replace")).encode()
    assert content in (request.content, cleaned), (request.content, content)
