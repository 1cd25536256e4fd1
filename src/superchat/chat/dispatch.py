"""Which service answers which message, and what the message needs; checked in one place, before any rule runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from enum import IntEnum
from typing import Any, Final, TypeAlias

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from superchat.chat.attempts import Attempts
from superchat.chat.counters import OTHER_TYPE, Counters
from superchat.chat.session import Session
from superchat.errors import Declined, Refused
from superchat.storage.errors import StorageError
from superchat.wire.errors import ErrorCode, Malformed, Unsupported
from superchat.wire.records import Message

Event: TypeAlias = Message | Malformed | Unsupported
Verb: TypeAlias = Callable[[Session, Any], Awaitable[None] | None]

UNSUPPORTED: Final = "Unsupported message type"
UNREADABLE: Final = "Invalid message format"
UNREADABLE_REQUEST: Final = "Invalid request format"

MOST_OVERLAPPING: Final = 64
"""Requests of one session that are under way at once."""
BUSY: Final = 10_000
"""With so many under way in the whole server, each session waits for its own."""


class Role(IntEnum):
    """What a session is, each with the rights of those below it (decisions 3.4)."""

    ANYONE = 0
    NAMED = 1  # has a nickname
    REGISTERED = 2
    MODERATOR = 3
    ADMIN = 4


def role_of(session: Session) -> Role:
    """The highest role that a session has; rights hang on its account's flags (decisions 2.4)."""
    if session.account is None:
        return Role.ANYONE if session.nickname is None else Role.NAMED
    if session.is_admin:
        return Role.ADMIN
    return Role.MODERATOR if session.moderates else Role.REGISTERED


@attrs.frozen
class Refusal:
    """What a session is told; *kind* `Declined` when the message has an answer of its own for that."""

    code: ErrorCode
    text: str
    kind: type[Refused] = Refused

    def error(self) -> Refused:
        """An exception for one use: one that is raised again keeps what it met alive."""
        return self.kind(self.code, self.text)


@attrs.frozen
class Need:
    """The *role* that a message needs; without it the session is told *refusal*, whatever else is wrong."""

    role: Role
    refusal: Refusal


@attrs.frozen
class Command:
    """How a message is answered: by *verb*, if the session has what it needs (decisions 3.1).

    *rated* messages count against the message rate (decisions 4.10). *decline* phrases a `Declined` as the answer
    that says so; without one it is an ERROR. *unreadable* says that the payload could not be read; it *comes_first*
    where the reference looks at the payload before it looks at the session (reference 2.2).

    While a request that *overlaps* is under way, the next of this kind may begin. Its verb returns a Deferred then,
    which MUST fire in the order of the requests; what takes its time in another way is a coroutine, and goes alone.
    """

    verb: Verb
    needs: Need | None = None
    rated: bool = False
    decline: Callable[[Any, str], Message] | None = None
    unreadable: Refusal = Refusal(ErrorCode.INVALID_FORMAT, UNREADABLE)
    comes_first: bool = False
    overlaps: bool = False


