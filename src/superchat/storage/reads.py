"""What each reading method of the storage asks of an SQLite connection."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from superchat.ids import MAX_ID
from superchat.model import Channel, Message
from superchat.storage import queries
from superchat.storage.integers import key, nearest
from superchat.storage.threads import depth_first


@attrs.frozen
class Cursor:
    """Where a page begins, and which way it reads; ``before_id`` wins (decisions 4.3)."""

    limit: int
    before_id: int | None
    after_id: int | None

    @property
    def ascends(self) -> bool:
        """Whether the page holds what follows ``after_id``, oldest first."""
        return self.before_id is None and self.after_id is not None

    def parameters(self, whose_id: int) -> tuple[int | None, int, int]:
        """What a page query is given: whose page, from which id, how many at most."""
        edge = self.after_id if self.ascends else self.before_id
        return key(whose_id), MAX_ID if edge is None else nearest(edge), max(nearest(self.limit), 0)


def last_message_id(connection: sqlite3.Connection) -> int:
    """The greatest id so far, 0 without any."""
    (last,) = connection.execute(queries.LAST_MESSAGE_ID).fetchone()
    return int(last)


def channels(connection: sqlite3.Connection) -> list[Channel]:
    """See ``IStorage.channels``."""
    return [Channel(*row) for row in connection.execute(queries.ALL_CHANNELS)]


def message(message_id: int, connection: sqlite3.Connection) -> Message | None:
    """See ``IStorage.message``."""
    row = connection.execute(queries.MESSAGE, (key(message_id),)).fetchone()
    return None if row is None else Message(*row)


def root_page(channel_id: int, cursor: Cursor, connection: sqlite3.Connection) -> list[Message]:
    """See ``IStorage.root_page``."""
    query = queries.ROOTS_AFTER if cursor.ascends else queries.ROOTS_BEFORE
    return [Message(*row) for row in connection.execute(query, cursor.parameters(channel_id))]


def thread_page(parent_id: int, cursor: Cursor, connection: sqlite3.Connection) -> list[Message]:
    """See ``IStorage.thread_page``."""
    with _snapshot(connection):
        query = _thread_query(parent_id, cursor, connection)
        page = [Message(*row) for row in connection.execute(query, cursor.parameters(parent_id))]
        return depth_first(parent_id, page, _absent_parents(parent_id, page, connection))


@contextmanager
def _snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Let several queries see the same moment, whatever is committed meanwhile."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def _thread_query(parent_id: int, cursor: Cursor, connection: sqlite3.Connection) -> str:
    """A whole thread has an index to page by; below a reply its subtree must be walked."""
    root_id = connection.execute(queries.ROOT_OF, (key(parent_id),)).fetchone()
    if root_id == (parent_id,):
        return queries.REPLIES_AFTER if cursor.ascends else queries.REPLIES_BEFORE
    return queries.SUBTREE_AFTER if cursor.ascends else queries.SUBTREE_BEFORE


def _absent_parents(top_id: int, page: list[Message], connection: sqlite3.Connection) -> dict[int, int]:
    """The parents of those ancestors of ``page`` below ``top_id`` that are not on it."""
    absent = {reply.parent_id for reply in page} - {reply.id for reply in page} - {top_id}
    if not absent:
        return {}
    return dict(connection.execute(queries.PARENTS_UP_TO, (json.dumps([*absent]), top_id)))


def count_since(channel_id: int, since_ms: int, root_id: int | None, connection: sqlite3.Connection) -> int:
    """See ``IStorage.count_since``."""
    place, since = key(channel_id), nearest(since_ms)
    if root_id is None:
        rows = connection.execute(queries.COUNT_IN_CHANNEL, (place, since))
    else:
        rows = connection.execute(queries.COUNT_IN_THREAD, (key(root_id), place, since))
    (count,) = rows.fetchone()
    return int(count)
