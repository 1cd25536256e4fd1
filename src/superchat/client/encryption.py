"""Encrypts direct messages: X25519, HKDF-SHA512 and AES-256-GCM, as all clients do (wire 9).

Servers see neither keys nor texts, but they hand out the others' public keys: ``fingerprint`` is what two people
compare to know that nobody stands between them.
"""

from __future__ import annotations

import base64
import os
from hashlib import sha256
from typing import Final

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SALT: Final = b"superchat-dm-v1"
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
OVERHEAD_BYTES: Final = NONCE_BYTES + TAG_BYTES
"""By how much the content of a message grows when it is encrypted."""

GENERATED: Final = 1
EPHEMERAL: Final = 2
"""Values of key_type (wire 5): accounts keep a key, anonymous sessions have one until they end."""


class UnsafeKey(Exception):
    """The other's public key is of low order: the shared secret would be known to everybody."""


class Undecryptable(Exception):
    """A content is no ciphertext under this key: it was written in the clear, for another key, or tampered with."""


@attrs.frozen
class KeyPair:
    """One's own key. The private half never leaves this process but for the key file."""

    private: X25519PrivateKey = attrs.field(repr=False)

    @classmethod
    def generate(cls) -> KeyPair:
        """Make a new one."""
        return cls(X25519PrivateKey.generate())

    @property
    def public(self) -> bytes:
        """The 32 bytes that others need."""
        return self.private.public_key().public_bytes_raw()

    def cipher(self, other_public_key: bytes, channel_id: int) -> Cipher:
        """Agree on the key of a conversation; ``channel_id`` is that of DM_READY. Raises UnsafeKey."""
        try:
            shared = self.private.exchange(X25519PublicKey.from_public_bytes(other_public_key))
        except ValueError as error:
            raise UnsafeKey(str(error)) from None
        return Cipher(conversation_key(shared, channel_id))


class Cipher:
    """Encrypts and decrypts the contents of one conversation."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def encrypt(self, plaintext: bytes) -> bytes:
        """Return nonce, ciphertext and tag: ``OVERHEAD_BYTES`` more than the plaintext."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plaintext, None)

    def decrypt(self, content: bytes) -> bytes:
        """Return the plaintext. Raises Undecryptable."""
        if len(content) < OVERHEAD_BYTES:
            raise Undecryptable
        try:
            return self._cipher.decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], None)
        except InvalidTag:
            raise Undecryptable from None


def conversation_key(shared_secret: bytes, channel_id: int) -> bytes:
    """Derive the AES key of a conversation: HKDF with SHA-512, the channel id as info (wire 9)."""
    info = channel_id.to_bytes(8, "big")
    return HKDF(algorithm=hashes.SHA512(), length=KEY_BYTES, salt=SALT, info=info).derive(shared_secret)


def fingerprint(public_key: bytes) -> str:
    """Return a public key in short, in the form that SSH has made familiar: ``SHA256:`` and 43 characters."""
    return "SHA256:" + base64.b64encode(sha256(public_key).digest()).rstrip(b"=").decode("ascii")
