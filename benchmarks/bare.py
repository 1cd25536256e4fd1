"""The yardsticks for connections: a bare Twisted protocol on the server's reactor, and a bare accept loop.

Both greet each connection with as many bytes as the server does; the protocol gives back what it gets.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from twisted.internet.protocol import Factory, Protocol

from benchmarks.server import Server, raise_descriptor_limit
from superchat.chat.beginnings import announcement
from superchat.config import Config
from superchat.wire import frames

GREETING = frames.encode(announcement(Config()))
GREETING_START = GREETING[: frames.HEADER.size]
"""The same whatever the configuration is."""
BACKLOG = 4096
Kind = Literal["twisted", "loop"]


class Bare(Protocol):
    """Has nothing in it."""

    def connectionMade(self) -> None:
        self.transport.write(GREETING)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[union-attr]


@contextmanager
def running_bare(kind: Kind) -> Iterator[Server]:
    """A yardstick in a process of its own."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.bare", kind], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield Server(int(process.stdout.readline()), process.pid)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def serve_twisted(listening: socket.socket) -> None:
    """Serve with Twisted, for ever."""
    from twisted.internet import epollreactor

    epollreactor.install()
    from twisted.internet import reactor

    factory = Factory.forProtocol(Bare)
    factory.noisy = False
    listening.setblocking(False)
    reactor.adoptStreamPort(listening.fileno(), socket.AF_INET, factory)  # type: ignore[attr-defined]
    reactor.run()


def serve_loop(listening: socket.socket) -> None:
    """Accept and greet, for ever."""
    accepted = []
    while True:
        connection, _ = listening.accept()
        connection.send(GREETING)
        accepted.append(connection)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("twisted", "loop"))
    arguments = parser.parse_args()
    raise_descriptor_limit()
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listening:
        print(listening.getsockname()[1], flush=True)
        serve = serve_twisted if arguments.kind == "twisted" else serve_loop
        serve(listening)


if __name__ == "__main__":
    main()
