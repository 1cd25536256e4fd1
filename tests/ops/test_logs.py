"""server.log, errors.log, debug.log and standard output (monitoring guide, "Log Files"; decisions 9.1)."""

import atexit
import errno
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, Logger, LogPublisher, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.test.requesthelper import DummyChannel, DummyRequest
from zope.interface.verify import verifyObject

from superchat.ops import linefile
from superchat.ops import logs as logs_module
from superchat.ops.linefile import LineFile, Stream
from superchat.ops.lines import RETRY_SECONDS, Lines
from superchat.ops.logs import LogFiles, StdoutLog, _is_journal, stdout_observer
from superchat.ops.repeats import WINDOW_SECONDS, WRITTEN


def texts(path: Path) -> list[str]:
    """The lines of a log from their level on."""
    return [line[27:] for line in path.read_text("utf-8").splitlines()]


class LogFilesTestCase(SynchronousTestCase):
    """A test with logs in a directory of its own."""

    def setUp(self) -> None:
        """A publisher, a clock and a place for the files."""
        self.clock = Clock()
        self.publisher = LogPublisher()
        self.log = Logger(namespace="test", observer=self.publisher)
        self.directory = Path(self.mktemp()) / "superchat"
        self.server = self.directory / "server.log"
        self.errors = self.directory / "errors.log"
        self.debug_log = self.directory / "debug.log"

    def started(self, debug: bool = False) -> LogFiles:
        """Running logs, stopped at the end of the test."""
        logs = LogFiles(self.directory, debug, self.clock, [self.publisher])
        logs.start()
        self.addCleanup(logs.stop)
        return logs


class FilesTests(LogFilesTestCase):
    """What goes where."""

    def everything(self) -> None:
        """One event of every level."""
        self.log.debug("d")
        self.log.info("i")
        self.log.warn("w")
        self.log.error("e")
        self.log.critical("c")

    def test_levels(self) -> None:
        """server.log holds INFO and above, errors.log errors only, and there is no debug.log without --debug."""
        self.started()
        self.everything()
        self.assertEqual(texts(self.server), ["[INFO] i", "[WARN] w", "[ERROR] e", "[ERROR] c"])
        self.assertEqual(texts(self.errors), ["[ERROR] e", "[ERROR] c"])
        self.assertFalse(self.debug_log.exists())

    def test_debug(self) -> None:
        """debug.log holds everything."""
        self.started(debug=True)
        self.everything()
        self.assertEqual(texts(self.debug_log), ["[DEBUG] d", "[INFO] i", "[WARN] w", "[ERROR] e", "[ERROR] c"])
        self.assertEqual(len(texts(self.server)), 4)

    def test_restart(self) -> None:
        """A start begins server.log anew and keeps the run before as server.log.1; the others go on."""
        for run in ("one", "two", "three"):
            logs = LogFiles(self.directory, True, self.clock, [self.publisher])
            logs.start()
            self.log.error("{run}", run=run)
            logs.stop()
        self.assertEqual(texts(self.server), ["[ERROR] three"])
        self.assertEqual(texts(self.directory / "server.log.1"), ["[ERROR] two"])
        self.assertEqual(texts(self.errors), ["[ERROR] one", "[ERROR] two", "[ERROR] three"])
        self.assertEqual(len(texts(self.debug_log)), 3)

    def test_failure(self) -> None:
        """A failure is one line in server.log, and in errors.log with its traceback, every line dated."""
        self.started()
        try:
            raise OSError("database is locked")
        except OSError:
            self.log.failure("Cannot post")
        self.assertEqual(texts(self.server), ["[ERROR] Cannot post: builtins.OSError: database is locked"])
        lines = texts(self.errors)
        self.assertEqual(lines[0], "[ERROR] Cannot post: builtins.OSError: database is locked")
        self.assertIn("Traceback", lines[1])
        self.assertFalse([line for line in lines if not line.startswith("[ERROR] ")])

    def test_unhandled_error(self) -> None:
        """An error nobody handled in a Deferred is an ERROR with its reason."""
        self.publisher = globalLogPublisher
        self.started()
        deferred: Deferred[None] = Deferred()
        deferred.errback(ValueError("forgotten"))
        del deferred
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(
            texts(self.server), ["[ERROR] Unhandled error in Deferred:", "[ERROR] builtins.ValueError: forgotten"]
        )

    def test_no_request_lines(self) -> None:
        """The HTTP server's line for every request is kept out."""
        self.publisher = globalLogPublisher
        logs = self.started(debug=True)
        site = Site(Resource())
        site.startFactory()
        self.addCleanup(site.stopFactory)
        request: Any = DummyRequest([b""])
        request.method, request.clientproto, request.code, request.sentLength = b"GET", b"HTTP/1.1", 200, 5
        request.client = DummyChannel.TCP().getPeer()
        site._logDateTime = "now"
        site.log(request)
        logs.stop()
        self.assertNotIn("GET", self.debug_log.read_text())

    def test_stopped(self) -> None:
        """After the stop nothing is written, and stopping again does no harm."""
        logs = self.started()
        logs.stop()
        self.log.error("late")
        logs.stop()
        self.assertEqual(texts(self.errors), [])

    def test_stop_before_start(self) -> None:
        """Stopping what was never started does no harm."""
        LogFiles(self.directory, True, self.clock, [self.publisher]).stop()

    def test_no_directory(self) -> None:
        """A data directory that cannot be made is an OSError at the start, not later."""
        self.directory.parent.write_text("a file")
        self.assertRaises(OSError, LogFiles(self.directory, False, self.clock, [self.publisher]).start)

    def test_reopen(self) -> None:
        """After logrotate moved the files away, lines go into new ones (decisions 9.5)."""
        logs = self.started(debug=True)
        self.log.error("one")
        for path in (self.server, self.errors, self.debug_log):
            path.rename(path.with_suffix(".log.9"))
        logs.reopen()
        self.log.error("two")
        for path in (self.server, self.errors, self.debug_log):
            self.assertEqual(texts(path), ["[ERROR] two"])
            self.assertEqual(texts(path.with_suffix(".log.9")), ["[ERROR] one"])


