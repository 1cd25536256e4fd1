"""What databases may hold before anybody listens: the schema of an earlier release, and threads that are due to go."""

from __future__ import annotations

import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

from superchat.chat.beginnings import seeds
from superchat.config import Config
from superchat.ids import EPOCH_MS, SEQUENCE_BITS, Snowflakes
from superchat.model import Message, NewMessage
from superchat.storage.connections import connect
from superchat.storage.migrations import prepare, schema_version, shipped
from superchat.storage.writes import append_messages, seed_channels
from tests.e2e.phrases import GENERAL, TECH
from tests.faults.ledger import Ledger

OLD_HOURS: Final = 24 * 30
"""More than the channels of the default configuration keep."""

_HOUR_MS: Final = 3_600_000
_THREADS: Final = 2_000
_REPLIES: Final = 9
_SURVIVORS: Final = 20
_OLD_SCHEMA_MESSAGES: Final = 4_000
_OLD_SCHEMA_REPLIES: Final = 99
_PLACES: Final = (GENERAL, TECH)

_INSERT_CHANNEL: Final = """
INSERT INTO channel (name, name_key, display_name, description, channel_type, retention_hours, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_INSERT_MESSAGE: Final = """
INSERT INTO message
    (id, channel_id, parent_id, root_id, author_nickname, author_session, created_at, reply_count, content)
VALUES (?, ?, ?, ?, 'ancestor', 1, ?, ?, ?)
"""


def make_with_first_schema(database: Path, ledger: Ledger) -> None:
    """Make a database as the first release left it: threads in which everybody answers the first message."""
    database.parent.mkdir(parents=True, exist_ok=True)
    now_ms = int(time.time() * 1000)
    prepare(database, time.time(), shipped()[:1])
    line = ledger.new_number()
    with closing(connect(database)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for seed in seeds(Config()):
            like = (seed.display_name, seed.description, seed.channel_type, seed.retention_hours)
            connection.execute(_INSERT_CHANNEL, (seed.name, seed.name.casefold(), *like, now_ms))
        first_id = (now_ms - EPOCH_MS - _HOUR_MS) << SEQUENCE_BITS
        for number in range(_OLD_SCHEMA_MESSAGES):
            thread, reply = divmod(number, _OLD_SCHEMA_REPLIES + 1)
            root_id = first_id + number - reply
            place, parent_id = _PLACES[thread % 2], root_id if reply else None
            content = f"an early word, number {number}".encode()
            about = (now_ms - _HOUR_MS, 0 if reply else _OLD_SCHEMA_REPLIES, content)
            connection.execute(_INSERT_MESSAGE, (first_id + number, place, parent_id, root_id, *about))
            post = ledger.ask_post(line, "ancestor", None, place, parent_id, content)
            ledger.tell_post(post, first_id + number)
        connection.execute("COMMIT")


def is_latest(database: Path) -> bool:
    """Whether a database has the schema of this release. Raises StorageError when it is none of ours."""
    with closing(connect(database)) as connection:
        return schema_version(database, connection) == shipped()[-1].version


def add_old_threads(database: Path, ledger: Ledger) -> None:
    """Add threads that have expired, and a few as old that somebody answered lately: those stay as a whole.

    The database has the latest schema; no server may run.
    """
    now_ms = int(time.time() * 1000)
    old_ms = now_ms - OLD_HOURS * _HOUR_MS
    line = ledger.new_number()
    ids = Snowflakes()
    with closing(connect(database)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        seed_channels(seeds(Config()), old_ms, connection)
        say = partial(NewMessage, author_nickname="ancestor", author_session=1)
        roots = [say(_PLACES[n % 2], None, content=b"old thread %d" % n, created_at=old_ms) for n in range(_THREADS)]
        begun = _stored(append_messages(ids, roots, connection))
        replies = [
            say(root.channel_id, root.id, content=b"old reply %d to %d" % (n, root.id), created_at=old_ms)
            for root in begun
            for n in range(_REPLIES)
        ]
        answered = _stored(append_messages(ids, replies, connection))
        lasting = begun[:: _THREADS // _SURVIVORS]
        late = [
            say(root.channel_id, root.id, content=b"late reply to %d" % root.id, created_at=now_ms - _HOUR_MS)
            for root in lasting
        ]
        latest = _stored(append_messages(ids, late, connection))
        connection.execute("COMMIT")
    stays = {root.id for root in lasting}
    for message in (*begun, *answered, *latest):
        if message.root_id in stays:
            post = ledger.ask_post(line, "ancestor", None, message.channel_id, message.parent_id, message.content)
            ledger.tell_post(post, message.id)
        else:
            ledger.said.add(message.content)
            ledger.expiring.add(message.content)
    ledger.recent.clear()


def _stored(outcomes: object) -> list[Message]:
    assert isinstance(outcomes, list)
    return [outcome for outcome in outcomes if isinstance(outcome, Message)]
