"""Values as they are stored: field names equal column names, times are integer Unix milliseconds."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final

import attrs

REHEARSAL_CHANNEL_ID: Final = 0
"""No channel ever has this id, except while a message is rehearsed, which nobody can see."""


class ChannelType(IntEnum):
    """What a channel's messages look like (wire 0x07)."""

    CHAT = 0  # one line of messages
    FORUM = 1  # threads


class UserFlags(IntFlag):
    """The rights of an account (wire, enumerations)."""

    NONE = 0
    ADMIN = 1
    MODERATOR = 2


def name_key(name: str) -> str:
    """What is equal for names that differ in case only (decisions 2.3, 4.1)."""
    return name.casefold()


def _size(content: bytes) -> str:
    """What people wrote has no place in logs and tracebacks; its length may help there."""
    return f"<{len(content)} bytes>"


@attrs.frozen
class NewChannel:
    """What a seed of the configuration, or a request to create a channel, asks for (decisions 4.1, 4.13)."""

    name: str
    display_name: str
    description: str
    channel_type: int
    retention_hours: int  # 0 keeps for ever (decisions 4.11)
    parent_id: int | None = None  # the top-level channel that a subchannel belongs to
    created_by: int | None = None  # the account that owns it; seed channels have no owner


@attrs.frozen
class Channel:
    """A place for messages. A subchannel is a channel too, with an id of its own (decisions 4.2)."""

    id: int
    name: str
    display_name: str
    description: str
    channel_type: int
    retention_hours: int
    parent_id: int | None
    created_by: int | None
    created_at: int
    is_direct: bool = False  # a direct conversation, which exists for its participants only (decisions 3.2)


@attrs.frozen
class NewMessage:
    """What somebody posts: a root when ``parent_id`` is None, else a reply."""

    channel_id: int  # the place: a subchannel's own id when it is posted there
    parent_id: int | None
    author_nickname: str  # bare, without the ``~`` of the anonymous; empty for the server's own notes
    author_session: int  # the posting session's key, 63 bits, never used again after a restart
    content: bytes = attrs.field(repr=_size)
    created_at: int
    author_id: int | None = None  # the author's account; None for the anonymous
    author_flags: int = 0  # of that account, now; not stored with the message


@attrs.frozen
class Message:
    """A message as it may be read; for a deleted one that is its tombstone (decisions 4.7).

    ``author_nickname`` and ``author_flags`` are the account's of today, also in old messages; of an account that
    was deleted its last nickname, and ``author_id`` is None as for the anonymous.
    """

    id: int
    channel_id: int
    parent_id: int | None
    root_id: int  # the message that began the thread; a root's own id
    author_id: int | None
    author_nickname: str
    author_flags: int
    author_session: int
    content: bytes = attrs.field(repr=_size)
    created_at: int
    edited_at: int | None = None
    deleted_at: int | None = None
    reply_count: int = 0  # living descendants that the reader may see, of roots and replies alike (decisions 4.3)


@attrs.frozen
class View:
    """Through whose eyes messages are read (decisions 7.2).

    What shadowbanned authors wrote is withheld: pages, counts and reply counts are as if it did not exist. What
    the reader wrote is never withheld, and never unread (decisions 4.12).
    """

    account_id: int | None = None  # the reader's account
    session_key: int | None = None  # of the reader, who may have posted before logging in
    accounts: frozenset[int] = frozenset()  # the authors whose messages are withheld
    names: frozenset[str] = frozenset()  # name_key of the anonymous authors whose messages are withheld


EVERYTHING: Final = View()
"""The view of one from whom nothing is withheld, and who wrote nothing."""


@attrs.frozen
class Backlog:
    """What may be unread: the messages of a channel that are newer than a time, or those of one of its threads."""

    channel_id: int
    since_ms: int
    root_id: int | None = None  # of the thread; the root counts too


@attrs.frozen
class NewSSHKey:
    """A public key somebody may log in with."""

    fingerprint: str  # "SHA256:…" as OpenSSH prints it
    public_key: str  # as it was sent
    key_type: str  # such as ssh-ed25519
    label: str


@attrs.frozen
class SSHKey:
    """A public key of an account."""

    id: int
    account_id: int
    fingerprint: str
    public_key: str
    key_type: str
    label: str
    added_at: int
    last_used_at: int | None


@attrs.frozen
class NewAccount:
    """Somebody who registers."""

    nickname: str
    password_hash: str = attrs.field(repr=False)  # bcrypt of what the client sent; empty: none
    user_flags: int
    created_at: int


@attrs.frozen
class Account:
    """A registered user. Rights hang on it, never on a nickname (decisions 2.4)."""

    id: int
    nickname: str
    user_flags: int  # UserFlags
    password_hash: str = attrs.field(repr=False)  # bcrypt; empty when it has no password
    password_name: str | None  # the nickname that the password is salted with (decisions 2.5); None without one
    created_at: int
    last_seen: int
    encryption_public_key: bytes | None  # X25519, 32 bytes
    allow_unencrypted: bool  # direct messages without encryption, for good (decisions 6.2)


@attrs.frozen
class NewBan:
    """A ban to be made: of an account, a nickname, or both; or of a network."""

    ban_type: str  # "user" or "ip"
    account_id: int | None
    nickname: str | None
    ip_cidr: str | None  # normalised
    reason: str
    shadowban: bool
    banned_at: int
    banned_until: int | None  # None: for ever
    banned_by: str  # nickname of who banned


@attrs.frozen
class Ban(NewBan):
    """A ban as it is stored."""

    id: int


@attrs.frozen
class NewAct:
    """Something that somebody with power did, for the audit log (decisions 7.3)."""

    actor: str  # nickname, or how the operator is called
    actor_id: int | None  # their account
    address: str  # where they acted from
    action: str  # such as "ban_user"
    target_type: str  # "user", "ip", "message" or "channel"
    target_id: int | None
    target: str  # for people
    details: str
    performed_at: int


@attrs.frozen
class Act(NewAct):
    """A row of the audit log."""

    id: int


@attrs.frozen
class Participant:
    """One side of a direct conversation: an account, or a session without one."""

    account_id: int | None
    session_key: int | None  # None for an account
    nickname: str  # when the conversation began


@attrs.frozen
class NewInvite:
    """A direct conversation that somebody asks for."""

    initiator: Participant
    target: Participant
    encrypted: bool  # the initiator has a key, and does not allow a conversation without encryption
    created_at: int


@attrs.frozen
class Invite:
    """A direct conversation that waits for the consent of its target (decisions 6)."""

    id: int
    initiator: Participant
    target: Participant
    encrypted: bool
    created_at: int
