"""Makes a protocol for each connection, and ends them all."""

from __future__ import annotations

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory

from superchat.chat.service import SHUTDOWN_REASON, Chat
from superchat.net.outbox import Flusher
from superchat.net.protocol import SuperChatProtocol
from superchat.net.turn import Turn


class SuperChatFactory(Factory):
    """Serves one `Chat` on any number of stream ports; one `Flusher` serves all of their outboxes."""

    noisy = False

    def __init__(self, chat: Chat, clock: IReactorTime) -> None:
        self.chat = chat
        self.flusher = Flusher(clock, chat.broadcasts.settle)
        chat.broadcasts.through(self.flusher)
        self._clock = clock
        self._turn = Turn(clock)
        self._connections: set[SuperChatProtocol] = set()

    def buildProtocol(self, addr: IAddress | None) -> SuperChatProtocol:
        host = getattr(addr, "host", "unix").removeprefix("::ffff:")
        self.chat.activity.info("Connection from {host}:{port}", host=host, port=getattr(addr, "port", 0))
        protocol = SuperChatProtocol(self.chat, self._clock, self.flusher, self._turn, host)
        protocol.factory = self
        self._connections.add(protocol)
        protocol.lost.addCallback(lambda _: self._connections.discard(protocol))
        return protocol

    def close_all(self, timeout_seconds: float) -> Deferred[object]:
        """Announce the shutdown to everybody; fires when the last connection is gone, at most *timeout_seconds*
        later, whatever the peers do (decisions 1.8)."""
        self.chat.stop()
        remaining = tuple(self._connections)
        for protocol in remaining:
            protocol.retire(SHUTDOWN_REASON, "shutdown")
        deadline = self._clock.callLater(timeout_seconds, _abort, remaining)
        gone = DeferredList([protocol.lost for protocol in remaining])

        def done(result: object) -> object:
            if deadline.active():
                deadline.cancel()
            return result

        return gone.addCallback(done)


def _abort(protocols: tuple[SuperChatProtocol, ...]) -> None:
    for protocol in protocols:
        protocol.abort()
