"""Makes a protocol for each connection, and ends them all."""

from __future__ import annotations

from collections.abc import Iterable
from time import sleep
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory

from superchat.chat.service import SHUTDOWN_REASON, Chat
from superchat.net.connections import Connected, Connections
from superchat.net.outbox import Flusher
from superchat.net.protocol import SuperChatProtocol, Surroundings
from superchat.net.rounds import Rounds
from superchat.net.turn import Turn

GIVING_WAY_SECONDS: Final = 0.00002
"""How long a thread of the database has to take the interpreter; as the system counts it, nearer to 0.0001."""


class SuperChatFactory(Factory):
    """Serves one `Chat` on any number of stream ports; one `Flusher` serves all of their outboxes, a given one even
    those of several chats."""

    noisy = False

    def __init__(self, chat: Chat, clock: IReactorTime, flusher: Flusher | None = None) -> None:
        if flusher is None:
            flusher = Flusher(clock, chat.broadcasts.settle)
            chat.broadcasts.through(flusher)
        self.chat = chat
        self.flusher = flusher
        self._clock = clock
        self._turn = Turn(clock, self._give_way)
        self._connections = Connections(clock)
        self._surroundings = Surroundings(chat, clock, flusher, self._turn, self._connections)

    @property
    def rounds(self) -> Rounds:
        """Where clients go on that have more to do than fits one turn; whatever carries them takes part."""
        return self._turn.rounds

    def buildProtocol(self, addr: IAddress | None) -> SuperChatProtocol:
        host = getattr(addr, "host", "unix").removeprefix("::ffff:")
        self.chat.activity.info("Connection from {host}:{port}", host=host, port=getattr(addr, "port", 0))
        return SuperChatProtocol(self._surroundings, host)

    def _give_way(self) -> None:
        """Let the threads on that answers depend.

        A busy reactor lets go of the interpreter at each system call, but has it back before a thread wakes up: a
        commit of 0.3 ms took up to 8, as long as others had much to say.
        """
        if self.chat.counters.under_way:
            sleep(GIVING_WAY_SECONDS)

    def close_all(self, timeout_seconds: float) -> Deferred[None]:
        """Announce the shutdown to everybody; fires when the last connection is gone, at most *timeout_seconds*
        later, whatever the peers do (decisions 1.8)."""
        self.chat.stop()
        for connection in self._connections:
            connection.retire(SHUTDOWN_REASON, "shutdown")
        deadline = self._clock.callLater(timeout_seconds, _abort, self._connections)

        def done(_: None) -> None:
            if deadline.active():
                deadline.cancel()

        return self._connections.gone().addCallback(done)


def _abort(connections: Iterable[Connected]) -> None:
    for connection in connections:
        connection.abort()
