"""What must be true of a database, by what its storage had said."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import attrs


@attrs.define
class Told:
    """What the storage said to those who asked."""

    posted: dict[int, bytes] = attrs.field(factory=dict)
    """What messages say, by id, as far as that was acknowledged."""
    deleted: set[int] = attrs.field(factory=set)
    refused: list[tuple[int, bytes]] = attrs.field(factory=list)
    """Contents that must not be there: of a message, or of any when the id is 0."""
    undeleted: set[int] = attrs.field(factory=set)
    copied: set[int] = attrs.field(factory=set)
    """What must be in the backup."""
    removed: bool = False
    """Whether messages were removed for good, so that their absence says nothing."""
    errors: list[str] = attrs.field(factory=list)
    """What it should not have said."""


def messages_in(path: Path) -> dict[int, tuple[bytes, bool]]:
    """What each message in a database says, and whether it is deleted."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT id, content, deleted_at IS NOT NULL FROM message").fetchall()
    return {message_id: (content, bool(is_deleted)) for message_id, content, is_deleted in rows}


def judge_copy(path: Path, copied: set[int]) -> Iterator[str]:
    """What is wrong with a backup, which must be there and have these messages when there are any."""
    if copied or path.exists():
        yield from _judge_whole(path)
        yield from (f"not in the backup: {each}" for each in copied - messages_in(path).keys())


def judge_rows(path: Path, told: Told, is_undecided: bool) -> Iterator[str]:
    """What is wrong with a database, by what was told of it; what was refused may be there when *is_undecided*."""
    yield from _judge_whole(path)
    found = messages_in(path)
    disputed = {each for each, _ in told.refused} if is_undecided else set()
    untouched = told.posted.keys() - told.deleted - told.undeleted - disputed
    for message_id, content in told.posted.items():
        if message_id not in found and not told.removed:
            yield f"acknowledged, and lost: {content[:20]!r}"
        if message_id in found and message_id in untouched and found[message_id] != (content, False):
            yield f"changed: {content[:20]!r}"
    if not told.removed:
        yield from (f"deleted, and not: {each}" for each in told.deleted if not found[each][1])
    if is_undecided:
        return
    yield from (f"not deleted, and gone: {each}" for each in told.undeleted - told.deleted if found[each][1])
    contents = {content for content, _ in found.values()}
    for message_id, content in told.refused:
        if (message_id == 0 and content in contents) or (message_id in found and found[message_id][0] == content):
            yield f"refused, and there: {content[:20]!r}"


def _judge_whole(path: Path) -> Iterator[str]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        for pragma in ("integrity_check", "foreign_key_check"):
            said = connection.execute(f"PRAGMA {pragma}").fetchall()
            if said not in ([], [("ok",)]):
                yield f"{path.name}: {pragma} says {said[:3]}"
        rows = connection.execute("SELECT id, parent_id, deleted_at, reply_count FROM message").fetchall()
    parents = {row[0]: row[1] for row in rows}
    living: Counter[int] = Counter()
    for message_id, _, deleted_at, _ in rows:
        while deleted_at is None and (message_id := parents[message_id]) is not None:
            living[message_id] += 1
    if {row[0]: row[3] for row in rows if row[3]} != dict(living):
        yield f"{path.name}: replies are miscounted"
