"""What the methods that remove channels and threads do to an SQLite connection; the transaction is the caller's."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

import attrs

from superchat.ids import EPOCH_MS, MAX_ID, SEQUENCE_BITS
from superchat.model import NewAct
from superchat.storage.errors import UnknownChannel
from superchat.storage.integers import key, nearest
from superchat.storage.interface import Expired
from superchat.storage.moderation.writes import record
from superchat.storage.removal import queries
from superchat.storage.removal.pace import Pace


@attrs.frozen
class Removed:
    """What a slice has removed."""

    messages: int
    more: bool  # whether there may be more to remove, of whatever kind


def delete_channel(channel_id: int, deleted_at: int, act: NewAct | None, connection: sqlite3.Connection) -> list[int]:
    """See ``IStorage.delete_channel``."""
    found = [each for (each,) in connection.execute(queries.LIVING_CHANNELS, (key(channel_id),))]
    if channel_id not in found:
        raise UnknownChannel(f"there is no channel {channel_id}")
    connection.execute(queries.MARK_CHANNELS, (nearest(deleted_at), json.dumps(found)))
    connection.execute(queries.REMOVE_PARTICIPANTS, (json.dumps(found),))
    if act is not None:
        record(act, connection)
    return found


@attrs.frozen
class Stretch:
    """Threads of a channel, by the ids of their roots, of which those that are old are to go."""

    channel_id: int
    before_ms: int
    after_id: int

    def edges(self, size: int) -> tuple[int | None, int, int, int]:
        """What the queries are given: channel, after which id, before which id, how many at most."""
        first_id = nearest(max(self.before_ms - EPOCH_MS, 0) << SEQUENCE_BITS)
        return key(self.channel_id), nearest(self.after_id), first_id, size


@attrs.frozen
class Paces:
    """How large slices are, by what they do."""

    looking: Pace = attrs.field(factory=lambda: Pace(size=64, least=16, most=4096))  # at threads
    removing: Pace = attrs.field(factory=lambda: Pace(size=64, least=16, most=4096))  # messages
    freeing: Pace = attrs.field(factory=lambda: Pace(size=32, least=8, most=512))  # pages of the file


def expire(stretch: Stretch, paces: Paces, connection: sqlite3.Connection) -> Expired:
    """See ``IStorage.expire``."""
    due, next_id = _due(stretch, paces, connection)
    if not due:
        return Expired((), 0, next_id)
    connection.execute(queries.RAISE_HIGH_WATER)
    gone, messages = _fitting(due, paces.removing.size, connection), 0
    if gone:
        messages = _remove(gone, paces.removing, connection)
    else:
        # Its removal takes several slices, and nobody must see half of it.
        gone = due[:1]
        connection.execute(queries.EXPIRE_THREAD, gone)
    return Expired(gone, messages, next_id if len(gone) == len(due) else gone[-1])


def sweep(paces: Paces, connection: sqlite3.Connection) -> Removed:
    """Remove a slice of the threads that have expired, or if there are none of a channel that was deleted."""
    (found,) = connection.execute(queries.EXPIRED_THREADS, (paces.removing.size,)).fetchone()
    expired: list[int] = json.loads(found)
    if expired:
        gone, messages = _remove_some(expired, paces.removing, connection)
        connection.execute(queries.FORGET_EXPIRED, (json.dumps(gone),))
        return Removed(messages, more=True)
    channel = connection.execute(queries.DELETED_CHANNEL).fetchone()
    return Removed(0, more=False) if channel is None else _clear(channel[0], paces.removing, connection)


def _due(stretch: Stretch, paces: Paces, connection: sqlite3.Connection) -> tuple[list[int], int | None]:
    """The threads of a slice that are old, and where the next slice begins."""
    most, size = paces.removing.size, paces.looking.size
    edges, due = stretch.edges(size), []
    next_id: int | None = None

    def look() -> int:
        nonlocal due, next_id
        (found,) = connection.execute(queries.DUE, (*edges, nearest(stretch.before_ms), most)).fetchone()
        due = json.loads(found)
        if len(due) == most:
            next_id = due[-1]
            return 0
        seen, last = connection.execute(queries.LAST_ROOT, edges).fetchone()
        next_id = last if seen == size else None
        return int(seen)

    paces.looking.time(look)
    return due, next_id


def _clear(channel_id: int, pace: Pace, connection: sqlite3.Connection) -> Removed:
    """Remove some of a channel's threads, or if there are none some of the rest, or if nothing else is left itself."""
    (found,) = connection.execute(queries.ROOTS, (channel_id, 0, MAX_ID, pace.size)).fetchone()
    if roots := json.loads(found):
        return Removed(_remove_some(roots, pace, connection)[1], more=True)
    size = pace.size
    if pace.time(lambda: connection.execute(queries.REMOVE_READ_STATE, (channel_id, size)).rowcount) < size:
        connection.execute(queries.REMOVE_PARTICIPANTS, (json.dumps([channel_id]),))
        connection.execute(queries.REMOVE_CHANNEL, (channel_id,))
    return Removed(0, more=True)


def _remove_some(roots: Sequence[int], pace: Pace, connection: sqlite3.Connection) -> tuple[Sequence[int], int]:
    """Remove as many whole threads as there is room for, or some of the first one; those that are gone, and how many
    messages that were.
    """
    connection.execute(queries.RAISE_HIGH_WATER)
    small = _fitting(roots, pace.size, connection)
    if small:
        return small, _remove(small, pace, connection)
    return (), pace.time(lambda: connection.execute(queries.REMOVE_YOUNGEST, (roots[0], pace.size)).rowcount)


def _fitting(roots: Sequence[int], size: int, connection: sqlite3.Connection) -> Sequence[int]:
    """The threads from the first on that have no more than *size* messages together."""
    (found,) = connection.execute(queries.MEMBERS, (json.dumps(roots), size + 1)).fetchone()
    members = json.loads(found)
    return roots if len(members) <= size else roots[: roots.index(members[-1])]


def _remove(roots: Sequence[int], pace: Pace, connection: sqlite3.Connection) -> int:
    return pace.time(lambda: connection.execute(queries.REMOVE_THREADS, (json.dumps(roots),)).rowcount)
