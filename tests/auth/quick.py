"""Passwords for tests that are about something else: real bcrypt, at once, and as cheap as it gets."""

from __future__ import annotations

import base64
from hashlib import sha256
from typing import Final

from superchat.auth.passwords import PasswordsAtOnce

LOWEST_COST: Final = 4


def secret_of(nickname: str, password: str) -> str:
    """43 characters that depend on both, as those of a client do (wire 9)."""
    digest = sha256(f"{nickname}\0{password}".encode("utf-8", "surrogateescape")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def quick_passwords() -> PasswordsAtOnce:
    """Answers at once."""
    return PasswordsAtOnce(LOWEST_COST, secret_of)
