"""Tests for `superchat.chat.retention`: what is old goes, nothing else does, and nobody waits for it."""

from __future__ import annotations

from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher

from superchat.chat.retention import BUSY_PAUSE_SECONDS, FIRST_SECONDS, Retention
from superchat.config import Config, SeedChannel
from superchat.config import Retention as RetentionSection
from superchat.model import UserFlags
from superchat.storage.errors import Unavailable
from superchat.storage.interface import Expired, Statistics, Swept
from superchat.storage.memory import MemoryStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import DeleteChannel, ListMessages, PostMessage, SubscribeThread
from tests.chat.people import PeopleTestCase, session_of

DAY, WEEK, FOREVER, SIDE = 1, 2, 3, 4
HOUR_SECONDS = 3600
INTERVAL_MINUTES = 60


class RecordingStorage(MemoryStorage):
    """Notes what retention asks for, and has its slices be as many and as slow as a test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Any, ...]] = []
        self.slices: list[Deferred[Any]] = []
        """What slices are answered with, one after the other; when there is none, with what they did."""
        self.pending = 0

    def expire(self, channel_id: int, before_ms: int, after_id: int = 0) -> Deferred[Expired]:
        self.asked.append(("expire", channel_id, before_ms, after_id))
        done = super().expire(channel_id, before_ms, after_id)
        return self.slices.pop(0) if self.slices else done

    def sweep(self) -> Deferred[Swept]:
        self.asked.append(("sweep",))
        done = super().sweep()
        return self.slices.pop(0) if self.slices else done

    def statistics(self) -> Statistics:
        return attrs.evolve(super().statistics(), pending=self.pending)


def answered(*results: Any) -> list[Deferred[Any]]:
    """Deferreds that have these results."""
    deferreds: list[Deferred[Any]] = [Deferred() for _ in results]
    for deferred, result in zip(deferreds, results, strict=True):
        deferred.callback(result)
    return deferreds


class RetentionTestCase(PeopleTestCase):
    """A chat with places that keep messages for a day, a week and for ever, and a wall clock that can jump."""

    channels = (
        SeedChannel("day", retention_hours=24),
        SeedChannel("week", retention_hours=168),
        SeedChannel("forever", retention_hours=0),
        SeedChannel("side", parent="forever", retention_hours=24),
    )
    storage: RecordingStorage

    def make_storage(self) -> RecordingStorage:
        return RecordingStorage()

    def setUp(self) -> None:
        super().setUp()
        self.lines: list[LogEvent] = []
        observer = cast(ILogObserver, self.lines.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.bob = self.connect("bob")
        self.retention = self.begin()

    def begin(self) -> Retention:
        """A retention that has started, as after a start of the server."""
        chat = self.chat
        retention = Retention(
            self.storage, chat.directory, chat.registry, self.clock, self.now_ms, INTERVAL_MINUTES
        )
        chat.retention.stop()
        chat.retention = retention
        retention.start()
        self.addCleanup(retention.stop)
        return retention

    def pass_time(self, seconds: float) -> None:
        """Let everything happen that does within this time."""
        while seconds > 0:
            step = min(seconds, 60.0)
            self.clock.advance(step)
            self.clock.pump([0.001] * 20)
            seconds -= step

    def pass_over(self) -> None:
        """Let the next pass happen."""
        self.pass_time(INTERVAL_MINUTES * 60 + 60)

    def text(self) -> str:
        """What was logged."""
        return "\n".join(formatEvent(event) or "" for event in self.lines)

    def listed(self, channel_id: int) -> list[int]:
        """The roots that a client sees."""
        entries = self.entries(self.bob, ListMessages(channel_id=channel_id, limit=0))
        return [entry.message_id for entry in entries]


class ExpiryTests(RetentionTestCase):
    """Passes, one after the other."""

    def test_each_channel_its_time(self) -> None:
        """Messages go when they are older than their channel's hours, and not before (decisions 4.11, W27)."""
        posted = {place: self.post(self.bob, channel_id=place) for place in (DAY, WEEK, FOREVER, SIDE)}
        self.pass_time(23 * HOUR_SECONDS)
        self.assertEqual([self.listed(place) for place in posted], [[each] for each in posted.values()])
        self.pass_time(3 * HOUR_SECONDS)
        self.assertEqual([self.listed(place) for place in posted], [[], [posted[WEEK]], [posted[FOREVER]], []])
        self.pass_time(200 * HOUR_SECONDS)
        self.assertEqual([self.listed(place) for place in (WEEK, FOREVER)], [[], [posted[FOREVER]]])

    def test_threads(self) -> None:
        """A thread ages from its newest message, and goes as a whole (decisions 4.11)."""
        root = self.post(self.bob, channel_id=DAY)
        self.pass_time(20 * HOUR_SECONDS)
        reply = self.post(self.bob, channel_id=DAY, parent_id=root)
        self.pass_time(20 * HOUR_SECONDS)
        self.assertEqual(self.listed(DAY), [root])
        self.pass_time(6 * HOUR_SECONDS)
        self.assertEqual(self.listed(DAY), [])
        for gone in (root, reply):
            refusal = self.bob.refusal(PostMessage(channel_id=DAY, parent_id=gone, content=b"hello"))
            self.assertEqual(refusal[0], ErrorCode.MESSAGE_NOT_FOUND)

    def test_first_pass(self) -> None:
        """The first pass comes soon after the start, the next ones at the interval."""
        kept = [DAY, WEEK, SIDE]
        self.pass_time(FIRST_SECONDS + 1)
        self.assertEqual([asked[1] for asked in self.storage.asked if asked[0] == "expire"], kept)
        self.storage.asked.clear()
        self.pass_time(INTERVAL_MINUTES * 60 - 10)
        self.assertEqual(self.storage.asked, [])
        self.pass_time(20)
        self.assertEqual([asked[0] for asked in self.storage.asked], ["expire"] * 3 + ["sweep"])

    def test_interval_changes(self) -> None:
        """Another interval counts from the next pass on (decisions 9.5)."""
        self.chat.reconfigure(Config(retention=RetentionSection(cleanup_interval_minutes=5)))
        self.assertEqual(self.retention.interval_minutes, 5)
        self.pass_time(FIRST_SECONDS + 1)
        self.storage.asked.clear()
        self.pass_time(5 * 60 + 1)
        self.assertTrue(self.storage.asked)

    def test_subscriptions_are_dropped(self) -> None:
        """Nobody is subscribed any more to a thread that is gone; it counts against no limit."""
        old = self.post(self.bob, channel_id=DAY)
        young = self.post(self.bob, channel_id=WEEK)
        for root in (old, young):
            self.bob.send(SubscribeThread(thread_id=root))
        self.assertEqual(session_of(self.bob).threads, {old, young})
        self.pass_time(26 * HOUR_SECONDS)
        self.assertEqual(session_of(self.bob).threads, {young})
        self.assertEqual(len(self.chat.registry.thread_audiences), 1)

    def test_restart(self) -> None:
        """What has become old while the server was down goes soon after its start."""
        self.post(self.bob, channel_id=DAY)
        self.retention.stop()
        self.jump(30 * HOUR_SECONDS)
        self.begin()
        self.pass_time(FIRST_SECONDS + 1)
        self.assertEqual(self.listed(DAY), [])

    def test_new_and_deleted_channels(self) -> None:
        """Each pass goes by the channels that there are then."""
        self.pass_time(FIRST_SECONDS + 1)
        admin = self.person("anna", UserFlags.ADMIN)
        admin.send(DeleteChannel(channel_id=WEEK, reason=""))
        self.storage.asked.clear()
        self.pass_over()
        self.assertEqual([asked[1] for asked in self.storage.asked if asked[0] == "expire"], [DAY, SIDE])

    def test_reported(self) -> None:
        """What was removed is a line in the log and counted; a pass without anything to do says nothing."""
        root = self.post(self.bob, channel_id=DAY)
        self.post(self.bob, channel_id=DAY, parent_id=root)
        self.pass_time(FIRST_SECONDS + 1)
        self.assertNotIn("Retention removed", self.text())
        self.pass_time(26 * HOUR_SECONDS)
        self.assertIn("Retention removed 2 messages, 1 threads had expired", self.text())
        self.assertEqual((self.retention.removed.threads, self.retention.removed.messages), (1, 2))


