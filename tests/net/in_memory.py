"""A server's protocol on transports in memory, with a clock that stands still, and the client's view of it."""

from __future__ import annotations

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import Logger

from superchat.auth.passwords import Passwords
from superchat.chat.service import Chat
from superchat.config import Config, Limits, Logging, SeedChannel, Server, default_channels
from superchat.net.factory import SuperChatFactory
from superchat.net.protocol import SuperChatProtocol
from superchat.storage.memory import MemoryStorage
from superchat.wire import frames
from superchat.wire.connection import Connection, Event
from superchat.wire.messages import BY_CODE
from superchat.wire.records import Message
from tests.auth.quick import quick_passwords
from tests.clocks import now_ms_of

ADDRESS = IPv4Address("TCP", "192.0.2.1", 50_000)


@attrs.define
class InMemoryClient:
    """What a client at the other end of a `StringTransport` sees and does."""

    clock: Clock
    protocol: SuperChatProtocol
    transport: StringTransport
    _incoming: Connection = attrs.field(factory=lambda: Connection(BY_CODE))

    def send(self, *messages: Message, version: int = frames.VERSION) -> None:
        """Deliver messages in one piece, and let the reactor turn once."""
        self.deliver(b"".join(frames.encode(message, version=version) for message in messages))

    def deliver(self, data: bytes) -> None:
        """Deliver raw bytes, and let the reactor turn once."""
        self.protocol.dataReceived(data)
        self.clock.advance(0)

    def received(self) -> list[Event]:
        """Everything that was written since the last call."""
        self._incoming.receive_data(self.transport.value())
        self.transport.clear()
        events = []
        while (event := self._incoming.next_event()) is not None:
            events.append(event)
        return events


class InMemoryServer:
    """A chat with storage in memory behind a `SuperChatFactory`."""

    def __init__(
        self,
        limits: Limits | None = None,
        storage: MemoryStorage | None = None,
        logging: Logging | None = None,
        server: Server | None = None,
        channels: tuple[SeedChannel, ...] | None = None,
        activity: Logger | None = None,
        passwords: Passwords | None = None,
    ) -> None:
        self.clock = Clock()
        self.storage = storage or MemoryStorage()
        self.storage.open()
        config = Config(
            limits=limits or Limits(),
            logging=logging or Logging(),
            server=server or Server(),
            channels=default_channels() if channels is None else channels,
        )
        self.chat = Chat(
            config,
            self.storage,
            self.clock,
            now_ms_of(self.clock),
            activity or Logger(),
            passwords or quick_passwords(),
        )
        self.factory = SuperChatFactory(self.chat, self.clock)

    async def start(self) -> None:
        """Load the channels."""
        await self.chat.start()

    def connect(self, transport: StringTransport | None = None) -> InMemoryClient:
        """Open a connection, and let the reactor turn once."""
        transport = transport or StringTransport(peerAddress=ADDRESS)
        protocol = self.factory.buildProtocol(ADDRESS)
        protocol.makeConnection(transport)
        self.clock.advance(0)
        return InMemoryClient(self.clock, protocol, transport)
