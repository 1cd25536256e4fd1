"""Fan-out over real sockets: deliveries per second, and the time until the last subscriber has a message.

The yardstick, measured in the same run, is a bare loop that does one `socket.send` per delivery to as many sockets,
read by the same reader. The server is a process of its own; its acknowledgements are durable.

    python -m benchmarks.fanout [--subscribers 2000] [--messages 40] [--rounds 9] [--websocket]
"""

from __future__ import annotations

import argparse
import multiprocessing
import select
import socket
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection as Pipe

from benchmarks.server import free_port, raise_descriptor_limit, running_server
from superchat.wire import frames, messages
from superchat.wire.connection import Connection
from superchat.wire.records import Message

CHANNEL = 2
POSTERS = 50
IN_FLIGHT = 8
LOOP_MESSAGES = 20
PAUSE_SECONDS = 0.05
"""Before each single message: subscribers are idle, and nothing of theirs is in the processor's caches."""


class Readers:
    """Many subscribers in a process of their own, which counts what they receive."""

    def __init__(self) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=_read, args=(theirs,), daemon=True)
        self._process.start()

    def connect(self, port: int, number: int, first: bytes = b"", last: bytes = b"") -> None:
        """Open *number* connections, send *first* on each and read until *last* has come, if that is anything."""
        self._pipe.send((port, number, first, last))
        self._pipe.recv()

    def expect(self, bytes_each: int) -> None:
        """Make every reader wait for that many bytes; returns when all are ready for them."""
        self._pipe.send(bytes_each)
        self._pipe.recv()

    def finished(self) -> float:
        """The monotonic time at which the last reader had everything."""
        return float(self._pipe.recv())

    def close(self) -> None:
        self._process.terminate()
        self._process.join()


def _read(pipe: Pipe) -> None:
    port, number, first, last = pipe.recv()
    poll = select.epoll()
    sockets: dict[int, socket.socket] = {}
    for _ in range(number):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(first)
        answer = b""
        while not answer.endswith(last):
            answer += connection.recv(65536)
        sockets[connection.fileno()] = connection
        poll.register(connection, select.EPOLLIN)
    pipe.send(None)
    buffer = bytearray(1 << 18)
    while True:
        missing = dict.fromkeys(sockets, pipe.recv())
        pipe.send(None)
        while missing:
            for descriptor, _ in poll.poll():
                missing[descriptor] -= sockets[descriptor].recv_into(buffer)
                if not missing[descriptor]:
                    del missing[descriptor]
        pipe.send(time.monotonic())


