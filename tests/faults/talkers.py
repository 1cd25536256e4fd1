"""People who talk all the time, in a thread of their own, while a test does something to their server."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path
from typing import Final

from superchat.loadtest.loop import READ, Loop, now_us
from superchat.wire import frames
from superchat.wire import messages as wire
from superchat.wire.connection import Connection
from superchat.wire.messages import BY_CODE
from superchat.wire.records import Message

PATIENCE_SECONDS: Final = 60.0
"""How long is waited for what the server must do; only what fails takes that long."""


class Talker:
    """Posts one text after the other, each once the one before is confirmed; a listener hears all of them."""

    def __init__(self, talkers: Talkers, nickname: str, *, listens: bool) -> None:
        self.nickname = nickname
        self.heard: list[int] = []
        """Ids of the messages that it was told of, in that order."""
        self.end: str | None = None
        """Why the connection is over: what DISCONNECT said, or nothing if there was none."""
        self.is_ready = self.is_waiting = False
        self._talkers = talkers
        self._listens = listens
        self._incoming = Connection(BY_CODE)
        self._texts = 0
        self._asked_at = 0.0
        self._reason = ""
        self.socket = socket.create_connection(("127.0.0.1", talkers.port), PATIENCE_SECONDS)

    def post(self) -> None:
        """Say something, unless it is over."""
        if self.end is not None or not self._talkers.is_talking:
            return
        self.is_waiting = True
        self._texts += 1
        self._asked_at = time.monotonic()
        self._send(wire.PostMessage(channel_id=self._talkers.channel_id, content=self._text))

    def read(self, events: int) -> None:
        """Take what has come."""
        try:
            data = self.socket.recv(262_144, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._ended()
            return
        self._incoming.receive_data(data)
        while (event := self._incoming.next_event()) is not None:
            self._take(event)

    @property
    def _text(self) -> bytes:
        return f"{self.nickname} says {self._texts}".encode()

    def _take(self, event: object) -> None:
        if isinstance(event, wire.NewMessage):
            self.heard.append(event.message_id)
        elif isinstance(event, wire.MessagePosted):
            self._posted(event.message_id)
        elif isinstance(event, wire.ServerConfig):
            self._send(wire.SetNickname(nickname=self.nickname))
        elif isinstance(event, wire.NicknameResponse):
            if self._listens:
                self._send(wire.SubscribeChannel(channel_id=self._talkers.channel_id))
            else:
                self.is_ready = True
        elif isinstance(event, wire.SubscribeOk):
            self.is_ready = True
        elif isinstance(event, wire.Disconnect):
            self._reason = event.reason or ""
        elif not isinstance(event, wire.ServerPresence):
            self._talkers.surprises.append(f"{self.nickname} was told {event}")

    def _posted(self, message_id: int) -> None:
        self.is_waiting = False
        talkers = self._talkers
        talkers.confirmed[message_id] = self._text
        talkers.longest_seconds = max(talkers.longest_seconds, time.monotonic() - self._asked_at)
        talkers.loop.at(now_us() + talkers.pause_us, self.post)

    def _send(self, message: Message) -> None:
        with suppress(OSError):  # the end is seen when it is read
            self.socket.sendall(frames.encode(message))

    def _ended(self) -> None:
        self.end = self._reason
        self.is_waiting = False
        self._talkers.loop.forget(self.socket)
        self.socket.close()


class Talkers:
    """Some people, of whom the first few listen too."""

    def __init__(
        self, port: int, number: int, listeners: int, *, channel_id: int = 1, pause_seconds: float = 0.0
    ) -> None:
        self.port = port
        self.channel_id = channel_id
        self.pause_us = int(pause_seconds * 1_000_000)
        self.loop = Loop()
        self.is_talking = False
        self.confirmed: dict[int, bytes] = {}
        """What the server says is stored, in the order in which it said so."""
        self.longest_seconds = 0.0
        """How long a confirmation took at most."""
        self.surprises: list[str] = []
        """Everything that nobody asked for, errors above all."""
        self.people = [Talker(self, f"talker{index}", listens=index < listeners) for index in range(number)]
        self.listeners: Sequence[Talker] = self.people[:listeners]
        self._thread = threading.Thread(target=self._run, daemon=True)
        for one in self.people:
            self.loop.watch(one.socket, READ, one.read)
        self._thread.start()
        self.wait(lambda: all(one.is_ready for one in self.people))

    def start(self) -> None:
        """Begin to talk."""
        self.is_talking = True
        for one in self.people:
            self.loop.at(now_us(), one.post)

    def finish(self) -> None:
        """Say nothing more, and have everything confirmed and heard that was said, by those who are still there."""
        self.is_talking = False
        self.wait(lambda: not any(one.is_waiting for one in self.people))
        self.wait(lambda: all(self.missing(one) == 0 for one in self.listeners if one.end is None))

    def missing(self, listener: Talker) -> int:
        """How many confirmed messages a listener has not heard."""
        return len(self.confirmed.keys() - set(listener.heard))

    def goes_on(self, messages: int = 1) -> float:
        """Wait until so many more are confirmed, and everything confirmed by then is heard; how many seconds that
        took."""
        began, enough = time.monotonic(), len(self.confirmed) + messages
        self.wait(lambda: len(self.confirmed) >= enough)
        newest = max([*self.confirmed])
        self.wait(lambda: all(one.heard and one.heard[-1] >= newest for one in self.listeners if one.end is None))
        return time.monotonic() - began

    def mistakes(self, *, may_end: bool = False, unfinished: bool = False) -> list[str]:
        """Everything the server did wrong: refused, cut off, lost, doubled or disordered.

        Call `finish` before, unless some may be *unfinished*, or everybody's connection *may_end*.
        """
        wrong = [*self.surprises]
        for one in self.people:
            if one.end is not None and not may_end:
                wrong.append(f"{one.nickname} was disconnected: {one.end!r}")
        for one in self.listeners:
            heard = [*one.heard]  # a copy: meanwhile it hears more
            wrong += [f"{one.nickname} heard {new} after {old}" for old, new in pairwise(heard) if new <= old]
            if not (may_end or unfinished) and (missing := self.missing(one)):
                wrong.append(f"{one.nickname} has not heard {missing} messages")
        return wrong

    def not_stored(self, database: Path) -> list[int]:
        """The ids of messages that were confirmed or heard, and that a database does not have as they were."""
        with closing(sqlite3.connect(database)) as connection:
            stored = dict(connection.execute("SELECT id, content FROM message"))
        heard = {key for one in self.listeners for key in one.heard} - stored.keys()
        return [key for key, text in self.confirmed.items() if stored.get(key) != text] + sorted(heard)

    def wait(self, condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        """Wait for what the server does. Raises TimeoutError, with what is known, when it does not."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                ended = [one.end for one in self.people if one.end is not None]
                raise TimeoutError(
                    f"{sum(one.is_waiting for one in self.people)} of {len(self.people)} wait for a confirmation, "
                    f"{len(self.confirmed)} messages are confirmed, {len(ended)} connections have ended "
                    f"({sorted(set(ended))}), surprises: {self.surprises[:3]}"
                )
            time.sleep(0.005)

    def close(self) -> None:
        """End all connections, and the thread."""
        self.loop.at(now_us(), self.loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        for one in self.people:
            one.socket.close()

    def _run(self) -> None:
        try:
            self.loop.run()
        except Exception as error:  # noqa: BLE001  # the test would wait for ever, and not know why
            self.surprises.append(f"the talkers fail: {error!r}")


def integrity(database: Path) -> str:
    """What SQLite says of a database that no server uses: "ok" is all that may come."""
    with closing(sqlite3.connect(database)) as connection:
        (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
        dangling = connection.execute("PRAGMA foreign_key_check").fetchall()
    return str(answer) if not dangling else f"{len(dangling)} rows point to nothing"