class ClockTests(RetentionTestCase):
    """Clocks that are wrong."""

    def posted(self) -> int:
        message_id = self.post(self.bob, channel_id=DAY)
        self.pass_time(FIRST_SECONDS + 1)
        return message_id

    def test_jump_ahead(self) -> None:
        """A clock that jumps ahead and back within an interval costs nobody a message, and is told of."""
        message_id = self.posted()
        self.pass_time(50 * 60)
        self.jump(30 * 24 * HOUR_SECONDS)
        self.pass_time(15 * 60)
        self.assertEqual(self.listed(DAY), [message_id])
        self.assertIn("the clock has jumped ahead by 2592000 seconds", self.text())
        self.jump(-30 * 24 * HOUR_SECONDS)
        self.pass_time(2 * HOUR_SECONDS)
        self.assertEqual(self.listed(DAY), [message_id])

    def test_jump_that_lasts(self) -> None:
        """A clock that was put right for good is believed one interval later."""
        message_id = self.posted()
        self.jump(30 * HOUR_SECONDS)
        self.pass_over()
        self.assertEqual(self.listed(DAY), [message_id])
        self.pass_over()
        self.assertEqual(self.listed(DAY), [])

    def test_jump_back(self) -> None:
        """A clock that is set back keeps messages longer, at once and silently."""
        message_id = self.posted()
        self.pass_time(23 * HOUR_SECONDS)
        self.jump(-10 * HOUR_SECONDS)
        self.begin()
        self.pass_time(10 * HOUR_SECONDS)
        self.assertEqual(self.listed(DAY), [message_id])
        self.pass_time(3 * HOUR_SECONDS)
        self.assertEqual(self.listed(DAY), [])
        self.assertNotIn("jumped", self.text())

    def test_steps_of_time_synchronisation(self) -> None:
        """Small corrections of the clock are no news."""
        self.posted()
        for _ in range(5):
            self.jump(20)
            self.pass_over()
        self.assertNotIn("jumped", self.text())


