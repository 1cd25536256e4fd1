"""Tests for `superchat.ops.trimming`: what a burst needed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from superchat.ops import trimming
from superchat.ops.trimming import EVERY_SECONDS, Trimming

BURST = """
from superchat.ops.host import Usage
from superchat.ops.trimming import release_free_memory
burst, kept = [], []
for _ in range(5_000):
    burst.append(bytearray(8_000))
    kept.append(bytearray(1_000))
burst.clear()
before = Usage.now().heap_bytes
release_free_memory()
print(before - Usage.now().heap_bytes)
"""


class TrimmingTests(SynchronousTestCase):
    """Memory is given back now and then."""

    def test_given_back(self) -> None:
        """What lies between what stays is given back: most of 40 MB."""
        if trimming._malloc_trim is None:
            raise SkipTest("needs a C library with malloc_trim")
        given_back = subprocess.run([sys.executable, "-c", BURST], check=True, capture_output=True, text=True).stdout
        self.assertGreater(int(given_back), 10_000_000)

    def test_now_and_then(self) -> None:
        """It happens every few seconds from the start to the stop."""
        clock, times = Clock(), list[float]()
        memory = Trimming(clock, lambda: times.append(clock.seconds()))
        memory.stop()
        memory.start()
        clock.pump([EVERY_SECONDS] * 3)
        memory.stop()
        clock.advance(EVERY_SECONDS)
        self.assertEqual(times, [EVERY_SECONDS, 2 * EVERY_SECONDS, 3 * EVERY_SECONDS])
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_bounded(self) -> None:
        """Where it takes long it comes seldom: it takes no more than a two-thousandth of the time."""
        clock, times = Clock(), list[float]()

        def release() -> None:
            times.append(clock.seconds())
            clock.rightNow += 0.1

        Trimming(clock, release).start()
        clock.pump([1.0] * 220)
        self.assertEqual(len(times), 2)
        self.assertGreaterEqual(times[1] - times[0], 200.0)
