"""What a client sends instead of a password."""

from __future__ import annotations

import base64
from unittest import SkipTest

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from twisted.trial.unittest import SynchronousTestCase

from superchat.client import argon2, gcrypt, passwords

# RFC 9106, section 5.3.
RFC_TAG = "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"

SMALL_KIB = 64


def openssl(password: bytes, salt: bytes, memory_kib: int, passes: int = 3, lanes: int = 4, length: int = 32) -> bytes:
    """Argon2id as OpenSSL computes it."""
    algorithm = Argon2id(salt=salt, length=length, iterations=passes, lanes=lanes, memory_cost=memory_kib)
    return algorithm.derive(password)


class Argon2Tests(SynchronousTestCase):
    """The implementation in Python."""

    def test_rfc(self) -> None:
        """It gives what RFC 9106 gives as an example."""
        tag = argon2.argon2id(
            b"\1" * 32,
            b"\2" * 16,
            passes=3,
            memory_kib=32,
            lanes=4,
            length=32,
            secret=b"\3" * 8,
            associated=b"\4" * 12,
        )
        self.assertEqual(tag.hex(), RFC_TAG)

    def test_as_openssl(self) -> None:
        """It gives what OpenSSL gives, whatever the parameters: passes, lanes, memory that is no multiple, lengths."""
        for passes, lanes, memory_kib, length in (
            (1, 1, 8, 4),
            (1, 4, 41, 64),
            (2, 2, 50, 65),
            (3, 4, SMALL_KIB, 32),
            (3, 3, 75, 200),
        ):
            made = argon2.argon2id(
                b"correct horse", b"saltsalt", passes=passes, memory_kib=memory_kib, lanes=lanes, length=length
            )
            self.assertEqual(made, openssl(b"correct horse", b"saltsalt", memory_kib, passes, lanes, length))

    def test_more_addresses_than_one_block(self) -> None:
        """A slice longer than the 128 addresses of one block is computed right."""
        made = argon2.argon2id(b"p", b"saltsalt", passes=1, memory_kib=600, lanes=1, length=32)
        self.assertEqual(made, openssl(b"p", b"saltsalt", 600, passes=1, lanes=1))


class GcryptTests(SynchronousTestCase):
    """libgcrypt through ctypes."""

    def setUp(self) -> None:
        if gcrypt.library() is None:
            raise SkipTest("needs libgcrypt 1.10")

    def test_rfc(self) -> None:
        """It gives what RFC 9106 gives as an example."""
        tag = gcrypt.argon2id(
            b"\1" * 32,
            b"\2" * 16,
            passes=3,
            memory_kib=32,
            lanes=4,
            length=32,
            secret=b"\3" * 8,
            associated=b"\4" * 12,
        )
        self.assertEqual(tag.hex(), RFC_TAG)

    def test_short_salts(self) -> None:
        """For every length that is too short for other libraries it gives what the one in Python gives (wire 9)."""
        for size in range(3, 8):
            salt = b"nicknam"[:size]
            made = gcrypt.argon2id(b"secret", salt, passes=3, memory_kib=SMALL_KIB, lanes=4, length=32)
            expected = argon2.argon2id(b"secret", salt, passes=3, memory_kib=SMALL_KIB, lanes=4, length=32)
            self.assertEqual(made, expected)

    def test_refusal(self) -> None:
        """What the library refuses is an error, not a hash."""
        self.assertRaises(
            gcrypt.GcryptError, gcrypt.argon2id, b"p", b"salt", passes=1, memory_kib=8, lanes=0, length=32
        )


class HashTests(SynchronousTestCase):
    """The hash of a nickname and a password."""

    def test_form(self) -> None:
        """It is 43 characters of URL-safe base64: Argon2id with the nickname as salt, t=3, m=64 MiB, p=4 (wire 9)."""
        made = passwords.password_hash("alice-the-first", "Grüße, 世界")
        expected = openssl("Grüße, 世界".encode(), b"alice-the-first", 65536)
        self.assertEqual(made, base64.urlsafe_b64encode(expected).decode().rstrip("="))
        self.assertEqual(len(made), 43)

    def test_every_library(self) -> None:
        """The result does not depend on which of the three computes it."""
        expected = passwords.derive(b"secret", b"long-enough", memory_kib=SMALL_KIB)

        def unsupported(**parameters: object) -> None:
            raise UnsupportedAlgorithm("OpenSSL before 3.2")

        self.patch(passwords, "Argon2id", unsupported)
        self.assertEqual(passwords.derive(b"secret", b"long-enough", memory_kib=SMALL_KIB), expected)
        self.patch(gcrypt, "library", lambda: None)
        self.assertEqual(passwords.derive(b"secret", b"long-enough", memory_kib=SMALL_KIB), expected)

    def test_short_nicknames(self) -> None:
        """Names of 3 letters have hashes, each its own, with and without libgcrypt."""
        bob = passwords.derive(b"secret", b"bob", memory_kib=SMALL_KIB)
        self.assertNotEqual(bob, passwords.derive(b"secret", b"Bob", memory_kib=SMALL_KIB))
        self.patch(gcrypt, "library", lambda: None)
        self.assertEqual(passwords.derive(b"secret", b"bob", memory_kib=SMALL_KIB), bob)

    def test_takes_long(self) -> None:
        """Only short names, and only without libgcrypt, are worth a warning."""
        self.patch(gcrypt, "library", lambda: object())
        self.assertFalse(passwords.takes_long("bob"))
        self.patch(gcrypt, "library", lambda: None)
        self.assertTrue(passwords.takes_long("seven77"))
        self.assertFalse(passwords.takes_long("eight888"))
