"""A wall clock that jumps by hours while a server runs: nobody waits, is cut off, or loses anything."""

from __future__ import annotations

import select
import time
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from superchat.wire import messages as wire
from superchat.wire.errors import ErrorCode
from tests.e2e.peers import Peer, connect
from tests.e2e.phrases import CHAT, GENERAL, page, posting
from tests.e2e.server import PATIENCE_SECONDS
from tests.faults.clock import HOUR, JumpyServer, end_well, jump_and_talk
from tests.faults.talkers import Talkers

DAY: Final = 24 * HOUR
TIMEOUT: Final = wire.Disconnect(reason="Session timeout")
ONE_PER_MINUTE: Final = "[limits]\nmessage_rate_limit = 1\nsession_timeout_seconds = 120\n"
AN_HOUR: Final = """
[limits]
message_rate_limit = 0
session_timeout_seconds = 0

[retention]
cleanup_interval_minutes = 1

[[channels]]
name = "for-an-hour"
retention_hours = 1

[[channels]]
name = "for-a-year"
retention_hours = 8760
"""


def has_news(peer: Peer) -> bool:
    """Whether the server has sent something, or ended the connection."""
    return bool(select.select([peer.socket], [], [], 0)[0])


class ClockTests(SynchronousTestCase):
    """Everything goes on, by a clock that nobody can set."""

    def test_talk(self) -> None:
        """Whatever the wall clock does, people go on talking at once: nobody is disconnected, ids ascend, dates are
        the clock's, health and metrics are sane. A stop, and the next start, do not depend on it either."""
        server = JumpyServer(self)
        talkers = Talkers(server.running.port, 12, 3)
        self.addCleanup(talkers.close)
        talkers.start()
        for jump in (HOUR, -HOUR, -HOUR, 2 * HOUR, -30 * DAY, 30 * DAY, -HOUR):
            jump_and_talk(self, server, talkers, jump)
        end_well(self, server, talkers, -HOUR)
        server.clock.jump(-HOUR)
        again = connect(self, server.running.restarted()).named("back")
        posted = again.ask(posting(CHAT, b"earlier than before"), wire.MessagePosted)
        self.assertGreater(posted.message_id, max(talkers.confirmed))

    def test_limits(self) -> None:
        """Who is idle is disconnected when the time has passed, and who has posted enough may post again, neither
        sooner nor later (decisions 1.6, 4.10)."""
        server = JumpyServer(self, ONE_PER_MINUTE)
        clock, active = server.clock, server.scribe
        idle = connect(self, server.running)

        def may_post() -> bool:
            active.send(posting(GENERAL, b"again"))
            answer = active.receive()
            if isinstance(answer, wire.Error):
                self.assertEqual(answer.error_code, ErrorCode.MESSAGE_RATE_LIMIT)
            return isinstance(answer, wire.MessagePosted)

        self.assertTrue(may_post())
        for jump in (HOUR, -2 * HOUR, HOUR):
            clock.jump(jump)
            self.assertFalse(may_post())
        clock.pass_time(60)
        self.assertEqual([may_post(), may_post()], [True, False])
        active.caught_up()
        self.assertFalse(has_news(idle))
        clock.jump(-HOUR)
        clock.pass_time(59)
        active.caught_up()
        clock.pass_time(2)
        active.caught_up()
        self.assertEqual(idle.rest(), [TIMEOUT])
        self.assertEqual(active.caught_up(), [])

    def test_retention(self) -> None:
        """Retention deletes nothing because of a clock that is wrong for a while, and what is due as soon as the
        clock has been right from one pass to the next (decisions 4.11)."""
        server = JumpyServer(self, AN_HOUR)
        clock, scribe = server.clock, server.scribe
        posted = [scribe.ask(posting(channel_id, b"keep me"), wire.MessagePosted).message_id for channel_id in (1, 2)]

        def kept() -> list[int]:
            pages = [scribe.ask(page(channel_id), wire.MessageList) for channel_id in (1, 2)]
            return [entry.message_id for each in pages for entry in each.messages]

        clock.pass_time(31)
        self.pass_minutes(server, 1)
        clock.jump(5 * HOUR)
        self.pass_minutes(server, 1)
        self.wait_for(server, "the clock has jumped ahead by 18000 seconds")
        self.assertEqual(kept(), posted)
        clock.jump(-8 * HOUR)
        self.pass_minutes(server, 5)
        self.assertEqual(kept(), posted)
        clock.put_right()
        self.pass_minutes(server, 30)
        self.assertEqual(kept(), posted)
        self.wait_for(server, "Retention removed 1 messages, 1 threads had expired")
        self.assertEqual(kept(), posted[1:])

    def pass_minutes(self, server: JumpyServer, minutes: int) -> None:
        """Let time pass, and each minute let the server do what there is to do."""
        for _ in range(minutes):
            server.clock.pass_time(60)
            for _ in range(10):
                server.scribe.caught_up()

    def wait_for(self, server: JumpyServer, text: str) -> None:
        """Let minutes pass until something is in the log; one is enough unless the pass before was slow."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in server.running.log:
            self.assertLess(time.monotonic(), deadline, server.running.log)
            self.pass_minutes(server, 1)
