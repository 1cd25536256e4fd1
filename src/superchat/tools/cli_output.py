"""What the command line has to say, whoever reads it; ``cli_human`` and ``cli_json`` say how."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from enum import Enum

import attrs

from superchat.wire import messages as wire

WriteLine = Callable[[str], None]

@attrs.frozen
class Channel:
    """A place to read or write in, as far as the server told."""

    channel_id: int
    label: str
    """Its name, with that of its parent if it is a subchannel; else its id."""
    is_forum: bool | None = None
    """Whether it has threads; None if unknown."""
    description: str = ""
    user_count: int | None = None
    """Subscribers; None for subchannels, of which no count is told."""
    retention_hours: int = 0
    is_private: bool = False
    """Whether it is a conversation of two; ``label`` is then the name of the other."""


@attrs.frozen
class Account:
    """Who one is after logging in."""

    nickname: str
    user_id: int
    is_admin: bool
    is_moderator: bool
    message: str
    """What the server says to it."""


class Encryption(Enum):
    """How a private message came."""

    SEALED = "sealed"
    """Only the two can read it, or have written it."""
    CLEAR = "clear"
    """The server can read it, and may have written it."""
    BROKEN = "broken"
    """It cannot be decrypted: it was written for another key, or tampered with."""


@attrs.frozen(kw_only=True)
class Shown:
    """What to say around a message."""

    channel: str | None = None
    """The channel's name, where it is not obvious."""
    is_private: bool = False
    """Whether ``channel`` is the name of somebody one talks to alone."""
    encryption: Encryption | None = None
    """In private conversations, how the message came."""
    number: int | None = None
    """A short number to reply to."""
    reply_to: str | None = None
    """A safe text that says to what it replies."""
    depth: int = 0
    """How far to indent it."""


PLAIN = Shown()


class Output(ABC):
    """Where results, notices and errors go. Results are on standard output, the rest on standard error."""

    @abstractmethod
    def message(self, entry: wire.MessageEntry, shown: Shown = PLAIN) -> None:
        """A message, new or from the past."""

    @abstractmethod
    def thread(self, entry: wire.MessageEntry) -> None:
        """A root message in a list of threads."""

    @abstractmethod
    def edited(self, event: wire.MessageEdited, number: int | None = None) -> None:
        """A message has another text now."""

    @abstractmethod
    def deleted(self, event: wire.MessageDeleted, number: int | None = None) -> None:
        """A message was deleted."""

    @abstractmethod
    def presence(self, event: wire.ChannelPresence) -> None:
        """Somebody entered or left."""

    @abstractmethod
    def posted(self, message_id: int) -> None:
        """One's own message is stored."""

    @abstractmethod
    def channels(self, channels: Sequence[Channel]) -> None:
        """A list of channels."""

    @abstractmethod
    def users(self, users: Iterable[wire.UserListEntry | wire.ChannelUserEntry]) -> None:
        """A list of people."""

    @abstractmethod
    def account(self, account: Account) -> None:
        """One is logged in."""

    @abstractmethod
    def created(self, channel: Channel, text: str) -> None:
        """A channel was created."""

    @abstractmethod
    def done(self, text: str) -> None:
        """What was asked for is done, in the server's words."""

    @abstractmethod
    def banned(self, ban_id: int, text: str) -> None:
        """Somebody is banned, in the server's words."""

    @abstractmethod
    def bans(self, bans: Sequence[wire.BanEntry]) -> None:
        """A list of bans."""

    @abstractmethod
    def unread(self, counts: Sequence[tuple[Channel, int]]) -> None:
        """How many messages are unread in some channels."""

    @abstractmethod
    def request(self, request: wire.DMRequest) -> None:
        """Somebody wants to talk alone."""

    @abstractmethod
    def conversation(self, ready: wire.DMReady, key: str | None) -> None:
        """A private conversation can begin; ``key`` is the fingerprint of the other's if it is encrypted."""

    @abstractmethod
    def notice(self, text: str) -> None:
        """Something worth knowing that is no result."""

    @abstractmethod
    def error(self, kind: str, text: str, code: int | None = None) -> None:
        """Why it did not work; ``kind`` is one of those in docs/cli.md."""
