"""Keeps the private key of a person's conversations in a file that nobody else can read."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from superchat.client.encryption import KeyPair

DIRECTORY: Final = "superchat-cli"
NAME: Final = "dm.key"
LONGEST_FILE_BYTES: Final = 65536


class KeyFileError(Exception):
    """The key file cannot be used; the text says why and what to do."""


def default_path(environ: Mapping[str, str]) -> Path:
    """Return where the key is unless one says otherwise: ``$XDG_DATA_HOME/superchat-cli/dm.key``."""
    home = environ.get("XDG_DATA_HOME", "")
    # Relative paths are to be ignored (XDG Base Directory Specification).
    base = Path(home) if os.path.isabs(home) else Path("~/.local/share").expanduser()
    return base / DIRECTORY / NAME


def load_or_create(path: Path) -> KeyPair:
    """Read the key of a file; make the file, with mode 0600, if there is none. Raises KeyFileError."""
    try:
        with contextlib.suppress(FileNotFoundError):
            return _load(path)
        _create(path)
        return _load(path)
    except (OSError, UnicodeError) as error:
        raise KeyFileError(f"cannot use the key file {path}: {error}") from error


def _load(path: Path) -> KeyPair:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISREG(mode) and mode & 0o077:
            raise KeyFileError(f"others can read the key file {path}: chmod 600 it, or delete it to get a new key")
        pem = file.read(LONGEST_FILE_BYTES)
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, X25519PrivateKey):
        raise KeyFileError(f"there is no X25519 private key in the key file {path}")
    return KeyPair(key)


def _create(path: Path) -> None:
    """Write a new key. If another process does so at the same moment, one of the two keys stays, whole."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    private = KeyPair.generate().private
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor, draft = tempfile.mkstemp(prefix=".key-", dir=path.parent)  # with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.unlink(draft)
