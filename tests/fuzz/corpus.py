"""The inputs that are kept: those that every run begins with, and those that have failed once."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"
"""A folder for each target. Names say nothing but in one case: ``failure-…`` has made the product fail once."""


def load(name: str, folder: Path = FOLDER) -> list[bytes]:
    """The inputs of a target, by name."""
    return [path.read_bytes() for path in paths(name, folder)]


def paths(name: str, folder: Path = FOLDER) -> list[Path]:
    """Their files."""
    return sorted(path for path in (folder / name).glob("*") if path.is_file() and not path.name.startswith("."))


def save(name: str, data: bytes, folder: Path, prefix: str = "") -> Path:
    """Write an input down; its name follows from what it is."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{prefix}{sha256(data).hexdigest()[:12]}.bin"
    path.write_bytes(data)
    return path
