"""The model of a disk that the verdicts of `test_power` rest on, and the library that tells it what was done."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.power_disk import Disk, Image, Variant, write
from tests.faults.power_journal import Kind, Record, records
from tests.faults.preload import build, environment

OLD, NEW = b"o" * 1536, b"n" * 1536

_CALLS = """
import os, sys
from pathlib import Path

folder = Path(sys.argv[1])
(folder / "made").mkdir()
descriptor = os.open(folder / "made/file", os.O_RDWR | os.O_CREAT)
os.write(descriptor, b"0123456789")
os.pwrite(descriptor, b"ab", 3)
os.writev(descriptor, [b"x", b"yz"])
os.ftruncate(descriptor, 12)
os.fsync(descriptor)
os.close(descriptor)
os.link(folder / "made/file", folder / "made/link")
os.replace(folder / "made/file", folder / "made/other")
os.unlink(folder / "made/link")
(folder / "made/left.log").write_text("nobody asks for it")
(folder.parent / "elsewhere").write_text("nor for this")
descriptor = os.open(folder / "made", os.O_RDONLY)
os.fsync(descriptor)
(folder / "made/other").write_bytes(b"anew")
"""


class DiskTests(SynchronousTestCase):
    """``Disk``."""

    def setUp(self) -> None:
        self.disk = Disk()
        self.end = 0

    def do(self, kind: Kind, **values: object) -> None:
        """Something is done to the disk."""
        self.end += 100
        self.disk.apply(Record(kind, end=self.end, **values))  # type: ignore[arg-type]

    def sync(self, inode: int) -> None:
        """A file is synced from now on, and that is done at once."""
        self.do(Kind.SYNC, inode=inode, offset=self.end)

    def sync_names(self, path: str = "") -> None:
        """The same of the names in a directory."""
        self.do(Kind.SYNC_DIRECTORY, path=path, offset=self.end)

    def image(self, data: Variant, names: Variant = Variant.NOTHING, seed: int = 0) -> Image:
        """What a cut leaves."""
        return self.disk.image(data, names, random.Random(seed))

    def contents(self, data: Variant) -> set[bytes]:
        """What the file "a" may hold after a cut."""
        found = {self.image(data, Variant.EVERYTHING, seed)["a"] for seed in range(60)}
        return {content for content in found if content is not None}

    def make_old(self) -> None:
        """The file "a" is old, for certain, and overwritten."""
        self.do(Kind.CREATE, inode=1, path="a")
        self.do(Kind.WRITE, inode=1, data=OLD)
        self.sync(1)
        self.sync_names()
        self.do(Kind.WRITE, inode=1, data=NEW)

    def test_unsynced_is_uncertain(self) -> None:
        """What was written since the last sync may be there or not; what was written before is."""
        self.make_old()
        self.assertEqual(self.image(Variant.NOTHING), {"a": OLD})
        self.assertEqual(self.image(Variant.EVERYTHING), {"a": NEW})
        self.assertEqual(self.contents(Variant.SOME), {OLD, NEW})

    def test_sync_covers_what_came_before_it_began(self) -> None:
        """A write during a sync is not covered by it."""
        self.do(Kind.CREATE, inode=1, path="a")
        self.do(Kind.WRITE, inode=1, data=b"before")
        began = self.end
        self.do(Kind.WRITE, inode=1, data=b"during")
        self.do(Kind.SYNC, inode=1, offset=began)
        self.sync_names()
        self.assertEqual(self.image(Variant.NOTHING), {"a": b"before"})

    def test_torn(self) -> None:
        """A write may be torn between sectors, and nowhere else."""
        self.make_old()
        torn = self.contents(Variant.TORN) - {OLD, NEW}
        self.assertTrue(torn)
        for content in torn:
            self.assertTrue({content[start : start + 512] for start in (0, 512, 1024)} <= {OLD[:512], NEW[:512]})

    def test_torn_at_sectors_of_the_disk(self) -> None:
        """Sectors are those of the disk, wherever in them a write begins."""
        self.do(Kind.CREATE, inode=1, path="a")
        self.do(Kind.WRITE, inode=1, offset=24, data=b"x" * 600)
        firsts = {content[24:512] for content in self.contents(Variant.TORN) if len(content) == 624}
        self.assertEqual(firsts, {b"x" * 488, bytes(488)})

    def test_lost_growth(self) -> None:
        """Where a write that made a file longer was lost, there may be zeros."""
        self.do(Kind.CREATE, inode=1, path="a")
        self.do(Kind.WRITE, inode=1, data=b"1" * 512)
        self.do(Kind.WRITE, inode=1, offset=512, data=b"2" * 512)
        self.assertIn(bytes(512) + b"2" * 512, self.contents(Variant.SOME))
        self.assertEqual(self.contents(Variant.FIRST) & {bytes(512) + b"2" * 512}, set())

    def test_first(self) -> None:
        """What comes first may be all there is."""
        self.do(Kind.CREATE, inode=1, path="a")
        for number in range(4):
            self.do(Kind.WRITE, inode=1, offset=number, data=b"%d" % number)
        self.do(Kind.TRUNCATE, inode=1, offset=2)
        possible = {b"0123"[:length] for length in range(5)}
        self.assertEqual({content.rstrip(b"\0") for content in self.contents(Variant.FIRST)}, possible)

    def test_names(self) -> None:
        """A new file may have no name until its directory was synced, whatever was done to the file."""
        self.do(Kind.CREATE, inode=1, path="a")
        self.sync(1)
        self.assertEqual(self.image(Variant.EVERYTHING), {})
        self.sync_names()
        self.assertEqual(self.image(Variant.NOTHING), {"a": b""})

    def test_rename_is_whole(self) -> None:
        """After a cut a file has its old name or the new one, and what it replaces is there or not."""
        for inode, path in ((1, "draft"), (2, "a")):
            self.do(Kind.CREATE, inode=inode, path=path)
            self.do(Kind.WRITE, inode=inode, data=path.encode())
            self.sync(inode)
        self.sync_names()
        self.do(Kind.RENAME, inode=1, path="draft", other="a")
        images = [self.image(Variant.NOTHING, Variant.SOME, seed) for seed in range(20)]
        self.assertIn({"draft": b"draft", "a": b"a"}, images)
        self.assertIn({"a": b"draft"}, images)
        self.assertEqual(len({tuple(image) for image in images}), 2)

    def test_folder(self) -> None:
        """Without the name of its folder a file is lost."""
        self.do(Kind.MKDIR, path="folder")
        self.do(Kind.CREATE, inode=1, path="folder/a")
        self.sync_names("folder")
        self.assertEqual(self.image(Variant.NOTHING), {})
        self.sync_names()
        self.assertEqual(self.image(Variant.NOTHING), {"folder": None, "folder/a": b""})

    def test_number_of_a_file_that_is_gone(self) -> None:
        """A file whose removal was lost keeps its bytes, also when another one has got its number."""
        self.make_old()
        self.do(Kind.UNLINK, inode=1, path="a")
        self.do(Kind.CREATE, inode=1, path="b")
        self.do(Kind.WRITE, inode=1, data=b"another")
        self.assertEqual(self.image(Variant.NOTHING), {"a": OLD})
        self.assertEqual(self.image(Variant.EVERYTHING, Variant.EVERYTHING), {"b": b"another"})


class LibraryTests(SynchronousTestCase):
    """``power.c``."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).resolve()
        self.folder = self.root / "folder"
        self.folder.mkdir(parents=True)
        self.disk = Disk()
        journal = self.root / "journal"
        more = environment(build("power", self.root), POWER_DIRECTORY=str(self.folder), POWER_JOURNAL=str(journal))
        subprocess.run([sys.executable, "-c", _CALLS, self.folder], env=os.environ | more, check=True)
        for record in records(journal):
            self.disk.apply(record)

    def test_writes_down(self) -> None:
        """All calls that change files are written down, and the disk made of them is the real one."""
        image = self.disk.image(Variant.EVERYTHING, Variant.EVERYTHING, random.Random())
        self.assertEqual(image, {"made": None, "made/other": b"anew"})
        self.assertEqual(image, Disk.of(self.folder).image(Variant.NOTHING, Variant.NOTHING, random.Random()))
        write(image, self.root / "copy")
        self.assertEqual((self.root / "copy/made/other").read_bytes(), b"anew")

    def test_synced(self) -> None:
        """What was synced is certain, but nothing is as long as its folder has no name for certain."""
        nothing = self.disk.image(Variant.NOTHING, Variant.NOTHING, random.Random())
        self.assertEqual(nothing, {})
        self.disk.apply(Record(Kind.SYNC_DIRECTORY, offset=1 << 40))
        image = self.disk.image(Variant.NOTHING, Variant.NOTHING, random.Random())
        self.assertEqual(image, {"made": None, "made/other": b"012ab56789xy"})
