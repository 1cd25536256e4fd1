"""The file of the private key."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.trial.unittest import SynchronousTestCase

from superchat.client.key_file import KeyFileError, default_path, load_or_create


class KeyFileTests(SynchronousTestCase):
    """Made once, read ever after, by nobody else."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "data" / "dm.key"

    def problem(self) -> str:
        return str(self.assertRaises(KeyFileError, load_or_create, self.path))

    def write(self, content: bytes, mode: int = 0o600) -> None:
        self.path.parent.mkdir(parents=True)
        self.path.write_bytes(content)
        self.path.chmod(mode)

    def test_made_on_first_use(self) -> None:
        """The first use makes it, with its directory, and the next finds the same key."""
        made = load_or_create(self.path)
        self.assertEqual(load_or_create(self.path).public, made.public)

    def test_nobody_else_can_read_it(self) -> None:
        """Its mode is 0600 whatever the umask, that of its directory 0700, and nothing else is left there."""
        previous = os.umask(0)
        try:
            load_or_create(self.path)
        finally:
            os.umask(previous)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.path.parent.stat().st_mode & 0o777, 0o700)
        self.assertEqual(os.listdir(self.path.parent), ["dm.key"])

    def test_readable_for_others(self) -> None:
        """A key that others could have read is refused, with what to do about it."""
        load_or_create(self.path)
        self.path.chmod(0o640)
        self.assertIn("chmod 600", self.problem())

    def test_no_key(self) -> None:
        """What is no key is named, and kept."""
        self.write(b"hello")
        self.assertIn("no X25519 private key", self.problem())
        self.assertEqual(self.path.read_bytes(), b"hello")

    def test_key_of_another_kind(self) -> None:
        """So is a key for something else."""
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.write(pem)
        self.assertIn("no X25519 private key", self.problem())

    def test_unusable_place(self) -> None:
        """Where no file can be, the reason is told."""
        self.path.parent.parent.mkdir()
        self.path.parent.write_bytes(b"a file")
        self.assertIn("cannot use the key file", self.problem())

    def test_default_place(self) -> None:
        """It is in the user's data directory, which the environment can move, but not to a relative path."""
        self.assertEqual(default_path({"XDG_DATA_HOME": "/srv/data"}), Path("/srv/data/superchat-cli/dm.key"))
        home = Path("~/.local/share/superchat-cli/dm.key").expanduser()
        self.assertEqual(default_path({}), home)
        self.assertEqual(default_path({"XDG_DATA_HOME": "data"}), home)
