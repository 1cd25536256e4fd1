"""Clients on sockets, none of which ever waits, and what they make of what they hear."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterable
from typing import Final

from wsproto import WSConnection
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Request

from tests.fuzz.talks.transcript import Transcript

_CHUNK_BYTES: Final = 65_536
_PATIENCE_SECONDS: Final = 30.0


class RealClient:
    """A client on a plain connection; *version* is the one that it speaks."""

    def __init__(self, port: int, version: int, transcript: Transcript) -> None:
        self.version = version
        self.transcript = transcript
        self.is_reading = True
        self.is_over = False
        self._waiting = b""
        self._socket = socket.create_connection(("127.0.0.1", port), _PATIENCE_SECONDS)
        self._open(port)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """Of the socket."""
        return self._socket.fileno()

    @property
    def waiting_bytes(self) -> int:
        """What the kernel has not taken yet."""
        return len(self._waiting)

    def send(self, data: bytes) -> None:
        """Send bytes of the protocol as soon as they are taken."""
        if not self.is_over:
            self.transcript.said(data)
            self._waiting += self._packed(data)
            self.flush()

    def flush(self) -> None:
        """Hand over what waits, as far as it is taken."""
        with contextlib.suppress(BlockingIOError):
            try:
                while self._waiting:
                    self._waiting = self._waiting[self._socket.send(self._waiting) :]
            except (BrokenPipeError, ConnectionResetError):
                self._waiting = b""  # its end will be read

    def hear(self) -> None:
        """Take in what is there."""
        try:
            data = self._socket.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return
        except ConnectionResetError:
            self.transcript.leave()  # what was on its way is lost, the reason perhaps with it
            self._end()
            return
        if data:
            self._heard(data)
        else:
            self.transcript.lose()
            self._end()

    def leave(self) -> None:
        """Close the connection at once."""
        self.transcript.leave()
        self._end()

    def _open(self, port: int) -> None:
        """Nothing to be said before."""

    def _packed(self, data: bytes) -> bytes:
        return data

    def _heard(self, data: bytes) -> None:
        self.transcript.hears(data)

    def _end(self) -> None:
        self.is_over = True
        self._waiting = b""
        self._socket.close()


class RealWebSocketClient(RealClient):
    """A client on a WebSocket."""

    def _open(self, port: int) -> None:
        self._client = WSConnection(ConnectionType.CLIENT)
        self._socket.sendall(self._client.send(Request(host=f"127.0.0.1:{port}", target="/ws")))
        while self._client.state is not ConnectionState.OPEN:
            data = self._socket.recv(_CHUNK_BYTES)
            assert data, "no WebSocket"
            self._heard(data)

    def _packed(self, data: bytes) -> bytes:
        return self._client.send(BytesMessage(data)) if self._client.state is ConnectionState.OPEN else b""

    def _heard(self, data: bytes) -> None:
        self._client.receive_data(data)
        for event in self._client.events():
            if isinstance(event, BytesMessage):
                self.transcript.hears(bytes(event.data))
            elif isinstance(event, CloseConnection):
                if self._client.state is ConnectionState.REMOTE_CLOSING:
                    self._waiting += self._client.send(event.response())
                    self.flush()
            else:
                assert isinstance(event, AcceptConnection), event


def exchange(clients: Iterable[RealClient], seconds: float) -> None:
    """Whatever can be read or written within some time."""
    living = [client for client in clients if not client.is_over]
    reading = [client for client in living if client.is_reading]
    writing = [client for client in living if client.waiting_bytes]
    readable, writable, _ = select.select(reading, writing, (), seconds)
    for client in writable:
        client.flush()
    for client in readable:
        client.hear()
