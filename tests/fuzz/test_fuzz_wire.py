"""The fuzz target itself, on a fixed number of inputs."""

from __future__ import annotations

import contextlib
import io

from twisted.trial.unittest import SynchronousTestCase

from superchat.wire.errors import Broken
from superchat.wire.messages import Ping
from tests.fuzz import fuzz_wire


class FuzzWireTests(SynchronousTestCase):
    """A taste of fuzzing in every run of the tests."""

    def test_some(self) -> None:
        """The golden frames and a hundred mutations of them keep all promises."""
        self.assertEqual(fuzz_wire.run(3600, seed=1, limit=100), len(fuzz_wire.seeds()) + 100)

    def test_failure_is_shown(self) -> None:
        """A failing input is printed, so that it can be run again."""

        def fail(data: bytes) -> None:
            raise Broken("on purpose")

        self.patch(fuzz_wire, "check", fail)
        stderr = io.StringIO()
        with contextlib.redirect_stderr(stderr):
            self.assertRaises(Broken, fuzz_wire.main, ["--input", "00ff"])
        self.assertEqual(stderr.getvalue(), "failing input: 00ff\n")

    def test_message_that_reads_differently(self) -> None:
        """A message that would not come back equal is noticed."""
        self.patch(fuzz_wire, "outcomes", lambda pieces: [Ping(timestamp=2)])
        self.assertRaises(AssertionError, fuzz_wire.check_message, Ping(timestamp=1))
