"""Talks by chance: what is done next depends on what has been heard, and on a seed."""

from __future__ import annotations

import random
from typing import Final

from superchat.wire import frames
from superchat.wire import messages as wire
from superchat.wire.errors import Unencodable
from superchat.wire.frames import COMPRESSED, HEADER, LENGTH, MIN_LENGTH
from superchat.wire.records import Message
from tests.fuzz.mutation import mutate
from tests.fuzz.talks.script import Delay, Fill, Leave, Open, Read, Reply, Send, Settings, Step, Wait
from tests.fuzz.talks.values import Values

_MOST_CLIENTS: Final = 6
_WAITS: Final = (0.0, 0.001, 0.01, 0.05, 0.1, 0.5, 2.0, 2.5, 30.0, 61.0, 119.9, 121.0)
_VERSIONS: Final = (2, 2, 2, 2, 2, 1, 0, 3, 255)
_PIPELINED: Final = 12


def settings(rng: random.Random) -> Settings:
    """Some kind of server."""
    return Settings(
        storage=rng.choice(("memory", "memory", "memory", "memory", "sqlite")),
        posts_per_minute=rng.choice((0, 0, 0, 10)),
        frames_per_second=rng.choice((0, 0, 20, 100)),
        frame_burst=rng.choice((5, 20, 200)),
        outbox_bytes=rng.choice((65_536, 1_048_576)),
        idle_seconds=rng.choice((0, 120, 120)),
        longest_message=rng.choice((100, 4096, 65_000)),
    )


class Chance:
    """Thinks of one step after the other."""

    def __init__(self, rng: random.Random) -> None:
        self.values = Values(rng)
        self._rng = rng
        self._next = 0
        self._here: dict[int, int] = {}
        """The clients that are there, as far as is known, and the version they speak."""
        self._pings = 0
        self._late = False

    def step(self, waiting: int) -> list[Step]:
        """What happens next, when *waiting* calls wait for the storage."""
        rng = self._rng
        if not self._here or (len(self._here) < _MOST_CLIENTS and rng.random() < 0.06):
            return self._arrive()
        client = rng.choice([*self._here])
        if waiting and rng.random() < min(0.8, 0.2 + waiting / 30):
            return [Reply(rng.randrange(waiting), fails=rng.random() < 0.03)]
        match rng.randrange(100):
            case 0 | 1:
                del self._here[client]
                return [Leave(client)]
            case 2 | 3:
                return [Read(client, on=False)]
            case 4 | 5 | 6 | 7:
                return [Read(client, on=True)]
            case 8 | 9 | 10 | 11 | 12:
                return [Wait(rng.choice(_WAITS if rng.random() < 0.3 else _WAITS[:6]))]
            case 13 | 14 | 15:
                self._late = not self._late
                return [Delay(self._late)]
            case 16 if waiting:
                return [Fill(True)]
            case 17:
                return [Fill(False)]
        return [self._send(client)]

    def stream(self, version: int) -> bytes:
        """Some frames in a row, nearly all of them whole."""
        return b"".join(self._frames(version))

    def _arrive(self) -> list[Step]:
        """A client that is somebody from the beginning, more often than not."""
        rng = self._rng
        client, self._next = self._next, self._next + 1
        self._here[client] = version = rng.choice(_VERSIONS)
        transport = "tcp" if rng.random() < 0.7 else "websocket"
        steps: list[Step] = [Open(client, transport, f"192.0.2.{rng.randint(1, 30)}")]
        name = rng.choice(("root", "mod", "anna", "ben", "anna", "newcomer", "newcomer2"))
        first: list[Message] = []
        match rng.randrange(10):
            case 0 | 1 | 2 | 3 | 4:
                first.append(wire.AuthRequest(nickname=name, password_hash=self.values.secret(name)))
            case 5 | 6 | 7 | 8:
                first.append(wire.SetNickname(nickname=name))
                if rng.random() < 0.3:
                    first.append(wire.RegisterUser(password_hash=self.values.secret(name)))
        if rng.random() < 0.8:
            first += (
                wire.JoinChannel(channel_id=rng.randint(1, 4)),
                wire.SubscribeChannel(channel_id=rng.randint(1, 4)),
            )
        if first:
            steps.append(Send(client, b"".join(frames.encode(each, version=version) for each in first)))
        return steps

    def _send(self, client: int) -> Send:
        rng = self._rng
        data = self.stream(self._here[client])
        cuts: tuple[int, ...] = ()
        match rng.randrange(4):
            case 0:
                cuts = tuple(sorted(rng.randrange(len(data) + 1) for _ in range(rng.randint(1, 6))))
            case 1 if len(data) <= 64:
                cuts = tuple(range(1, len(data)))
        return Send(client, data, cuts)

    def _frames(self, version: int) -> list[bytes]:
        rng = self._rng
        number = rng.choice((1, 1, 1, 2, 3, 5, _PIPELINED))
        # Posts in a row are what is done several at a time.
        kind = wire.PostMessage if rng.random() < 0.15 else None
        made = []
        for _ in range(number):
            made.append(self._frame(version, kind))
            if rng.random() < 0.15:
                self._pings += 1
                made.append(frames.encode(wire.Ping(timestamp=self._pings), version=version))
        return made

    def _frame(self, version: int, kind: type[Message] | None) -> bytes:
        rng = self._rng
        message = self.values.message(kind)
        while isinstance(message, wire.Disconnect) and rng.random() < 0.9:
            message = self.values.message()
        try:
            frame = frames.encode(message, compress=rng.random() < 0.3, version=version)
        except Unencodable:
            return frames.encode(wire.ListChannels(from_channel_id=0, limit=0), version=version)
        return self._spoilt(frame) if rng.random() < 0.08 else frame

    def _spoilt(self, frame: bytes) -> bytes:
        """Wrong in its payload, its type, its flags; seldom in its length, which ends everything."""
        rng = self._rng
        _, version, code, flags = HEADER.unpack_from(frame)
        payload = frame[HEADER.size :]
        match rng.randrange(8):
            case 0:
                code = rng.randrange(256)
            case 1:
                payload = payload[: rng.randrange(len(payload) + 1)]
                flags &= ~COMPRESSED
            case 2:
                flags ^= rng.choice((COMPRESSED, 2, 2, 4, 128)) if rng.random() < 0.3 else 2
            case 3:
                version = rng.randrange(256)
            case 4:
                payload += rng.randbytes(rng.randint(1, 9))
            case 5 if rng.random() < 0.2:
                return LENGTH.pack(rng.choice((0, 2, 1 << 20, (1 << 20) + 1, 0xFFFFFFFF))) + frame[LENGTH.size :]
            case _ if not flags & COMPRESSED or rng.random() < 0.1:
                payload = mutate(payload, [], (), rng, 70_000)
        return HEADER.pack(MIN_LENGTH + len(payload), version, code, flags) + payload
