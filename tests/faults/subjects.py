"""What clients can ask a server to change: frozen values, the keys of the claims in a ledger."""

from __future__ import annotations

import attrs


@attrs.frozen
class Text:
    """What a message says; it is `ABSENT` once it is deleted."""

    message_id: int


@attrs.frozen
class Password:
    """What an account logs in with; the value is the secret that clients send."""

    login_name: str


@attrs.frozen
class Nickname:
    """What an account is called."""

    login_name: str


@attrs.frozen
class PublicKey:
    """What direct messages to an account are encrypted with."""

    login_name: str


@attrs.frozen
class SSHKey:
    """A key to log in with; the value is the login name of its account."""

    fingerprint: str


@attrs.frozen
class ReadPosition:
    """Up to when an account has read a channel, Unix milliseconds."""

    login_name: str
    channel_id: int


@attrs.frozen
class Place:
    """A channel that somebody made, by its name; the value is a `Made`."""

    name: str


@attrs.frozen
class Made:
    """What a channel is like; the id is unknown until the server has told it."""

    channel_type: int
    description: str
    retention_hours: int
    parent_id: int | None


@attrs.frozen
class NicknameBan:
    """A ban of a nickname; the value is its `Terms`."""

    nickname: str


@attrs.frozen
class AddressBan:
    """A ban of an address or a network; the value is its `Terms`."""

    ip_cidr: str


@attrs.frozen
class Terms:
    """What a ban says."""

    reason: str
    shadowban: bool
    banned_by: str


@attrs.frozen
class Conversation:
    """The direct conversation of two accounts; the value is True."""

    login_names: frozenset[str]


@attrs.frozen
class Invite:
    """A direct conversation that one account has asked another one for; the value is True."""

    initiator: str
    target: str


Subject = (
    Text
    | Password
    | Nickname
    | PublicKey
    | SSHKey
    | ReadPosition
    | Place
    | NicknameBan
    | AddressBan
    | Conversation
    | Invite
)
