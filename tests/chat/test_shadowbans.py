"""Shadowbans as a whole: whatever happens in whatever order, strangers cannot tell that there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.config import Limits
from superchat.model import Ban, UserFlags
from superchat.wire.messages import (
    DeleteMessage,
    EditMessage,
    GetUnreadCounts,
    JoinChannel,
    ListMessages,
    MessageDeleted,
    MessageEdited,
    MessageEntry,
    MessageList,
    MessagePosted,
    NewMessage,
    PostMessage,
    SubscribeChannel,
    SubscribeThread,
    UnreadCounts,
    UnreadTarget,
)
from superchat.wire.records import Message as WireMessage
from tests.chat.people import PeopleTestCase, account_of, session_of
from tests.chat.talk import GENERAL

TROLL, GHOST, MOD, READER, GUEST = range(5)
"""An account and an anonymous session that are shadowbanned; a moderator; an account and a session that are not."""
STRANGERS: Final = (READER, GUEST)
NOBODYS: Final = 7
"""The id of no message."""

_TARGETS = st.integers(0, 30)
_EDGES = st.none() | _TARGETS


@attrs.frozen
class Act:
    """What one of them does; the targets are places among the messages that there are."""

    who: int
    kind: str
    target: int = 0
    limit: int = 0
    before: int | None = None
    after: int | None = None


def _acts(*kinds: str) -> st.SearchStrategy[Act]:
    who = st.sampled_from((TROLL, TROLL, GHOST, MOD, MOD, READER, GUEST))
    return st.builds(Act, who, st.sampled_from(kinds), _TARGETS, st.integers(0, 4), _EDGES, _EDGES)


WORDS = ("post", "reply", "reply", "reply", "edit", "delete")
LOOKS = ("list", "thread", "follow", "follow", "join", "count", "count thread")
POWER = ("ban", "unban", "promote", "demote")


def last_looks() -> Iterator[Act]:
    """Let strangers read everything that there is, and count it."""
    for stranger in STRANGERS:
        yield from (Act(stranger, kind) for kind in ("list", "count"))
        yield from (Act(stranger, kind, place) for kind in ("thread", "count thread") for place in range(12))


@attrs.define(eq=False)
class Note:
    """A message as the test knows it."""

    id: int
    who: int
    parent: Note | None
    living: bool = True

    @property
    def above(self) -> Iterator[Note]:
        """All messages above it."""
        note = self.parent
        while note is not None:
            yield note
            note = note.parent


class World(PeopleTestCase):
    """A chat with all of them in it, in which each act takes a millisecond."""

    limits = Limits(max_connections_per_ip=0, message_rate_limit=0, max_thread_subscriptions=0)

    def runTest(self) -> None:
        """Nothing by itself."""

    def begin(self) -> World:
        """Bring everybody in; all listen to the channel."""
        self.setUp()
        self.clients = [self.person("troll"), self.connect("ghost"), self.moderator()]
        self.clients += [self.person("reader"), self.connect("guest")]
        self.promoted = {MOD}
        self.hidden: set[int] = set()
        self.notes: list[Note] = []
        for client in self.clients:
            client.send(SubscribeChannel(channel_id=GENERAL))
        self.heard()
        return self

    def heard(self) -> list[list[Any]]:
        """What each has been sent since."""
        self.settle()
        return [client.received() for client in self.clients]

    def id_at(self, place: int | None) -> int | None:
        """The id of a message by its place."""
        return None if place is None else self.notes[place % len(self.notes)].id if self.notes else NOBODYS

    def message(self, act: Act, target_id: int | None) -> WireMessage:
        """What is sent for an act."""
        target = target_id or NOBODYS
        before, after = self.id_at(act.before), self.id_at(act.after)
        makers: dict[str, Callable[[], WireMessage]] = {
            "post": lambda: PostMessage(channel_id=GENERAL, content=b"by %d" % act.who),
            "reply": lambda: PostMessage(channel_id=GENERAL, parent_id=target, content=b"by %d" % act.who),
            "edit": lambda: EditMessage(message_id=target, new_content=b"again by %d" % act.who),
            "delete": lambda: DeleteMessage(message_id=target),
            "list": lambda: ListMessages(channel_id=GENERAL, limit=act.limit, before_id=before, after_id=after),
            "thread": lambda: ListMessages(
                channel_id=GENERAL, limit=act.limit, before_id=before, after_id=after, parent_id=target
            ),
            "follow": lambda: SubscribeThread(thread_id=target),
            "join": lambda: JoinChannel(channel_id=GENERAL),
            "count": lambda: GetUnreadCounts(since_timestamp=0, targets=(UnreadTarget(channel_id=GENERAL),)),
            "count thread": lambda: GetUnreadCounts(
                since_timestamp=0, targets=(UnreadTarget(channel_id=GENERAL, thread_id=target),)
            ),
        }
        return makers[act.kind]()

    def do(self, act: Act, target_id: int | None) -> list[list[Any]]:
        """Do it, and return what each was sent."""
        self.clients[act.who].send(self.message(act, target_id))
        return self.heard()

    def note(self, act: Act, heard: list[list[Any]]) -> None:
        """Take note of what came of it."""
        target = self.notes[act.target % len(self.notes)] if self.notes else None
        for event in heard[act.who]:
            if isinstance(event, MessagePosted):
                self.notes.append(Note(event.message_id, act.who, target if act.kind == "reply" else None))
            if isinstance(event, MessageDeleted) and act.kind == "delete" and target is not None:
                target.living = False


class InterferenceTests(SynchronousTestCase):
    """A chat with shadowbanned authors beside one in which they never say a word."""

    @settings(max_examples=40, derandomize=True, database=None, deadline=None)
    @given(st.lists(_acts(*WORDS, *WORDS, *LOOKS), min_size=20, max_size=40))
    def test_strangers_cannot_tell(self, acts: list[Act]) -> None:
        """Everything that strangers are ever sent, to the last count and id, is as if the shadowbanned had never
        written anything; moderators answer them and delete what they wrote (decisions 7.2)."""
        real, silent = World().begin(), World().begin()
        for world in (real, silent):
            world.shadowban(account_id=account_of(world.clients[TROLL]).id)
            world.shadowban(nickname="ghost")
        for act in (*acts, *last_looks()):
            self.play(real, silent, act)
            for world in (real, silent):
                world.clock.advance(0.001)

    def play(self, real: World, silent: World, act: Act) -> None:
        target = real.notes[act.target % len(real.notes)] if real.notes else None
        in_silence = self.in_silence(act, target)
        if in_silence is None:
            return
        heard = real.do(act, None if target is None else target.id)
        real.note(act, heard)
        silent.notes = real.notes
        is_secret = act.who in (TROLL, GHOST) and act.kind in WORDS
        expected = silent.heard() if is_secret else silent.do(act, in_silence)
        for stranger in STRANGERS:
            self.assertEqual(heard[stranger], expected[stranger], act)

    def in_silence(self, act: Act, target: Note | None) -> int | None:
        """Which message an act is about where the shadowbanned are silent; None when it cannot be done there.

        To what they wrote, a moderator's reply goes to what is above it; below a root of theirs there is nothing.
        """
        if target is None or target.who not in (TROLL, GHOST):
            return NOBODYS if target is None else target.id
        if act.who != MOD or act.kind != "reply":
            return target.id
        return next((note.id for note in target.above if note.who not in (TROLL, GHOST)), None)


class SequenceTests(SynchronousTestCase):
    """Shadowbans that come and go, and rights that do."""

    @settings(max_examples=40, derandomize=True, database=None, deadline=None)
    @given(st.lists(_acts(*WORDS, *WORDS, *LOOKS, *POWER), min_size=20, max_size=50))
    def test_nothing_gets_through(self, acts: list[Act]) -> None:
        """While somebody is shadowbanned nobody else without rights is sent what they wrote, its id, or a count with
        it in; before and after it everybody is (decisions 7.2)."""
        world = World().begin()
        bans: dict[int, Ban] = {}
        for act in (*acts, *last_looks()):
            world.clock.advance(0.001)
            if act.kind in POWER:
                self.use_power(world, bans, act)
                continue
            heard = world.do(act, world.id_at(act.target))
            world.note(act, heard)
            for who, events in enumerate(heard):
                for event in events:
                    self.check(world, who, event, act)

    def use_power(self, world: World, bans: dict[int, Ban], act: Act) -> None:
        """Ban or free one of the authors, promote or demote the reader."""
        who = (TROLL, GHOST)[act.target % 2]
        if act.kind == "ban" and who not in bans:
            ghost = {"nickname": "Ghost"}
            bans[who] = world.shadowban(**ghost if who == GHOST else {"account_id": account_of(world.clients[who]).id})
            world.hidden.add(who)
        elif act.kind == "unban" and who in bans:
            world.chat.bans.remove(bans.pop(who))
            world.hidden.discard(who)
        elif act.kind in ("promote", "demote"):
            flags = UserFlags.MODERATOR if act.kind == "promote" else UserFlags.NONE
            account = world.now(world.storage.set_flags(account_of(world.clients[READER]).id, flags))
            world.chat.sessions.refresh(account)
            world.promoted = {MOD, READER} if flags else {MOD}

    def check(self, world: World, who: int, event: Any, act: Act) -> None:
        """Compare what somebody was sent with what they may know."""
        notes = {note.id: note for note in world.notes}

        def seen(note: Note) -> bool:
            return note.who not in world.hidden or note.who == who or who in world.promoted

        def known(message_id: int | None) -> bool:
            return message_id is None or seen(notes[message_id])

        if isinstance(event, MessageList):
            for entry in event.messages:
                self.assertTrue(known(entry.message_id) and known(entry.parent_id), entry)
                self.check_entry(world, notes, seen, entry)
        elif isinstance(event, NewMessage):
            # Below a root that is withheld there is nothing to name but the root, which the listener knew.
            parent = event.parent_id
            self.assertTrue(known(event.message_id), event)
            self.assertTrue(known(parent) or parent is None or notes[parent].parent is None, event)
        elif isinstance(event, MessageEdited | MessageDeleted):
            self.assertTrue(known(event.message_id), event)
        elif isinstance(event, UnreadCounts):
            target = act.target % len(world.notes) if world.notes else 0
            thread = [note for note in world.notes if act.kind == "count" or self.is_in(note, world.notes[target])]
            unread = sum(note.living and note.who != who and seen(note) for note in thread)
            self.assertEqual([count.unread_count for count in event.counts], [unread])

    def check_entry(
        self, world: World, notes: dict[int, Note], seen: Callable[[Note], bool], entry: MessageEntry
    ) -> None:
        """Compare an entry's replies with those that the reader may know of; a tombstone has some."""
        replies = [note for note in world.notes if notes[entry.message_id] in note.above and note.living and seen(note)]
        self.assertEqual(entry.reply_count, len(replies), entry)
        self.assertTrue(notes[entry.message_id].living or replies, entry)

    def is_in(self, note: Note, root: Note) -> bool:
        """Whether a message is in the thread of a root; a reply's id is no thread's."""
        return root.parent is None and (note is root or root in note.above)


