"""What people type: SSH public keys, nicknames, what stands for passwords."""

# ruff: noqa: PT017  # what is wrong with an error is a failure, too

from __future__ import annotations

import base64
import binascii
import random
from collections.abc import Hashable, Iterable

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP521R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from superchat.auth.keys import KEY_TYPES, LONGEST_KEY_BYTES, BadKey, parse
from superchat.auth.passwords import acceptable
from superchat.chat.nicknames import is_nickname
from tests.fuzz.target import Target


class KeysTarget(Target):
    """`superchat.auth.keys`, and what is asked of nicknames and of secrets."""

    name = "keys"
    files = ("auth/keys.py", "chat/nicknames.py")
    longest_bytes = LONGEST_KEY_BYTES + 100
    words = (
        *(name.encode() for name in KEY_TYPES),
        b" ",
        b"\t",
        b"\n",
        b"\xc2\xa0",
        b"=",
        b"-----BEGIN OPENSSH PRIVATE KEY-----",
        b"AAAA",
        b"comment",
        b'command="sh" ',
    )

    def seeds(self) -> Iterable[bytes]:
        """A key of each kind, and one that is too small."""
        keys = (
            Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key(),
            derive_private_key(7, SECP256R1()).public_key(),
            derive_private_key(7, SECP521R1()).public_key(),
            RSAPublicNumbers(65537, (1 << 1023) + 9).public_key(),
        )
        for key in keys:
            line = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
            yield line
            yield b"  " + line + b" somebody@example.org\n"
        yield b"anna"
        yield b"c" * 43

    def run(self, data: bytes) -> Hashable:
        """As text off the wire, which may be no UTF-8."""
        text = data.decode("utf-8", "surrogateescape")
        assert acceptable(text) == (40 <= len(data) <= 50)
        named = is_nickname(text)
        assert not named or (text.isascii() and text.isprintable() and len(text) >= 3), text
        try:
            key = parse(text, "label")
        except BadKey as bad:
            assert str(bad).isprintable()
            assert len(str(bad)) < 300
            return named, str(bad)
        return named, key.key_type

    def check(self, data: bytes, outcome: Hashable) -> None:
        """A key that is good stays what it is when it is read again."""
        text = data.decode("utf-8", "surrogateescape")
        try:
            key = parse(text)
        except BadKey:
            return
        assert "\n" not in key.public_key
        assert key.public_key.split()[0] == key.key_type
        assert parse(key.public_key) == key
        assert key.fingerprint.startswith("SHA256:")

    def shape(self, data: bytes, rng: random.Random) -> bytes:
        """Base64 that is right, of bytes that are wrong."""
        words = data.split(b" ")
        if len(words) < 2 or rng.random() < 0.5:
            return data
        try:
            blob = bytearray(base64.b64decode(words[1]))
        except binascii.Error:
            return data
        if blob:
            blob[rng.randrange(len(blob))] ^= 1 << rng.randrange(8)
        return b" ".join((words[0], base64.b64encode(bytes(blob)), *words[2:]))
