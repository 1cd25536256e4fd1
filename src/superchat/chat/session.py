"""Who is on a connection: nickname, place, subscriptions. No I/O: bytes leave through the `Peer`."""

from __future__ import annotations

from collections.abc import Set
from typing import Final, Protocol

import attrs
from twisted.internet.defer import Deferred

from superchat.chat.counters import CloseCause, Counters
from superchat.chat.limits import TokenBucket
from superchat.model import Account, UserFlags
from superchat.wire import frames
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import Error
from superchat.wire.records import Message

NOTHING: Final[Set[int]] = frozenset()
"""The subscriptions of those who have none; one empty set for all of them."""


_ADMIN: Final = int(UserFlags.ADMIN)  # operations on flags are slow
_MODERATING: Final = int(UserFlags.ADMIN | UserFlags.MODERATOR)


class Peer(Protocol):
    """The way out to one client, as the rules see it."""

    @property
    def version(self) -> int:
        """The protocol version the client showed first, 0 until then (decisions 1.2)."""

    def write(self, frames: bytes) -> None:
        """Queue whole frames. MUST NOT block or reorder; drops the peer past its byte budget."""

    def disconnect(self, reason: str | None, cause: CloseCause) -> None:
        """Close; with a *reason*, announce it in a DISCONNECT first (decisions 1.7). May be called again."""


@attrs.define(eq=False)
class Session:
    """One connection and its rights. *id* is unique in one run and goes over the wire; *key* is unique for ever
    and is stored with messages, so that an anonymous author can delete what this very session posted."""

    id: int
    key: int
    address: str
    peer: Peer
    counters: Counters
    posts: TokenBucket
    nickname: str | None = None
    account: Account | None = None  # as it is now; `Sessions.refresh` keeps it so
    public_key: bytes | None = None  # X25519, for direct messages to it while it has no account
    joined: int | None = None
    channels: Set[int] = NOTHING  # these two are the registry's to change
    threads: Set[int] = NOTHING
    closed: bool = False
    under_way: int = 0  # requests that overlap, and are not answered yet; see `Dispatcher.handle`
    _settling: list[Deferred[None]] | None = None

    @property
    def account_id(self) -> int | None:
        """The account it is logged in to."""
        return None if self.account is None else self.account.id

    @property
    def user_flags(self) -> UserFlags:
        """Its rights: those of the account, none when it is anonymous (decisions 2.4)."""
        return UserFlags.NONE if self.account is None else UserFlags(self.account.user_flags)

    @property
    def is_admin(self) -> bool:
        """Whether it may do everything (decisions 3.4)."""
        return self.account is not None and bool(self.account.user_flags & _ADMIN)

    @property
    def moderates(self) -> bool:
        """Whether it has the rights of a moderator, which every admin has too (decisions 3.4)."""
        return self.account is not None and bool(self.account.user_flags & _MODERATING)

    def sees(self, channel_id: int) -> bool:
        """Whether this session has joined a channel or is subscribed to it."""
        return channel_id == self.joined or channel_id in self.channels

    def begin(self) -> None:
        """One more request is under way, beside which others may begin."""
        self.under_way += 1

    def end(self) -> None:
        """One of them has been answered."""
        self.under_way -= 1
        if not self.under_way and self._settling is not None:
            settling, self._settling = self._settling, None
            for settled in settling:
                settled.callback(None)

    def settled(self) -> Deferred[None]:
        """Fires when all that is under way has been answered; only for a time at which something is."""
        settled: Deferred[None] = Deferred()
        if self._settling is None:
            self._settling = []
        self._settling.append(settled)
        return settled

    def reply(self, message: Message) -> None:
        """Send one message to this session alone, compressed only for version 2 (decisions 1.2); nothing once
        it is closed."""
        if self.closed:
            return
        frame = frames.encode(message, compress=self.peer.version == frames.VERSION)
        self.counters.sent[message.NAME] += 1
        self.peer.write(frame)

    def refuse(self, code: ErrorCode, text: str, answer: Message | None = None) -> None:
        """Count a refusal, and answer ERROR *code* or the *answer* that says the same; the connection goes on."""
        self.counters.errors[code] += 1
        self.reply(Error(error_code=code, message=text) if answer is None else answer)
