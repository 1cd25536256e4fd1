"""Understands the command line of superchat-cli."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from superchat.client.connect import CONNECT_SECONDS, DEFAULT_PORT
from superchat.client.key_file import default_path
from superchat.tools.cli_grammar import CommandParser, common
from superchat.tools.cli_grammar_channels import add_channel_commands
from superchat.tools.cli_grammar_people import add_people_commands
from superchat.tools.cli_identity import nickname_of
from superchat.tools.cli_options import Options
from superchat.tools.grammar import Commands

DESCRIPTION: Final = "Read and write on a SuperChat server, from a terminal or a script."

EPILOG: Final = """\
environment:
  SCCLI_SERVER         the server, when --server is not given
  SCCLI_NICK           the nickname, when --nick is not given
  SCCLI_PASSWORD_FILE  where to take the password from when logging in, as --password-file
  XDG_DATA_HOME        superchat-cli/dm.key in it is the key for encryption; default: ~/.local/share
  NO_COLOR             no colours, if not empty

exit status:
  0 done, 1 the server refused, 2 wrong usage, 3 no connection, or it was lost, 130 interrupted
"""

NEEDS_ACCOUNT: Final = frozenset(
    {
        *("register", "login", "passwd", "edit", "delete", "create"),
        *("dms", "accept", "decline", "ban", "unban", "bans"),
    }
)
"""The commands that servers refuse to whoever has not logged in: they log in unasked."""


def parse(arguments: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Understand the command line. Raises SystemExit: 2 after printing what is wrong, 0 after --help."""
    parser = build(environ)
    given = vars(parser.parse_args(arguments))
    try:
        host, port = address(given["server"])
        return _options(given, host, port, environ)
    except ValueError as error:
        parser.error(str(error))


def _options(given: dict[str, Any], host: str, port: int, environ: Mapping[str, str]) -> Options:
    names = {each.name for each in attrs.fields(Options)}
    fields = {name: value for name, value in given.items() if name in names}
    one = [given["channel"]] if given.get("channel") else []
    fields |= {
        "host": host,
        "port": port,
        "nickname": given["nickname"] or None,
        "system_user": system_user(),
        "channels": tuple(given.get("channels") or one),
        "is_forum": given.get("channel_type") != "chat",
        "login": given["login"] or given["password_file"] is not None or given["command"] in NEEDS_ACCOUNT,
        "password_file": given["password_file"] or environ.get("SCCLI_PASSWORD_FILE") or None,
        "key_file": Path(given.get("key_file") or default_path(environ)),
    }
    return _checked(Options(**fields))


def _checked(options: Options) -> Options:
    """Raise ValueError for what argparse cannot know to be wrong; add the account's name if it was left out."""
    if options.command in ("ban", "unban") and bool(options.user) == bool(options.ip_cidr):
        raise ValueError("either USER or --ip CIDR is needed")
    if options.shadow and options.ip_cidr:
        raise ValueError("--shadow is for USER, not for --ip")
    if options.permanent and not options.unencrypted:
        raise ValueError("--always needs --unencrypted")
    if options.command == "unread" and not options.login and (options.since_ms is None or options.mark_read):
        raise ValueError("only accounts have something unread: use --login, or --since to count for anybody")
    if not options.login or options.nickname is not None:
        return options
    account = nickname_of(options.system_user)
    if account is None:
        raise ValueError("name the account with --nick")
    return attrs.evolve(options, nickname=account)


def address(text: str) -> tuple[str, int]:
    """Split ``HOST[:PORT]``; an IPv6 address with a port is written in brackets. Raises ValueError."""
    host, port = text, ""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError(f"not a server address: {text}")
        port = rest[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not host or any(each.isspace() for each in host):
        raise ValueError(f"not a server address: {text or 'empty'}")
    if not port and not text.endswith(":"):
        return host, DEFAULT_PORT
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ValueError(f"not a port number: {port or 'empty'}")
    return host, int(port)


def system_user() -> str:
    """Return who runs this, empty if the system does not know."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def build(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """Return the parser; the environment gives defaults."""
    parser = argparse.ArgumentParser(
        "superchat-cli",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common()],
    )
    parser.set_defaults(
        server=environ.get("SCCLI_SERVER") or "localhost",
        nickname=environ.get("SCCLI_NICK"),
        login=False,
        password_file=None,
        json=False,
        timeout_seconds=CONNECT_SECONDS,
        reconnect=True,
    )
    commands: Commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", required=True, parser_class=CommandParser
    )
    add_channel_commands(commands)
    add_people_commands(commands)
    return parser
