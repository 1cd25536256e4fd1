"""Compares a database with what clients were told: what was acknowledged is there, in order, and nothing else is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import bcrypt

from superchat.ids import EPOCH_MS, SEQUENCE_BITS
from tests.faults.ledger import ABSENT, Claim, Heard, Ledger, Post
from tests.faults.stored import Row, Stored, read
from tests.faults.subjects import AddressBan, Nickname, NicknameBan, Password, Place, ReadPosition, Subject, Text

MOST_COMPLAINTS: Final = 20


class Judge:
    """Says what is wrong with databases; it remembers which password it has tried on which hash, for that takes 80 ms.

    One judge may look at many databases.
    """

    def __init__(self) -> None:
        self._secrets: dict[str, str] = {}

    def complaints(self, database: Path, ledger: Ledger) -> list[str]:
        """What is not as the clients of `ledger` were told; nothing when all is well, `MOST_COMPLAINTS` at most.

        The database is opened as a server would: a write-ahead log beside it counts, and may be emptied into it.
        """
        try:
            stored = read(database)
        except sqlite3.Error as error:
            return [f"{database.name} cannot be read: {error}"]
        return self.complaints_about(stored, ledger)

    def complaints_about(self, stored: Stored, ledger: Ledger) -> list[str]:
        """The same of a database that has been read."""
        found = (*stored.damage, *ledger.complaints, *self._all(stored, ledger))
        return list(found)[:MOST_COMPLAINTS]

    def _all(self, stored: Stored, ledger: Ledger) -> Iterator[str]:
        yield from posts_missing(stored, ledger)
        yield from rows_unexplained(stored, ledger)
        yield from texts_wrong(stored, ledger)
        yield from order_wrong(ledger)
        yield from heard_wrong(stored, ledger)
        yield from reply_counts_wrong(stored)
        yield from self._passwords_wrong(stored, ledger)
        yield from values_wrong(stored, ledger)
        yield from places_wrong(stored, ledger)
        yield from acts_missing(stored, ledger)

    def _passwords_wrong(self, stored: Stored, ledger: Ledger) -> Iterator[str]:
        for subject, claims in ledger.claims.items():
            if not isinstance(subject, Password):
                continue
            account = stored.accounts.get(subject.login_name)
            allowed = possible(claims)
            if account is None:
                if ABSENT not in allowed:
                    yield f"the account {subject.login_name} is lost"
            elif not any(secret and self._is_password(secret, account.password_hash) for secret in allowed):
                yield f"the password of {subject.login_name} is not what it was last set to"
        unknown = stored.accounts.keys() - {each.login_name for each in ledger.claims if isinstance(each, Password)}
        if unknown:
            yield f"nobody registered {sorted(unknown)}"

    def _is_password(self, secret: str, hashed: str) -> bool:
        if hashed not in self._secrets and bcrypt.checkpw(secret.encode(), hashed.encode()):
            self._secrets[hashed] = secret
        return self._secrets.get(hashed) == secret


def possible(claims: Sequence[Claim], absent: Any = ABSENT) -> list[Any]:
    """The values that a subject may have: the last that was acknowledged, and whatever was asked for after it."""
    last = max((number for number, claim in enumerate(claims, 1) if claim.is_told), default=0)
    return [absent, *(claim.value for claim in claims)][last:]


def is_possible_history(history: Sequence[Any], claims: Sequence[Claim]) -> bool:
    """Whether the values followed each other as they were asked for, and none that was acknowledged is missing."""
    position = 0
    for claim in claims:
        if position < len(history) and history[position] == claim.value:
            position += 1
        elif claim.is_told:
            return False
    return position == len(history)


def history_of(row: Row, stored: Stored) -> tuple[bytes | None, ...]:
    """All that a message ever said."""
    return (*stored.versions.get(row.id, ()), row.content if row.deleted_at is None else ABSENT)


def posts_missing(stored: Stored, ledger: Ledger) -> Iterator[str]:
    """Acknowledged messages are there."""
    for post in ledger.told_posts():
        if post.message_id not in stored.rows and post.channel_id not in ledger.doomed:
            yield f"message {post.message_id} of {post.nickname} was acknowledged and is lost"


def rows_unexplained(stored: Stored, ledger: Ledger) -> Iterator[str]:
    """What is there was asked for, once, and is as it was asked for."""
    asked = {post.content: post for post in ledger.posts}
    found: set[bytes] = set()
    for row in stored.rows.values():
        original = history_of(row, stored)[0]
        assert original is not None, "a deleted message has a version"
        post = asked.get(original)
        if original in found:
            yield f"message {row.id} is stored twice"
        elif post is not None:
            yield from _row_wrong(row, post, stored)
        elif original not in ledger.said:
            yield f"nobody said what message {row.id} of {row.author_nickname} says: {original[:60]!r}"
        found.add(original)


def _row_wrong(row: Row, post: Post, stored: Stored) -> Iterator[str]:
    account = None if post.login_name is None else stored.accounts.get(post.login_name)
    wanted = (post.channel_id, post.parent_id, post.nickname, account and account.id)
    if (row.channel_id, row.parent_id, row.author_nickname, row.author_id) != wanted:
        yield f"message {row.id} is not as it was asked for ({wanted}): {row}"
    if post.is_told and post.message_id != row.id:
        yield f"what was acknowledged as message {post.message_id} is message {row.id}"
    if row.created_at - EPOCH_MS > row.id >> SEQUENCE_BITS:
        yield f"message {row.id} is younger than its id: {row.created_at}"


def texts_wrong(stored: Stored, ledger: Ledger) -> Iterator[str]:
    """Messages say what they were last made to say, and their versions tell all that they said before."""
    for subject, claims in ledger.claims.items():
        row = stored.rows.get(subject.message_id) if isinstance(subject, Text) else None
        if row is None:
            continue
        history = history_of(row, stored)
        if not is_possible_history(history, claims):
            asked = [(claim.value, claim.is_told) for claim in claims]
            yield f"message {row.id} has the history {history}, but what was asked for is {asked}"
        elif claims[-1].is_told and claims[-1].detail not in (None, _detail(row)):
            yield f"message {row.id} was told to be {claims[-1].detail}, and is {_detail(row)}"


def _detail(row: Row) -> tuple[int | None, bytes]:
    """What the server tells of a change besides."""
    return (row.edited_at if row.deleted_at is None else row.deleted_at), row.content


def order_wrong(ledger: Ledger) -> Iterator[str]:
    """Ids ascend in the order of asking on one connection, and over all: who asks after an answer comes after it
    (decisions 4.6)."""
    last: dict[int, int] = {}
    for post in ledger.told_posts():
        if post.message_id <= last.get(post.line, 0):
            yield f"message {post.message_id} was asked for after {last[post.line]} on the same connection"
        last[post.line] = post.message_id
    greatest, answers = 0, sorted(ledger.told_posts(), key=lambda post: post.told_at, reverse=True)
    for post in ledger.told_posts():  # by the time of asking
        while answers and answers[-1].told_at < post.asked_at:
            greatest = max(greatest, answers.pop().message_id)
        if post.message_id <= greatest:
            yield f"message {post.message_id} was asked for when {greatest} had been acknowledged"


def heard_wrong(stored: Stored, ledger: Ledger) -> Iterator[str]:
    """What others were told is there, and they were told it in the order of the ids (decisions 4.6)."""
    last: dict[tuple[int, int], int] = {}
    for each in ledger.heard:
        message = each.message
        place = (each.line, message.channel_id)
        if message.message_id <= last.get(place, 0):
            yield f"message {message.message_id} was told after {last[place]} in channel {message.channel_id}"
        last[place] = message.message_id
        if message.channel_id not in ledger.doomed:
            yield from _heard_wrong(each, stored)


def _heard_wrong(each: Heard, stored: Stored) -> Iterator[str]:
    message = each.message
    row = stored.rows.get(message.message_id)
    if row is None:
        yield f"message {message.message_id} was told to others and is lost"
        return
    is_same = (row.channel_id, row.parent_id, row.created_at, history_of(row, stored)[0]) == (
        message.channel_id,
        message.parent_id,
        message.created_at,
        message.content,
    )
    if not is_same:
        yield f"message {row.id} was told as {message} and is {row}"


def reply_counts_wrong(stored: Stored) -> Iterator[str]:
    """Every message counts its living descendants (decisions 4.3)."""
    counts = dict.fromkeys(stored.rows, 0)
    for row in stored.rows.values():
        above = row
        while row.deleted_at is None and above.parent_id is not None:
            above = stored.rows[above.parent_id]
            counts[above.id] += 1
    for row in stored.rows.values():
        if row.reply_count != counts[row.id]:
            yield f"message {row.id} has {counts[row.id]} replies and counts {row.reply_count}"


def values_wrong(stored: Stored, ledger: Ledger) -> Iterator[str]:
    """Everything else is as it was last made to be, and is there once."""
    for subject, claims in ledger.claims.items():
        if isinstance(subject, (Text, Password)) or _is_doomed(subject, ledger):
            continue
        found = stored.values.get(subject, [])
        absent = ABSENT
        if isinstance(subject, Nickname) and subject.login_name in stored.accounts:
            absent = subject.login_name
        allowed = possible(claims, absent)
        if len(found) > 1:
            yield f"{subject} is there {len(found)} times: {found}"
        elif (found[0] if found else ABSENT) not in allowed:
            yield f"{subject} is {found[0] if found else 'not there'}, and should be one of {allowed}"
    known = {subject for subject in ledger.claims if isinstance(subject, (NicknameBan, AddressBan))}
    for subject in stored.values.keys() - known:
        if isinstance(subject, (NicknameBan, AddressBan)):
            yield f"nobody asked for {subject}"


def _is_doomed(subject: Subject, ledger: Ledger) -> bool:
    """Whether it may have gone with a channel."""
    return isinstance(subject, ReadPosition) and subject.channel_id in ledger.doomed


def places_wrong(stored: Stored, ledger: Ledger) -> Iterator[str]:
    """Channels have the ids that were told."""
    for subject, claims in ledger.claims.items():
        last = claims[-1]
        if isinstance(subject, Place) and last.is_told and last.value is not ABSENT:
            channel = stored.channels.get(last.detail)
            if channel is None or channel.name != subject.name:
                yield f"channel {last.detail} was told to be {subject.name}, and is {channel}"


def acts_missing(stored: Stored, ledger: Ledger) -> Iterator[str]:
    """What moderators did is in the audit log, once for each time (decisions 7.3)."""
    for subject, claims in ledger.claims.items():
        if isinstance(subject, NicknameBan):
            actions, target = ("ban_user", "unban_user"), subject.nickname
        elif isinstance(subject, AddressBan):
            actions, target = ("ban_ip", "unban_ip"), subject.ip_cidr
        else:
            continue
        for action, is_ban in zip(actions, (True, False), strict=True):
            mine = [claim for claim in claims if (claim.value is not ABSENT) is is_ban]
            number, told = stored.acts.get((action, target), 0), sum(claim.is_told for claim in mine)
            if not told <= number <= len(mine):
                yield f"{action} of {target} was done {told} to {len(mine)} times, and noted {number} times"
