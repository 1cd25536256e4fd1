"""Profiles are added up and compared without losing anything."""

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.profiling.profile import MAX_STACKS, OTHERS, Frame, Profile, Sample, difference, summed
from tests.ops.profiling.profiles import MAIN, READ, WRITE, profile, profiles, sample


class SumTests(SynchronousTestCase):
    """Many samples become few."""

    def test_same_stack(self) -> None:
        """Samples of one stack are one, and labels keep them apart."""
        one = sample(10, MAIN, labels=(("thread", "one"),))
        two = sample(10, MAIN, labels=(("thread", "two"),))
        self.assertEqual(set(summed([one, two, one])), {sample(20, MAIN, labels=(("thread", "one"),)), two})

    def test_nothing(self) -> None:
        """Where nothing is left there is no sample."""
        self.assertEqual(summed([sample(10, MAIN), sample(-10, MAIN)]), ())

    def test_bounded(self) -> None:
        """Of too many stacks the heaviest stay, and the rest is counted together."""
        many = [Sample((Frame(f"function {number}"),), (1, number)) for number in range(1, MAX_STACKS + 3)]
        kept = summed(many)
        self.assertEqual(len(kept), MAX_STACKS + 1)
        self.assertEqual(kept[-1], Sample(OTHERS, (2, 1 + 2)))


class DifferenceTests(SynchronousTestCase):
    """What happened between two profiles."""

    def test_growth(self) -> None:
        """Only what changed is there, and less is negative."""
        earlier = profile(sample(10, READ), sample(50, WRITE), sample(30, MAIN), taken_at=100.0)
        later = profile(sample(70, READ), sample(50, WRITE), taken_at=130.0)
        found = difference(later, earlier)
        self.assertEqual(set(found.samples), {sample(60, READ), sample(-30, MAIN)})
        self.assertEqual((found.taken_at, found.duration_seconds), (130.0, 30.0))

    @given(profiles)
    def test_itself(self, made: Profile) -> None:
        """Nothing happened between a profile and itself."""
        self.assertEqual(difference(made, made).samples, ())
