"""Writing lines never raises, never blocks on a reader, and never grows without bound."""

import errno
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.linefile import BUDGET_BYTES, FILE_MODE, LineFile, LogFile, Stream


class FullDisk(LineFile):
    """A file on a disk with `room` bytes left."""

    room = 0

    def _write(self, data: bytearray) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = super()._write(data[: self.room])
        self.room -= written
        return written


class FullDiskTests(SynchronousTestCase):
    """A disk that is full for a while."""

    def setUp(self) -> None:
        """A file that cannot be written for now."""
        self.path = Path(self.mktemp())
        self.file = FullDisk(os.open(self.path, os.O_WRONLY | os.O_CREAT))
        self.addCleanup(self.file.close)

    def test_waits(self) -> None:
        """Lines that cannot be written wait and come in order when there is room again."""
        self.file.add("one\n")
        self.assertFalse(self.file.flush())
        self.file.add("two\n")
        self.file.room = 100
        self.assertTrue(self.file.flush())
        self.assertEqual((self.path.read_text(), self.file.failures, self.file.lost), ("one\ntwo\n", 1, 0))

    def test_half_a_line(self) -> None:
        """A line that was written in part is finished, not repeated."""
        self.file.room = 2
        self.file.add("one\n")
        self.assertFalse(self.file.flush())
        self.file.room = 100
        self.file.flush()
        self.assertEqual(self.path.read_text(), "one\n")

    def test_budget(self) -> None:
        """What waits is bounded; the newest lines are lost, whole, and counted."""
        line = "x" * 99 + "\n"
        kept = BUDGET_BYTES // len(line)
        for _ in range(kept + 5):
            self.file.add(line)
        self.file.flush()
        self.assertEqual(self.file.lost, 5)
        self.file.room = 2 * BUDGET_BYTES
        self.assertTrue(self.file.flush())
        self.assertEqual(self.path.read_text(), line * kept)

    def test_stays_within_budget(self) -> None:
        """A disk that stays full costs no more, and the whole lines that were kept first are still there."""
        for number in range(3):
            self.file.add(f"{number}" * BUDGET_BYTES + "\n" if number == 1 else f"{number}\n")
            self.file.flush()
        self.assertEqual(self.file.lost, 1)
        self.file.room = BUDGET_BYTES
        self.file.flush()
        self.assertEqual(self.path.read_text(), "0\n2\n")

    def test_lone_surrogate(self) -> None:
        """Text that is no Unicode is written escaped."""
        self.file.room = 100
        self.file.add("\udcff\n")
        self.file.flush()
        self.assertEqual(self.path.read_bytes(), b"\\udcff\n")


class LogFileTests(SynchronousTestCase):
    """A file at a path."""

    def setUp(self) -> None:
        """An open log file."""
        self.path = Path(self.mktemp())
        self.file = LogFile(self.path)
        self.addCleanup(self.file.close)

    def log(self, line: str) -> None:
        """Write one line at once."""
        self.file.add(line)
        self.file.flush()

    def test_mode(self) -> None:
        """Others cannot read the logs."""
        self.assertEqual(self.path.stat().st_mode & 0o777 & ~FILE_MODE, 0)

    def test_reopen(self) -> None:
        """After logrotate moved the file, lines go into a new one, and none is lost (decisions 9.5)."""
        self.file.add("before\n")
        moved = self.path.rename(self.path.with_suffix(".1"))
        self.file.reopen()
        self.log("after\n")
        self.assertEqual((moved.read_text(), self.path.read_text()), ("before\n", "after\n"))

    def test_reopen_fails(self) -> None:
        """When no new file can be opened, the old one goes on."""
        moved = self.path.rename(self.path.with_suffix(".1"))
        self.path.mkdir()
        self.file.reopen()
        self.file.add("still here\n")
        self.assertFalse(self.file.flush())
        self.assertEqual((moved.read_text(), self.file.failures), ("still here\n", 1))

    def test_reopen_is_tried_again(self) -> None:
        """A new file that could not be had for a while is used as soon as it can: nothing stays in the old one."""
        self.path.rename(self.path.with_suffix(".1"))
        self.path.mkdir()
        self.file.reopen()
        self.path.rmdir()
        self.file.add("new\n")
        self.assertTrue(self.file.flush())
        self.assertEqual((self.path.read_text(), self.file.failures), ("new\n", 1))

    def test_truncated_by_others(self) -> None:
        """copytruncate works: the next line stands at the beginning."""
        self.log("before\n")
        os.truncate(self.path, 0)
        self.log("after\n")
        self.assertEqual(self.path.read_bytes(), b"after\n")

    def test_closed_by_others(self) -> None:
        """A descriptor that somebody closed is replaced, and the line is not lost."""
        os.close(self.file._descriptor)
        self.file.add("one\n")
        self.assertFalse(self.file.flush())
        self.assertTrue(self.file.flush())
        self.assertEqual(self.path.read_text(), "one\n")


class StreamTests(SynchronousTestCase):
    """Standard output as a pipe."""

    def setUp(self) -> None:
        """A pipe and the stream that writes into it."""
        self.reader, self.writer = os.pipe()
        self.stream = Stream(self.writer)
        self.addCleanup(self.close, self.writer)

    def close(self, descriptor: int) -> None:
        """Close a descriptor that may be closed already."""
        try:
            os.close(descriptor)
        except OSError as error:
            self.assertEqual(error.errno, errno.EBADF)

    def test_reader_stops(self) -> None:
        """A reader that stops reading never blocks the server; it gets the lines, in order, when it goes on."""
        self.addCleanup(self.close, self.reader)
        lines = [f"{number:08}\n" for number in range(20_000)]
        for line in lines:
            self.stream.add(line)
        self.assertFalse(self.stream.flush())
        received = b""
        while not self.stream.flush():
            received += os.read(self.reader, 65536)
        received += os.read(self.reader, 65536)
        self.assertEqual(received.decode(), "".join(lines))

    def test_reader_is_gone(self) -> None:
        """When the reader is gone the stream falls silent for good, and keeps nothing."""
        os.close(self.reader)
        for _ in range(3):
            self.stream.add("x\n")
            self.assertTrue(self.stream.flush())
        self.assertEqual((self.stream.failures, self.stream.lost, self.stream._lines), (1, 0, []))

    def test_closed(self) -> None:
        """A closed standard output is silent, too."""
        self.addCleanup(self.close, self.reader)
        os.close(self.writer)
        self.stream.add("x\n")
        self.assertTrue(self.stream.flush())
