"""A storm of arrivals: connections per second, and how long until all of them have taken a nickname.

The yardstick, measured in the same run, is the kernel's own pace: a bare accept loop for the connections.

    python -m benchmarks.storm [--users 2000] [--quick]
"""

from __future__ import annotations

import argparse
import select
import socket
import threading
import time

from benchmarks.server import cpu_seconds, raise_descriptor_limit, running_server
from superchat.wire import frames, messages

SERVER_CONFIG_BYTES = 24
NICKNAME_ACCEPTED = b"\x02\x82\x00\x01"
QUIET_SECONDS = 3.0
_BUFFER = bytearray(1 << 18)


def connect_all(port: int, number: int) -> list[socket.socket]:
    """Open *number* connections, one after the other."""
    return [socket.create_connection(("127.0.0.1", port)) for _ in range(number)]


def bare_accept(number: int) -> float:
    """Connections per second that a bare accept loop takes from the same connecting loop."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
    accepted: list[socket.socket] = []

    def accept() -> None:
        while len(accepted) < number:
            accepted.append(listening.accept()[0])

    thread = threading.Thread(target=accept)
    start = time.monotonic()
    thread.start()
    sockets = connect_all(listening.getsockname()[1], number)
    thread.join()
    seconds = time.monotonic() - start
    for connection in (*sockets, *accepted, listening):
        connection.close()
    return number / seconds


def greeted(sockets: list[socket.socket]) -> None:
    """Wait until each has its SERVER_CONFIG."""
    for connection in sockets:
        connection.recv(SERVER_CONFIG_BYTES, socket.MSG_WAITALL)


def take_nicknames(sockets: list[socket.socket]) -> tuple[float, float]:
    """Seconds until all have their NICKNAME_RESPONSE, and until nothing more arrives (presence included)."""
    poll = select.epoll()
    waiting = {connection.fileno(): connection for connection in sockets}
    answered: set[int] = set()
    start = answered_at = last_at = time.monotonic()
    for number, connection in enumerate(sockets):
        connection.setblocking(False)
        poll.register(connection, select.EPOLLIN)
        connection.sendall(frames.encode(messages.SetNickname(nickname=f"user{number}")))
    while time.monotonic() - last_at < QUIET_SECONDS:
        for descriptor, _ in poll.poll(QUIET_SECONDS):
            received = waiting[descriptor].recv_into(_BUFFER)
            last_at = time.monotonic()
            if descriptor not in answered and NICKNAME_ACCEPTED in _BUFFER[:received]:
                answered.add(descriptor)
                answered_at = last_at
    if len(answered) != len(sockets):
        raise SystemExit(f"only {len(answered)} of {len(sockets)} were answered")
    return answered_at - start, last_at - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--quick", action="store_true", help="200 users")
    arguments = parser.parse_args()
    number = 200 if arguments.quick else arguments.users
    raise_descriptor_limit()
    bare = bare_accept(number)
    with running_server() as server:
        start = time.monotonic()
        sockets = connect_all(server.port, number)
        greeted(sockets)
        rate = number / (time.monotonic() - start)
        before = cpu_seconds(server.pid)
        answered, quiet = take_nicknames(sockets)
        cpu = cpu_seconds(server.pid) - before
    print(f"{number} users")
    print(f"connections {rate:10,.0f} per second   bare accept loop {bare:10,.0f}   ratio {rate / bare:5.2f}")
    print(f"nicknames   {answered:10.2f} s until all are answered, {quiet:.2f} s until all know of all")
    print(f"            {cpu:10.2f} s of CPU")


if __name__ == "__main__":
    main()