class EndTests(PeopleTestCase):
    """When a shadowban ends."""

    def test_everything_is_there(self) -> None:
        """What was written meanwhile is there for everybody at once, as if nothing had been (decisions 7.2)."""
        troll, guest = self.person("troll"), self.connect("guest")
        ban = self.shadowban(account_id=account_of(troll).id)
        root = self.post(troll)
        reply = self.post(troll, parent_id=root)
        self.assertEqual(self.entries(guest, ListMessages(channel_id=GENERAL, limit=0)), ())
        self.chat.bans.remove(ban)
        (entry,) = self.entries(guest, ListMessages(channel_id=GENERAL, limit=0))
        self.assertEqual((entry.message_id, entry.reply_count), (root, 1))
        (below,) = self.entries(guest, ListMessages(channel_id=GENERAL, limit=0, parent_id=root))
        self.assertEqual((below.message_id, below.parent_id), (reply, root))

    def test_logging_out(self) -> None:
        """Whoever logs out keeps sight of what this very session wrote, and of nothing else of the account's."""
        troll = self.person("troll")
        other = self.session(account_of(troll))
        mine, others = self.post(troll), self.post(other)
        self.shadowban(account_id=account_of(troll).id)
        request = ListMessages(channel_id=GENERAL, limit=0)
        self.assertEqual([entry.message_id for entry in self.entries(troll, request)], [others, mine])
        self.chat.sessions.log_out(session_of(troll))
        self.assertEqual([entry.message_id for entry in self.entries(troll, request)], [mine])
