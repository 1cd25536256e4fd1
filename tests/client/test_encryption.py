"""Keeping direct messages from the server."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from superchat.client.encryption import (
    OVERHEAD_BYTES,
    Cipher,
    KeyPair,
    Undecryptable,
    UnsafeKey,
    conversation_key,
    fingerprint,
)

# Points of small order on Curve25519, and forms of them that are no canonical encodings.
LOW_ORDER = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
)


class KeyTests(SynchronousTestCase):
    """Agreeing on a key."""

    def test_example(self) -> None:
        """The example of wire 9 comes out: HKDF with SHA-512, the channel id as info."""
        key = conversation_key(bytes(range(32)), 1)
        self.assertEqual(key.hex(), "72767f176997ef95ac2375e107aebe141c26d48e4defad64c6ce56ff4193e3a2")

    def test_both_sides(self) -> None:
        """What one encrypts the other decrypts, and nobody else, in this conversation only."""
        alice, bob, eve = KeyPair.generate(), KeyPair.generate(), KeyPair.generate()
        sealed = alice.cipher(bob.public, 7).encrypt(b"hello")
        self.assertEqual(bob.cipher(alice.public, 7).decrypt(sealed), b"hello")
        self.assertRaises(Undecryptable, bob.cipher(alice.public, 8).decrypt, sealed)
        self.assertRaises(Undecryptable, eve.cipher(alice.public, 7).decrypt, sealed)

    def test_low_order(self) -> None:
        """Public keys that would make the secret known to all are refused (wire 9)."""
        alice = KeyPair.generate()
        for point in LOW_ORDER:
            self.assertRaises(UnsafeKey, alice.cipher, bytes.fromhex(point), 1)

    def test_private_half_is_not_shown(self) -> None:
        """A key pair does not tell its private half where it is logged."""
        self.assertEqual(repr(KeyPair.generate()), "KeyPair()")

    def test_fingerprint(self) -> None:
        """Two keys have two fingerprints, short enough to read out."""
        self.assertRegex(fingerprint(bytes(32)), r"^SHA256:[A-Za-z0-9+/]{43}$")
        self.assertNotEqual(fingerprint(bytes(32)), fingerprint(bytes(31) + b"\1"))


class CipherTests(SynchronousTestCase):
    """AES-256-GCM of contents."""

    def setUp(self) -> None:
        self.cipher = Cipher(bytes(32))

    def test_layout(self) -> None:
        """A content is nonce, ciphertext and tag, 28 bytes more than the text (wire 9)."""
        self.assertEqual(len(self.cipher.encrypt(b"x" * 4068)), 4096)
        self.assertEqual(OVERHEAD_BYTES, 28)

    def test_nonces(self) -> None:
        """The same text is never encrypted to the same bytes."""
        self.assertEqual(len({self.cipher.encrypt(b"same")[:12] for _ in range(100)}), 100)

    def test_tampering(self) -> None:
        """A content of which any byte was changed, or that was cut, is not taken for anything."""
        sealed = self.cipher.encrypt(b"hello")
        for at in range(len(sealed)):
            forged = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
            self.assertRaises(Undecryptable, self.cipher.decrypt, forged)
            self.assertRaises(Undecryptable, self.cipher.decrypt, sealed[:at])

    def test_clear_text(self) -> None:
        """A text that was never encrypted is told apart, however long."""
        for text in (b"", b"hello", b"x" * 100):
            self.assertRaises(Undecryptable, self.cipher.decrypt, text)
