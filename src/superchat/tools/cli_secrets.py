"""Passwords: where they come from, and what is made of them. They are never taken from the command line itself."""

from __future__ import annotations

import getpass
import os
import warnings
from collections.abc import Awaitable, Callable
from typing import Final

import attrs

from superchat.client.passwords import LONGEST_PASSWORD, SHORTEST_PASSWORD, password_hash
from superchat.wire import messages as wire

STANDARD_INPUT: Final = "-"
STANDARD_INPUT_DESCRIPTOR = 0
LONGEST_LINE_BYTES: Final = 4 * LONGEST_PASSWORD + 2

Hash = Callable[[str, str], Awaitable[str]]
"""Makes of a nickname and a password what servers get to see; takes its time elsewhere."""


class NoPassword(Exception):
    """There is no usable password; the text says why."""


async def hash_here(nickname: str, password: str) -> str:
    """Make the hash at once, in the way of everything else."""
    return password_hash(nickname, password)


@attrs.frozen(kw_only=True)
class Secrets:
    """What a command knows that nobody may see."""

    credentials: wire.AuthRequest | None = None
    """Whom to act as; for ``register``, whom to become."""
    password: str = attrs.field(default="", repr=False)
    new_password: str = attrs.field(default="", repr=False)
    """What ``passwd`` changes, and into what."""
    hash: Hash = hash_here


def existing(file: str | None, prompt: str = "Password: ") -> str:
    """Read a password from a file's first line, from standard input's next if it is ``-``; else ask for it.

    Raises NoPassword.
    """
    password = _asked(prompt) if file is None else _first_line(file)
    if not password:
        raise NoPassword("the password is empty")
    return password


def new(file: str | None, prompt: str = "New password: ") -> str:
    """As ``existing``, but asks twice, and wants a length that all clients accept."""
    password = existing(file, prompt)
    check(password)
    if file is None and _asked("The same again: ") != password:
        raise NoPassword("these are two different passwords")
    return password


def check(password: str) -> None:
    """Raise NoPassword if a new password is too short or too long (reference 5)."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise NoPassword(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")


def _asked(prompt: str) -> str:
    with warnings.catch_warnings():
        # It would go on and show what is typed.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(prompt)
        except EOFError:
            raise NoPassword("no password was given") from None
        except (getpass.GetPassWarning, OSError):
            raise NoPassword("there is no terminal to ask for the password: use --password-file") from None


def _first_line(file: str) -> str:
    try:
        if file == STANDARD_INPUT:
            line = _line_of(STANDARD_INPUT_DESCRIPTOR)
        else:
            with open(file, "rb") as opened:
                line = opened.readline(LONGEST_LINE_BYTES)
    except OSError as error:
        raise NoPassword(f"cannot read the password from {file}: {error.strerror}") from None
    return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "surrogateescape")


def _line_of(descriptor: int) -> bytes:
    """Read a line and not one byte more: the rest is for somebody else."""
    line = b""
    while len(line) < LONGEST_LINE_BYTES and not line.endswith(b"\n"):
        byte = os.read(descriptor, 1)
        if not byte:
            break
        line += byte
    return line
