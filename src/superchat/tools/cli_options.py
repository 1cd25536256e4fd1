"""The command line of superchat-cli: what can be asked for, and how its help reads."""

from __future__ import annotations

import argparse
import getpass
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import attrs

from superchat.client.connect import CONNECT_SECONDS, DEFAULT_PORT

DESCRIPTION: Final = "Read and write in the channels of a SuperChat server, from a terminal or a script."

EPILOG: Final = """\
environment:
  SCCLI_SERVER   the server, when --server is not given
  SCCLI_NICK     the nickname, when --nick is not given
  NO_COLOR       no colours, if not empty

exit status:
  0 done, 1 the server refused, 2 wrong usage, 3 no connection, or it was lost, 130 interrupted
"""


CHANNEL_HELP: Final = "name, parent/name, or id"
LIMIT_MAXIMUM: Final = 10_000

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


@attrs.frozen(kw_only=True)
class Options:
    """What was asked for; which of the fields after ``command`` count depends on the command."""

    host: str
    port: int
    nickname: str | None
    login: str
    json: bool
    timeout_seconds: float
    reconnect: bool
    command: str
    channels: tuple[str, ...] = ()
    text: str = ""
    message_id: int | None = None
    limit: int = 0

    @property
    def channel(self) -> str:
        """The only channel of a command that has one."""
        return self.channels[0]


def parse(arguments: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Understand the command line. Raises SystemExit: 2 after printing what is wrong, 0 after --help."""
    parser = build(environ)
    given = parser.parse_args(arguments)
    try:
        host, port = address(given.server)
    except ValueError as error:
        parser.error(str(error))
    fields = vars(given)
    one = [fields["channel"]] if fields.get("channel") else []
    return Options(
        host=host,
        port=port,
        nickname=given.nick or None,
        login=login_name(),
        json=given.json,
        timeout_seconds=given.timeout,
        reconnect=not given.no_reconnect,
        command=given.command,
        channels=tuple(fields.get("channels") or one),
        text=fields.get("text", ""),
        message_id=fields.get("message_id"),
        limit=fields.get("limit", 0),
    )


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


def login_name() -> str:
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
        parents=[_common()],
    )
    parser.set_defaults(
        server=environ.get("SCCLI_SERVER") or "localhost",
        nick=environ.get("SCCLI_NICK"),
        json=False,
        timeout=CONNECT_SECONDS,
        no_reconnect=False,
    )
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for add in (_tail, _post, _threads, _read, _channels, _users, _chat):
        add(commands)
    return parser


def _common() -> argparse.ArgumentParser:
    """The options of every command; they may stand before it or after it."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group("options of every command")
    group.add_argument("--server", metavar="HOST[:PORT]", help=f"default: localhost, port {DEFAULT_PORT}")
    group.add_argument(
        "--nick", metavar="NAME", help="nickname; default: the login name, if the command needs one at all"
    )
    group.add_argument("--json", action="store_true", help="print one JSON object per line")
    group.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        help=f"how long to wait for the connection and for each answer; default: {CONNECT_SECONDS:g}",
    )
    group.add_argument(
        "--no-reconnect", action="store_true", help="tail and chat: end when the connection is lost"
    )
    return common


def _command(commands: Commands, name: str, summary: str, text: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=summary,
        description=textwrap.dedent(text).strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_common()],
    )


def _tail(commands: Commands) -> None:
    parser = _command(
        commands,
        "tail",
        "print new messages as they come",
        """
        Print the new messages of some channels as they come, until interrupted. Replies are
        printed too: in the threads with the latest activity, as many as the server allows to
        follow, and in every new thread. After a lost connection, what was missed is printed.

        examples:
          superchat-cli tail general
          superchat-cli tail -n 20 general projects/website
          superchat-cli --json tail general | jq -r .content
        """,
    )
    parser.add_argument("channels", metavar="CHANNEL", nargs="+", help=CHANNEL_HELP)
    parser.add_argument(
        "-n", "--lines", dest="limit", metavar="N", type=_count, default=0, help="begin with the last N; default: 0"
    )


