"""What was acknowledged survives ``kill -9`` at any moment (decisions 4.6); `tests.faults.kill` is the long form."""

from __future__ import annotations

import random
import signal
from typing import Any, Final

from twisted.internet import reactor as the_reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from superchat.wire import messages as wire
from tests.e2e import peers
from tests.e2e.server import UNLIMITED, RunningServer, interrupted_start, new_place
from tests.faults.kill import BEGINNINGS_IN_TURN, ROUNDS_PER_DATABASE, play
from tests.faults.survival import BEGINNINGS, ENDINGS

reactor: Any = the_reactor

SEED: Final = random.SystemRandom().randrange(1, 1 << 32)


class KillNine(TestCase):
    """Rounds of load, ``kill -9`` and a look at what is left."""

    timeout = 600.0

    async def test_acknowledged_survives(self) -> None:
        """Every acknowledged post, edit, deletion, ban and registration is there after kill -9 at any moment: under
        load, while the server starts, stops, migrates, removes old messages or is copied (decisions 4.6)."""
        rounds = ROUNDS_PER_DATABASE * len(BEGINNINGS_IN_TURN)
        tally = await play(reactor, lambda: self, SEED, rounds)
        self.assertEqual((tally.endings.keys(), tally.beginnings.keys()), (ENDINGS.keys(), BEGINNINGS.keys()))
        self.assertGreater(tally.acknowledged, 10 * rounds)


class FirstStart(SynchronousTestCase):
    """The very first start, cut short."""

    def test_killed_while_the_database_is_made(self) -> None:
        """A first start cut short anywhere does not cost a channel of the configuration (decisions 4.13)."""
        rng = random.Random(SEED)
        for made, longest_delay in (("superchat.db.new", 0.0), ("superchat.db", 0.0), ("superchat.db", 0.1)):
            place = new_place(self, UNLIMITED)
            delay = rng.uniform(0, longest_delay)
            interrupted_start(self, place, place.data_directory / made, signal.SIGKILL, delay)
            client = peers.connect(self, RunningServer(self, place=place))
            channels = client.ask(wire.ListChannels(from_channel_id=0, limit=0), wire.ChannelList).channels
            names = [channel.name for channel in channels]
            expected = ["chat", "general", "tech", "random", "feedback"]
            self.assertEqual(names, expected, f"killed {delay:.3f} s after {made} was there; seed {SEED}")
