"""One connection to the server: connecting, greeting, keeping alive, ending. What it does there is up to subclasses."""

from __future__ import annotations

import errno
import os
import random
import socket
from collections.abc import Callable
from typing import Final

import attrs

from superchat.loadtest.checker import Checker
from superchat.loadtest.loop import READ, WRITE, Loop, now_us
from superchat.loadtest.measurements import Measurements
from superchat.loadtest.plan import Plan
from superchat.loadtest.splitting import FrameBuffer, RawFrame
from superchat.loadtest.texts import Texts
from superchat.wire import frames
from superchat.wire import messages as wire
from superchat.wire.errors import Broken, Malformed
from superchat.wire.records import Message

READ_BYTES: Final = 65_536
UNSENT_BYTES: Final = 65_536
"""So many bytes may wait to be sent before posts are held back; that counts as their latency."""
KEEPALIVE_US: Final = 30_000_000
VERSION: Final = 1
"""Shown to the server so that it compresses nothing (decisions 1.2): every subscriber gets the same plain bytes."""


@attrs.define(eq=False)
class Shared:
    """What all connections of a process have in common."""

    plan: Plan
    loop: Loop
    texts: Texts
    checker: Checker
    measured: Measurements
    ready: Callable[[Peer], None]
    """Called once by each connection that is where it can begin."""
    failed: Callable[[Peer, str], None]
    """Called once, with a reason, by each that does not get there."""


