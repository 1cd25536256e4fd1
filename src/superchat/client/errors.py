"""What can go wrong for a client, as exceptions with the facts a caller needs."""

from __future__ import annotations

from twisted.internet.defer import TimeoutError as DeferredTimeout


class ClientError(Exception):
    """Any failure of a connection or of a request on it."""


class ServerRefused(ClientError):
    """The server answered a request with ERROR.

    ``code`` is a value of ``superchat.wire.errors.ErrorCode`` where the server keeps to it; ``text`` is the
    server's own wording, not made safe for terminals.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"refused with error {code}: {text}")
        self.code = code
        self.text = text


class NoReply(ClientError, DeferredTimeout):
    """The server was silent for the whole time given to a request, or to its SERVER_CONFIG."""


class ConnectionClosed(ClientError):
    """The connection ended before the answer came. ``reason`` is that of ``ChatClient.closed``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ProtocolViolation(ConnectionClosed):
    """The server sent what no server may send, and was hung up on."""
