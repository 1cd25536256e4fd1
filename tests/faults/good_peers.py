"""Peers that behave: posters at a fixed rate and their subscribers: ``python -m tests.faults.good_peers PORT``

They measure how long it takes, from when a post was due, until its author is told that it is stored, and until each
subscriber has it; and they check that every subscriber gets everything once and in order. Each line of standard input
is a JSON object, a `Task`; it is answered with a line, a `Found`.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections import deque
from typing import Final

import attrs

from superchat.loadtest.loop import READ, Loop, now_us
from superchat.loadtest.splitting import FrameBuffer, new_message
from superchat.wire import frames
from superchat.wire import messages as wire
from superchat.wire.records import Message
from tests.faults.bad_kinds import CHANNEL

SUBSCRIBERS: Final = 20
POSTERS: Final = 5
PER_ADDRESS: Final = 9
"""Connections from one address; one below what the server allows."""
PATIENCE_US: Final = 30_000_000


@attrs.frozen
class Task:
    """Post for `seconds`, `rate` a second in all, texts of `size` bytes."""

    seconds: float
    rate: float
    size: int = 200


@attrs.frozen
class Found:
    """Microseconds from when a post was due to each of its acknowledgement and its deliveries; and what was wrong."""

    acknowledged: list[int]
    delivered: list[int]
    problems: list[str]


class Good:
    """A connection that says SET_NICKNAME, and maybe SUBSCRIBE_CHANNEL, and takes what comes."""

    def __init__(self, talk: Talk, number: int, *opening: Message) -> None:
        self.talk = talk
        self.number = number
        self._frames = FrameBuffer()
        self._socket = socket.socket()
        self._socket.bind((f"127.0.0.{11 + number // PER_ADDRESS}", 0))
        self._socket.connect(("127.0.0.1", talk.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.say(wire.SetNickname(nickname=f"good-{number}"), *opening)
        talk.loop.watch(self._socket, READ, self._readable)

    def say(self, *messages: Message) -> None:
        """Send messages at once."""
        self._socket.sendall(b"".join(frames.encode(message, version=1) for message in messages))

    def came(self, code: int, payload: bytes, now: int) -> None:
        """A frame came that is no refusal."""

    def _readable(self, events: int) -> None:
        data = self._socket.recv(65_536)
        now = now_us()
        if not data:
            self.talk.problem(f"connection {self.number} was ended")
            self.talk.loop.forget(self._socket)
        for code, payload in self._frames.feed(data):
            if code in (wire.Error.CODE, wire.Disconnect.CODE):
                self.talk.problem(f"connection {self.number} was told {payload!r}")
            else:
                self.came(code, payload, now)


class Subscriber(Good):
    """Gets everything."""

    def __init__(self, talk: Talk, number: int) -> None:
        self.got: list[int] = []
        super().__init__(talk, number, wire.SubscribeChannel(channel_id=CHANNEL))

    def came(self, code: int, payload: bytes, now: int) -> None:
        if code == wire.SubscribeOk.CODE:
            self.talk.ready += 1
        if code != wire.NewMessage.CODE:
            return
        message_id, _, text = new_message(payload)
        self.got.append(message_id)
        self.talk.delivered.append(now - int(text.split(b" ", 1)[0]))


class Poster(Good):
    """Posts, and remembers what was acknowledged."""

    def __init__(self, talk: Talk, number: int) -> None:
        self.waiting: deque[int] = deque()
        super().__init__(talk, number)

    def post(self, due_us: int, size: int) -> None:
        """Post a text that says when it was due."""
        text = b"%d " % due_us
        self.waiting.append(due_us)
        # Letters that no compression makes small.
        self.say(wire.PostMessage(channel_id=CHANNEL, content=text + os.urandom(size // 2).hex().encode()))

    def came(self, code: int, payload: bytes, now: int) -> None:
        if code == wire.NicknameResponse.CODE:
            self.talk.ready += 1
        if code == wire.MessagePosted.CODE:
            self.talk.stored.append(wire.MessagePosted.unpack(payload).message_id)
            self.talk.acknowledged.append(now - self.waiting.popleft())


class Talk:
    """All of them together."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.loop = Loop()
        self.ready = 0
        self.stored: list[int] = []
        self.acknowledged: list[int] = []
        self.delivered: list[int] = []
        self._problems: list[str] = []
        self._subscribers = [Subscriber(self, number) for number in range(SUBSCRIBERS)]
        self._posters = [Poster(self, SUBSCRIBERS + number) for number in range(POSTERS)]
        while self.ready < SUBSCRIBERS + POSTERS:
            self.loop.turn()

    def problem(self, text: str) -> None:
        """Something was wrong; a few words on the first ones do."""
        if len(self._problems) < 10:
            self._problems.append(text)

    def run(self, task: Task) -> Found:
        """Post, wait until everything has arrived, and check it."""
        self.stored, self.acknowledged, self.delivered = [], [], []
        for subscriber in self._subscribers:
            subscriber.got = []
            subscriber.say(wire.Ping(timestamp=0))  # or it would be idle for too long
        started = now_us()
        for number in range(int(task.seconds * task.rate)):
            due = started + int(number * 1_000_000 / task.rate)
            self.loop.at(due, lambda due=due, number=number: self._post(due, number, task.size))  # type: ignore[misc]
        number = int(task.seconds * task.rate)
        deadline = started + int(task.seconds * 1_000_000) + PATIENCE_US
        # So that turns end, whatever does not come.
        while now_us() < deadline and not self._problems:
            if len(self.acknowledged) == number and len(self.delivered) == number * SUBSCRIBERS:
                break
            self.loop.turn()
        self._check(number)
        problems, self._problems = self._problems, []
        return Found(self.acknowledged, self.delivered, problems)

    def _post(self, due_us: int, number: int, size: int) -> None:
        self._posters[number % POSTERS].post(due_us, size)

    def _check(self, number: int) -> None:
        if len(self.stored) != number:
            self.problem(f"{len(self.stored)} of {number} posts were acknowledged")
        stored = sorted(self.stored)
        for subscriber in self._subscribers:
            if subscriber.got != stored:
                missing = len(set(stored) - set(subscriber.got))
                self.problem(f"subscriber {subscriber.number} got {len(subscriber.got)}, {missing} of them missing")


def main(port: str) -> None:
    """Do one task after the other."""
    talk = Talk(int(port))
    print(json.dumps({}), flush=True)
    # Between two tasks nothing is posted, and what else comes waits in the sockets.
    for line in sys.stdin:
        print(json.dumps(attrs.asdict(talk.run(Task(**json.loads(line))))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
