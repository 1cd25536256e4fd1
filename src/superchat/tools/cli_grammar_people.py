"""The command lines of accounts, private conversations and bans."""

from __future__ import annotations

import argparse

from superchat.tools.cli_grammar import USER_HELP, add_key_file, add_lines, command, patience
from superchat.tools.grammar import PASSWORD_HELP, Commands, add_ban_terms


def add_people_commands(commands: Commands) -> None:
    """Add register, login, passwd, dm, dms, accept, decline, ban, unban and bans."""
    for add in (_register, _login, _passwd, _dm, _dms, _accept, _decline, _ban, _unban, _bans):
        add(commands)


def _register(commands: Commands) -> None:
    command(
        commands,
        "register",
        "make an account",
        """
        Make an account of a nickname. The password, of 8 to 128 characters, is asked for twice
        without showing it, or comes from --password-file. The server never sees it.

        examples:
          superchat-cli --nick alice register
          superchat-cli --nick builder --password-file /etc/builder.password register
          pass chat/alice | superchat-cli --nick alice --password-file - register
        """,
    )


def _login(commands: Commands) -> None:
    command(
        commands,
        "login",
        "see whether a password is right",
        """
        Log in to an account, print the server's welcome, and end. To do something as the account,
        give --login or --password-file to the command that does it.

        examples:
          superchat-cli --nick alice login
          superchat-cli --nick alice --login post general 'It is really me.'
        """,
    )


def _passwd(commands: Commands) -> None:
    parser = command(
        commands,
        "passwd",
        "change the password",
        """
        Change the password of an account. After a nickname was changed this also makes the new
        nickname the one to log in with.

        examples:
          superchat-cli --nick alice passwd
          superchat-cli --nick alice --password-file old passwd --new-password-file new
        """,
    )
    parser.add_argument("--new-password-file", metavar="FILE", help=f"{PASSWORD_HELP}; the new one, that is")


def _dm(commands: Commands) -> None:
    parser = command(
        commands,
        "dm",
        "talk to somebody alone",
        """
        Begin or resume a private conversation, encrypted from end to end. With TEXT, send it and
        print its id; else print what is said and send each line that is typed, with the commands
        of chat. If the other has not accepted yet, wait for that.

        Accounts keep their key in a file; anonymous users have one that ends with the connection,
        and so does their conversation.

        examples:
          superchat-cli --nick alice --login dm bob
          superchat-cli --nick alice --password-file ~/.alice dm bob 'Lunch?'
          superchat-cli --nick alice --login dm --unencrypted --wait 60 bob 'Lunch?'
        """,
    )
    _user(parser)
    parser.add_argument(
        "text", metavar="TEXT", nargs="?", default="", help="the message, or - to read it from standard input"
    )
    add_lines(parser, 20)
    _unencrypted(parser, "talk without encryption too, if the other has no key: the server can read it")
    _wait(parser, "how long to wait for the other to accept; default: without end")
    add_key_file(parser)


def _dms(commands: Commands) -> None:
    command(
        commands,
        "dms",
        "list who wants to talk",
        """
        List the requests for private conversations that wait for an answer: id, from whom, and
        whether encryption is required, optional, or impossible because the other has no key.

        examples:
          superchat-cli --nick alice dms
        """,
    )


def _accept(commands: Commands) -> None:
    parser = command(
        commands,
        "accept",
        "accept a private conversation",
        """
        Accept somebody's request for a private conversation by telling one's key, and print its
        channel. That accepts all other requests that come with a key as well: to the server they
        lack only yours. Then talk with: superchat-cli dm USER

        examples:
          superchat-cli --nick alice accept bob
          superchat-cli --nick alice accept bob --unencrypted
        """,
    )
    _user(parser)
    _unencrypted(parser, "talk without encryption: the server can read it")
    parser.add_argument(
        "--always",
        dest="permanent",
        action="store_true",
        help="with --unencrypted: allow it to everybody from now on",
    )
    add_key_file(parser)


def _decline(commands: Commands) -> None:
    parser = command(
        commands,
        "decline",
        "decline a private conversation",
        """
        Decline somebody's request for a private conversation. They are told.

        examples:
          superchat-cli --nick alice decline bob
        """,
    )
    _user(parser)


def _ban(commands: Commands) -> None:
    parser = command(
        commands,
        "ban",
        "keep somebody out",
        """
        Ban an account and whoever takes its name, or an address or range of addresses. Whoever
        matches is disconnected at once. That needs the account of a moderator or admin.

        examples:
          superchat-cli --nick admin ban spammer --reason 'advertising' --duration 7d
          superchat-cli --nick admin ban troll --shadow
          superchat-cli --nick admin ban --ip 192.0.2.0/24 --duration 12h
        """,
    )
    _target(parser)
    add_ban_terms(parser, reason="")


def _unban(commands: Commands) -> None:
    parser = command(
        commands,
        "unban",
        "end a ban",
        """
        End the bans of an account or name, or of an address or range of addresses.

        examples:
          superchat-cli --nick admin unban spammer
          superchat-cli --nick admin unban --ip 192.0.2.0/24
        """,
    )
    _target(parser)


def _bans(commands: Commands) -> None:
    parser = command(
        commands,
        "bans",
        "list the bans",
        """
        List the bans: id, whom, until when, by whom, why.

        examples:
          superchat-cli --nick admin bans
          superchat-cli --nick admin --json bans --all
        """,
    )
    parser.add_argument("--all", dest="include_expired", action="store_true", help="those that are over too")


def _user(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user", metavar="USER", help=USER_HELP)


def _target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user", metavar="USER", nargs="?", default="", help=USER_HELP)
    parser.add_argument("--ip", dest="ip_cidr", metavar="CIDR", default="", help="an address or a range of them")


def _unencrypted(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--unencrypted", action="store_true", help=text)


def _wait(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--wait", dest="wait_seconds", metavar="SECONDS", type=patience, help=text)