class Dispatcher:
    """Answers one event of one session; everything that goes wrong becomes an ERROR and the connection goes on."""

    _log = Logger()

    def __init__(
        self,
        commands: Mapping[type[Message], Command],
        clock: IReactorTime,
        counters: Counters,
        account_posts: Attempts,
        message_rate: int,
        activity: Logger,
    ) -> None:
        self._commands = commands
        self._clock = clock
        self._counters = counters
        self._account_posts = account_posts
        self._message_rate = message_rate
        self._by_name = {kind.NAME: command for kind, command in commands.items()}
        self._activity = activity

    def handle(self, session: Session, event: Event) -> Deferred[None] | None:
        """Answer *event*; the Deferred fires when the answer is complete, None means that it is already.

        A session that is over is neither answered nor obeyed.
        """
        if session.closed:
            return None
        if not isinstance(event, Message):
            return self._in_turn(session, self._answer_event, event)
        command = self._commands.get(type(event))
        if command is None or not command.overlaps:
            return self._in_turn(session, self._answer, command, event)
        return self._overlap(session, command, event)

    def _in_turn(
        self, session: Session, answer: Callable[..., Deferred[None] | None], *args: Any
    ) -> Deferred[None] | None:
        """Answer after what is under way: the protocol has no request ids, so that answers keep the order."""
        if not session.under_way:
            return answer(session, *args)
        return session.settled().addCallback(lambda _: None if session.closed else answer(session, *args))

    def _overlap(self, session: Session, command: Command, message: Message) -> Deferred[None] | None:
        self._counters.received[message.NAME] += 1
        try:
            result = self._run(session, command, message)
        except Exception as error:  # noqa: BLE001  # whatever a rule does wrong, the session gets an answer
            return self._in_turn(session, self._answer_failure, message, error)
        if not isinstance(result, Deferred) or (result.called and session.under_way):
            # Also one that was refused at once, by a storage for which too many wait.
            return self._in_turn(session, self._await, message, result)
        session.begin()
        self._counters.under_way += 1
        result.addCallbacks(self._overlapped, self._failed, (session,), errbackArgs=(session, message))
        most = 1 if self._counters.under_way > BUSY else MOST_OVERLAPPING
        return session.settled() if session.under_way >= most else None

    def _overlapped(self, result: object, session: Session) -> None:
        self._counters.under_way -= 1
        session.end()

    def _failed(self, failure: Failure, session: Session, message: Message) -> None:
        assert isinstance(failure.value, Exception)
        self._answer_failure(session, message, failure.value)
        self._overlapped(None, session)

    def _answer(self, session: Session, command: Command | None, message: Message) -> Deferred[None] | None:
        self._counters.received[message.NAME] += 1
        try:
            result = self._run(session, command, message)
        except Exception as error:  # noqa: BLE001  # as above
            self._answer_failure(session, message, error)
            return None
        return self._await(session, message, result)

    def _run(self, session: Session, command: Command | None, message: Message) -> Awaitable[None] | None:
        if command is None:
            raise Refused(ErrorCode.UNSUPPORTED_VERSION, UNSUPPORTED)
        _check(session, command)
        if command.rated and not self._may_post(session):
            raise self._rate_exceeded(session)
        return command.verb(session, message)

    def _await(self, session: Session, message: Message, result: Awaitable[None] | None) -> Deferred[None] | None:
        return None if result is None else Deferred.fromCoroutine(self._finish(session, message, result))

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
            _refuse(session, self._commands.get(type(message)), message, error)
        elif isinstance(error, StorageError):
            self._log.error("database error in {request}: {error}", request=spoken(message), error=error)
            session.refuse(ErrorCode.DATABASE_ERROR, "Database error")
        else:
            self._log.failure("Internal error in {request}", Failure(error), request=spoken(message))
            session.refuse(ErrorCode.INTERNAL_ERROR, "Internal error")

    def _answer_event(self, session: Session, event: Malformed | Unsupported) -> None:
        """What a message needs is checked first even when it cannot be read (reference 2.1, 2.4)."""
        self._counters.received[OTHER_TYPE if isinstance(event, Unsupported) else event.name] += 1
        if isinstance(event, Unsupported):
            session.refuse(event.error_code, UNSUPPORTED)
            return
        command = self._by_name.get(event.name)
        if command is None:
            session.refuse(ErrorCode.UNSUPPORTED_VERSION, UNSUPPORTED)
            return
        try:
            if not command.comes_first:
                _check(session, command)
            raise command.unreadable.error()
        except Refused as refused:
            _refuse(session, command, None, refused)

    def _may_post(self, session: Session) -> bool:
        """An account has one rate, however many sessions it has had; the anonymous each have their session's
        (decisions 4.10)."""
        now = self._clock.seconds()
        if session.account is None:
            return session.posts.take(now)
        return self._account_posts.take(session.account.id, now)

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


def spoken(message: Message) -> str:
    """How errors in the log name a request: not as lines about what clients do, for which operators search."""
    return message.NAME.replace("_", " ").lower()


def _check(session: Session, command: Command) -> None:
    """Raise what *command* has to say to a session without the role that it needs."""
    if command.needs is not None and role_of(session) < command.needs.role:
        raise command.needs.refusal.error()


def _refuse(session: Session, command: Command | None, message: Message | None, refused: Refused) -> None:
    """Answer a refusal: as the message's own answer if it has one, and the refusal may be one; else as an ERROR."""
    answer = None
    if command is not None and command.decline is not None and isinstance(refused, Declined):
        answer = command.decline(message, refused.text)
    session.refuse(refused.code, refused.text, answer)
