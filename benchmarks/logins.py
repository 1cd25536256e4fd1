"""Delivery of messages while others log in: the time from a post until a subscriber has it, commit included.

The yardstick is the same server without logins, measured in the same run, in turns. Logins come at a fixed rate,
whatever becomes of them, each from a connection of its own that has nothing under way.

    python -m benchmarks.logins [--rate 50] [--seconds 5] [--rounds 3] [--quick]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import select
import socket
import time
from collections import Counter
from multiprocessing.connection import Connection as Pipe

from benchmarks.server import cpu_seconds, running_server
from superchat.wire import frames, messages
from superchat.wire.connection import Connection
from superchat.wire.records import Message

CHANNEL = 2
SUBSCRIBERS = 20
POSTS_PER_SECOND = 50
ACCOUNTS = 20
SECRET = "x" * 43


class Client:
    """A connection that sends and decodes."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._incoming = Connection(messages.BY_CODE)

    def send(self, message: Message) -> None:
        self.socket.sendall(frames.encode(message))

    def received(self) -> list[object]:
        """What has arrived; call it when something has."""
        self._incoming.receive_data(self.socket.recv(1 << 16))
        events: list[object] = []
        while (event := self._incoming.next_event()) is not None:
            events.append(event)
        return events

    def wait_for(self, kind: type[Message]) -> None:
        while not any(isinstance(event, kind) for event in self.received()):
            pass


def register(port: int) -> None:
    """Make the accounts that are logged in to."""
    for number in range(ACCOUNTS):
        client = Client(port)
        client.send(messages.SetNickname(nickname=f"account{number}"))
        client.wait_for(messages.NicknameResponse)
        client.send(messages.RegisterUser(password_hash=SECRET))
        client.wait_for(messages.RegisterResponse)
        client.socket.close()


def log_in(pipe: Pipe, port: int, connections: int) -> None:
    """Log in at a rate for a while, as often as the pipe says so, and tell what came of it."""
    clients = {client.socket.fileno(): client for client in (Client(port) for _ in range(connections))}
    poll = select.epoll()
    for descriptor in clients:
        poll.register(descriptor, select.EPOLLIN)
    idle = [*clients]
    pipe.send(None)
    while True:
        rate, seconds = pipe.recv()
        outcomes: Counter[str] = Counter()
        started = due = time.monotonic()
        while (now := time.monotonic()) < started + seconds:
            if now >= due:
                due += 1 / rate
                outcomes["offered"] += 1
                if idle:
                    descriptor = idle.pop(0)
                    nickname = f"account{descriptor % ACCOUNTS}"
                    clients[descriptor].send(messages.AuthRequest(nickname=nickname, password_hash=SECRET))
            _take(clients, poll, max(0.0, due - time.monotonic()), idle, outcomes)
        pipe.send(outcomes)
        while len(idle) < len(clients):
            _take(clients, poll, 1.0, idle, Counter())
        pipe.send(None)


def _take(
    clients: dict[int, Client], poll: select.epoll, seconds: float, idle: list[int], outcomes: Counter[str]
) -> None:
    for descriptor, _ in poll.poll(seconds):
        for event in clients[descriptor].received():
            if isinstance(event, messages.AuthResponse):
                outcomes["done" if event.success else "refused"] += 1
                idle.append(descriptor)


class Deliveries:
    """One poster, and subscribers that note how old each message is when it arrives."""

    def __init__(self, port: int) -> None:
        self._poster = Client(port)
        self._poster.send(messages.SetNickname(nickname="poster"))
        self._poster.wait_for(messages.NicknameResponse)
        self._poll = select.epoll()
        self._clients = {self._poster.socket.fileno(): self._poster}
        for _ in range(SUBSCRIBERS):
            client = Client(port)
            client.send(messages.SubscribeChannel(channel_id=CHANNEL))
            client.wait_for(messages.SubscribeOk)
            self._clients[client.socket.fileno()] = client
        for descriptor in self._clients:
            self._poll.register(descriptor, select.EPOLLIN)

    def measure(self, seconds: float) -> list[float]:
        """The seconds that each delivery took."""
        latencies: list[float] = []
        posted = 0
        started = due = time.monotonic()
        while (now := time.monotonic()) < started + seconds:
            if now >= due:
                due += 1 / POSTS_PER_SECOND
                posted += 1
                content = repr(time.monotonic()).encode()
                self._poster.send(messages.PostMessage(channel_id=CHANNEL, content=content))
            self._take(max(0.0, due - time.monotonic()), latencies)
        while len(latencies) < posted * SUBSCRIBERS:
            self._take(1.0, latencies)
        return latencies

    def _take(self, seconds: float, latencies: list[float]) -> None:
        for descriptor, _ in self._poll.poll(seconds):
            for event in self._clients[descriptor].received():
                if isinstance(event, messages.NewMessage):
                    latencies.append(time.monotonic() - float(event.content))


def shown(latencies: list[float]) -> str:
    """Percentiles in milliseconds."""
    marks = ((0.5, "p50"), (0.99, "p99"), (1.0, "max"))
    last = len(latencies) - 1
    values = ", ".join(f"{name} {1000 * latencies[min(int(last * mark), last)]:6.1f} ms" for mark, name in marks)
    return f"{values} of {len(latencies)} deliveries"


def main() -> None:
    """Print the percentiles with and without logins, in turns, and what became of the logins."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.rounds = 2.0, 1
    with running_server() as server:
        register(server.port)
        deliveries = Deliveries(server.port)
        pipe, theirs = multiprocessing.Pipe()
        process = multiprocessing.Process(target=log_in, args=(theirs, server.port, 250), daemon=True)
        process.start()
        pipe.recv()
        print(f"load average {os.getloadavg()[0]:.1f}; {POSTS_PER_SECOND} posts/s to {SUBSCRIBERS} subscribers")
        quiet: list[float] = []
        busy: list[float] = []
        outcomes: Counter[str] = Counter()
        idle = spent = 0.0
        for _ in range(options.rounds):
            before = cpu_seconds(server.pid)
            quiet += deliveries.measure(options.seconds)
            idle += cpu_seconds(server.pid) - before
            before = cpu_seconds(server.pid)
            pipe.send((options.rate, options.seconds))
            busy += deliveries.measure(options.seconds)
            outcomes += pipe.recv()
            spent += cpu_seconds(server.pid) - before
            pipe.recv()  # what still waited has had its turn
        total = options.rounds * options.seconds
        print(f"without logins: {shown(sorted(quiet))}")
        print(f"with logins:    {shown(sorted(busy))}")
        print(
            f"logins per second: {outcomes['offered'] / total:.0f} offered, {outcomes['done'] / total:.1f} done, "
            f"{outcomes['refused'] / total:.1f} refused"
        )
        print(f"CPUs used by the server: {idle / total:.2f} without logins, {spent / total:.2f} with them")
        process.terminate()
        process.join()


if __name__ == "__main__":
    main()
