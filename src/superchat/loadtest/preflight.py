"""The first connection: what the server allows, which channel it is, and the threads to post in."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress
from typing import Any, Final, TypeVar

import attrs

from superchat.loadtest.limits import announced
from superchat.loadtest.options import Options
from superchat.loadtest.peer import VERSION, error_kind
from superchat.loadtest.plan import Plan
from superchat.loadtest.texts import run_name
from superchat.wire import frames
from superchat.wire import messages as wire
from superchat.wire.connection import Connection
from superchat.wire.errors import Broken
from superchat.wire.messages import BY_CODE
from superchat.wire.records import Message

M = TypeVar("M", bound=Message)

READ_BYTES: Final = 65_536
NICKNAME: Final = "loadtest"
FORUM: Final = 1


class CannotConnect(Exception):
    """The server is not there, or does not do what every server does."""


class Impossible(Exception):
    """The load cannot be put on this server; ``reasons`` are sentences."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


@attrs.frozen
class Found:
    """What the first connection found out."""

    plan: Plan
    config: wire.ServerConfig
    is_local: bool
    """Whether the server runs on this machine."""


def explore(options: Options) -> Found:
    """Look at the server and make the plan. Raises CannotConnect, and Impossible for limits and unknown channels."""
    try:
        with _connected(options) as connection:
            return _explore(options, connection)
    except (OSError, Broken) as error:
        raise CannotConnect(str(getattr(error, "strerror", None) or error)) from error


def _connected(options: Options) -> socket.socket:
    return socket.create_connection((options.host, options.port), options.timeout_seconds)


def _explore(options: Options, connection: socket.socket) -> Found:
    talk = _Talk(connection)
    config = talk.wait_for(wire.ServerConfig)
    reasons = announced(options, config)
    if reasons and not options.ignore_limits:
        raise Impossible(*reasons)
    channel_id = _channel(talk, options)
    threads = _threads(talk, options, channel_id)
    here, there = connection.getsockname(), connection.getpeername()
    talk.goodbye()
    plan = Plan(
        options=options,
        family=connection.family,
        address=there,
        run=run_name(secrets.randbelow(1 << 24)),
        channel_id=channel_id,
        thread_ids=threads,
    )
    return Found(plan, config, here[0] == there[0])


def _channel(talk: _Talk, options: Options) -> int:
    """The id of the channel that is named, else of the first that will do. Raises Impossible if there is none."""
    listed = talk.ask(wire.ListChannels(from_channel_id=0, limit=0), wire.ChannelList).channels
    wanted = options.channel
    if wanted is None:
        usable = [each.channel_id for each in listed if each.type == FORUM or not options.threads]
        if not usable:
            raise Impossible(f"the server has no {'forum' if options.threads else 'channel'}")
        return usable[0]
    if wanted.isascii() and wanted.isdigit():
        return int(wanted)
    name, _, inner = wanted.removeprefix("#").partition("/")
    channels = [(each.name, each.type, each.channel_id) for each in listed]
    parent_id = channel_id = _named(channels, name, options, is_target=not inner)
    if inner:
        subchannels = talk.ask(wire.GetSubchannels(channel_id=parent_id), wire.SubchannelList).subchannels
        channels = [(each.name, each.type, each.subchannel_id) for each in subchannels]
        channel_id = _named(channels, inner, options, is_target=True)
    return channel_id


def _named(channels: list[tuple[str, int, int]], name: str, options: Options, *, is_target: bool) -> int:
    for found, kind, channel_id in channels:
        if found.lower() == name.lower():
            if is_target and options.threads and kind != FORUM:
                raise Impossible(f"{options.channel} is a chat, without threads; name a forum with --channel")
            return channel_id
    raise Impossible(f"there is no channel {options.channel}")


def _threads(talk: _Talk, options: Options, channel_id: int) -> tuple[int, ...]:
    """Begin the threads to post in and return their ids."""
    if not options.threads:
        return ()
    named = talk.ask(wire.SetNickname(nickname=NICKNAME), wire.NicknameResponse)
    if not named.success:
        raise Impossible(f"the nickname {NICKNAME} is refused: {named.message}")
    posted = []
    for number in range(options.threads):
        root = wire.PostMessage(channel_id=channel_id, content=b"Load test, thread %d" % number)
        posted.append(talk.ask(root, wire.MessagePosted).message_id)
    return tuple(posted)


class _Talk:
    """Questions and answers, one at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._wire = Connection(BY_CODE)

    def ask(self, question: Message, kind: type[M]) -> M:
        self._socket.sendall(frames.encode(question, version=VERSION))
        return self.wait_for(kind)

    def wait_for(self, kind: type[M]) -> M:
        """Raises Broken when something else than presence and the like comes instead."""
        while True:
            event: Any = self._wire.next_event()
            if isinstance(event, kind):
                return event
            if isinstance(event, wire.Error):
                raise Impossible(error_kind(event))
            if isinstance(event, wire.Disconnect):
                raise CannotConnect(f"the server disconnected: {event.reason or 'without a reason'}")
            if event is None:
                self._wire.receive_data(self._read())

    def goodbye(self) -> None:
        """Leave, and wait until the server has seen it: the connection no longer counts against its limits."""
        with suppress(OSError):
            self._socket.sendall(frames.encode(wire.Disconnect(), version=VERSION))
            while self._socket.recv(READ_BYTES):
                pass

    def _read(self) -> bytes:
        data = self._socket.recv(READ_BYTES)
        if not data:
            raise CannotConnect("the server closed the connection")
        return data