class BufferTests(LogFilesTestCase):
    """When lines reach the disk, and what happens when they cannot."""

    def test_one_turn_is_one_write(self) -> None:
        """All lines of one reactor turn are one write at its end."""
        self.started()
        self.log.info("one")
        self.log.info("two")
        self.assertEqual(texts(self.server), [])
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(0)
        self.assertEqual(texts(self.server), ["[INFO] one", "[INFO] two"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_errors_at_once(self) -> None:
        """An error is on disk before the call returns, with all that came before it."""
        self.started()
        self.log.info("one")
        self.log.error("two")
        self.assertEqual(texts(self.server), ["[INFO] one", "[ERROR] two"])

    def test_long_turn(self) -> None:
        """A very long turn does not collect lines without end."""
        self.started()
        for number in range(1200):
            self.log.info("{number}", number=number)
        self.assertEqual(len(texts(self.server)), 1000)

    def test_stop_writes(self) -> None:
        """The last lines are on disk after the stop, and nothing is left to do."""
        self.started().stop()
        logs = self.started()
        self.log.info("bye")
        logs.stop()
        self.assertEqual(texts(self.server), ["[INFO] bye"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_other_thread(self) -> None:
        """A line of another thread is written at once: the reactor's clock is not touched from there."""
        self.started()
        thread = threading.Thread(target=self.log.info, args=("from a thread",))
        thread.start()
        thread.join()
        self.assertEqual(texts(self.server), ["[INFO] from a thread"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_full_disk(self) -> None:
        """On a full disk nothing raises; lines wait and come when there is room, a second later at most."""
        logs = self.started()
        writes: list[bytes] = []

        def full(file: LineFile, data: bytearray) -> int:
            writes.append(bytes(data))
            raise OSError(errno.ENOSPC, "No space left on device")

        disk = self.patch(LineFile, "_write", full)
        self.log.error("kept")
        self.assertEqual(len(writes), 2)
        self.assertEqual(logs.failures, 2)
        disk.restore()
        self.clock.advance(RETRY_SECONDS)
        self.assertEqual(texts(self.server), ["[ERROR] kept"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lost_lines_are_told(self) -> None:
        """When lines were given up, the log says how many as soon as it can."""
        self.patch(linefile, "BUDGET_BYTES", 100)
        logs = self.started()
        file = logs._logs["server.log"].file
        disk = self.patch(file, "_write", self.refuse)
        for number in range(10):
            self.log.info("0123456789 {number}", number=number)
        self.clock.advance(0)
        self.assertEqual(logs.lost, 8)
        disk.restore()
        self.clock.advance(RETRY_SECONDS)
        self.clock.advance(0)
        self.assertEqual(texts(self.server)[2:], ["[WARN] 8 log lines were lost, the files could not be written"])

    def refuse(self, data: bytearray) -> int:
        """A write that fails."""
        raise OSError(errno.ENOSPC, "No space left on device")


class OptionalFilesTests(LogFilesTestCase):
    """debug.log and server.json.log, which come and go (decisions 9.5)."""

    def lines(self) -> list[str]:
        """The messages in server.json.log."""
        text = (self.directory / "server.json.log").read_text("utf-8")
        return [json.loads(line)["message"] for line in text.splitlines()]

    def test_json(self) -> None:
        """With `json` there is a log for programs with INFO and above; it goes on over restarts."""
        for run in ("one", "two"):
            logs = LogFiles(self.directory, False, self.clock, [self.publisher], json=True)
            logs.start()
            self.log.debug("frames")
            self.log.info("{run}", run=run)
            logs.stop()
        self.assertEqual(self.lines(), ["one", "two"])
        self.assertEqual(texts(self.server), ["[INFO] two"])

    def test_no_json(self) -> None:
        """Nobody who has not asked for it gets another file."""
        self.started()
        self.assertEqual(sorted(path.name for path in self.directory.iterdir()), ["errors.log", "server.log"])

    def test_choose(self) -> None:
        """Both can be begun and ended while the server runs; the other logs go on."""
        logs = self.started()
        self.log.debug("one")
        logs.choose(debug=True, json=True)
        self.log.debug("two")
        self.log.info("three")
        logs.choose(debug=False, json=False)
        self.log.debug("four")
        self.log.info("five")
        self.clock.advance(0)
        self.assertEqual(texts(self.debug_log), ["[DEBUG] two", "[INFO] three"])
        self.assertEqual(self.lines(), ["three"])
        self.assertEqual(texts(self.server), ["[INFO] three", "[INFO] five"])

    def test_choose_the_same(self) -> None:
        """Choosing what is chosen already changes nothing."""
        logs = self.started(debug=True)
        self.log.debug("one")
        logs.choose(debug=True, json=False)
        self.log.debug("two")
        self.clock.advance(0)
        self.assertEqual(texts(self.debug_log), ["[DEBUG] one", "[DEBUG] two"])

    def test_failures_are_kept(self) -> None:
        """What a log could not write counts also after it was ended."""
        logs = self.started(debug=True)
        self.patch(logs._logs["debug.log"].file, "_write", self.refuse)
        self.log.error("x")
        before = logs.failures
        logs.choose(debug=False, json=False)
        self.assertGreaterEqual(logs.failures, max(before, 1))

    def refuse(self, data: bytearray) -> int:
        """A write that fails."""
        raise OSError(errno.ENOSPC, "No space left on device")


class FoldingTests(LogFilesTestCase):
    """A flood of one line is a few lines and a count."""

    def test_folded(self) -> None:
        """The first lines are written, and the count follows after ten seconds in all logs that had the line."""
        self.started()
        for _ in range(WRITTEN + 95):
            self.log.error("database is locked")
        self.assertEqual(texts(self.errors), ["[ERROR] database is locked"] * WRITTEN)
        self.clock.advance(WINDOW_SECONDS)
        folded = "[ERROR] database is locked [and 95 more like this]"
        self.assertEqual(texts(self.errors)[WRITTEN:], [folded])
        self.assertEqual(texts(self.server)[WRITTEN:], [folded])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_later_floods(self) -> None:
        """A flood that begins while another is being counted is told as well."""
        self.started()
        for _ in range(WRITTEN + 1):
            self.log.info("a")
        self.clock.advance(WINDOW_SECONDS - 1)
        for _ in range(WRITTEN + 2):
            self.log.info("b")
        self.clock.advance(1)
        self.assertIn("[INFO] a [and 1 more like this]", texts(self.server))
        self.clock.advance(WINDOW_SECONDS)
        self.assertIn("[INFO] b [and 2 more like this]", texts(self.server))

    def test_stop(self) -> None:
        """What was counted so far is told before the files are closed."""
        logs = self.started()
        for _ in range(WRITTEN + 3):
            self.log.info("a")
        logs.stop()
        self.assertEqual(texts(self.server)[WRITTEN:], ["[INFO] a [and 3 more like this]"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_frames(self) -> None:
        """debug.log has every frame: there a repetition is what somebody is looking for."""
        self.started(debug=True)
        for _ in range(WRITTEN + 3):
            self.log.debug("RECV")
        self.clock.advance(0)
        self.assertEqual(len(texts(self.debug_log)), WRITTEN + 3)


class StdoutTests(SynchronousTestCase):
    """The same lines on standard output, for a terminal or the journal."""

    def setUp(self) -> None:
        """A pipe in place of standard output."""
        self.reader, self.writer = os.pipe()
        self.addCleanup(os.close, self.reader)
        self.addCleanup(os.close, self.writer)
        self.lines = Lines([])
        self.log = Logger(namespace="test", observer=self.lines)

    def begin(self, marks_priority: bool = False) -> None:
        """Write lines to the pipe."""
        self.lines.attach(StdoutLog(Stream(self.writer), marks_priority))

    def written(self) -> list[str]:
        """The lines that are in the pipe."""
        return os.read(self.reader, 65536).decode().splitlines()

    def say_everything(self) -> None:
        """One event of every level."""
        for emit in (self.log.debug, self.log.info, self.log.warn, self.log.error, self.log.critical):
            emit("x\ny")

    def test_lines(self) -> None:
        """INFO and above are written in the files' format, each event one line; DEBUG never is."""
        self.begin()
        self.lines.shows_debug = True
        self.say_everything()
        self.assertEqual(
            [line[27:] for line in self.written()],
            [r"[INFO] x\ny", r"[WARN] x\ny", r"[ERROR] x\ny", r"[ERROR] x\ny"],
        )

    def test_journal(self) -> None:
        """Under systemd lines carry their priority, so that `journalctl -p err` finds the errors."""
        self.begin(marks_priority=True)
        self.say_everything()
        self.assertEqual([line[:5] for line in self.written()], ["<6>20", "<4>20", "<3>20", "<3>20"])

    def test_folded(self) -> None:
        """A flood of one line is a few lines and their count, with the priority of the flood."""
        clock = Clock()
        self.begin(marks_priority=True)
        self.lines.run(clock)
        for _ in range(WRITTEN + 2):
            self.log.warn("a")
        clock.advance(WINDOW_SECONDS)
        self.assertEqual(
            [(line[:3], line[30:]) for line in self.written()],
            [("<4>", "[WARN] a")] * WRITTEN + [("<4>", "[WARN] a [and 2 more like this]")],
        )

    def test_stopped_reader(self) -> None:
        """A reader that has stopped reading delays the lines of nobody else, and gets its own in order."""
        clock, publisher = Clock(), LogPublisher()
        directory = Path(self.mktemp())
        files = LogFiles(directory, False, clock, [publisher])
        files.start()
        self.addCleanup(files.stop)
        self.lines = files._lines
        self.log = Logger(observer=publisher)
        self.begin()
        texts_said = [f"[INFO] {number} {'x' * 1000}" for number in range(100)]
        for text in texts_said:
            self.log.info("{text}", text=text.removeprefix("[INFO] "))
            clock.advance(0)
        self.assertEqual(texts(directory / "server.log"), texts_said)
        self.log.error("last")
        received = self.written_later(clock)
        self.assertEqual([line[27:] for line in received], [*texts_said, "[ERROR] last"])
        self.assertEqual(clock.getDelayedCalls(), [])

    def written_later(self, clock: Clock) -> list[str]:
        """The lines that come within some seconds."""
        received = b""
        while not received.endswith(b"last\n"):
            received += os.read(self.reader, 65536)
            clock.advance(RETRY_SECONDS)
        return received.decode().splitlines()

    def test_is_journal(self) -> None:
        """Only the descriptor systemd names is the journal's."""
        status = os.fstat(self.writer)
        named = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        self.assertTrue(_is_journal(self.writer, named))
        self.assertFalse(_is_journal(self.writer, {}))
        self.assertFalse(_is_journal(sys.maxsize % 2**31, named))

    def test_factory(self) -> None:
        """`twistd --logger` gets an observer, which what clients do goes to as well; at the exit nothing is lost."""
        self.patch(logs_module, "lines", self.lines)
        observer = stdout_observer()
        self.addCleanup(atexit.unregister, observer.rest)
        verifyObject(ILogObserver, observer)
        self.assertIs(observer, self.lines)

    def test_one_way(self) -> None:
        """What clients do and what the server says go the same way, so that their order is kept."""
        self.assertIs(logs_module.activity.observer, logs_module.lines)
