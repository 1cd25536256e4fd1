"""What is in a database file, read once and whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import attrs

from superchat.model import UserFlags
from tests.faults.subjects import (
    AddressBan,
    Conversation,
    Invite,
    Made,
    Nickname,
    NicknameBan,
    Place,
    PublicKey,
    ReadPosition,
    SSHKey,
    Subject,
    Terms,
)

T = TypeVar("T")


@attrs.frozen
class Row:
    """A message as it is stored."""

    id: int
    channel_id: int
    parent_id: int | None
    root_id: int
    author_id: int | None
    author_nickname: str
    created_at: int
    edited_at: int | None
    deleted_at: int | None
    reply_count: int
    content: bytes

    @property
    def is_visible(self) -> bool:
        """Whether lists show it: alive, or the tombstone of one with replies (decisions 4.7)."""
        return self.deleted_at is None or self.reply_count > 0


@attrs.frozen
class Account:
    """An account as it is stored."""

    id: int
    nickname: str
    login_name: str
    user_flags: int
    password_hash: str
    public_key: bytes | None


@attrs.frozen
class Channel:
    """A channel that is there for clients."""

    id: int
    name: str
    parent_id: int | None
    channel_type: int
    description: str
    retention_hours: int
    is_direct: bool


@attrs.frozen
class Stored:
    """A database. What waits to be removed for good is gone already: it is left out (decisions 4.11, 4.13)."""

    rows: Mapping[int, Row]
    """The messages by ascending id."""
    versions: Mapping[int, tuple[bytes, ...]]
    """What a message said before each change, in their order; by its id."""
    accounts: Mapping[str, Account]
    """By login name."""
    channels: Mapping[int, Channel]
    values: Mapping[Subject, list[Any]]
    """How everything else is that clients may have been told of; more than one value for what is there twice."""
    acts: Mapping[tuple[str, str], int]
    """How often the audit log has an action and its target."""
    damage: tuple[str, ...]
    """What SQLite itself finds wrong."""

    def account_of(self, user_id: int | None) -> Account | None:
        """The account with an id."""
        return next((each for each in self.accounts.values() if each.id == user_id), None)

    def shown_name(self, row: Row) -> str:
        """The author as clients are shown it (wire 0x89)."""
        account = self.account_of(row.author_id)
        if account is None:
            return f"~{row.author_nickname}"
        marks = {UserFlags.ADMIN: "$", UserFlags.MODERATOR: "@"}
        return f"{marks.get(UserFlags(account.user_flags), '')}{account.nickname}"


def read(database: Path) -> Stored:
    """Read a database file as a server would find it, its write-ahead log included. Raises sqlite3.Error."""
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute("BEGIN")
        accounts = _accounts(connection)
        return Stored(
            rows={row.id: row for row in _all(connection, Row, _ROWS)},
            versions=_versions(connection),
            accounts=accounts,
            channels={channel.id: channel for channel in _all(connection, Channel, _CHANNELS)},
            values=_values(connection, accounts),
            acts={(action, target): number for action, target, number in connection.execute(_ACTS)},
            damage=_damage(connection),
        )


_ROWS = """
SELECT {} FROM message
WHERE channel_id IN (SELECT id FROM channel WHERE deleted_at IS NULL)
    AND root_id NOT IN (SELECT root_id FROM expired_thread)
ORDER BY id
"""
_CHANNELS = "SELECT {} FROM channel WHERE deleted_at IS NULL"
_ACTS = "SELECT action, target, count(*) FROM act GROUP BY action, target"
_ACCOUNTS = """
SELECT id, nickname, ifnull(password_name, nickname), user_flags, password_hash, encryption_public_key FROM account
WHERE deleted_at IS NULL
"""
_CONVERSATIONS = """
SELECT channel_id, json_group_array(account_id) FROM participant
WHERE account_id IS NOT NULL GROUP BY channel_id HAVING count(*) = 2
"""


def _all(connection: sqlite3.Connection, kind: type[T], query: str) -> Iterable[T]:
    columns = ", ".join(field.name for field in attrs.fields(kind))  # type: ignore[arg-type]
    return (kind(*row) for row in connection.execute(query.format(columns)))


def _accounts(connection: sqlite3.Connection) -> dict[str, Account]:
    found = (Account(*row) for row in connection.execute(_ACCOUNTS))
    return {account.login_name: account for account in found}


def _versions(connection: sqlite3.Connection) -> dict[int, tuple[bytes, ...]]:
    versions: dict[int, tuple[bytes, ...]] = {}
    for message_id, content in connection.execute("SELECT message_id, content FROM message_version ORDER BY id"):
        versions[message_id] = (*versions.get(message_id, ()), content)
    return versions


def _values(connection: sqlite3.Connection, accounts: Mapping[str, Account]) -> dict[Subject, list[Any]]:
    values: dict[Subject, list[Any]] = {}

    def note(subject: Subject, value: Any) -> None:
        values.setdefault(subject, []).append(value)

    names = {account.id: name for name, account in accounts.items()}
    for name, account in accounts.items():
        note(Nickname(name), account.nickname)
        if account.public_key is not None:
            note(PublicKey(name), account.public_key)
    for account_id, fingerprint in connection.execute("SELECT account_id, fingerprint FROM ssh_key"):
        note(SSHKey(fingerprint), names[account_id])
    for account_id, channel_id, at in connection.execute("SELECT account_id, channel_id, last_read_at FROM read_state"):
        note(ReadPosition(names[account_id], channel_id), at)
    for channel in _all(connection, Channel, _CHANNELS):
        if not channel.is_direct:
            made = Made(channel.channel_type, channel.description, channel.retention_hours, channel.parent_id)
            note(Place(channel.name), made)
    for nickname, address, *terms, shadow in connection.execute(
        "SELECT nickname, ip_cidr, reason, banned_by, shadowban FROM ban"
    ):
        reason, by = terms
        subject = NicknameBan(nickname) if address is None else AddressBan(address)
        note(subject, Terms(reason, bool(shadow), by))
    for _, both in connection.execute(_CONVERSATIONS):
        pair = frozenset(names[int(each)] for each in both.strip("[]").split(","))
        note(Conversation(pair), True)
    for initiator, target in connection.execute("SELECT initiator_id, target_id FROM invite"):
        if initiator is not None and target is not None:
            note(Invite(names[initiator], names[target]), True)
    return values


def _damage(connection: sqlite3.Connection) -> tuple[str, ...]:
    found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
    found += [f"foreign key: {row}" for row in connection.execute("PRAGMA foreign_key_check")]
    return tuple(found)
