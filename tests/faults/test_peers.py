"""Peers that mean no good, all kinds at once, cost a bounded number of bytes and nobody else's time."""

from __future__ import annotations

from statistics import median
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.bad_kinds import KINDS, Stuck
from tests.faults.besieged import ATTACKS, LIMITS, Attack, Besieged
from tests.faults.phases import percentile, ratio

LARGE: Final = LIMITS + "max_message_length = 65000\n"
UNLIMITED: Final = LIMITS + "max_frames_per_second = 0\n"
FLOODS: Final = [attack for attack in ATTACKS if attack.kind in ("tiny", "deaf", "unreadable", "controls", "hungry")]
SLOW: Final = [attack for attack in ATTACKS if issubclass(KINDS[attack.kind], Stuck)]

ROUNDS: Final = 3
PHASE_SECONDS: Final = 1.5
POSTS_PER_SECOND: Final = 50.0
MIB: Final = 1 << 20
BUDGET_BYTES: Final = MIB
"""What may wait for one client, as it is configured by default."""
SLACK_BYTES: Final = 40 * MIB
"""What a server's memory grows by when it has something to do at all."""


class BadPeers(SynchronousTestCase):
    """In short; `python -m tests.faults.peers` measures each kind alone, and to a tenth."""

    def attacked(self, besieged: Besieged, attacks: list[Attack]) -> int:
        """Check that others get everything, once and in order, and not much later; returns how much they posted.

        A server that is held up, by whatever, makes them wait for seconds. A machine that is busy with other things
        makes them wait as well, but both with bad peers and without.
        """
        worst: dict[bool, list[float]] = {False: [], True: []}
        posted = 0
        for number in range(2 * ROUNDS):
            is_attacked = bool(number % 2)
            if is_attacked:
                besieged.let_loose(attacks, 1)
            found = besieged.talk(PHASE_SECONDS, POSTS_PER_SECOND)
            besieged.call_off()
            self.assertEqual(found.problems, [])
            worst[is_attacked].append(max(percentile(each, 99) for each in (found.acknowledged, found.delivered)))
            posted += len(found.acknowledged)
        without, within = (median(worst[is_attacked]) / 1_000_000 for is_attacked in (False, True))
        self.assertLess(within, 3 * without + 0.3, worst)
        return posted

    def test_all_at_once(self) -> None:
        """One of each kind, from an address each, with the limits as they come: others notice nothing, whoever does
        not read is let go past its budget, and neither memory nor logs grow beyond bounds (decisions 1.7, 1.9)."""
        besieged = Besieged(self, LARGE)
        besieged.talk(0.5, POSTS_PER_SECOND)
        before = besieged.resident_bytes()
        posted = self.attacked(besieged, [*ATTACKS])
        besieged.let_loose([*ATTACKS], 1)
        found = besieged.talk(5.0, 20.0, 60_000)  # 6 MB; the kernel takes 3 to 4 for somebody who does not read
        self.assertEqual(found.problems, [])
        self.assertLess(besieged.resident_bytes() - before, len(ATTACKS) * BUDGET_BYTES + SLACK_BYTES)
        self.assertGreaterEqual(besieged.metrics()['superchat_disconnects_total{reason="slow"}'], len(SLOW))
        done = besieged.call_off()
        besieged.server.stop()
        self.assertEqual(besieged.server.errors, "")
        self.assertGreater(done["pieces"], 10_000)
        self.assertLess(besieged.server.log.count("\n"), 4 * done["connected"] + posted + 500)

    def test_without_limit(self) -> None:
        """Without a limit on frames, those who send what they can keep nobody from getting their turn."""
        besieged = Besieged(self, UNLIMITED)
        before = besieged.resident_bytes()
        self.attacked(besieged, FLOODS)
        self.assertLess(besieged.resident_bytes() - before, len(FLOODS) * BUDGET_BYTES + SLACK_BYTES)
        received = sum(
            number
            for name, number in besieged.metrics().items()
            if name.startswith("superchat_messages_received_total{")
        )
        self.assertGreater(received, 1_000)
        besieged.server.stop()


class Statistics(SynchronousTestCase):
    """What the long form goes by."""

    def test_percentile(self) -> None:
        """It is the least value that so many percent do not exceed."""
        for percent, expected in ((1, 1), (50, 50), (99, 99), (100, 100)):
            self.assertEqual(percentile(range(100, 0, -1), percent), expected)
        self.assertEqual(percentile([7], 99), 7)

    def test_ratio(self) -> None:
        """The ratio is that of the pairs, its interval holds it, and is narrow where the pairs agree."""
        steady = ratio([(2.0, 3.0), (4.0, 6.0)] * 5, seed=1)
        self.assertEqual([round(each, 9) for each in (steady.low, steady.estimate, steady.high)], [1.5] * 3)
        noisy = ratio([(1.0, 2.0), (2.0, 1.0)] * 5, seed=1)
        self.assertAlmostEqual(noisy.estimate, 1.0)
        self.assertLess(noisy.low, 0.9)
        self.assertGreater(noisy.high, 1.1)
