"""A small server on real sockets that does wrong what a test wants: it loses, repeats, reorders, stalls, hangs up."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from superchat.wire import frames
from superchat.wire import messages as wire
from superchat.wire.connection import Connection
from superchat.wire.records import Message

CHANNEL = 4
PATIENCE_SECONDS = 10.0

Broadcast = Callable[[int, wire.NewMessage], "Sequence[Message]"]
Answer = Callable[[int, Message], "Message | None"]


def faithful(number: int, message: wire.NewMessage) -> Sequence[Message]:
    """What is sent to each subscriber for the broadcast with this number, from 0: the message."""
    return [message]


def willing(number: int, answer: Message) -> Message | None:
    """What is sent to the poster of the post with this number: the answer."""
    return answer


class ScriptedServer:
    """Serves until the end of the test; ``port`` is where. It is well behaved but for what it is given.

    ``stall_seconds`` is for how long it does nothing at all when the first post comes.
    """

    def __init__(
        self,
        case: SynchronousTestCase,
        *,
        broadcast: Broadcast = faithful,
        answer: Answer = willing,
        greeting: bytes | None = None,
        stall_seconds: float = 0.0,
    ) -> None:
        self._broadcast = broadcast
        self._answer = answer
        self._greeting = frames.encode(CONFIG) if greeting is None else greeting
        self._stall_seconds = stall_seconds
        self._posts = 0
        self._subscribers: list[socket.socket] = []
        self._selector = selectors.DefaultSelector()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._listening, selectors.EVENT_READ, None)
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        case.addCleanup(self._stop)

    def _stop(self) -> None:
        self._wake.send(b"x")
        self._thread.join(PATIENCE_SECONDS)

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    self._close()
                    return
                if key.fileobj is self._listening:
                    self._accept()
                else:
                    self._read(key.fileobj, key.data)

    def _close(self) -> None:
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._wake.close()
        self._selector.close()

    def _accept(self) -> None:
        peer, _ = self._listening.accept()
        self._selector.register(peer, selectors.EVENT_READ, Connection())
        peer.sendall(self._greeting)

    def _read(self, peer: Any, stream: Connection) -> None:
        try:
            data = peer.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._drop(peer)
            return
        stream.receive_data(data)
        while (event := stream.next_event()) is not None:
            if isinstance(event, Message):
                self._take(peer, event)

    def _take(self, peer: socket.socket, message: Message) -> None:
        match message:
            case wire.ListChannels():
                self._send(peer, wire.ChannelList(channels=(ENTRY,)))
            case wire.SetNickname():
                self._send(peer, wire.NicknameResponse(success=True, message=""))
            case wire.SubscribeChannel(channel_id=channel_id):
                self._subscribers.append(peer)
                self._send(peer, wire.SubscribeOk(type=2, id=channel_id))
            case wire.PostMessage(content=content):
                self._post(peer, content)
            case wire.Disconnect():
                self._drop(peer)

    def _post(self, peer: socket.socket, content: bytes) -> None:
        if not self._posts:
            time.sleep(self._stall_seconds)
        number, self._posts = self._posts, self._posts + 1
        answer = self._answer(number, wire.MessagePosted(success=True, message_id=number + 1, message=""))
        if answer is not None:
            self._send(peer, answer)
        message = wire.NewMessage(
            message_id=number + 1,
            channel_id=CHANNEL,
            author_nickname="~somebody",
            content=content,
            created_at=0,
            reply_count=0,
        )
        for each in self._broadcast(number, message):
            for subscriber in tuple(self._subscribers):
                self._send(subscriber, each)

    def _send(self, peer: socket.socket, message: Message) -> None:
        try:
            peer.sendall(frames.encode(message))
            if isinstance(message, wire.Disconnect):
                self._drop(peer)
        except OSError:
            self._drop(peer)

    def _drop(self, peer: socket.socket) -> None:
        if peer in self._subscribers:
            self._subscribers.remove(peer)
        if peer in self._selector.get_map():
            self._selector.unregister(peer)
        peer.close()


CONFIG = wire.ServerConfig(
    protocol_version=2,
    max_message_rate=0,
    max_channel_creates=0,
    inactive_cleanup_days=0,
    max_connections_per_ip=0,
    max_message_length=4096,
    max_thread_subscriptions=0,
    max_channel_subscriptions=0,
    directory_enabled=False,
)
ENTRY = wire.ChannelEntry(
    channel_id=CHANNEL,
    name="chat",
    description="",
    user_count=0,
    is_operator=False,
    type=0,
    retention_hours=0,
    has_subchannels=False,
    subchannel_count=0,
)
