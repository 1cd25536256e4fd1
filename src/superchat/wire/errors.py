"""What can go wrong between bytes and messages, and the codes an ERROR message may carry."""

from __future__ import annotations

from enum import IntEnum
from typing import Self

import attrs


class ErrorCode(IntEnum):
    """Values of ``Error.error_code`` (wire 8; decisions 1.4 and 4.1 add 5002, 5003 and 9002).

    ``doc`` says what the server means by it.
    """

    doc: str

    def __new__(cls, value: int, doc: str = "") -> Self:
        """Keep the description beside the number; it is no part of the value."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.doc = doc
        return member

    INVALID_FORMAT = 1000, "the payload cannot be decoded"
    UNSUPPORTED_VERSION = 1001, "unknown message type, or directory mode is off; never about versions"
    INVALID_FRAME = 1002, "framing is lost, the connection closes"
    AUTH_REQUIRED = 2000, "this needs an account, or a nickname"
    PERMISSION_DENIED = 3000, "not allowed"
    NOT_FOUND = 4000, "no such user, session, invite or server"
    CHANNEL_NOT_FOUND = 4001, "no such channel"
    MESSAGE_NOT_FOUND = 4002, "no such message"
    THREAD_NOT_FOUND = 4003, "no such thread"
    SUBCHANNEL_NOT_FOUND = 4004, "no such subchannel"
    RATE_LIMIT_EXCEEDED = 5000, "too many frames"
    MESSAGE_RATE_LIMIT = 5001, "too many messages"
    CHANNEL_CREATE_LIMIT = 5002, "too many channels created"
    CONNECTION_LIMIT = 5003, "too many connections from this address"
    THREAD_SUBSCRIPTION_LIMIT = 5004, "too many thread subscriptions"
    CHANNEL_SUBSCRIPTION_LIMIT = 5005, "too many channel subscriptions"
    INVALID_INPUT = 6000, "decodable, but makes no sense"
    MESSAGE_TOO_LONG = 6001, "longer than the server takes"
    INVALID_NICKNAME = 6003, "not a nickname"
    NICKNAME_REQUIRED = 6004, "choose a nickname first"
    INTERNAL_ERROR = 9000, "the server failed"
    DATABASE_ERROR = 9001, "the server's storage failed"
    SERVER_FULL = 9002, "no room for another connection"


class Malformed(Exception):
    """A frame was whole but its payload is not the message its type announces.

    The stream is intact, so a server answers with ``error_code`` and reads on (wire 1, "Errors").
    """

    error_code = ErrorCode.INVALID_FORMAT

    def __init__(self, code: int, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.code = code
        self.name = name
        self.reason = reason


@attrs.frozen
class Unsupported:
    """A frame was whole but its type is none that this side takes.

    The stream is intact, so a server answers with ``error_code`` and reads on (wire 1, "Errors").
    """

    code: int

    error_code = ErrorCode.UNSUPPORTED_VERSION

    def __str__(self) -> str:
        return f"unsupported message type 0x{self.code:02X}"


class Broken(Exception):
    """Nobody can tell any more where the next frame begins, or what this one held.

    A server answers with ``error_code`` and closes the connection (decisions 1.5).
    """

    error_code = ErrorCode.INVALID_FRAME

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unencodable(ValueError):
    """A message holds a value that the protocol has no bytes for, or is too big for one frame."""
