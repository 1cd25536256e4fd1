"""The parameters of a request."""

from http import HTTPStatus

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.profiling.query import Format, Query
from superchat.ops.profiling.refusal import OneAtATime, Refusal

ALL = (b"seconds", b"frames", b"format", b"debug")


class QueryTests(SynchronousTestCase):
    """Good parameters are understood, and others are told what is wrong with them."""

    def sentence(self, **arguments: list[bytes]) -> str:
        """Why this is refused."""
        with self.assertRaises(Refusal) as caught:
            Query.parse({name.encode(): values for name, values in arguments.items()}, ALL)
        self.assertEqual(caught.exception.code, HTTPStatus.BAD_REQUEST)
        return str(caught.exception)

    def test_nothing(self) -> None:
        """Without parameters everything is as usual."""
        self.assertEqual(Query.parse({}, ALL), Query(None, None, Format.PPROF))

    def test_all(self) -> None:
        """Seconds, frames and format."""
        found = Query.parse({b"seconds": [b"300"], b"frames": [b"16"], b"format": [b"svg"]}, ALL)
        self.assertEqual(found, Query(300, 16, Format.SVG))

    def test_debug(self) -> None:
        """debug=1 is text, as in Go, debug=0 is not, and format decides."""
        self.assertEqual(Query.parse({b"debug": [b"1"]}, ALL).format, Format.TEXT)
        self.assertEqual(Query.parse({b"debug": [b"0"]}, ALL).format, Format.PPROF)
        self.assertEqual(Query.parse({b"debug": [b"2"], b"format": [b"svg"]}, ALL).format, Format.SVG)

    def test_numbers(self) -> None:
        """A number that is none, or out of range, is refused with the range."""
        for text in (b"0", b"301", b"-1", b"+5", b"1.5", b"1_0", b"", b" 5", b"x", b"9" * 5000, "\u0663".encode()):
            self.assertIn("seconds must be a whole number from 1 to 300, not", self.sentence(seconds=[text]))
        self.assertEqual(self.sentence(frames=[b"17"]), "frames must be a whole number from 1 to 16, not '17'.")

    def test_repeated(self) -> None:
        """A parameter has one value."""
        self.assertEqual(self.sentence(seconds=[b"1", b"2"]), "seconds can be given once only.")

    def test_unknown(self) -> None:
        """A typing error is told, with what there is."""
        sentence = "There is no parameter 'second' here; there is debug, format, frames, seconds."
        self.assertEqual(self.sentence(second=[b"1"]), sentence)

    def test_format(self) -> None:
        """An unknown format is told, with those there are."""
        sentence = "format must be one of pprof, text, folded, svg, not 'SVG'."
        self.assertEqual(self.sentence(format=[b"SVG"]), sentence)

    @given(st.dictionaries(st.sampled_from(ALL) | st.binary(), st.lists(st.binary(max_size=60), min_size=1)))
    def test_anything(self, arguments: dict[bytes, list[bytes]]) -> None:
        """Anything else is a printable sentence of bounded length."""
        try:
            Query.parse(arguments, ALL)
        except Refusal as refusal:
            self.assertTrue(refusal.sentence.isascii() and refusal.sentence.isprintable())
            self.assertLess(len(refusal.sentence), 300)


class OneAtATimeTests(SynchronousTestCase):
    """Some things are done once at a time."""

    def test_refused(self) -> None:
        """The second is refused until the first is over, however that ended."""
        alone = OneAtATime("Busy.")

        def fail() -> None:
            with alone:
                second = self.assertRaises(Refusal, alone.__enter__)
                self.assertEqual((second.code, second.sentence), (HTTPStatus.CONFLICT, "Busy."))
                raise ZeroDivisionError

        self.assertRaises(ZeroDivisionError, fail)
        with alone:
            pass
