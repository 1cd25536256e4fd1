"""What was acknowledged survives the loss of power (decisions 4.6); `tests.faults.power` is the long form."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Final

from twisted.internet import reactor as the_reactor
from twisted.trial.unittest import TestCase

from tests.faults.power_story import Outcome, Plan, Story

reactor: Any = the_reactor

SEED: Final = random.SystemRandom().randrange(1, 1 << 32)
WORK: Final = Plan(seconds=2.0, cuts=110, early_cuts=25, starts=1, again=False)
RESTORE: Final = Plan(cuts=120, early_cuts=0)
UPGRADE: Final = Plan(cuts=0, early_cuts=15, starts=0)


class PowerTests(TestCase):
    """A disk that drops what was not synced, cut at many moments of what a server did to its files."""

    timeout = 300.0

    async def outcome(self, plan: Plan, beginning: str) -> Outcome:
        """Play a story in which nothing goes wrong."""
        keep = Path(self.mktemp()).absolute()
        outcome = await Story(self, reactor, plan, SEED, keep).play(beginning)
        self.assertEqual(outcome.wrong, [], f"what was left on the disk is in {keep}")
        self.assertEqual(outcome.cuts, plan.cuts + plan.early_cuts)
        return outcome

    async def test_acknowledged_survives(self) -> None:
        """Every acknowledged post, edit, deletion, ban and registration, and every backup, is there after a power cut
        at any moment: in the first start, under load, in a checkpoint, in the shutdown (decisions 4.6)."""
        outcome = await self.outcome(WORK, "first start")
        self.assertEqual(outcome.starts, 2)
        self.assertGreater(outcome.acknowledged, 50)

    async def test_upgrade(self) -> None:
        """A power cut while a database of the first release is migrated loses nothing either, and the copy of what it
        was before is there."""
        outcome = await self.outcome(UPGRADE, "first schema")
        self.assertGreater(outcome.acknowledged, 3000)

    async def test_restore(self) -> None:
        """A power cut while a backup is put in the place of the database leaves one of the two, with the log that a
        killed server had left, and loses neither."""
        await self.outcome(RESTORE, "restore")
