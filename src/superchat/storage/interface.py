"""What the services may ask of a storage engine, and how it says no."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface

from superchat.histogram import Distribution
from superchat.model import Channel, Message, NewChannel, NewMessage


class StorageError(Exception):
    """The storage could not do what it was asked for; the text says why."""


class Unavailable(StorageError):
    """The database cannot take writes now: disk full, I/O error, locked, too many waiting, closed."""


class SchemaTooNew(StorageError):
    """A later version of the server has already migrated this database."""


class DuplicateName(StorageError):
    """Another channel has the name already, ignoring case (decisions 4.1)."""


class UnknownChannel(StorageError):
    """No channel has this id."""


class UnknownParent(StorageError):
    """No message has the id that a reply names as its parent (decisions 4.5)."""


class ForeignParent(StorageError):
    """The message that a reply names as its parent is in another channel (decisions 4.5)."""


class UnknownMessage(StorageError):
    """No message has this id."""


class AlreadyDeleted(StorageError):
    """The message was deleted before."""


@attrs.frozen
class Statistics:
    """Counts since ``open``. Divide ``operations`` by ``commits`` for the mean size of a group commit."""

    commits: int  # transactions committed
    operations: int  # operations that those transactions held
    largest_batch: int  # most operations in one transaction
    pending: int  # operations that wait for their commit now
    commit_seconds: Distribution  # how long each transaction took, from its begin until it was on stable storage
    commit_operations: Distribution  # how many operations each held


@attrs.frozen
class Size:
    """How much there is."""

    file_bytes: int  # on disk, the write-ahead log included; 0 for an engine without files
    channels: int  # rows
    messages: int  # rows, deleted messages included


class IStorage(Interface):
    """Channels and messages, and the order among them.

    Every method but ``statistics`` returns a Deferred; its errors, ``StorageError`` and its subclasses, are
    failures of that Deferred, never raised by the call. Before ``open`` and after ``close`` all of them fail
    with ``Unavailable``.

    Ids and times may be any integers: what lies outside 63 bits matches nothing, and as a cursor stands at
    that end of the history.

    A message is *visible* while it is not deleted, and as a tombstone when it is deleted but has living
    descendants (decisions 4.7).
    """

    def open() -> Deferred[None]:
        """Make ready. The Deferred has fired when this returns, so it can run before the reactor does.

        Fails with ``SchemaTooNew`` or another ``StorageError`` whose text names the file and what to do.
        """

    def close() -> Deferred[None]:
        """Commit and answer everything that was asked for before, then let go of all resources."""

    def channels() -> Deferred[list[Channel]]:
        """All channels and subchannels, by ascending id."""

    def create_channel(new: NewChannel, created_at: int) -> Deferred[Channel]:
        """Add a channel, or a subchannel of ``new.parent_id``.

        Fails with ``DuplicateName`` when a top-level channel, or a subchannel of the same parent, has that
        name already, ignoring case (decisions 4.1), and with ``UnknownChannel`` without such a parent.
        """

    def seed_channels(seeds: Sequence[NewChannel], created_at: int) -> Deferred[None]:
        """Make the first channels, all or none, unless there ever was a channel (decisions 4.13).

        Their ids are 1, 2, 3 … in this order, so a subchannel's ``parent_id`` is its parent's place in it.
        Fails as ``create_channel`` does.
        """

    def append_message(new: NewMessage) -> Deferred[Message]:
        """Add a message; fires once it is on stable storage (decisions 4.6).

        Ids increase in the order of the commits over the whole server, and the Deferreds of one commit fire
        in that order within one reactor turn. All ancestors' ``reply_count`` grows in the same transaction.
        A deleted parent will do. Fails with ``UnknownParent``, ``ForeignParent`` (decisions 4.5) or
        ``UnknownChannel``.
        """

    def delete_message(message_id: int, text: bytes, deleted_at: int, deleted_by: str) -> Deferred[Message]:
        """Put ``text`` in place of the content; returns the tombstone (decisions 4.7).

        The original is kept as a version that no method here returns, with the name of who deleted it. All
        ancestors' ``reply_count`` shrinks in the same transaction. Fails with ``UnknownMessage`` or
        ``AlreadyDeleted``.
        """

    def message(message_id: int) -> Deferred[Message | None]:
        """One message, visible or not."""

    def root_page(channel_id: int, limit: int, before_id: int | None, after_id: int | None) -> Deferred[list[Message]]:
        """At most ``limit`` visible roots of a channel (decisions 4.3).

        Newest first, from the newest or from the one before ``before_id``; oldest first from the one after
        ``after_id``. ``before_id`` wins over ``after_id``.
        """

    def thread_page(parent_id: int, limit: int, before_id: int | None, after_id: int | None) -> Deferred[list[Message]]:
        """At most ``limit`` visible descendants of a root or a reply, itself excluded (decisions 4.3).

        Chosen are the most recent, the most recent before ``before_id``, or the oldest after ``after_id``;
        ``before_id`` wins. They come depth first, siblings by id; a reply whose parent is not on the page
        stands where its parent's subtree would.
        """

    def count_since(channel_id: int, since_ms: int, *, root_id: int | None = None) -> Deferred[int]:
        """How many messages of a channel, roots and replies, living and newer than ``since_ms``, there are.

        With ``root_id`` only those of that thread, its root included (decisions 4.12).
        """

    def probe(now_ms: int) -> Deferred[None]:
        """Write one small value, in the place of the one before; fires once it is on stable storage.

        Shows that messages could be written now. Fails with ``Unavailable`` when they could not, also when
        the file that was opened is no longer the one at its path: what is written then is lost.
        """

    def rehearse(new: NewMessage) -> Deferred[Message]:
        """Do everything that ``append_message`` does for a root in channel ``REHEARSAL_CHANNEL_ID``, and undo it.

        Fires after a commit like any other; the message has an id of its own that no other message will get.
        Nothing is left of it, and nobody else ever sees it.
        """

    def measure() -> Deferred[Size]:
        """Count what there is; the cost grows with it, so ask seldom."""

    def statistics() -> Statistics:
        """How much was written so far; plain numbers, at once."""
