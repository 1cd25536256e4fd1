"""Argon2id of libgcrypt, through ctypes: unlike OpenSSL's and libargon2's it takes salts of any length.

The library is there wherever GnuPG or systemd are, but Python has no binding of it that is kept up.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Final

NAMES: Final = ("libgcrypt.so.20", "libgcrypt.20.dylib", "libgcrypt-20.dll")
FIRST_WITH_ARGON2: Final = b"1.10.0"

# From gcrypt.h.
KDF_ARGON2: Final = 64
KDF_ARGON2ID: Final = 2
DISABLE_SECURE_MEMORY: Final = 37
INITIALIZATION_FINISHED: Final = 38


class GcryptError(Exception):
    """The library reported an error."""


@cache
def library() -> ctypes.CDLL | None:
    """Load libgcrypt, once; None if there is none that knows Argon2."""
    for name in NAMES:
        try:
            found = ctypes.CDLL(name)
        except OSError:
            continue
        return _prepared(found)
    return None


def _prepared(found: ctypes.CDLL) -> ctypes.CDLL | None:
    found.gcry_check_version.argtypes = [ctypes.c_char_p]
    found.gcry_check_version.restype = ctypes.c_char_p
    if found.gcry_check_version(FIRST_WITH_ARGON2) is None:
        return None
    # Locked memory would be a few KiB, and Python's own copies of the password are not locked either.
    found.gcry_control(DISABLE_SECURE_MEMORY, 0)
    found.gcry_control(INITIALIZATION_FINISHED, 0)
    handle, size, text = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
    choice = (ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_ulong), ctypes.c_uint)
    found.gcry_kdf_open.argtypes = (ctypes.POINTER(handle), *choice, *(text, size) * 4)
    found.gcry_kdf_compute.argtypes = [handle, ctypes.c_void_p]
    found.gcry_kdf_final.argtypes = [handle, size, text]
    found.gcry_kdf_close.argtypes = [handle]
    found.gcry_kdf_close.restype = None
    return found


def argon2id(
    password: bytes,
    salt: bytes,
    *,
    passes: int,
    memory_kib: int,
    lanes: int,
    length: int,
    secret: bytes = b"",
    associated: bytes = b"",
) -> bytes:
    """Return ``length`` bytes derived from a password and a salt of any length.

    Raises GcryptError if the library does not want to, for want of memory for example. Call it only if ``library``
    returns one.
    """
    gcrypt = library()
    assert gcrypt is not None
    parameters = (ctypes.c_ulong * 4)(length, passes, memory_kib, lanes)
    handle = ctypes.c_void_p()
    inputs = [part for each in (password, salt, secret, associated) for part in (each or None, len(each))]
    opened = gcrypt.gcry_kdf_open(ctypes.byref(handle), KDF_ARGON2, KDF_ARGON2ID, parameters, 4, *inputs)
    _check(opened)
    try:
        _check(gcrypt.gcry_kdf_compute(handle, None))
        made = ctypes.create_string_buffer(length)
        _check(gcrypt.gcry_kdf_final(handle, length, made))
        return made.raw
    finally:
        gcrypt.gcry_kdf_close(handle)


def _check(code: int) -> None:
    if code:
        raise GcryptError(f"libgcrypt error {code & 0xFFFF}")
