"""The programs that operators use, and what to do without them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SkipTest

PACKAGES: Final[Mapping[str, str]] = {
    "amtool": "prometheus-alertmanager",
    "curl": "curl",
    "jq": "jq",
    "journalctl": "systemd",
    "logrotate": "logrotate",
    "nc": "netcat-openbsd",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "rsyslogd": "rsyslog",
    "shellcheck": "shellcheck",
    "ssh": "openssh-client",
    "systemd-analyze": "systemd",
    "watch": "procps",
}
"""The Debian package of each; `.ci/run` installs those that are missing."""
PATH: Final = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/local/go/bin"])
_PATIENCE_SECONDS: Final = 60


def needs(*programs: str) -> None:
    """Skip the test that calls this without these programs; with PROOF_TOOLS=required it fails, as in `.ci/run`."""
    missing = [program for program in programs if shutil.which(program, path=PATH) is None]
    if missing:
        unavailable("needs " + ", ".join(f"{name} (Debian: {PACKAGES[name]})" for name in missing))


def unavailable(reason: str) -> None:
    """Skip the test that calls this, or let it fail, as `needs` does."""
    if os.environ.get("PROOF_TOOLS") == "required":
        raise AssertionError(reason)
    raise SkipTest(reason)


def ending_with_us(*command: str) -> list[str]:
    """A command whose process ends when ours does, even when that is killed."""
    return ["setpriv", "--pdeathsig", "KILL", *command] if shutil.which("setpriv") else list(command)


def output_of(command: Sequence[str | Path], *, text: str = "", cwd: Path | None = None) -> str:
    """What a program prints, on either stream; raises AssertionError unless it succeeds."""
    done = subprocess.run(
        command,
        input=text,
        cwd=cwd,
        env={**os.environ, "PATH": PATH},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=_PATIENCE_SECONDS,
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout
