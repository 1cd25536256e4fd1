"""Fits any integer into what SQLite holds: 64 bits with a sign, where the wire has 64 without."""

from __future__ import annotations

from superchat.ids import MAX_ID


def key(number: int | None) -> int | None:
    """``number`` as something to look for; None, which equals nothing in SQL, when no row can have it."""
    return number if number is not None and -MAX_ID <= number <= MAX_ID else None


def nearest(number: int) -> int:
    """``number`` as something to compare with: the end of the range when it is beyond."""
    return min(max(number, -MAX_ID), MAX_ID)
