"""The parts that the command lines of superchat-cli are made of: common options, and types of arguments."""

from __future__ import annotations

import argparse
import re
import time
from datetime import datetime
from typing import Any, Final

from superchat.client.connect import CONNECT_SECONDS, DEFAULT_PORT
from superchat.tools.grammar import PASSWORD_HELP, Commands, described, duration

CHANNEL_HELP: Final = "name, parent/name, or id"
USER_HELP: Final = "nickname"
LIMIT_MAXIMUM: Final = 10_000


class CommandParser(argparse.ArgumentParser):
    """Takes options anywhere, between arguments too: ``dm bob --wait 60 'Lunch?'``.

    By itself argparse would give up on what comes behind an option where an argument may be left out.
    """

    _mixing = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Called by argparse for the rest of the line, and by what this calls."""
        if self._mixing or "--" in (args or ()):  # it would lose what "--" protects
            return super().parse_known_args(args, namespace)
        self._mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixing = False


def common() -> argparse.ArgumentParser:
    """The options of every command; they may stand before it or after it."""
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = parser.add_argument_group("options of every command")
    group.add_argument("--server", metavar="HOST[:PORT]", help=f"default: localhost, port {DEFAULT_PORT}")
    group.add_argument(
        "--nick",
        dest="nickname",
        metavar="NAME",
        help="nickname; default: the login name, if the command needs one at all",
    )
    group.add_argument(
        "--login", action="store_true", help="act as the account NAME; the password is asked for"
    )
    group.add_argument("--password-file", metavar="FILE", help=f"--login, but {PASSWORD_HELP}")
    group.add_argument("--json", action="store_true", help="print one JSON object per line")
    group.add_argument(
        "--timeout",
        dest="timeout_seconds",
        metavar="SECONDS",
        type=seconds,
        help=f"how long to wait for the connection and for each answer; default: {CONNECT_SECONDS:g}",
    )
    group.add_argument(
        "--no-reconnect",
        dest="reconnect",
        action="store_false",
        help="tail, chat and dm: end when the connection is lost",
    )
    return parser


def command(commands: Commands, name: str, summary: str, text: str) -> argparse.ArgumentParser:
    """Add a command, with what its help says."""
    return described(commands, common(), name, summary, text)


def add_channel(parser: argparse.ArgumentParser, *flags: str) -> None:
    """Let a command have one channel; as an option if flags are named."""
    if flags:
        parser.add_argument(*flags, dest="channel", metavar="CHANNEL", help=CHANNEL_HELP)
    else:
        parser.add_argument("channel", metavar="CHANNEL", help=CHANNEL_HELP)


def add_lines(parser: argparse.ArgumentParser, default: int) -> None:
    """Let a conversation begin with some of its past."""
    text = f"begin with the last N; default: {default}"
    parser.add_argument(
        "-n", "--lines", dest="limit", metavar="N", type=count, default=default, help=text
    )


def add_limit(parser: argparse.ArgumentParser, default: int) -> None:
    """Let a list have an end."""
    text = f"how many at most; default: {default}"
    parser.add_argument("--limit", metavar="N", type=count, default=default, help=text)


def add_key_file(parser: argparse.ArgumentParser) -> None:
    """Let a command have another key for encryption."""
    text = "the private key for encryption, made if there is none"
    parser.add_argument("--key-file", metavar="FILE", help=text)


def seconds(text: str) -> float:
    """A time to wait, up to a day."""
    number = float(text)
    if not 0 < number <= 86400:
        raise argparse.ArgumentTypeError(f"not a time of up to a day: {text}")
    return number


def patience(text: str) -> float:
    """A time to wait, which may be none."""
    return 0.0 if text == "0" else seconds(text)


def count(text: str) -> int:
    """How many."""
    number = int(text)
    if not 0 <= number <= LIMIT_MAXIMUM:
        raise argparse.ArgumentTypeError(f"not within 0..{LIMIT_MAXIMUM}: {text}")
    return number


def identifier(text: str) -> int:
    """The id of a message."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**63):
        raise argparse.ArgumentTypeError(f"not an id: {text}")
    return int(text)


def moment(text: str) -> int:
    """A point in time, in milliseconds since 1970: so long ago, or a date and time of ISO 8601, local by default."""
    if re.fullmatch(r"[0-9]+[smhd]", text):
        return int((time.time() - duration(text)) * 1000)
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        wanted = "neither a time such as 2025-11-24T14:05 nor so long ago as 2h"
        raise argparse.ArgumentTypeError(f"{wanted}: {text}") from None


def retention(text: str) -> int:
    """For how many hours messages are kept (wire 0x07)."""
    number = int(text)
    if not 1 <= number <= 8760:
        raise argparse.ArgumentTypeError(f"not within 1..8760: {text}")
    return number