class Peer:
    """A connection; it is made by ``connect``, once."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.is_ready = False
        self.is_closed = False
        self._greeted = False
        self._goodbye: str | None = None
        self._frames = FrameBuffer()
        self._unsent = bytearray()
        self._reads = True
        self._due_us = 0
        self._socket: socket.socket

    def connect(self, due_us: int) -> None:
        """Connect; the time until SERVER_CONFIG counts from ``due_us``."""
        self._due_us = due_us
        plan = self.shared.plan
        self._socket = socket.socket(plan.family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.prepare(self._socket)
        code = self._socket.connect_ex(plan.address)
        if code not in (0, errno.EINPROGRESS):
            self.lost(os.strerror(code))
            return
        self.shared.loop.watch(self._socket, WRITE, self._connected)
        self.shared.loop.at(now_us() + int(plan.options.timeout_seconds * 1_000_000), self._late)

    # For subclasses

    def prepare(self, connection: socket.socket) -> None:
        """Set options of the socket before it connects."""

    def begin(self) -> None:
        """SERVER_CONFIG is there."""
        self.became_ready()

    def frame(self, code: int, payload: bytes) -> None:
        """A frame came that is none of those that every connection understands."""

    def refused(self, error: wire.Error) -> None:
        """The server answered with ERROR."""
        if not self.is_ready:
            self.lost(error_kind(error))

    def drained(self) -> None:
        """Everything could be sent."""

    def ended(self, reason: str) -> None:
        """The server ended the connection, or it broke, after it was ready."""
        self.shared.measured.error(f"disconnected: {reason}")
        self.shared.measured.fault("disconnected")

    def received(self, data: bytes) -> None:
        """Bytes came. Raises Broken or Malformed."""
        for each in self._frames.feed(data):
            self.take(each)

    # For subclasses to use

    def became_ready(self) -> None:
        """Say that it can begin."""
        self.is_ready = True
        self.shared.ready(self)

    def send(self, message: Message) -> None:
        """Send a message."""
        self.send_bytes(frames.encode(message, version=VERSION))

    def send_bytes(self, data: bytes) -> None:
        """Send bytes, some of them later if the connection does not take them."""
        if self.is_closed:
            return
        if not self._unsent:
            try:
                data = data[self._socket.send(data) :]
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as error:
                self._broke(error)
                return
        if data:
            self._unsent += data
            self._watch()

    @property
    def is_full(self) -> bool:
        """Whether too many bytes wait to be sent."""
        return len(self._unsent) >= UNSENT_BYTES

    def take(self, raw: RawFrame) -> None:
        """Deal with a frame. Raises Malformed."""
        code, payload = raw
        if not self._greeted:
            self._greet(code, payload)
        elif code == wire.Error.CODE:
            error = wire.Error.unpack(payload)
            self.shared.measured.error(error_kind(error))
            self.refused(error)
        elif code == wire.Disconnect.CODE:
            self._goodbye = wire.Disconnect.accept(payload).reason or "without a reason"
        else:
            self.frame(code, payload)

    def leave(self) -> None:
        """Say goodbye and close."""
        if not self.is_closed:
            self.send(wire.Disconnect())
            self._close()

    def lost(self, reason: str) -> None:
        """The connection has come to its end without our doing."""
        if self.is_closed:
            return
        self._close()
        if self.is_ready:
            self.ended(reason)
        else:
            self.shared.failed(self, reason)

    def read(self, limit_bytes: int = READ_BYTES) -> None:
        """Take what has come."""
        try:
            data = self._socket.recv(limit_bytes)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._broke(error)
            return
        if not data:
            self.lost(self._goodbye or "closed by the server")
            return
        self.shared.measured.counts["received_bytes"] += len(data)
        try:
            self.received(data)
        except (Broken, Malformed) as error:
            self.shared.measured.fault("invalid", 1, [f"invalid: {error}"])
            self.lost(f"the server sent what is invalid: {error}")

    def watch_reading(self, wanted: bool) -> None:
        """Read whenever something comes, or only when asked to."""
        self._reads = wanted
        if not self.is_closed:
            self._watch()

    # The socket

    def _watch(self) -> None:
        events = (READ if self._reads else 0) | (WRITE if self._unsent else 0)
        if events:
            self.shared.loop.watch(self._socket, events, self._happened)
        else:
            self.shared.loop.forget(self._socket)

    def _connected(self, events: int) -> None:
        if self.is_closed:
            return
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self.lost(os.strerror(code))
        else:
            self._watch()

    def _happened(self, events: int) -> None:
        if events & WRITE and not self.is_closed:
            self._flush()
        if events & READ and not self.is_closed:
            self.read()

    def _flush(self) -> None:
        try:
            del self._unsent[: self._socket.send(self._unsent)]
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._broke(error)
            return
        if not self._unsent:
            self._watch()
            self.drained()

    def _broke(self, error: OSError) -> None:
        self.lost(self._goodbye or error.strerror or str(error))

    def _close(self) -> None:
        self.is_closed = True
        self.shared.loop.forget(self._socket)
        self._socket.close()

    # Greeting and keeping alive

    def _greet(self, code: int, payload: bytes) -> None:
        """SERVER_CONFIG is the first frame, always (decisions 1.1)."""
        if code != wire.ServerConfig.CODE:
            raise Broken(f"the first message is 0x{code:02X}, not SERVER_CONFIG")
        self._greeted = True
        now = now_us()
        self.shared.measured.counts["connections"] += 1
        self.shared.measured.latencies["connect"].add(now - self._due_us)
        # The first at random: else thousands that connected together would ping together for ever.
        self.shared.loop.at(now + random.randint(KEEPALIVE_US // 3, KEEPALIVE_US), self._keep_alive)
        self.begin()

    def _keep_alive(self) -> None:
        """The server closes what is silent for long (decisions 1.6)."""
        if not self.is_closed:
            now = now_us()
            self.send(wire.Ping(timestamp=now // 1000))
            self.shared.loop.at(now + KEEPALIVE_US, self._keep_alive)

    def _late(self) -> None:
        if not self.is_ready:
            self.lost(f"no answer within {self.shared.plan.options.timeout_seconds:g} s")


def error_kind(error: wire.Error) -> str:
    """How an error is called in the report."""
    return f"ERROR {error.error_code}: {error.message}"
