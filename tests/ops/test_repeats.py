"""Lines that come again and again."""

from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.repeats import TEXTS_KEPT, WINDOW_SECONDS, WRITTEN, Repeated, Repeats


class RepeatsTests(SynchronousTestCase):
    """Few lines say what a flood of them would have said."""

    def setUp(self) -> None:
        """Nothing was said yet."""
        self.repeats = Repeats()

    def fold(self, text: str, now: float = 0.0, times: int = 1) -> list[bool]:
        """Say something a few times."""
        return [self.repeats.folds("info", text, now) for _ in range(times)]

    def test_first_ones(self) -> None:
        """The first few lines are written, the others are not."""
        self.assertEqual(self.fold("a", times=WRITTEN + 2), [False] * WRITTEN + [True, True])

    def test_interleaved(self) -> None:
        """Two floods at once are folded as one is; texts of another level are another text."""
        for _ in range(WRITTEN):
            self.fold("a")
            self.fold("b")
        self.assertEqual(self.fold("a") + self.fold("b"), [True, True])
        self.assertFalse(self.repeats.folds("error", "a", 0.0))

    def test_window(self) -> None:
        """After ten seconds the count is told, once, and the text is written again."""
        self.fold("a", times=WRITTEN + 3)
        self.repeats.expire(WINDOW_SECONDS - 0.1)
        self.assertFalse(self.repeats.has_ended)
        self.assertTrue(self.repeats.counts_some)
        self.repeats.expire(WINDOW_SECONDS)
        self.assertTrue(self.repeats.has_ended)
        self.assertEqual(self.repeats.ended(), [Repeated("info", "a", 3)])
        self.assertFalse(self.repeats.counts_some or self.repeats.has_ended)
        self.assertEqual(self.repeats.ended(), [])
        self.assertEqual(self.fold("a", WINDOW_SECONDS), [False])

    def test_nothing_to_tell(self) -> None:
        """A text that was written whenever it was said needs no count."""
        self.fold("a", times=WRITTEN)
        self.assertFalse(self.repeats.counts_some)
        self.assertEqual(self.repeats.end(), [])

    def test_end(self) -> None:
        """At the end everything counted so far is told."""
        self.fold("a", times=WRITTEN + 1)
        self.fold("b", 5.0, times=WRITTEN + 2)
        self.assertEqual(self.repeats.end(), [Repeated("info", "a", 1), Repeated("info", "b", 2)])

    def test_bounded(self) -> None:
        """Any number of different texts costs a bounded amount of memory, and no count is forgotten."""
        self.fold("a", times=WRITTEN + 4)
        for number in range(10 * TEXTS_KEPT):
            self.fold(str(number))
        self.assertLessEqual(len(self.repeats._lines), TEXTS_KEPT)
        self.assertEqual(self.repeats.ended(), [Repeated("info", "a", 4)])

    def test_clock_set_back(self) -> None:
        """A clock that was set back does not silence a text for longer than before."""
        self.fold("a", 1000.0, times=WRITTEN + 1)
        self.assertEqual(self.fold("a", 10.0), [False])

    def test_event(self) -> None:
        """The count is told with the text, so that a search for the text finds it."""
        event = Repeated("info", "rate limit exceeded", 7).event(3.0)
        self.assertEqual(event["log_format"].format(**event), "rate limit exceeded [and 7 more like this]")
        self.assertEqual((event["log_level"], event["log_time"]), ("info", 3.0))
