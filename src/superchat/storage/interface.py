"""What the services may ask of a storage engine, and how it says no."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from twisted.internet.defer import Deferred

from superchat.histogram import Distribution
from superchat.model import EVERYTHING, Backlog, Channel, Message, NewAct, NewChannel, NewMessage, View
from superchat.storage.accounts.interface import IAccounts
from superchat.storage.direct.interface import IDirect
from superchat.storage.moderation.interface import IModeration


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
    accounts: int  # that were not deleted


@attrs.frozen
class Expired:
    """What a slice of ``expire`` has done."""

    roots: Sequence[int]  # of the threads that are gone
    messages: int  # whose rows are removed already
    next_id: int | None  # where the next slice begins; None when there is none


@attrs.frozen
class Swept:
    """What a slice of ``sweep`` has done."""

    messages: int  # whose rows are removed
    freed_bytes: int  # given back to the file system
    more: bool  # whether there is more to do


class IStorage(IAccounts, IModeration, IDirect):
    """Everything that is stored: channels and messages, and the order among them; and what the other interfaces say.

    Every method but ``statistics`` returns a Deferred; its errors, ``StorageError`` and its subclasses, are
    failures of that Deferred, never raised by the call. Before ``open`` and after ``close`` all of them fail
    with ``Unavailable``.

    Ids and times may be any integers: what lies outside 63 bits matches nothing, and as a cursor stands at
    that end of the history.

    A message is *visible* while it is not deleted, and as a tombstone when it is deleted but has living
    descendants (decisions 4.7). What is withheld from the reader by its ``view`` does not exist for it: it is on no
    page, and no count has it (decisions 7.2).
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

    def delete_channel(channel_id: int, deleted_at: int, act: NewAct | None = None) -> Deferred[list[int]]:
        """Delete a channel with its subchannels and everything in them; returns their ids (decisions 4.13).

        They are gone at once for everybody; ``sweep`` gives their space back later. Fails with ``UnknownChannel``.
        """

    def expire(channel_id: int, before_ms: int, after_id: int = 0) -> Deferred[Expired]:
        """Take out threads of a channel, as far as one slice goes, whose newest living message is older than a
        time, or which have none and began before it (decisions 4.11).

        The slice looks at the threads whose root has an id above ``after_id``. A message is as old as the younger
        of its ``created_at`` and the time in its id, so that a clock that was set back makes none older. Threads
        are gone as a whole and at once for everybody: a reply that is posted at the same moment keeps its thread,
        or fails with ``UnknownParent``. Rows that a slice leaves behind are for ``sweep``.
        """

    def sweep() -> Deferred[Swept]:
        """Remove a slice of what was deleted for good; when nothing is left of that, give a slice of disk space back.

        One call holds the writer for 20 ms at most, also when ``expire`` does (decisions 4.11). A crash between
        two slices only leaves more to do.
        """

    def edit_message(
        message_id: int, content: bytes, edited_at: int, edited_by: str, act: NewAct | None = None
    ) -> Deferred[Message]:
        """Put ``content`` in place of the old, which is kept as a version; returns the message (decisions 4.7).

        Fails with ``UnknownMessage`` or ``AlreadyDeleted``.
        """

    def delete_message(
        message_id: int, text: bytes, deleted_at: int, deleted_by: str, act: NewAct | None = None
    ) -> Deferred[Message]:
        """Put ``text`` in place of the content; returns the tombstone (decisions 4.7).

        The original is kept as a version that no method here returns, with the name of who deleted it. All
        ancestors' ``reply_count`` shrinks in the same transaction. Fails with ``UnknownMessage`` or
        ``AlreadyDeleted``.
        """

    def message(message_id: int, view: View = EVERYTHING) -> Deferred[Message | None]:
        """One message, visible or not; none when it is withheld from the reader."""

    def root_page(
        channel_id: int, limit: int, before_id: int | None, after_id: int | None, view: View = EVERYTHING
    ) -> Deferred[list[Message]]:
        """At most ``limit`` visible roots of a channel (decisions 4.3).

        Newest first, from the newest or from the one before ``before_id``; oldest first from the one after
        ``after_id``. ``before_id`` wins over ``after_id``.
        """

    def thread_page(
        parent_id: int, limit: int, before_id: int | None, after_id: int | None, view: View = EVERYTHING
    ) -> Deferred[list[Message]]:
        """At most ``limit`` visible descendants of a root or a reply, itself excluded (decisions 4.3).

        Chosen are the most recent, the most recent before ``before_id``, or the oldest after ``after_id``;
        ``before_id`` wins. They come depth first, siblings by id; a reply whose parent is not on the page
        stands where its parent's subtree would. Where a parent is withheld, the nearest above it that is not is
        named in its place: not even its id is shown.
        """

    def seen_ancestor(message_id: int, view: View) -> Deferred[int | None]:
        """The message itself, or the nearest above it, that is not withheld from the reader; the root when all are."""

    def channels_of(message_ids: Sequence[int]) -> Deferred[dict[int, int]]:
        """The channel in which each message was posted, by its id; those that do not exist are left out."""

    def counts_since(backlogs: Sequence[Backlog], view: View = EVERYTHING) -> Deferred[list[int]]:
        """How many messages, roots and replies, living and newer than its time, there are in each of ``backlogs``.

        What the reader wrote is not counted (decisions 4.12). All are counted at the same moment.
        """

    def set_read(account_id: int, channel_id: int, last_read_at: int, now_ms: int) -> Deferred[None]:
        """How far an account has read a channel. Fails with ``UnknownChannel`` or ``UnknownAccount``."""

    def read_positions(account_id: int, channel_ids: Sequence[int]) -> Deferred[dict[int, int]]:
        """How far an account has read these channels, by id; those without a position are left out."""

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
