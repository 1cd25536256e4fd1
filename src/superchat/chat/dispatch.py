"""Which service answers which message, and what the message needs; checked in one place, before any rule runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from superchat.chat.counters import OTHER_TYPE, Counters
from superchat.chat.session import Session
from superchat.errors import Refused
from superchat.storage.interface import StorageError
from superchat.wire.errors import ErrorCode, Malformed, Unsupported
from superchat.wire.messages import GetSubchannels
from superchat.wire.records import Message

Event: TypeAlias = Message | Malformed | Unsupported
Verb: TypeAlias = Callable[[Session, Any], Awaitable[None] | None]

_MALFORMED_TEXTS: Final = {GetSubchannels.NAME: "Invalid request format"}
"""Where the reference has another text than elsewhere (reference 2.2)."""


@attrs.frozen
class Command:
    """How a message is answered: by *verb*, if the session has a nickname (or else ERROR *nickname* says so), and
    within the message rate when it is *rated* (decisions 3.1, 4.10)."""

    verb: Verb
    nickname: ErrorCode | None = None
    rated: bool = False


class Dispatcher:
    """Answers one event of one session; everything that goes wrong becomes an ERROR and the connection goes on."""

    _log = Logger()

    def __init__(
        self,
        commands: Mapping[type[Message], Command],
        clock: IReactorTime,
        counters: Counters,
        message_rate: int,
        activity: Logger,
    ) -> None:
        self._commands = commands
        self._clock = clock
        self._counters = counters
        self._message_rate = message_rate
        self._activity = activity

    def handle(self, session: Session, event: Event) -> Deferred[None] | None:
        """Answer *event*; the Deferred fires when the answer is complete, None means that it is already."""
        if not isinstance(event, Message):
            self._counters.received[OTHER_TYPE if isinstance(event, Unsupported) else event.name] += 1
            self._refuse_event(session, event)
            return None
        self._counters.received[event.NAME] += 1
        try:
            result = self._run(session, event)
        except Exception as error:  # noqa: BLE001  # whatever a rule does wrong, the session gets an answer
            self._answer_failure(session, event, error)
            return None
        if result is None:
            return None
        return Deferred.fromCoroutine(self._finish(session, event, result))

    def _run(self, session: Session, message: Message) -> Awaitable[None] | None:
        command = self._commands.get(type(message))
        if command is None:
            raise Refused(ErrorCode.UNSUPPORTED_VERSION, "Unsupported message type")
        if command.nickname is not None and session.nickname is None:
            raise Refused(command.nickname, "Nickname required. Use SET_NICKNAME first.")
        if command.rated and not session.posts.take(self._clock.seconds()):
            raise self._rate_exceeded(session)
        return command.verb(session, message)

    async def _finish(self, session: Session, message: Message, result: Awaitable[None]) -> None:
        self._counters.under_way += 1
        try:
            await result
        except Exception as error:  # noqa: BLE001  # as above
            self._answer_failure(session, message, error)
        finally:
            self._counters.under_way -= 1

    def _answer_failure(self, session: Session, message: Message, error: Exception) -> None:
        if isinstance(error, Refused):
            session.refuse(error.code, error.text)
        elif isinstance(error, StorageError):
            self._log.error("database error in {type}: {error}", type=message.NAME, error=error)
            session.refuse(ErrorCode.DATABASE_ERROR, "Database error")
        else:
            self._log.failure("Internal error in {type}", type=message.NAME)
            session.refuse(ErrorCode.INTERNAL_ERROR, "Internal error")

    def _refuse_event(self, session: Session, event: Malformed | Unsupported) -> None:
        if isinstance(event, Unsupported):
            session.refuse(event.error_code, "Unsupported message type")
        else:
            session.refuse(event.error_code, _MALFORMED_TEXTS.get(event.name, "Invalid message format"))

    def _rate_exceeded(self, session: Session) -> Refused:
        """Both of the monitoring guide's searches find the line (decisions 4.10)."""
        self._counters.rate_limited += 1
        rate = self._message_rate
        self._activity.info(
            "Rate limit exceeded for session {id}: message rate limit exceeded, {rate} per minute allowed",
            id=session.id,
            rate=rate,
        )
        return Refused(ErrorCode.MESSAGE_RATE_LIMIT, f"Message rate limit exceeded ({rate} per minute)")
