"""What a client sends instead of a password (wire 9)."""

from __future__ import annotations

import base64
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from superchat.client import argon2, gcrypt

PASSES: Final = 3
MEMORY_KIB: Final = 65536
LANES: Final = 4
HASH_BYTES: Final = 32

SHORTEST_SALT_BYTES: Final = 8
"""What OpenSSL and libargon2 insist on; nicknames may have 3 bytes."""

SHORTEST_PASSWORD: Final = 8
LONGEST_PASSWORD: Final = 128
"""In characters. The clients demand it of new passwords; servers see only hashes (reference 5)."""


def password_hash(nickname: str, password: str) -> str:
    """Return the 43 characters that stand for a password in AUTH_REQUEST, REGISTER_USER and CHANGE_PASSWORD.

    They depend on the nickname too, letter case included. It takes 64 MiB and some tenths of a second; if
    ``takes_long``, up to a minute: call it in a thread.
    """
    salt = nickname.encode("utf-8", "surrogateescape")
    derived = derive(password.encode("utf-8", "surrogateescape"), salt)
    return base64.urlsafe_b64encode(derived).rstrip(b"=").decode("ascii")


def takes_long(nickname: str) -> bool:
    """Whether this machine has no fast library for a name that short."""
    return len(nickname.encode("utf-8", "surrogateescape")) < SHORTEST_SALT_BYTES and gcrypt.library() is None


def derive(password: bytes, salt: bytes, *, memory_kib: int = MEMORY_KIB) -> bytes:
    """Return Argon2id of a password with the protocol's parameters, from the first library that takes the salt."""
    if len(salt) >= SHORTEST_SALT_BYTES:
        try:
            openssl = Argon2id(
                salt=salt, length=HASH_BYTES, iterations=PASSES, lanes=LANES, memory_cost=memory_kib
            )
            return openssl.derive(password)
        except UnsupportedAlgorithm:
            pass  # an OpenSSL before 3.2
    implementation = argon2.argon2id if gcrypt.library() is None else gcrypt.argon2id
    return implementation(
        password, salt, passes=PASSES, memory_kib=memory_kib, lanes=LANES, length=HASH_BYTES
    )
