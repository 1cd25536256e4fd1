"""What each writing method of the storage does to an SQLite connection; the transaction is the caller's."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

import attrs

from superchat.ids import Snowflakes
from superchat.model import EVERYTHING, REHEARSAL_CHANNEL_ID, Channel, Message, NewAct, NewChannel, NewMessage
from superchat.storage import queries, reads
from superchat.storage.errors import (
    AlreadyDeleted,
    DuplicateName,
    ForeignParent,
    StorageError,
    UnknownAccount,
    UnknownChannel,
    UnknownMessage,
    UnknownParent,
)
from superchat.storage.integers import key, nearest
from superchat.storage.moderation.writes import record


def create_channel(new: NewChannel, created_at: int, connection: sqlite3.Connection) -> Channel:
    """See ``IStorage.create_channel``."""
    if new.parent_id is not None and not connection.execute(queries.IS_CHANNEL, (key(new.parent_id),)).fetchone():
        raise _no_such_channel(new.parent_id)
    row = (
        new.name,
        new.name.casefold(),
        new.display_name,
        new.description,
        new.channel_type,
        new.retention_hours,
        new.parent_id,
        new.created_by,
        created_at,
    )
    try:
        channel_id = connection.execute(queries.INSERT_CHANNEL, row).lastrowid
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorname == "SQLITE_CONSTRAINT_UNIQUE":
            raise DuplicateName(f"there is a channel {new.name!r} already") from error
        raise
    assert channel_id is not None
    return Channel(id=channel_id, created_at=created_at, **attrs.asdict(new))


def seed_channels(seeds: Sequence[NewChannel], created_at: int, connection: sqlite3.Connection) -> None:
    """See ``IStorage.seed_channels``."""
    if connection.execute(queries.EVER_A_CHANNEL).fetchone() is not None:
        return
    # Others share the transaction: what a refusal leaves behind is not theirs to commit.
    connection.execute("SAVEPOINT seeds")
    try:
        for new in seeds:
            create_channel(new, created_at, connection)
    except StorageError:
        connection.execute("ROLLBACK TO seeds")
        raise
    finally:
        connection.execute("RELEASE seeds")


def edit_message(
    message_id: int,
    content: bytes,
    edited_at: int,
    edited_by: str,
    act: NewAct | None,
    connection: sqlite3.Connection,
) -> Message:
    """See ``IStorage.edit_message``."""
    original = _living(message_id, connection)
    _keep_version("edited", original, edited_at, edited_by, act, connection)
    connection.execute(queries.EDIT_CONTENT, (content, edited_at, message_id))
    return attrs.evolve(original, content=content, edited_at=edited_at)


def delete_message(
    message_id: int,
    text: bytes,
    deleted_at: int,
    deleted_by: str,
    act: NewAct | None,
    connection: sqlite3.Connection,
) -> Message:
    """See ``IStorage.delete_message``."""
    original = _living(message_id, connection)
    _keep_version("deleted", original, deleted_at, deleted_by, act, connection)
    connection.execute(queries.DELETE_CONTENT, (text, deleted_at, message_id))
    if original.parent_id is not None:
        _count_for_ancestors({original.parent_id: -1}, connection)
    return attrs.evolve(original, content=text, deleted_at=deleted_at)


def _living(message_id: int, connection: sqlite3.Connection) -> Message:
    """The message, if it may still be changed."""
    original = reads.message(message_id, EVERYTHING, connection)
    if original is None:
        raise UnknownMessage(f"there is no message {message_id}")
    if original.deleted_at is not None:
        raise AlreadyDeleted(f"message {message_id} is deleted already")
    return original


def _keep_version(
    kind: str, original: Message, ended_at: int, ended_by: str, act: NewAct | None, connection: sqlite3.Connection
) -> None:
    """Keep what a message says until now, and record who changes it if that must be (decisions 4.7, 7.3)."""
    version = (original.id, kind, original.content, original.author_nickname, ended_at, ended_by)
    connection.execute(queries.INSERT_VERSION, version)
    if act is not None:
        record(act, connection)


def set_read(account_id: int, channel_id: int, last_read_at: int, now_ms: int, connection: sqlite3.Connection) -> None:
    """See ``IStorage.set_read``."""
    reader = key(account_id), key(channel_id)
    has_account, has_channel = connection.execute(queries.READER, reader).fetchone()
    if not has_account:
        raise UnknownAccount(f"there is no account {account_id}")
    if not has_channel:
        raise _no_such_channel(channel_id)
    connection.execute(queries.SET_READ, (*reader, nearest(last_read_at), now_ms))


def append_messages(
    ids: Snowflakes, news: Sequence[NewMessage], connection: sqlite3.Connection
) -> list[Message | StorageError]:
    """Do ``IStorage.append_message`` for all of ``news``; in their order, each message or why it was refused.

    Ids are taken here, so that they ascend as commits do. A handful of statements does it for any number of
    messages: every statement gives up the interpreter's lock, and may wait long for a busy reactor to return
    it.
    """
    places = _Places.of(news, connection)
    outcomes = [places.place(new, ids) for new in news]
    messages = [outcome for outcome in outcomes if isinstance(outcome, Message)]
    _insert(messages, connection)
    replied_to = Counter(reply.parent_id for reply in messages if reply.parent_id is not None)
    if replied_to:
        _count_for_ancestors(replied_to, connection)
    return outcomes


def rehearse(ids: Snowflakes, new: NewMessage, connection: sqlite3.Connection) -> Message:
    """See ``IStorage.rehearse``: all of it happens inside the one transaction."""
    connection.execute(queries.INSERT_REHEARSAL_CHANNEL, (REHEARSAL_CHANNEL_ID,))
    root = attrs.evolve(new, channel_id=REHEARSAL_CHANNEL_ID, parent_id=None)
    (message,) = append_messages(ids, [root], connection)
    assert isinstance(message, Message)
    connection.execute(queries.REMOVE_MESSAGE, (message.id,))
    connection.execute(queries.REMOVE_CHANNEL, (REHEARSAL_CHANNEL_ID,))
    return message


@attrs.frozen
class _Places:
    """What must be known of the channels and parents that new messages name."""

    channels: set[int]
    threads: dict[int, tuple[int, int]]  # message id: its root id and channel id

    @classmethod
    def of(cls, news: Sequence[NewMessage], connection: sqlite3.Connection) -> _Places:
        parents = {new.parent_id for new in news if key(new.parent_id) is not None}
        places = {new.channel_id for new in news if key(new.channel_id) is not None}
        wanted = (json.dumps([*parents]), json.dumps([*places]))
        threads, channels = connection.execute(queries.PLACES, wanted).fetchone()
        found = {parent: (root, place) for parent, root, place in json.loads(threads)}
        return cls(set(json.loads(channels)), found)

    def place(self, new: NewMessage, ids: Snowflakes) -> Message | StorageError:
        """Give ``new`` its id and its thread, or say why it cannot be posted."""
        root_id = None
        if new.parent_id is not None:
            if new.parent_id not in self.threads:
                return UnknownParent(f"there is no message {new.parent_id}")
            root_id, channel_id = self.threads[new.parent_id]
            if channel_id != new.channel_id:
                return ForeignParent(f"message {new.parent_id} is in another channel", channel_id)
        elif new.channel_id not in self.channels:
            return _no_such_channel(new.channel_id)
        message_id = ids.next(new.created_at)
        return Message(
            message_id,
            new.channel_id,
            new.parent_id,
            message_id if root_id is None else root_id,
            new.author_id,
            new.author_nickname,
            new.author_flags,
            new.author_session,
            new.content,
            new.created_at,
        )


def _no_such_channel(channel_id: int | None) -> UnknownChannel:
    return UnknownChannel(f"there is no channel {channel_id}")


def _insert(messages: Sequence[Message], connection: sqlite3.Connection) -> None:
    for chunk in _chunks(messages):
        values = chain.from_iterable(
            (
                message.id,
                message.channel_id,
                message.parent_id,
                message.root_id,
                message.author_id,
                message.author_nickname,
                message.author_session,
                message.content,
                message.created_at,
            )
            for message in chunk
        )
        connection.execute(queries.INSERT_MESSAGES[len(chunk)], [*values])


def _chunks(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Split into the sizes that there are statements for, greatest first."""
    begin = 0
    for size in queries.INSERT_MESSAGES:
        while len(messages) - begin >= size:
            yield messages[begin : begin + size]
            begin += size


def _count_for_ancestors(changes: dict[int, int], connection: sqlite3.Connection) -> None:
    """Add to ``reply_count`` of each message in ``changes``, and of all above it."""
    connection.execute(queries.COUNT_FOR_ANCESTORS, (json.dumps([*changes.items()]),))
