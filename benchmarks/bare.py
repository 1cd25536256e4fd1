"""The yardsticks for connections: bare Twisted protocols on the server's reactor, and bare loops without one.

All greet each connection with as many bytes as the server does. One protocol gives back what it gets, one loop accepts
and no more. The durable ones give back the first byte, once all of it is committed as a row of a database: by a thread
behind a protocol, or by a loop that serves a single connection and does nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Literal, get_args

from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.protocol import Factory, Protocol

from benchmarks.server import Server, raise_descriptor_limit
from superchat.chat.beginnings import announcement
from superchat.config import Config
from superchat.wire import frames

GREETING = frames.encode(announcement(Config()))
GREETING_START = GREETING[: frames.HEADER.size]
"""The same whatever the configuration is."""
COMMIT_ROW = "INSERT INTO message (content) VALUES (?)"
BACKLOG = 4096
Kind = Literal["twisted", "durable", "loop", "durable-loop"]


class Bare(Protocol):
    """Has nothing in it."""

    def connectionMade(self) -> None:
        self.transport.write(GREETING)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[union-attr]


class Durable(Bare):
    """Has a database behind it."""

    def __init__(self, commits: SimpleQueue[tuple[Any, bytes]]) -> None:
        self._commits = commits

    def dataReceived(self, data: bytes) -> None:
        self._commits.put((self.transport, data))


def bare_database(path: Path) -> sqlite3.Connection:
    """A new database for `COMMIT_ROW`, each of which is synced."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, content BLOB)")
    return connection


@contextmanager
def running_bare(kind: Kind, database: Path = Path()) -> Iterator[Server]:
    """A yardstick in a process of its own; only the durable ones have a *database*."""
    command = [sys.executable, "-m", "benchmarks.bare", kind, str(database)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield Server(int(process.stdout.readline()), process.pid)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def serve_twisted(listening: socket.socket, database: Path | None) -> None:
    """Serve with Twisted, for ever."""
    from twisted.internet import epollreactor

    epollreactor.install()
    from twisted.internet import reactor

    if database is None:
        factory = Factory.forProtocol(Bare)
    else:
        commits: SimpleQueue[tuple[Any, bytes]] = SimpleQueue()
        Thread(target=commit_rows, args=(commits, database, reactor), daemon=True).start()
        factory = Factory.forProtocol(partial(Durable, commits))
    factory.noisy = False
    listening.setblocking(False)
    reactor.adoptStreamPort(listening.fileno(), socket.AF_INET, factory)  # type: ignore[attr-defined]
    reactor.run()


def commit_rows(commits: SimpleQueue[tuple[Any, bytes]], database: Path, reactor: IReactorFromThreads) -> None:
    """Commit one after the other, for ever."""
    connection = bare_database(database)
    while True:
        transport, data = commits.get()
        connection.execute(COMMIT_ROW, (data,))
        reactor.callFromThread(transport.write, data[:1])


def serve_loop(listening: socket.socket) -> None:
    """Accept and greet, for ever."""
    accepted = []
    while True:
        connection, _ = listening.accept()
        connection.send(GREETING)
        accepted.append(connection)


def serve_durable_loop(listening: socket.socket, path: Path) -> None:
    """Greet one connection, and commit what comes of it."""
    database = bare_database(path)
    connection, _ = listening.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.send(GREETING)
    while data := connection.recv(1 << 16):
        database.execute(COMMIT_ROW, (data,))
        connection.send(data[:1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=get_args(Kind))
    parser.add_argument("database", type=Path, help="where the durable ones make their database")
    arguments = parser.parse_args()
    raise_descriptor_limit()
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listening:
        print(listening.getsockname()[1], flush=True)
        if arguments.kind == "loop":
            serve_loop(listening)
        elif arguments.kind == "durable-loop":
            serve_durable_loop(listening, arguments.database)
        else:
            serve_twisted(listening, arguments.database if arguments.kind == "durable" else None)


if __name__ == "__main__":
    main()
