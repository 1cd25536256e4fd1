"""Every call to the file system may fail: posts are refused then, reads go on, and nothing is half written.

`tests.faults.syscalls` is the long form.
"""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.syscalls_calls import FOR_EVER
from tests.faults.syscalls_server import (
    FailingServer,
    fail_each,
    fail_starts,
    fill_disk,
    lose_lines,
    refuse_and_kill,
)

SEED: Final = random.SystemRandom().randrange(1, 1 << 32)
CASES: Final = 84


class StorageTests(SynchronousTestCase):
    """The storage alone, in processes of its own."""

    def test_calls_fail(self) -> None:
        """Whatever call fails, once or from then on, while a database is made, migrated, written, copied, restored or
        cleared: what was acknowledged is there, what was refused is not, and the storage goes on by itself, or the next
        start does (decisions 4.6)."""
        command = [sys.executable, "-m", "tests.faults.syscalls", "--only", "storage", "--quiet"]
        command += ["--cases", str(CASES), "--seed", str(SEED)]
        roots = [str(Path(__file__).parents[2]), *sys.path]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, roots))}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)


class ServerTests(SynchronousTestCase):
    """A whole server with people on it."""

    def setUp(self) -> None:
        self.rng = random.Random(SEED)

    def test_calls_fail(self) -> None:
        """Whatever call of a server fails while people talk: each request is done or refused with ERROR 9001, nobody is
        told of what was refused, the connection and the server go on, and after a kill the database has what was
        acknowledged and nothing else (decisions 4.6)."""
        server = FailingServer(self)
        try:
            for _ in fail_each(server, self.rng, 25):
                pass
            fill_disk(server)
            server.check_listener()
            refuse_and_kill(server, errno.EIO, FOR_EVER)
            refuse_and_kill(server, errno.ENOSPC, 1)
        except AssertionError as failure:
            raise self.failureException(f"seed {SEED}: {failure}") from failure
        server.check_no_mistakes()
        server.running.kill()
        server.check_stored()

    def test_logs_fail(self) -> None:
        """Logs that cannot be written stop nobody; when they can be again, they go on with whole lines, and say how
        many were lost (monitoring guide, "Log Files")."""
        server = FailingServer(self, "[logging]\ndebug = true\n")
        lose_lines(server, 1 << 24)
        server.check_all_well()
        server.check_no_mistakes()

    def test_starts_fail(self) -> None:
        """A server whose files fail while it starts says so in one line and ends with 1, or serves; the next start
        works (decisions 9.3)."""
        server = FailingServer(self)
        try:
            for _ in fail_starts(server, self.rng, 2):
                pass
        except AssertionError as failure:
            raise self.failureException(f"seed {SEED}: {failure}") from failure
        server.check_stored()
