"""What the command lines of superchat-cli and superchat-admin have in common."""

from __future__ import annotations

import argparse
import re
import textwrap
from typing import Final, TypeAlias

PASSWORD_HELP: Final = "take the password from the first line of FILE, - for standard input"

_UNIT_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST_DURATION_SECONDS: Final = 100 * 366 * 86400

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def described(
    commands: Commands, common: argparse.ArgumentParser, name: str, summary: str, text: str
) -> argparse.ArgumentParser:
    """Add a command that takes the *common* options, with what its help says."""
    return commands.add_parser(
        name,
        help=summary,
        description=textwrap.dedent(text).strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common],
    )


def add_ban_terms(parser: argparse.ArgumentParser, reason: str | None) -> None:
    """Let a ban have a reason, an end, and the form in which nobody else reads what the banned write."""
    parser.add_argument("--reason", metavar="TEXT", default=reason, help="why; the banned read it")
    parser.add_argument(
        "--duration",
        dest="duration_seconds",
        metavar="TIME",
        type=duration,
        help="for how long: 90s, 30m, 12h, 7d; default: for ever",
    )
    parser.add_argument(
        "--shadow", action="store_true", help="let them write, but nobody else read it; not with --ip"
    )


def duration(text: str) -> int:
    """A duration such as ``90``, ``30m``, ``12h`` or ``7d``, in seconds."""
    matched = re.fullmatch(r"([0-9]{1,10})([smhd]?)", text)
    number = int(matched[1]) * _UNIT_SECONDS[matched[2]] if matched else 0
    if not 0 < number <= _LONGEST_DURATION_SECONDS:
        raise argparse.ArgumentTypeError(f"not a duration such as 90s, 30m, 12h or 7d: {text}")
    return number
