"""One process at a time uses a database."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

import superchat
from superchat.storage.errors import StorageError
from superchat.storage.lock import DatabaseInUse, DatabaseLock, note_of_holder

_HOLDER = """
import sys
from pathlib import Path
from superchat.storage.lock import DatabaseLock

lock = DatabaseLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


class LockTests(SynchronousTestCase):
    """``DatabaseLock``, between processes and within one."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.database = self.folder / "superchat.db"
        self.lock = DatabaseLock(self.database)
        self.addCleanup(self.lock.release)

    def holder(self) -> subprocess.Popen[str]:
        """Another process that holds the lock."""
        environment = os.environ | {"PYTHONPATH": str(Path(superchat.__file__).parent.parent)}
        process = subprocess.Popen(
            [sys.executable, "-c", _HOLDER, str(self.database)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        self.assertEqual(process.stdout.readline(), "held\n")
        return process

    def test_one_at_a_time(self) -> None:
        """A second one is refused in one line that names the database, until the first lets go."""
        second = DatabaseLock(self.database)
        self.lock.acquire()
        refused = self.assertRaises(DatabaseInUse, second.acquire)
        self.assertEqual(str(refused), f"the database {self.database} is in use by another process")
        self.lock.release()
        second.acquire()
        second.release()

    def test_ends_with_the_process(self) -> None:
        """A lock that was held by a process that was killed is free."""
        process = self.holder()
        self.assertRaises(DatabaseInUse, self.lock.acquire)
        process.kill()
        process.wait()
        self.lock.acquire()

    def test_same_file_by_another_name(self) -> None:
        """A database that is reached through a symbolic link is the same database."""
        alias = self.folder / "alias.db"
        alias.symlink_to(self.database)
        self.lock.acquire()
        self.assertRaises(DatabaseInUse, DatabaseLock(alias).acquire)

    def test_note(self) -> None:
        """Who finds the database in use reads the holder's note, and none when nobody holds it."""
        self.assertEqual(note_of_holder(self.database), "")
        self.lock.acquire()
        self.lock.write_note("a long note")
        self.lock.write_note("short")
        self.assertEqual(note_of_holder(self.database), "short")
        self.lock.release()
        self.assertEqual(note_of_holder(self.database), "")

    def test_private(self) -> None:
        """No other user of the machine can hold the lock, and so keep the server from starting."""
        self.lock.acquire()
        self.assertEqual([stat.S_IMODE(path.stat().st_mode) for path in self.folder.iterdir()], [0o600])

    def test_superuser(self) -> None:
        """A lock file that the superuser makes belongs to whom the folder belongs, so that the server can open it."""
        if os.geteuid():
            raise SkipTest("needs root")
        os.chown(self.folder, 12345, 54321)
        self.lock.acquire()
        made = [(path.stat().st_uid, path.stat().st_gid) for path in self.folder.iterdir()]
        self.assertEqual(made, [(12345, 54321)])

    def test_no_folder(self) -> None:
        """Without its folder the error names the file."""
        lock = DatabaseLock(self.folder / "missing" / "superchat.db")
        self.assertIn("superchat.db.lock: No such file", str(self.assertRaises(StorageError, lock.acquire)))