def _post(commands: Commands) -> None:
    parser = _command(
        commands,
        "post",
        "post a message",
        """
        Post a message and print its id.

        examples:
          superchat-cli post general 'The build is green.'
          make 2>&1 | tail -20 | superchat-cli --nick builder post builds -
          superchat-cli post general --reply-to 1189023874112 'Well done!'
        """,
    )
    parser.add_argument("channel", metavar="CHANNEL", help=CHANNEL_HELP)
    parser.add_argument("text", metavar="TEXT", help="the message, or - to read it from standard input")
    parser.add_argument(
        "--reply-to", dest="message_id", metavar="ID", type=_id, help="the message to reply to, in forums"
    )


def _threads(commands: Commands) -> None:
    parser = _command(
        commands,
        "threads",
        "list the threads of a channel",
        """
        List the root messages of a channel, newest first: id, time, author, replies, text.

        examples:
          superchat-cli threads general
          superchat-cli threads general --limit 10 --before 1189023874112
        """,
    )
    parser.add_argument("channel", metavar="CHANNEL", help=CHANNEL_HELP)
    _limit(parser, 50)
    parser.add_argument(
        "--before", dest="message_id", metavar="ID", type=_id, help="only those older than this message"
    )


def _read(commands: Commands) -> None:
    parser = _command(
        commands,
        "read",
        "print a thread",
        """
        Print a root message and the latest replies below it, indented as they answer each other.

        examples:
          superchat-cli read 1189023874112
          superchat-cli read 1189023874112 --limit 500
        """,
    )
    parser.add_argument("message_id", metavar="THREAD", type=_id, help="id of the thread's first message")
    _limit(parser, 50)


def _channels(commands: Commands) -> None:
    _command(
        commands,
        "channels",
        "list the channels",
        """
        List the channels and subchannels: id, name, type, subscribers, how long messages are kept,
        description.

        examples:
          superchat-cli channels
          superchat-cli --json channels | jq -r .name
        """,
    )


def _users(commands: Commands) -> None:
    parser = _command(
        commands,
        "users",
        "list who is online",
        """
        List who is online, or who is in one channel.

        examples:
          superchat-cli users
          superchat-cli users --channel general
        """,
    )
    parser.add_argument("--channel", metavar="CHANNEL", help=CHANNEL_HELP)


def _chat(commands: Commands) -> None:
    parser = _command(
        commands,
        "chat",
        "talk in a channel",
        """
        Join a channel, print what is said there, and post each line that is typed. Lines that
        begin with / are commands:

          /reply N TEXT   reply to the message shown as [N], in forums
          /nick NAME      take another nickname
          /users          list who is in the channel
          /help           list the commands
          /quit           leave; so does Ctrl-D on an empty line
          //TEXT          post /TEXT

        If standard input is no terminal, its lines are taken one by one, and its end leaves.

        examples:
          superchat-cli --nick alice chat general
          superchat-cli --server chat.example.org chat general
        """,
    )
    parser.add_argument("channel", metavar="CHANNEL", help=CHANNEL_HELP)
    parser.add_argument(
        "-n", "--lines", dest="limit", metavar="N", type=_count, default=20, help="begin with the last N; default: 20"
    )


def _limit(parser: argparse.ArgumentParser, default: int) -> None:
    parser.add_argument(
        "--limit", metavar="N", type=_count, default=default, help=f"how many at most; default: {default}"
    )


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError(f"not a time of up to a day: {text}")
    return seconds


def _count(text: str) -> int:
    count = int(text)
    if not 0 <= count <= LIMIT_MAXIMUM:
        raise argparse.ArgumentTypeError(f"not within 0..{LIMIT_MAXIMUM}: {text}")
    return count


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**63):
        raise argparse.ArgumentTypeError(f"not an id: {text}")
    return int(text)
