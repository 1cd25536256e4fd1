"""The parts that the command lines of superchat-admin are made of."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from superchat.tools.grammar import PASSWORD_HELP, Commands, described

ROLES: Final = ("admin", "moderator")
DEFAULT_LIMIT: Final = 1000
LONGEST_LIST: Final = 10_000
LARGEST_ID: Final = 2**63 - 1


def common() -> argparse.ArgumentParser:
    """The options of every command; they may stand before it or after it."""
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = parser.add_argument_group("options of every command")
    group.add_argument(
        "--config", metavar="FILE", type=Path, help="the server's configuration file; default: as for the server"
    )
    group.add_argument("--data-directory", metavar="DIR", help="the server's data directory")
    group.add_argument("--db", dest="database", metavar="FILE", help="the server's database, if it is elsewhere")
    group.add_argument("--json", action="store_true", help="print one JSON object per line")
    return parser


def command(commands: Commands, name: str, summary: str, text: str) -> argparse.ArgumentParser:
    """Add a command, with what its help says."""
    return described(commands, common(), name, summary, text)


def add_nickname(parser: argparse.ArgumentParser) -> None:
    """Let a command have an account."""
    parser.add_argument("nickname", metavar="NAME", help="the account's nickname")


def add_role(parser: argparse.ArgumentParser) -> None:
    """Let a command have a role."""
    parser.add_argument("role", metavar="admin|moderator", choices=ROLES, help="which rights")


def add_password_file(parser: argparse.ArgumentParser) -> None:
    """Let a command have a password."""
    parser.add_argument("--password-file", metavar="FILE", help=PASSWORD_HELP)


def add_limit(parser: argparse.ArgumentParser) -> None:
    """Let a list have an end."""
    text = f"how many at most; default: {DEFAULT_LIMIT}"
    parser.add_argument("--limit", metavar="N", type=count, default=DEFAULT_LIMIT, help=text)


def add_target(parser: argparse.ArgumentParser) -> None:
    """Let a command be about an account, a nickname, or a network."""
    group: Any = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--user", metavar="NAME", help="an account")
    group.add_argument("--nickname", metavar="NAME", help="a nickname, whoever has it")
    group.add_argument("--ip", dest="ip_cidr", metavar="CIDR", help="an address or a range of them")


def count(text: str) -> int:
    """How many."""
    return _number(text, LONGEST_LIST)


def identifier(text: str) -> int:
    """The id of an act."""
    return _number(text, LARGEST_ID)


def _number(text: str, maximum: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(maximum)) and int(text) <= maximum):
        raise argparse.ArgumentTypeError(f"not within 0..{maximum}: {text}")
    return int(text)
