"""A server in memory that says what a test tells it to, on the real codec."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from superchat.wire import frames
from superchat.wire import messages as wire
from superchat.wire.connection import Connection
from superchat.wire.errors import Malformed, Unsupported
from superchat.wire.records import Message

CONFIG = wire.ServerConfig(
    protocol_version=2,
    max_message_rate=10,
    max_channel_creates=5,
    inactive_cleanup_days=90,
    max_connections_per_ip=10,
    max_message_length=4096,
    max_thread_subscriptions=50,
    max_channel_subscriptions=10,
    directory_enabled=True,
)

Answer = Callable[[Message], list[Message]]


class Wire(StringTransport):
    """A transport that loses the connection when asked to, as a socket does."""

    def __init__(self, server: ScriptedServer) -> None:
        super().__init__()
        self._server = server

    def write(self, data: bytes) -> None:
        super().write(data)
        self._server.take(data)

    def loseConnection(self) -> None:
        self._server.drop(ConnectionDone())

    def abortConnection(self) -> None:
        self._server.drop(ConnectionLost())


class ScriptedServer:
    """The far end of one client's connection.

    ``heard`` holds what the client sent. What ``answer`` returns for a message is said at once.
    """

    def __init__(self, client: Protocol, answer: Answer = lambda message: []) -> None:
        self.client = client
        self.heard: list[Message] = []
        self.gone = False
        self._answer = answer
        self._connection = Connection()
        self._transport = Wire(self)
        client.makeConnection(self._transport)

    def say(self, *messages: Message, compress: bool = False) -> None:
        """Send messages, in one piece."""
        self.say_bytes(b"".join(frames.encode(each, compress=compress) for each in messages))

    def say_bytes(self, data: bytes) -> None:
        """Send raw bytes."""
        if not self.gone:
            self.client.dataReceived(data)

    def greet(self) -> None:
        """Send SERVER_CONFIG."""
        self.say(CONFIG)

    def drop(self, why: Exception | None = None) -> None:
        """Lose the connection."""
        if not self.gone:
            self.gone = True
            self.client.connectionLost(Failure(why or ConnectionDone()))

    def hear(self) -> list[Message]:
        """Return what came since the last call."""
        heard, self.heard = self.heard, []
        return heard

    def take(self, data: bytes) -> None:
        """Receive bytes of the client."""
        self._connection.receive_data(data)
        while (event := self._connection.next_event()) is not None:
            if isinstance(event, Malformed | Unsupported):
                raise AssertionError(f"the client sent {event}")
            self.heard.append(event)
            answers = self._answer(event)
            if answers:
                self.say(*answers)


@implementer(IStreamClientEndpoint)
class ScriptedEndpoint:
    """Connects to a new ScriptedServer each time, or is refused while ``down``.

    ``silent`` servers accept connections and say nothing.
    """

    def __init__(self, answer: Answer = lambda message: []) -> None:
        self.answer = answer
        self.down = False
        self.silent = False
        self.servers: list[ScriptedServer] = []

    @property
    def server(self) -> ScriptedServer:
        """The latest one."""
        return self.servers[-1]

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Build the client's protocol on one end of a wire."""
        if self.down:
            return fail(ConnectionRefusedError())
        client = cast(Protocol, protocolFactory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 6465)))
        server = ScriptedServer(client, lambda message: self.answer(message))
        self.servers.append(server)
        if not self.silent:
            server.greet()
        return succeed(client)
