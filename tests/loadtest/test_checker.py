"""The checker finds every way in which a server can deliver wrongly, and nothing in what is right."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.loadtest import checker
from superchat.loadtest.checker import STEPS_REMEMBERED, Checker, Position, Step
from superchat.wire import frames
from superchat.wire import messages as wire
from superchat.wire.errors import Broken
from tests.loadtest.streams import CHANNEL, TEXTS, broadcast, new_message


def walked(*pieces: bytes, start: Position | None = None) -> tuple[Position, Counter[str], int]:
    """Where some bytes lead, the faults on the way, and how many deliveries there were."""
    following, position, faults, deliveries = Checker(TEXTS), start or Position(), Counter[str](), 0
    for piece in pieces:
        step = following.advance(position, piece)
        position = step.after
        faults.update(step.faults)
        deliveries += len(step.due_us)
    return position, faults, deliveries


def stream(*posts: tuple[int, int]) -> bytes:
    """Broadcasts of (poster, sequence), with ascending ids."""
    return b"".join(broadcast(number, *post) for number, post in enumerate(posts, 1))


class OrderTests(SynchronousTestCase):
    """Sequences of posters, and ids."""

    def test_right(self) -> None:
        """Posters may be mixed in any way, as long as the posts of each come in order."""
        position, faults, deliveries = walked(stream((0, 0), (1, 0), (1, 1), (0, 1), (1, 2)))
        self.assertEqual((faults, deliveries), (Counter(), 5))
        self.assertEqual((position.lacks(0, 2, ()), position.lacks(1, 3, ())), (0, 0))

    def test_lost_in_between(self) -> None:
        """A hole is one lost post for each number in it."""
        position, faults, _ = walked(stream((0, 0), (0, 3), (0, 4)))
        self.assertEqual((faults, position.lacks(0, 5, ())), (Counter(), 2))

    def test_lost_at_the_end(self) -> None:
        """What was acknowledged and did not come is lost, whether anything came at all or not."""
        position, _, _ = walked(stream((0, 0)))
        self.assertEqual((position.lacks(0, 3, ()), position.lacks(7, 2, ())), (2, 2))

    def test_lost_at_the_beginning(self) -> None:
        """Subscribed before the load, a subscriber must get the first posts too."""
        position, _, _ = walked(stream((0, 2)))
        self.assertEqual(position.lacks(0, 3, ()), 2)

    def test_refused_is_not_lost(self) -> None:
        """A post that was refused, or never answered, need not come."""
        position, _, _ = walked(stream((0, 0), (0, 3)))
        self.assertEqual(position.lacks(0, 6, ((1, 3), (5, 6))), 1)

    def test_repeated(self) -> None:
        """A post that comes again is reported, also much later."""
        _, faults, _ = walked(stream((0, 0), (0, 1), (0, 1), (0, 2), (0, 0)))
        self.assertEqual(faults, Counter(repeated=2))

    def test_reordered(self) -> None:
        """A post behind a later one is reported once, and is not lost."""
        position, faults, _ = walked(stream((0, 0), (0, 2), (0, 1), (0, 3)))
        self.assertEqual((faults, position.lacks(0, 4, ())), (Counter(reordered=1), 0))

    def test_reordered_and_repeated(self) -> None:
        """What filled a hole must not come again either."""
        _, faults, _ = walked(stream((0, 0), (0, 2), (0, 1), (0, 1)))
        self.assertEqual(faults, Counter(reordered=1, repeated=1))

    def test_ids(self) -> None:
        """In a channel ids ascend (decisions 4.6); other channels have an order of their own."""
        other = broadcast(1, 1, 0, channel_id=CHANNEL + 1)
        self.assertEqual(walked(broadcast(5, 0, 0), other, broadcast(6, 0, 1))[1], Counter())
        self.assertEqual(walked(broadcast(5, 0, 0), broadcast(4, 0, 1))[1], Counter(ids_out_of_order=1))
        self.assertEqual(walked(broadcast(5, 0, 0), broadcast(5, 0, 1))[1], Counter(ids_out_of_order=1))

    def test_joined_late(self) -> None:
        """Who comes while posts are under way begins with the first it gets; what it skips after that is lost."""
        late = Position(joined_late=True)
        position, faults, _ = walked(stream((0, 40), (0, 41), (0, 43)), start=late)
        self.assertEqual((faults, position.lacks(0, 50, ())), (Counter(), 1))


class ContentsTests(SynchronousTestCase):
    """What is in the stream beside posts in order."""

    def test_times(self) -> None:
        """For each post the moment it was due comes out, which its latency counts from."""
        step = Checker(TEXTS).advance(Position(), broadcast(1, 0, 0, due_us=5) + broadcast(2, 0, 1, due_us=77))
        self.assertEqual(step.due_us, (5, 77))

    def test_damaged(self) -> None:
        """A post whose text is not as it was sent is reported."""
        text = TEXTS.make(0, 0, 0)[:-1] + b"y"
        self.assertEqual(walked(frames.encode(new_message(1, text)))[1], Counter(damaged=1))

    def test_others(self) -> None:
        """Messages of other people only have to have ascending ids."""
        following = Checker(TEXTS)
        step = following.advance(Position(), frames.encode(new_message(9, b"Hello")))
        self.assertEqual((step.others, step.due_us, step.faults), (1, (), Counter()))
        self.assertEqual(following.advance(step.after, broadcast(8, 0, 0)).faults, Counter(ids_out_of_order=1))

    def test_other_frames(self) -> None:
        """Everything that is no message is passed on, in order."""
        pong, goodbye = wire.Pong(client_timestamp=3), wire.Disconnect(reason="Bye")
        data = frames.encode(pong) + broadcast(1, 0, 0) + frames.encode(goodbye)
        step = Checker(TEXTS).advance(Position(), data)
        self.assertEqual(step.frames, ((pong.CODE, pong.pack()), (goodbye.CODE, goodbye.pack())))

    def test_framing_lost(self) -> None:
        """Bytes that are no frames are not checked any further (decisions 1.5)."""
        self.assertRaises(Broken, Checker(TEXTS).advance, Position(), b"HTTP/1.1 400 Bad Request")


class SharingTests(SynchronousTestCase):
    """One computation serves all who receive the same, and changes nothing."""

    def test_shared(self) -> None:
        """Two subscribers that get the same bytes come to the very same position."""
        following, data = Checker(TEXTS), stream((0, 0), (0, 1))
        start = Position()
        self.assertIs(following.advance(start, data), following.advance(start, bytes(bytearray(data))))

    def test_meeting_again(self) -> None:
        """Subscribers whose bytes were cut differently share again as soon as both have the same."""
        following, data = Checker(TEXTS), stream((0, 0), (1, 0), (0, 1))
        start = Position()
        at_once = following.advance(start, data).after
        for cut in range(1, len(data), 9):
            step = following.advance(following.advance(start, data[:cut]).after, data[cut:])
            self.assertIs(step.after, at_once)

    def test_not_mixed_up(self) -> None:
        """Subscribers at different positions get their own faults from the same bytes."""
        following = Checker(TEXTS)
        has_first = following.advance(Position(), stream((0, 0))).after
        piece = broadcast(9, 0, 1)
        self.assertEqual(following.advance(has_first, piece).after.lacks(0, 2, ()), 0)
        self.assertEqual(following.advance(Position(), piece).after.lacks(0, 2, ()), 1)

    def test_bounded(self) -> None:
        """However many different steps there were, only some are remembered."""
        following, position = Checker(TEXTS), Position()
        for number in range(STEPS_REMEMBERED * 3):
            position = following.advance(position, broadcast(number + 1, 0, number)).after
        self.assertLessEqual(len(following._steps), STEPS_REMEMBERED)
        self.assertLessEqual(len(following._positions), STEPS_REMEMBERED)
        self.assertEqual(position.lacks(0, STEPS_REMEMBERED * 3, ()), 0)

    def test_holes_are_bounded(self) -> None:
        """A server that loses every second post costs bounded memory, and every loss is still counted."""
        self.patch(checker, "HOLES_REMEMBERED", 3)
        position, faults, _ = walked(stream(*((0, 2 * number) for number in range(10))))
        self.assertEqual(len(position.missing[0]), 3)
        self.assertEqual(position.lacks(0, 19, ()) + faults["lost"], 9)

    @given(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), max_size=12),
        st.lists(st.integers(0, 2000), max_size=4),
    )
    def test_cuts_change_nothing(self, posts: list[tuple[int, int]], cuts: list[int]) -> None:
        """However the stream of a server is cut, right or wrong, the same faults and deliveries come out."""
        data = stream(*posts)
        ends = sorted({min(cut, len(data)) for cut in cuts} | {len(data)})
        pieces = [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
        whole, cut = walked(data), walked(*pieces)
        self.assertEqual(cut[1:], whole[1:])
        for poster in range(3):
            self.assertEqual(cut[0].lacks(poster, 5, ()), whole[0].lacks(poster, 5, ()))

    @given(st.permutations([(poster, number) for poster in range(2) for number in range(3)]))
    def test_against_a_model(self, posts: list[tuple[int, int]]) -> None:
        """A post is out of order exactly if a later one of its poster came before; none is lost or repeated."""
        position, faults, deliveries = walked(stream(*posts))
        late = sum(
            any(other[0] == post[0] and other[1] > post[1] for other in posts[:at]) for at, post in enumerate(posts)
        )
        self.assertEqual(faults, Counter(reordered=late) if late else Counter())
        self.assertEqual((deliveries, position.lacks(0, 3, ()) + position.lacks(1, 3, ())), (6, 0))


class ExamplesTests(SynchronousTestCase):
    """What a fault looks like in the report."""

    def test_examples(self) -> None:
        """Some faults are named with poster and number, not thousands of them."""
        step: Step = Checker(TEXTS).advance(Position(), stream((0, 0), *[(0, 0)] * 50))
        self.assertEqual(step.faults, Counter(repeated=50))
        self.assertEqual(step.examples, ("repeated: poster 0: 0 came again",) * 3)
