"""What is on stable storage, and what cannot be."""

from __future__ import annotations

import errno
from pathlib import Path
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from superchat.storage import connections
from superchat.storage.connections import sync_way_to
from superchat.storage.errors import StorageError
from superchat.storage.migrations import prepare


class WayTests(SynchronousTestCase):
    """``sync_way_to``; how a disk takes it is tried in ``tests.faults.test_power``."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute() / "data" / "superchat"
        self.folder.mkdir(parents=True)

    def synced(self, error: int = 0) -> list[Path]:
        """Which folders are synced; with a number, none of them can be."""
        asked: list[Path] = []

        def sync(path: Path) -> None:
            asked.append(path)
            if error:
                raise OSError(error, "no")

        with patch.object(connections, "sync", sync):
            sync_way_to(self.folder)
        return asked

    def test_all_above(self) -> None:
        """A folder has its name for good, and so have those above it, whoever made them."""
        self.assertEqual(self.synced(), [*self.folder.parents])

    def test_not_ours(self) -> None:
        """Folders that the server may not read, or that no sync is for, do not keep it from starting."""
        for error in (errno.EACCES, errno.EROFS, errno.EINVAL):
            self.assertEqual(self.synced(error), [*self.folder.parents])

    def test_fails(self) -> None:
        """A disk that fails is no place for a new database: the start says so, and makes none."""
        failing = OSError(errno.EIO, "Input/output error")
        with patch.object(connections, "sync", side_effect=failing):
            refusal = self.assertRaises(StorageError, prepare, self.folder / "chat.db", 0, ())
        self.assertIn("Input/output error", str(refusal))
        self.assertEqual([*self.folder.iterdir()], [])
