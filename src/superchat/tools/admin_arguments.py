"""Understands the command line of superchat-admin."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from superchat.tools.admin_grammar import (
    ROLES,
    add_limit,
    add_nickname,
    add_password_file,
    add_role,
    add_target,
    command,
    common,
    identifier,
)
from superchat.tools.admin_options import Options
from superchat.tools.grammar import Commands, add_ban_terms

DESCRIPTION: Final = "Administer a SuperChat server on its own machine, while it runs or not."

EPILOG: Final = """\
Run it as the user that the server runs as, or as root. It finds the server by the same
configuration file and SUPERCHAT_ variables; a server under systemd needs its directory named:

  superchat-admin --data-directory /var/lib/superchat stats

exit status:
  0 done, 1 refused or failed, 2 wrong usage, 3 the server cannot be reached, or the database
  is missing or in use, 130 interrupted
"""


def parse(arguments: Sequence[str]) -> Options:
    """Understand the command line. Raises SystemExit: 2 after printing what is wrong, 0 after --help."""
    given = vars(build().parse_args(arguments))
    names = {each.name for each in attrs.fields(Options)}
    own = {name: given.pop(name) for name in names & given.keys()}
    return Options(**own, arguments={name: value for name, value in given.items() if value is not None})


def build() -> argparse.ArgumentParser:
    """The parser."""
    parser = argparse.ArgumentParser(
        "superchat-admin",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common()],
    )
    parser.set_defaults(config=None, data_directory=None, database=None, json=False)
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for add in (_create_user, _reset_password, _grant, _revoke, _delete_user, _users):
        add(commands)
    for add in (_ban, _unban, _bans, _audit, _stats, _backup, _restore, _check_config):
        add(commands)
    return parser


# Accounts


def _create_user(commands: Commands) -> None:
    parser = command(
        commands,
        "create-user",
        "make an account",
        """
        Make an account. Names in admin_users and moderator_users of the configuration are reserved:
        nobody else can make their accounts, and they get the rights of the list they are in. The
        password, of 8 to 128 characters, is asked for twice without showing it, or comes from
        --password-file. Without a server and without a database a new database is made.

        examples:
          superchat-admin create-user alice --role admin
          superchat-admin create-user builder --password-file /etc/builder.password
          pass chat/alice | superchat-admin create-user alice --password-file -
        """,
    )
    add_nickname(parser)
    parser.add_argument("--role", choices=ROLES, help="the rights of the account; default: those of its name")
    add_password_file(parser)


def _reset_password(commands: Commands) -> None:
    parser = command(
        commands,
        "reset-password",
        "give an account another password",
        """
        Give an account another password. Whoever is logged in to it is disconnected. The account
        logs in with its present nickname from then on, also after it was renamed.

        examples:
          superchat-admin reset-password alice
          superchat-admin reset-password alice --password-file new.password
        """,
    )
    add_nickname(parser)
    add_password_file(parser)


def _grant(commands: Commands) -> None:
    parser = command(
        commands,
        "grant",
        "make somebody an admin or a moderator",
        """
        Give an account the rights of an admin or a moderator, at once.

        examples:
          superchat-admin grant bob moderator
        """,
    )
    add_nickname(parser)
    add_role(parser)


def _revoke(commands: Commands) -> None:
    parser = command(
        commands,
        "revoke",
        "end that",
        """
        Take the rights of an admin or a moderator from an account, at once.

        examples:
          superchat-admin revoke bob moderator
        """,
    )
    add_nickname(parser)
    add_role(parser)


def _delete_user(commands: Commands) -> None:
    parser = command(
        commands,
        "delete-user",
        "delete an account",
        """
        Delete an account. Its sessions are disconnected, its name is free again, and its messages
        stay as those of an anonymous user. This cannot be undone.

        examples:
          superchat-admin delete-user spammer
        """,
    )
    add_nickname(parser)


def _users(commands: Commands) -> None:
    parser = command(
        commands,
        "users",
        "list the accounts",
        """
        List the accounts by name: id, name, rights, live sessions, when it was made and last used.

        examples:
          superchat-admin users
          superchat-admin users --after mallory --limit 50
          superchat-admin --json users | jq -r 'select(.admin).nickname'
        """,
    )
    add_limit(parser)
    parser.add_argument("--after", metavar="NAME", help="begin with the account that follows this name")


# Bans


def _ban(commands: Commands) -> None:
    parser = command(
        commands,
        "ban",
        "keep somebody out",
        """
        Ban an account, a nickname (and the account of that name, if there is one), or an address or
        range of addresses. Whoever matches is disconnected at once and reads the reason.

        examples:
          superchat-admin ban --user spammer --reason advertising --duration 7d
          superchat-admin ban --nickname troll --shadow
          superchat-admin ban --ip 192.0.2.0/24 --duration 12h
        """,
    )
    add_target(parser)
    add_ban_terms(parser, reason=None)


def _unban(commands: Commands) -> None:
    parser = command(
        commands,
        "unban",
        "end bans",
        """
        End all bans of an account, of a nickname and the account of that name, or of exactly this
        address or range.

        examples:
          superchat-admin unban --user spammer
          superchat-admin unban --ip 192.0.2.0/24
        """,
    )
    add_target(parser)


def _bans(commands: Commands) -> None:
    parser = command(
        commands,
        "bans",
        "list the bans",
        """
        List the bans, newest first: id, whom, until when, by whom, why.

        examples:
          superchat-admin bans
          superchat-admin --json bans --all
        """,
    )
    parser.add_argument("--all", dest="include_expired", action="store_true", help="those that are over too")
    add_limit(parser)


# The server


def _audit(commands: Commands) -> None:
    parser = command(
        commands,
        "audit",
        "list what was done with power",
        """
        List the audit log, newest first: what moderators, admins and operators did, when, to whom,
        and from where.

        examples:
          superchat-admin audit --limit 20
          superchat-admin audit --before 1234
          superchat-admin --json audit | jq -r 'select(.action == "ban_ip").target'
        """,
    )
    add_limit(parser)
    parser.add_argument(
        "--before", dest="before_id", metavar="ID", type=identifier, help="begin with the act before this one"
    )


def _stats(commands: Commands) -> None:
    command(
        commands,
        "stats",
        "show numbers",
        """
        Show how long the server runs, how many sessions, accounts, channels, messages and bans there
        are, and how large the database is.

        examples:
          superchat-admin stats
          superchat-admin --json stats | jq .sessions
        """,
    )


def _backup(commands: Commands) -> None:
    parser = command(
        commands,
        "backup",
        "copy the database",
        """
        Copy the database as it is at this moment into FILE, while the server runs or not. The copy
        has everything that was acknowledged before, is read again to see that it is whole, and can
        be read by its owner only. It holds everything: conversations, password hashes, addresses.

        examples:
          superchat-admin backup /backup/superchat-$(date +%F).db
          superchat-admin backup latest.db --force
        """,
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="the copy to make")
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")


def _restore(commands: Commands) -> None:
    parser = command(
        commands,
        "restore",
        "put a backup in the place of the database",
        """
        Put a copy of FILE in the place of the database. The server must be stopped. FILE is read as
        a whole first; the database that was there is kept beside it as superchat.db.replaced-TIME.

        examples:
          superchat-admin restore /backup/superchat-2025-11-24.db
        """,
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="the backup")


def _check_config(commands: Commands) -> None:
    parser = command(
        commands,
        "check-config",
        "look for mistakes in a configuration",
        """
        Read a configuration as the server would, SUPERCHAT_ variables included, and print every
        mistake in it. Status 1 if there are any.

        examples:
          superchat-admin check-config
          superchat-admin check-config new.toml && systemctl reload superchat
        """,
    )
    parser.add_argument(
        "file", metavar="FILE", type=Path, nargs="?", help="the file; default: the one that the server reads"
    )
