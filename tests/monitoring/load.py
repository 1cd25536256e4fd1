"""A small chat for the monitoring to look at: ``python -m tests.monitoring.load PORT``, until it is terminated.

It prints "ready" once everything that a query asks for has happened: sessions that came and went, broadcasts to
channels and to threads, errors, and somebody over the message rate.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from itertools import cycle
from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from superchat.client import ChatClient, ClientError, connect
from superchat.wire import messages as wire

reactor: Any = the_reactor

USERS = 40
CHANNELS = (1, 2, 3)
ROUND_SECONDS = 1.0
SPAM = 25  # posts at once, of which the message rate allows ten


class Load:
    """Forty users, one of whom posts too much; the others take turns."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._users: list[ChatClient] = []
        self._turns = cycle(range(1, USERS))
        self._root = 0

    async def start(self) -> None:
        """Do everything once."""
        users = (self._user(f"user{number}") for number in range(USERS))
        self._users = await gatherResults([Deferred.fromCoroutine(user) for user in users])
        root = await self._users[1].request(wire.PostMessage(channel_id=2, content=b"the root of a thread"))
        self._root = root.message_id
        for user in self._users[:30]:
            await user.request(wire.SubscribeThread(thread_id=self._root))
        spam = wire.PostMessage(channel_id=3, content=b"spam")
        for _ in range(SPAM):
            with suppress(ClientError):
                await self._users[0].request(spam)
        await self.round()

    async def round(self) -> None:
        """A new message, a reply, a page, a ping, a mistake, and somebody who looks in."""
        channel, reply = wire.PostMessage(channel_id=2, content=b"hello"), wire.PostMessage
        author, answerer = (self._users[next(self._turns)] for _ in range(2))
        for user, question in (
            (author, channel),
            (answerer, reply(channel_id=2, parent_id=self._root, content=b"hello yourself")),
            (author, wire.ListMessages(channel_id=2, limit=10)),
            (author, wire.Ping(timestamp=1)),
            (author, wire.JoinChannel(channel_id=999_999)),
        ):
            with suppress(ClientError):  # the database is locked for a while, and some questions are wrong
                await user.request(question, timeout=30)
        visitor = await connect(reactor, "127.0.0.1", self._port)
        await visitor.close("goodbye")

    async def _user(self, nickname: str) -> ChatClient:
        client = await connect(reactor, "127.0.0.1", self._port)
        await client.request(wire.SetNickname(nickname=nickname))
        for channel_id in CHANNELS:
            await client.request(wire.JoinChannel(channel_id=channel_id))
            await client.request(wire.SubscribeChannel(channel_id=channel_id))
        return client


async def run(port: int) -> None:
    """Start, say so, and go on for ever."""
    load = Load(port)
    await load.start()
    print("ready", flush=True)
    while True:
        await deferLater(reactor, ROUND_SECONDS)
        await load.round()


def main() -> None:
    """Run until a signal; an error ends the process with a traceback."""
    failed: list[Any] = []

    def give_up(failure: Any) -> None:
        failed.append(failure)
        reactor.stop()

    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(run(int(sys.argv[1]))).addErrback(give_up))
    reactor.run()
    if failed:
        sys.exit(failed[0].getTraceback())


if __name__ == "__main__":
    main()
