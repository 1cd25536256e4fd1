"""The flame graph."""

from typing import Final
from xml.etree import ElementTree

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.profiling.flamegraph import MAX_BOXES, WIDTH_PIXELS, flame_graph
from superchat.ops.profiling.profile import Frame, Profile
from tests.ops.profiling.profiles import MAIN, READ, WRITE, profile, profiles, sample

SVG: Final = "{http://www.w3.org/2000/svg}"


class Box:
    """A box as a browser draws it."""

    def __init__(self, group: ElementTree.Element) -> None:
        rect = group.find(f"{SVG}rect")
        assert rect is not None
        self.title = group.findtext(f"{SVG}title", "")
        self.left, self.top, self.width = (float(rect.attrib[name]) for name in ("x", "y", "width"))
        self.label = group.findtext(f"{SVG}text", "")


def boxes(made: Profile) -> dict[str, Box]:
    """The boxes of a flame graph, by name; it must be well-formed XML."""
    found = map(Box, ElementTree.fromstring(flame_graph(made, "all")).iter(f"{SVG}g"))
    return {box.title.rpartition(": ")[0]: box for box in found}


class FlameGraphTests(SynchronousTestCase):
    """What is seen in the browser."""

    def test_layout(self) -> None:
        """A box is as wide as its share, and lies below its caller's."""
        found = boxes(profile(sample(10, READ, MAIN), sample(30, WRITE, MAIN)))
        everything, main, write = found["all"], found["server.main"], found["server.write"]
        self.assertEqual((everything.width, main.width), (WIDTH_PIXELS, WIDTH_PIXELS))
        self.assertEqual(write.width, WIDTH_PIXELS * 3 / 4)
        self.assertEqual((found["server.read"].left, write.left), (0, WIDTH_PIXELS / 4))
        self.assertLess(everything.top, main.top)
        self.assertLess(main.top, write.top)

    def test_tooltip(self) -> None:
        """The tooltip has the full name, the amount and the share."""
        found = boxes(profile(sample(10, READ, MAIN), sample(30, WRITE, MAIN)))
        self.assertEqual(found["server.write"].title, "server.write: 30.0 ms, 75.0 %")

    def test_labels(self) -> None:
        """A name that does not fit is shortened from the left, and left out where there is no room."""
        long, narrow = Frame("x" * 300 + "end"), Frame("narrow")
        found = boxes(profile(sample(10_000, long, MAIN), sample(20, narrow, MAIN)))
        self.assertTrue(found[long.function].label.endswith("xend"))
        self.assertLess(len(found[long.function].label), 200)
        self.assertEqual(found["narrow"].label, "")

    def test_threads(self) -> None:
        """Labels are boxes around the stacks that have them."""
        found = boxes(profile(sample(10, MAIN, labels=(("thread", "writer"),))))
        self.assertLess(found["writer"].top, found["server.main"].top)

    def test_hostile_names(self) -> None:
        """A name cannot become markup."""
        name = "<script>alert('x')</script>&\x00"
        self.assertNotIn("<script", flame_graph(profile(sample(10, Frame(name))), "all"))
        self.assertIn(name.replace("\x00", "\N{REPLACEMENT CHARACTER}"), boxes(profile(sample(10, Frame(name)))))

    def test_nothing(self) -> None:
        """Nothing measured is one empty box."""
        self.assertEqual(list(boxes(profile())), ["all"])

    def test_bounded(self) -> None:
        """Very many stacks do not make a graph that a browser cannot show."""
        deep = (sample(10, *(Frame(f"{number} {depth}") for depth in range(40))) for number in range(1000))
        self.assertLessEqual(flame_graph(profile(*deep), "all").count("<g>"), MAX_BOXES)

    @given(profiles)
    def test_any(self, made: Profile) -> None:
        """Every profile makes a well-formed document whose boxes lie inside it."""
        for box in boxes(made).values():
            self.assertGreaterEqual(box.left, 0)
            self.assertLessEqual(box.left + box.width, WIDTH_PIXELS + 0.1)
