"""Puts a C library between a server and the C library of its system."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent


def build(name: str, directory: Path, sources: Path = SOURCES) -> Path:
    """Compile `<name>.c` of a folder into a shared library in *directory*, and return its path.

    Raises `subprocess.CalledProcessError` with what the compiler says; a warning is an error.
    """
    library = directory.absolute() / f"{name}.so"
    compiler = os.environ.get("CC", "cc")
    options = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread"]
    subprocess.run([compiler, *options, "-o", library, sources / f"{name}.c", "-ldl"], check=True, text=True)
    return library


def environment(library: Path, **more: str) -> dict[str, str]:
    """The variables that make a process use *library* before everything else, and what it needs to know."""
    return {"LD_PRELOAD": str(library), **more}