class SliceTests(RetentionTestCase):
    """One slice at a time, and room for others in between."""

    def expire_slices(self, *slices: Expired | Swept) -> None:
        """Have the storage answer like this."""
        self.storage.slices = answered(*slices)

    def kinds(self) -> list[str]:
        return [asked[0] for asked in self.storage.asked]

    def test_cursor(self) -> None:
        """Each slice of a channel begins where the one before it ended."""
        self.expire_slices(Expired([5, 6], 2, 6), Expired([], 0, 9), Expired([], 0, None))
        self.pass_time(FIRST_SECONDS + 1)
        days = [asked for asked in self.storage.asked if asked[:2] == ("expire", DAY)]
        self.assertEqual([asked[3] for asked in days], [0, 6, 9])
        self.assertEqual(len({asked[2] for asked in days}), 1)

    def test_sweeps_until_done(self) -> None:
        """Slices are swept until there is nothing more to do."""
        more = [Swept(10, 0, True), Swept(0, 4096, True), Swept(0, 0, False)]
        self.expire_slices(*[Expired([], 0, None)] * 3, *more)
        self.pass_time(FIRST_SECONDS + 1)
        self.assertEqual(self.kinds(), ["expire"] * 3 + ["sweep"] * 3)
        self.assertEqual((self.retention.removed.messages, self.retention.removed.freed_bytes), (10, 4096))
        self.assertIn("gave 4096 bytes back", self.text())

    def test_long_threads_go_first(self) -> None:
        """A long thread's rows are removed before the next one is taken out: readers must step over few."""
        self.expire_slices(
            Expired([5], 0, 5), Swept(100, 0, True), Swept(1, 0, True), Swept(0, 9, True), Expired([], 0, None)
        )
        self.pass_time(FIRST_SECONDS + 1)
        self.assertEqual(self.kinds()[:5], ["expire", "sweep", "sweep", "sweep", "expire"])

    def test_reactor_in_between(self) -> None:
        """Between two slices the reactor does whatever else there is to do."""
        order: list[str] = []
        asked = self.storage.asked

        class Noting(list[tuple[Any, ...]]):
            def append(noting, each: tuple[Any, ...]) -> None:
                order.append(each[0])
                self.clock.callLater(0, order.append, "others")

        self.storage.asked = Noting(asked)
        self.clock.advance(FIRST_SECONDS)
        self.assertEqual(order, ["expire", "others"] * 3 + ["sweep", "others"])

    def test_room_for_posts(self) -> None:
        """While posts wait for the writer, it is theirs for some time after each slice."""
        self.storage.pending = 1
        self.expire_slices(Expired([5], 1, 5), Expired([], 0, 9), Expired([6], 1, None), Expired([], 0, None))
        self.clock.advance(FIRST_SECONDS)
        for number in range(1, 4):
            self.assertEqual(len(self.storage.asked), number)
            self.clock.advance(BUSY_PAUSE_SECONDS * 0.9)
            self.assertEqual(len(self.storage.asked), number)
            self.clock.advance(BUSY_PAUSE_SECONDS * 0.2)

    def test_idle_channels(self) -> None:
        """Channels with nothing old cost no pause, however many there are and however busy the writer is."""
        self.storage.pending = 1
        self.clock.advance(FIRST_SECONDS)
        self.assertEqual(self.kinds(), ["expire"] * 3 + ["sweep"])

    def test_one_at_a_time(self) -> None:
        """Whatever is deleted meanwhile, one slice is under way at most, and no pass is lost."""
        slow: Deferred[Swept] = Deferred()
        self.storage.slices = [slow]
        for _ in range(3):
            self.retention.sweep_soon()
        self.assertEqual(self.kinds(), ["sweep"])
        self.pass_time(FIRST_SECONDS + 1)
        self.assertEqual(self.kinds(), ["sweep"])
        slow.callback(Swept(1, 0, False))
        self.pass_time(FIRST_SECONDS + 1)
        self.assertEqual(self.kinds(), ["sweep"] + ["expire"] * 3 + ["sweep"])

    def test_stop(self) -> None:
        """After a stop no slice begins, wherever the pass was, and no timer is left."""
        self.retention.stop()
        timers_of_others = len(self.clock.getDelayedCalls())
        self.storage.pending = 1
        for slices in range(1, 5):
            self.storage.asked.clear()
            self.expire_slices(*[Expired([], 0, looked_at) for looked_at in range(1, 9)])
            retention = self.begin()
            self.clock.advance(FIRST_SECONDS)
            for _ in range(slices - 1):
                self.clock.advance(BUSY_PAUSE_SECONDS)
            retention.stop()
            self.clock.advance(1e6)
            self.assertEqual(len(self.storage.asked), slices)
            retention.sweep_soon()
            self.assertEqual(len(self.storage.asked), slices)
        self.assertEqual(len(self.clock.getDelayedCalls()), timers_of_others)

    def test_stop_during_a_slice(self) -> None:
        """A slice that is under way may end after the stop; nothing follows it."""
        slow: Deferred[Expired] = Deferred()
        self.storage.slices = [slow]
        self.clock.advance(FIRST_SECONDS)
        self.retention.stop()
        slow.callback(Expired([], 0, 7))
        self.clock.advance(1e6)
        self.assertEqual(self.kinds(), ["expire"])

    def test_trouble(self) -> None:
        """Trouble of the database is logged, and the next pass has its try."""
        self.storage.slices = [fail(Unavailable("disk full"))]
        self.pass_time(FIRST_SECONDS + 1)
        self.assertEqual(self.kinds(), ["expire"])
        self.assertIn("retention has stopped until its next pass: disk full", self.text())
        self.pass_over()
        self.assertEqual(self.kinds(), ["expire"] * 4 + ["sweep"])

    def test_mistakes(self) -> None:
        """A mistake of the program does not end retention for ever."""
        self.storage.slices = [fail(ZeroDivisionError("oops"))]
        self.pass_time(FIRST_SECONDS + 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.pass_over()
        self.assertEqual(self.kinds(), ["expire"] * 4 + ["sweep"])
