"""SSH public keys, as people paste them."""

from __future__ import annotations

import base64
import binascii
import re
from hashlib import sha256
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from superchat.model import NewSSHKey

LONGEST_KEY_BYTES: Final = 8192
"""Enough for RSA with 16384 bits and a comment."""
SHORTEST_RSA_BITS: Final = 1024
"""As OpenSSH has it."""

KEY_TYPES: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)

_PRIVATE: Final = re.compile(r"PRIVATE KEY|PuTTY-User-Key-File")
_NO_LINE: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class BadKey(ValueError):
    """The text is no public key to log in with; why is said without quoting any of it."""


def parse(text: str, label: str = "") -> NewSSHKey:
    """Read a line of ``authorized_keys`` without options, such as a ``.pub`` file has. Raises `BadKey`."""
    line = text.strip()
    if _PRIVATE.search(line):
        raise BadKey("this is a private key, which nobody else must ever see; give the .pub file")
    if _NO_LINE.search(line) or len(line.encode()) > LONGEST_KEY_BYTES:
        raise BadKey("it must be a single line of text, such as a .pub file has")
    key_type, encoded, *_ = [*line.split(maxsplit=2), "", ""]
    if key_type not in KEY_TYPES:
        raise BadKey(f"it must begin with one of {', '.join(KEY_TYPES)}")
    blob = _blob(encoded)
    _check(key_type, blob)
    return NewSSHKey(fingerprint(blob), line, key_type, label)


def fingerprint(blob: bytes) -> str:
    """The name of a key that OpenSSH prints for its wire format: ``SHA256:…``."""
    return f"SHA256:{base64.b64encode(sha256(blob).digest()).decode().rstrip('=')}"


def _blob(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise BadKey("its second word is not the base64 of a key") from None


def _check(key_type: str, blob: bytes) -> None:
    """Have the key read by those who will verify its signatures."""
    try:
        key = load_ssh_public_key(f"{key_type} {base64.b64encode(blob).decode()}".encode())
    except (ValueError, UnsupportedAlgorithm, NotImplementedError):
        # What the library says may quote the key, or be about its own insides.
        raise BadKey(f"its second word is not a key of the type {key_type}") from None
    if isinstance(key, RSAPublicKey) and key.key_size < SHORTEST_RSA_BITS:
        raise BadKey(f"RSA keys have at least {SHORTEST_RSA_BITS} bits")
