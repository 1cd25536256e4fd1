"""What each reading method of the storage asks of an SQLite connection."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import attrs

from superchat.ids import MAX_ID
from superchat.model import Backlog, Channel, Message, View
from superchat.storage import queries
from superchat.storage.integers import key, nearest
from superchat.storage.threads import depth_first, number_below
from superchat.storage.views import as_seen, hides, visible

_SLICE: Final = 200
"""Messages read at once where a page may have to leave some out: a page of the greatest size that clients get."""

_NOBODY: Final = -1
"""The account of a reader without one, and the session."""


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

    @property
    def edge(self) -> int:
        """The id from which the page reads on."""
        edge = self.after_id if self.ascends else self.before_id
        return MAX_ID if edge is None else nearest(edge)

    @property
    def room(self) -> int:
        """How many messages the page may hold."""
        return max(nearest(self.limit), 0)

    def choose(self, before: str, after: str) -> str:
        """The query for this direction."""
        return after if self.ascends else before


def last_message_id(connection: sqlite3.Connection) -> int:
    """The greatest id so far, 0 without any."""
    (last,) = connection.execute(queries.LAST_MESSAGE_ID).fetchone()
    return int(last)


def channels(connection: sqlite3.Connection) -> list[Channel]:
    """See ``IStorage.channels``."""
    return [Channel(*row) for row in connection.execute(queries.ALL_CHANNELS)]


def message(message_id: int, view: View, connection: sqlite3.Connection) -> Message | None:
    """See ``IStorage.message``."""
    if not hides(view):
        row = connection.execute(queries.MESSAGE, {"message": key(message_id)}).fetchone()
        return None if row is None else Message(*row)
    with _snapshot(connection):
        row = connection.execute(queries.MESSAGE_SEEN, {"message": key(message_id)} | _eyes(view)).fetchone()
        if row is None:
            return None
        found = Message(*row)
        return as_seen(found, _withheld_below([found], view, connection))


def root_page(channel_id: int, cursor: Cursor, view: View, connection: sqlite3.Connection) -> list[Message]:
    """See ``IStorage.root_page``."""
    where = {"channel": key(channel_id)}
    if not hides(view):
        query = cursor.choose(queries.ROOTS_BEFORE, queries.ROOTS_AFTER)
        return _rows(query, where | {"edge": cursor.edge, "limit": cursor.room}, connection)
    query = cursor.choose(queries.ROOTS_SEEN_BEFORE, queries.ROOTS_SEEN_AFTER)
    with _snapshot(connection):
        return _filled(query, where, cursor, view, _withheld_in_threads, connection)


def thread_page(parent_id: int, cursor: Cursor, view: View, connection: sqlite3.Connection) -> list[Message]:
    """See ``IStorage.thread_page``."""
    with _snapshot(connection):
        thread = connection.execute(queries.THREAD_OF, {"message": key(parent_id)}).fetchone()
        if thread is None:
            return []
        where = {"root": thread[0], "parent": parent_id}
        query = _thread_query(parent_id == thread[0], cursor, view)
        if hides(view):
            page = _filled(query, where, cursor, view, _withheld_below, connection)
        else:
            page = _rows(query, where | {"edge": cursor.edge, "limit": cursor.room}, connection)
        return depth_first(parent_id, page, *_absent_parents(parent_id, page, view, connection))


def seen_ancestor(message_id: int, view: View, connection: sqlite3.Connection) -> int | None:
    """See ``IStorage.seen_ancestor``."""
    (found,) = connection.execute(queries.SEEN_ANCESTOR, {"message": key(message_id)} | _eyes(view)).fetchone()
    return None if found is None else int(found)


def channels_of(message_ids: Sequence[int], connection: sqlite3.Connection) -> dict[int, int]:
    """See ``IStorage.channels_of``."""
    wanted = [message_id for message_id in message_ids if key(message_id) is not None]
    return dict(connection.execute(queries.CHANNELS_OF, (json.dumps(wanted),)))


def counts_since(backlogs: Sequence[Backlog], view: View, connection: sqlite3.Connection) -> list[int]:
    """See ``IStorage.counts_since``."""
    eyes = _eyes(view)
    with _snapshot(connection):
        return [_count(backlog, eyes, hides(view), connection) for backlog in backlogs]


def read_positions(account_id: int, channel_ids: Sequence[int], connection: sqlite3.Connection) -> dict[int, int]:
    """See ``IStorage.read_positions``."""
    wanted = [channel_id for channel_id in channel_ids if key(channel_id) is not None]
    return dict(connection.execute(queries.READ_POSITIONS, (key(account_id), json.dumps(wanted))))


@contextmanager
def _snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Let several queries see the same moment, whatever is committed meanwhile."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def _eyes(view: View) -> dict[str, Any]:
    """A reader as the queries take it."""
    return {
        "account": _somebody(view.account_id),
        "session": _somebody(view.session_key),
        "accounts": json.dumps(sorted(view.accounts)),
        "names": json.dumps(sorted(view.names)),
    }


def _somebody(number: int | None) -> int:
    """A key that is compared with columns, which must not be NULL."""
    known = key(number)
    return _NOBODY if known is None else known


def _rows(query: str, parameters: dict[str, Any], connection: sqlite3.Connection) -> list[Message]:
    return [Message(*row) for row in connection.execute(query, parameters)]


def _filled(
    query: str,
    where: dict[str, Any],
    cursor: Cursor,
    view: View,
    withheld: Callable[[Sequence[Message], View, sqlite3.Connection], dict[int, int]],
    connection: sqlite3.Connection,
) -> list[Message]:
    """A page as full as can be: tombstones that are left without a reply make room for what follows.

    One slice after the other is read, so however much is left out, little of it is in memory.
    """
    page: list[Message] = []
    edge, size = cursor.edge, min(cursor.room, _SLICE)
    while size and len(page) < cursor.room:
        parameters = where | {"edge": edge, "limit": size} | _eyes(view)
        found = _rows(query, parameters, connection)
        below = withheld(found, view, connection)
        page += [each for each in (as_seen(one, below) for one in found) if visible(each)]
        if len(found) < size:
            break
        edge = found[-1].id
    return page[: cursor.room]


def _withheld_in_threads(roots: Sequence[Message], view: View, connection: sqlite3.Connection) -> dict[int, int]:
    """How many living messages below each of ``roots``, all of one channel, are withheld."""
    answered = [root.id for root in roots if root.reply_count]
    if not answered:
        return {}
    parameters = {"roots": json.dumps(answered), "channel": roots[0].channel_id} | _eyes(view)
    return dict(connection.execute(queries.WITHHELD_IN_THREADS, parameters))


def _withheld_below(messages: Sequence[Message], view: View, connection: sqlite3.Connection) -> dict[int, int]:
    """The same for any ``messages`` of one thread; in it, what is withheld must be looked at one by one."""
    if not any(each.reply_count for each in messages):
        return {}
    thread = {"roots": json.dumps([messages[0].root_id]), "channel": messages[0].channel_id}
    return number_below(connection.execute(queries.WITHHELD_AND_ABOVE, thread | _eyes(view)))


def _thread_query(whole: bool, cursor: Cursor, view: View) -> str:
    """A whole thread has an index to page by; below a reply its subtree must be walked."""
    if whole and hides(view):
        return cursor.choose(queries.REPLIES_SEEN_BEFORE, queries.REPLIES_SEEN_AFTER)
    if whole:
        return cursor.choose(queries.REPLIES_BEFORE, queries.REPLIES_AFTER)
    if hides(view):
        return cursor.choose(queries.SUBTREE_SEEN_BEFORE, queries.SUBTREE_SEEN_AFTER)
    return cursor.choose(queries.SUBTREE_BEFORE, queries.SUBTREE_AFTER)


def _absent_parents(
    top_id: int, page: list[Message], view: View, connection: sqlite3.Connection
) -> tuple[dict[int, int], set[int]]:
    """The parents of those ancestors of ``page`` below ``top_id`` that are not on it, and which are withheld."""
    absent = {reply.parent_id for reply in page} - {reply.id for reply in page} - {top_id}
    if not absent:
        return {}, set()
    query = queries.PARENTS_SEEN_UP_TO if hides(view) else queries.PARENTS_UP_TO
    found = connection.execute(query, {"ids": json.dumps([*absent]), "top": top_id} | _eyes(view)).fetchall()
    return {each: parent for each, parent, _ in found}, {each for each, _, withheld in found if withheld}


def _count(backlog: Backlog, eyes: dict[str, Any], some_hidden: bool, connection: sqlite3.Connection) -> int:
    where = {"channel": key(backlog.channel_id), "since": nearest(backlog.since_ms), "root": key(backlog.root_id)}
    if backlog.root_id is None:
        query = queries.COUNT_SEEN_IN_CHANNEL if some_hidden else queries.COUNT_IN_CHANNEL
    else:
        query = queries.COUNT_SEEN_IN_THREAD if some_hidden else queries.COUNT_IN_THREAD
    (count,) = connection.execute(query, where | eyes).fetchone()
    return int(count)
