"""The pprof format, read back by the schema and by Go's own tool."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from hypothesis import given
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from superchat.ops.profiling.pprof import encode
from superchat.ops.profiling.profile import Frame, Profile
from tests.ops.profiling.pprof_reader import read
from tests.ops.profiling.profiles import MAIN, READ, WRITE, profile, profiles, sample


class SchemaTests(SynchronousTestCase):
    """What a viewer finds."""

    def test_stacks(self) -> None:
        """Every sample has its functions with file and line, the innermost first, its values and its labels."""
        (found,) = read(encode(profile(sample(30, READ, MAIN, labels=(("thread", "reactor"),))))).samples
        self.assertEqual(found.functions, ["server.read", "server.main"])
        self.assertEqual([(place.file, place.line) for place in found.stack], [("server.py", 25), ("server.py", 10)])
        self.assertEqual(found.stack[0].start_line, 20)
        self.assertEqual(found.values, {"samples": 3, "cpu": 30_000_000})
        self.assertEqual(found.labels, {"thread": "reactor"})

    def test_head(self) -> None:
        """A viewer knows the units, what to show first, when and how long was measured, and the comments."""
        found = read(encode(profile(taken_at=12.5, comments=("traced",))))
        self.assertEqual(found.measures, {"samples": "count", "cpu": "nanoseconds"})
        self.assertEqual((found.default, found.period), ("cpu", ("cpu", 10_000_000)))
        self.assertEqual((found.time_nanos, found.duration_nanos), (12_500_000_000, 2_000_000_000))
        self.assertEqual(found.comments, ("traced",))

    def test_negative(self) -> None:
        """What became less is negative."""
        (found,) = read(encode(profile(sample(-50, MAIN)))).samples
        self.assertEqual(found.values["cpu"], -50_000_000)

    def test_small(self) -> None:
        """Places are written once, however many samples have them."""
        many = [sample(10, READ, MAIN, labels=(("n", str(number)),)) for number in range(1000)]
        self.assertLess(len(encode(profile(*many))), 15_000)

    @given(profiles)
    def test_everything(self, made: Profile) -> None:
        """Whatever is measured is read back the same."""
        found = read(encode(made))
        self.assertEqual(
            [(tuple(map(_frame, each.stack)), tuple(each.values.values()), each.labels) for each in found.samples],
            [(each.stack, each.values, dict(each.labels)) for each in made.samples],
        )
        self.assertEqual(found.comments, made.comments)
        self.assertEqual(found.period, ("cpu", made.period))

    def test_unpaired_surrogate(self) -> None:
        """A name that is no Unicode text is written escaped."""
        (found,) = read(encode(profile(sample(10, Frame("caf\udce9"))))).samples
        self.assertEqual(found.functions, ["caf\\udce9"])

    def test_equal(self) -> None:
        """The same profile is the same bytes."""
        self.assertEqual(encode(profile(sample(10, MAIN))), encode(profile(sample(10, MAIN))))


def _frame(place: object) -> Frame:
    return Frame(*(getattr(place, name) for name in ("function", "file", "line", "start_line")))


class GoTests(SynchronousTestCase):
    """`go tool pprof` is what the monitoring guide uses. The first call may take a minute: Go compiles it then."""

    def pprof(self, *arguments: str) -> str:
        """What it prints."""
        go = shutil.which("go")
        if go is None:
            raise SkipTest("Go is not installed")
        environment = {**os.environ, "PPROF_TMPDIR": self.folder}
        command = [go, "tool", "pprof", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def written(self, name: str, made: Profile) -> str:
        """A file with a profile."""
        path = Path(self.folder, name)
        path.write_bytes(encode(made))
        return str(path)

    def test_top_and_base(self) -> None:
        """It lists functions by their share, and subtracts one profile from another."""
        first = self.written("first", profile(sample(10, READ, MAIN), sample(40, WRITE, MAIN)))
        second = self.written("second", profile(sample(510, READ, MAIN), sample(40, WRITE, MAIN)))
        self.assertRegex(self.pprof("-top", first), r"40ms 80.00% 80.00% +40ms 80.00% +server\.write")
        self.assertRegex(self.pprof("-top", "-base", first, second), r"500ms +100% +100% +500ms +100% +server\.read")
