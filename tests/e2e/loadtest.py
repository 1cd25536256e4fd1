"""Runs superchat-loadtest as its users do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Final

from tests.e2e.server import PATIENCE_SECONDS, Finished

COMMAND: Final = (sys.executable, "-m", "superchat.loadtest")


def environment() -> dict[str, str]:
    """The environment of a load test that finds the package it belongs to."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def run(port: int, *arguments: str) -> Finished:
    """Run a load test to its end, on the server at a port of this machine."""
    done = subprocess.run(
        [*COMMAND, *arguments, "--server", f"127.0.0.1:{port}"],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_SECONDS,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def measure(port: int, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a load test, and return its exit status and what it says in JSON."""
    finished = run(port, *arguments, "--json", "--quiet")
    try:
        return finished.exit_code, json.loads(finished.stdout)
    except ValueError:
        raise AssertionError(f"{finished.exit_code}\n{finished.stdout}\n{finished.stderr}") from None
