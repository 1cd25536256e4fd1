"""The command lines of what one reads and writes in channels."""

from __future__ import annotations

from superchat.tools.cli_grammar import (
    CHANNEL_HELP,
    add_channel,
    add_key_file,
    add_limit,
    add_lines,
    command,
    identifier,
    moment,
    retention,
)
from superchat.tools.grammar import Commands


def add_channel_commands(commands: Commands) -> None:
    """Add tail, post, threads, read, channels, users, unread, chat, edit, delete and create."""
    for add in (_tail, _post, _threads, _read, _channels, _users, _unread, _chat, _edit, _delete, _create):
        add(commands)


def _tail(commands: Commands) -> None:
    parser = command(
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
    add_lines(parser, 0)


def _post(commands: Commands) -> None:
    parser = command(
        commands,
        "post",
        "post a message",
        """
        Post a message and print its id.

        examples:
          superchat-cli post general 'The build is green.'
          make 2>&1 | tail -20 | superchat-cli --nick builder post builds -
          superchat-cli post general --reply-to 1189023874112 'Well done!'
          superchat-cli --nick alice --login post general 'It is really me.'
        """,
    )
    add_channel(parser)
    parser.add_argument("text", metavar="TEXT", help="the message, or - to read it from standard input")
    parser.add_argument(
        "--reply-to", dest="message_id", metavar="ID", type=identifier, help="the message to reply to, in forums"
    )


def _threads(commands: Commands) -> None:
    parser = command(
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
    add_channel(parser)
    add_limit(parser, 50)
    parser.add_argument(
        "--before", dest="message_id", metavar="ID", type=identifier, help="only those older than this message"
    )


def _read(commands: Commands) -> None:
    parser = command(
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
    parser.add_argument("message_id", metavar="THREAD", type=identifier, help="id of the thread's first message")
    add_limit(parser, 50)


def _channels(commands: Commands) -> None:
    command(
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
    parser = command(
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
    add_channel(parser, "--channel")


def _unread(commands: Commands) -> None:
    parser = command(
        commands,
        "unread",
        "count unread messages",
        """
        Count the messages of channels, all of them or those named, that came since one has read
        there: in chat, or by --mark-read, here or with another client. That needs an account. With
        --since the messages since then are counted, for anybody. Own messages never count.

        examples:
          superchat-cli --nick alice --login unread
          superchat-cli --nick alice --login unread --mark-read general
          superchat-cli unread --since 12h general
          superchat-cli unread --since 2025-11-24T08:00
        """,
    )
    parser.add_argument("channels", metavar="CHANNEL", nargs="*", help=CHANNEL_HELP)
    parser.add_argument(
        "--since",
        dest="since_ms",
        metavar="TIME",
        type=moment,
        help="a local time such as 2025-11-24T14:05, or so long ago: 90s, 30m, 12h, 7d",
    )
    parser.add_argument("--mark-read", action="store_true", help="from now on they count as read; needs an account")


def _chat(commands: Commands) -> None:
    parser = command(
        commands,
        "chat",
        "talk in a channel",
        """
        Join a channel, print what is said there, and post each line that is typed. Lines that
        begin with / are commands:

          /reply N TEXT   reply to the message shown as [N], in forums
          /edit N TEXT    give one's own message another text
          /delete N       delete a message
          /dm NAME TEXT   say something to somebody alone, encrypted
          /accept NAME    begin the private conversation that NAME has asked for
          /decline NAME   or not
          /unread         list the channels with unread messages
          /users          list who is in the channel
          /nick NAME      take another nickname
          /register       make an account of one's nickname
          /login [NAME]   act as an account
          /help           list the commands
          /quit           leave; so does Ctrl-D on an empty line
          //TEXT          post /TEXT

        If standard input is no terminal, its lines are taken one by one, and its end leaves.

        examples:
          superchat-cli --nick alice chat general
          superchat-cli --nick alice --login chat general
          superchat-cli --server chat.example.org chat general
        """,
    )
    add_channel(parser)
    add_lines(parser, 20)
    add_key_file(parser)


def _edit(commands: Commands) -> None:
    parser = command(
        commands,
        "edit",
        "change a message",
        """
        Give a message another text. It must have been written by the account that one logs in to,
        unless that is a moderator or admin. Private messages are edited within chat or dm: here
        their new text would not be encrypted.

        examples:
          superchat-cli --nick alice edit 1189023874112 'The build is red.'
          superchat-cli --nick alice --password-file ~/.alice edit 1189023874112 - < text
        """,
    )
    parser.add_argument("message_id", metavar="ID", type=identifier, help="the message")
    parser.add_argument("text", metavar="TEXT", help="the new text, or - to read it from standard input")


def _delete(commands: Commands) -> None:
    parser = command(
        commands,
        "delete",
        "delete a message",
        """
        Delete a message; its replies stay. It must have been written by the account that one logs
        in to, unless that is a moderator or admin.

        examples:
          superchat-cli --nick alice delete 1189023874112
        """,
    )
    parser.add_argument("message_id", metavar="ID", type=identifier, help="the message")


def _create(commands: Commands) -> None:
    parser = command(
        commands,
        "create",
        "create a channel",
        """
        Create a channel, or a subchannel of another, and print its id. That needs an account.

        examples:
          superchat-cli --nick alice create cooking --description 'What is for dinner?'
          superchat-cli --nick alice create lounge --type chat --retention 24
          superchat-cli --nick alice create bread --parent cooking
        """,
    )
    parser.add_argument("text", metavar="CHANNEL", help="its name, 3 to 50 bytes")
    parser.add_argument(
        "--display", dest="display_name", metavar="TEXT", default="", help="its name in full; default: CHANNEL"
    )
    parser.add_argument("--description", metavar="TEXT", default="", help="what it is for")
    parser.add_argument(
        "--type",
        dest="channel_type",
        choices=("chat", "forum"),
        default="forum",
        help="with threads (forum, the default) or without (chat)",
    )
    parser.add_argument(
        "--retention",
        dest="retention_hours",
        metavar="HOURS",
        type=retention,
        default=168,
        help="how long messages are kept; default: 168, a week",
    )
    parser.add_argument("--parent", metavar="CHANNEL", default="", help="make it a subchannel of this channel")