class Poster:
    """One client that posts with many messages in flight."""

    def __init__(self, port: int, nickname: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._incoming = Connection(messages.BY_CODE)
        self._send(messages.SetNickname(nickname=nickname))
        self._wait_for(messages.NicknameResponse)

    def post(self, number: int) -> None:
        """Post *number* messages; returns when all are acknowledged."""
        frame = frames.encode(messages.PostMessage(channel_id=CHANNEL, content=b"x" * 140))
        self._socket.sendall(frame * min(number, IN_FLIGHT))
        for _ in range(number - IN_FLIGHT):
            self._wait_for(messages.MessagePosted)
            self._socket.sendall(frame)
        for _ in range(min(number, IN_FLIGHT)):
            self._wait_for(messages.MessagePosted)

    def _send(self, message: Message) -> None:
        self._socket.sendall(frames.encode(message))

    def _wait_for(self, kind: type[Message]) -> None:
        while True:
            event = self._incoming.next_event()
            if event is None:
                self._incoming.receive_data(self._socket.recv(65536))
            elif isinstance(event, kind):
                return


class Loop:
    """The yardstick: one `socket.send` per delivery."""

    def __init__(self, readers: Readers, number: int) -> None:
        listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._frame = b"x" * FRAME_BYTES
        self._sockets: list[socket.socket] = []
        readers._pipe.send((listening.getsockname()[1], number, b"", b""))
        for _ in range(number):
            self._sockets.append(listening.accept()[0])
        readers._pipe.recv()

    def send(self, number: int) -> None:
        for _ in range(number):
            for connection in self._sockets:
                connection.send(self._frame)


FRAME_BYTES = len(
    frames.encode(
        messages.NewMessage(
            message_id=1,
            channel_id=CHANNEL,
            author_nickname="~poster00",
            content=b"x" * 140,
            created_at=0,
            reply_count=0,
        )
    )
)


WEBSOCKET_HEADER_BYTES = 4
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def masked_message(data: bytes) -> bytes:
    """A short binary WebSocket message from a client; a mask of zeros changes nothing."""
    return bytes((0x82, 0x80 | len(data), 0, 0, 0, 0)) + data


def post_all(posters: list[Poster], number: int) -> None:
    """Every poster posts *number* messages, all at the same time."""
    with ThreadPoolExecutor(len(posters)) as pool:
        list(pool.map(lambda poster: poster.post(number), posters))


def timed(readers: Readers, bytes_each: int, send: object) -> float:
    """Seconds from the first byte sent until the last reader has everything."""
    readers.expect(bytes_each)
    start = time.monotonic()
    send()  # type: ignore[operator]
    return readers.finished() - start


def idle(readers: Readers, rounds: int, bytes_each: int, send: object) -> list[float]:
    """The same for one message, again and again."""
    seconds = []
    for _ in range(rounds):
        time.sleep(PAUSE_SECONDS)
        seconds.append(timed(readers, bytes_each, send))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subscribers", type=int, default=2000)
    parser.add_argument("--messages", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--websocket", action="store_true", help="let the subscribers come as web clients do")
    parser.add_argument("--quick", action="store_true", help="200 subscribers, few messages")
    arguments = parser.parse_args()
    raise_descriptor_limit()
    number, many, rounds = arguments.subscribers, arguments.messages, arguments.rounds
    if arguments.quick:
        number, many, rounds = 200, 10, 3

    readers = Readers()
    loop = Loop(readers, number)
    loop_idle = idle(readers, rounds, FRAME_BYTES, lambda: loop.send(1))
    loop_busy = timed(readers, FRAME_BYTES * LOOP_MESSAGES, lambda: loop.send(LOOP_MESSAGES))
    readers.close()

    http_port = free_port()
    with running_server(http_port=http_port) as server:
        posters = [Poster(server.port, f"poster{n:02}") for n in range(POSTERS)]
        readers = Readers()
        subscribe = frames.encode(messages.SubscribeChannel(channel_id=CHANNEL))
        subscribed = frames.encode(messages.SubscribeOk(type=2, id=CHANNEL))
        if arguments.websocket:
            readers.connect(http_port, number, HANDSHAKE + masked_message(subscribe), subscribed)
        else:
            readers.connect(server.port, number, subscribe, subscribed)
        bytes_each = FRAME_BYTES + WEBSOCKET_HEADER_BYTES * arguments.websocket
        ours_idle = idle(readers, rounds, bytes_each, lambda: posters[0].post(1))
        ours_busy = timed(readers, bytes_each * many * POSTERS, lambda: post_all(posters, many))
        readers.close()

    loop_rate = number * LOOP_MESSAGES / loop_busy
    ours_rate = number * many * POSTERS / ours_busy
    print(f"{number} subscribers, frames of {FRAME_BYTES} bytes")
    print(f"saturated   {ours_rate:12,.0f} deliveries/s   loop {loop_rate:10,.0f}   ratio {ours_rate / loop_rate:6.1f}")
    ours, bare = statistics.median(ours_idle), statistics.median(loop_idle)
    print(f"one message {ours * 1000:12.1f} ms to the last     loop {bare * 1000:7.1f} ms   ratio {ours / bare:6.2f}")


if __name__ == "__main__":
    main()
