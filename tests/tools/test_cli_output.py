"""What the command line prints."""

from __future__ import annotations

import base64
import json
from datetime import UTC
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from superchat.tools.cli_human import HumanOutput
from superchat.tools.cli_json import JsonOutput
from superchat.tools.cli_output import Account, Channel, Encryption, Output, Shown
from superchat.wire import messages as wire
from tests.tools.chat_in_memory import entry

EVIL = "\x1b]0;owned\x07\u202e"


class HumanTests(SynchronousTestCase):
    """Text for people."""

    def setUp(self) -> None:
        self.out: list[str] = []
        self.err: list[str] = []
        self.output = HumanOutput(
            self.out.append, self.err.append, columns=lambda: 60, now=lambda: 0.0, zone=UTC
        )

    def test_message(self) -> None:
        """A message has its time and author; more where it is needed."""
        self.output.message(entry(5, "hello"))
        self.output.message(entry(6, "hi"), Shown(channel="general", number=2, reply_to="[1]", depth=1))
        self.assertEqual(self.out, ["00:05 ~bob: hello", "  [2] 00:06 #general ~bob (to [1]): hi"])

    def test_lines(self) -> None:
        """Further lines stand below the first, so that nobody can forge a message of somebody else."""
        self.output.message(entry(5, "one\n00:06 $admin: two"))
        self.assertEqual(self.out, ["00:05 ~bob: one", "    00:06 $admin: two"])

    def test_edited_message(self) -> None:
        """A text that was changed is marked."""
        changed = wire.MessageEntry(
            message_id=5,
            channel_id=1,
            author_nickname="bob",
            content=b"hello",
            created_at=0,
            edited_at=1,
            reply_count=0,
        )
        self.output.message(changed)
        self.assertEqual(self.out, ["00:00 bob: hello (edited)"])

    def test_system_message(self) -> None:
        """What the server itself says has no author (wire 0x89)."""
        self.output.message(entry(5, "bob has left the conversation", author=""))
        self.assertEqual(self.out, ["00:05 * bob has left the conversation"])

    def test_thread(self) -> None:
        """A thread is one row that fits the terminal, with the id to read it."""
        self.output.thread(entry(5, "x" * 100 + "\nmore", reply_count=1))
        self.assertEqual(self.out, ["5  00:05  ~bob  1 reply  " + "x" * 32 + "..."])

    def test_changes(self) -> None:
        """Edits and deletions name the message and what stands there now."""
        self.output.edited(
            wire.MessageEdited(success=True, message_id=5, edited_at=0, new_content=b"new", message=""), 3
        )
        self.output.deleted(
            wire.MessageDeleted(success=True, message_id=6, deleted_at=0, message=b"[deleted by ~bob]")
        )
        self.assertEqual(self.out, ["* [3] now reads new", "* message 6 is gone: [deleted by ~bob]"])

    def test_channels(self) -> None:
        """Channels are a table."""
        self.output.channels(
            [
                Channel(1, "general", True, "All of us", 12, 168),
                Channel(30, "general/web", False),
            ]
        )
        self.assertEqual(
            self.out,
            [
                " 1  #general      forum     12     168 h  All of us",
                "30  #general/web  chat          for ever",
            ],
        )

    def test_private_messages(self) -> None:
        """What others could have read or written is marked, and what cannot be read is not shown as a text."""
        for encryption in Encryption:
            self.output.message(entry(5, b"\xffhello"), Shown(channel="bob", is_private=True, encryption=encryption))
        self.assertEqual(
            self.out,
            [
                "00:05 private with bob ~bob: \\xffhello",
                "00:05 private with bob ~bob: (not encrypted) \\xffhello",
                "00:05 private with bob ~bob: (cannot be decrypted)",
            ],
        )

    def test_conversation(self) -> None:
        """A conversation tells the other's key, or that there is none; it is no result."""
        ready = wire.DMReady(channel_id=9, other_nickname="bob", is_encrypted=False)
        self.output.conversation(ready, "SHA256:abc")
        self.output.conversation(ready, None)
        self.assertEqual(self.out, [])
        self.assertEqual(
            self.err,
            [
                "* private conversation 9 with bob, encrypted; the other's key is SHA256:abc",
                "* private conversation 9 with bob, NOT encrypted: the server can read it",
            ],
        )

    def test_request(self) -> None:
        """A request tells what can be done about encryption."""
        for status in (0, 1, 2, 9):
            self.output.request(wire.DMRequest(dm_channel_id=4, from_nickname="bob", encryption_status=status))
        words = [line.removeprefix("4  bob  encryption ") for line in self.out]
        self.assertEqual(words, ["impossible", "required", "optional", "unknown"])

    def test_errors(self) -> None:
        """Errors and notices are no results."""
        self.output.error("refused", "no", 3000)
        self.output.notice("connected again")
        self.assertEqual((self.out, self.err), ([], ["superchat-cli: no", "* connected again"]))

    def test_nothing_of_the_server_reaches_the_terminal_raw(self) -> None:
        """Wherever a server or a user can put text, control characters are shown and not sent."""
        say_everything(self.output, EVIL)
        self.assertEqual([line for line in self.out + self.err if not line.isprintable()], [])
        self.assertEqual(len([line for line in self.out + self.err if "\\x1b" in line]), 19)


def say_everything(output: Output, text: str) -> None:
    """Print nineteen things that hold ``text``."""
    content = text.encode("utf-8", "surrogateescape")
    message = entry(5, content, author=text)
    output.message(message, Shown(channel=text))
    output.thread(message)
    output.edited(
        wire.MessageEdited(success=True, message_id=5, edited_at=0, new_content=content, message="")
    )
    output.deleted(wire.MessageDeleted(success=True, message_id=5, deleted_at=0, message=content))
    output.presence(
        wire.ChannelPresence(
            channel_id=1, session_id=1, nickname=text, is_registered=False, user_flags=0, joined=True
        )
    )
    output.channels([Channel(1, text, True, text)])
    output.users([wire.UserListEntry(nickname=text, is_registered=False, online=True)])
    output.users([wire.ChannelUserEntry(session_id=1, nickname=text, is_registered=True, user_flags=0)])
    output.account(Account(text, 1, True, False, text))
    output.created(Channel(1, text), text)
    output.done(text)
    output.banned(1, text)
    output.bans([ban(text)])
    output.unread([(Channel(1, text), 2)])
    output.request(
        wire.DMRequest(dm_channel_id=1, from_nickname=text, encryption_status=1)
    )
    for key in (None, text):
        output.conversation(wire.DMReady(channel_id=1, other_nickname=text, is_encrypted=False), key)
    output.message(message, Shown(channel=text, is_private=True, encryption=Encryption.CLEAR))
    output.notice(text)
    output.error("refused", text, 3000)


def ban(text: str) -> wire.BanEntry:
    """A ban that holds ``text``."""
    return wire.BanEntry(
        ban_id=1, ban_type=text, nickname=text, reason=text, shadowban=True, banned_at=0, banned_until=1, banned_by=text
    )


class JsonTests(SynchronousTestCase):
    """One object per line (docs/cli.md)."""

    def setUp(self) -> None:
        self.out: list[str] = []
        self.err: list[str] = []
        self.output = JsonOutput(self.out.append, self.err.append)

    def last(self) -> dict[str, Any]:
        """Return the latest object on standard output."""
        fields: dict[str, Any] = json.loads(self.out[-1])
        return fields

    def test_message(self) -> None:
        """A message has every field the protocol has, ids as text: they are larger than 2**53."""
        big = 2**62 + 1
        self.output.message(entry(big, "hi", parent_id=7), Shown(channel="general", number=3))
        self.assertEqual(
            self.last(),
            {
                "type": "message",
                "message_id": str(big),
                "channel_id": "1",
                "parent_id": "7",
                "author": "~bob",
                "author_user_id": None,
                "created_at_ms": big * 60_000,
                "edited_at_ms": None,
                "reply_count": 0,
                "content": "hi",
                "channel": "general",
                "encryption": None,
            },
        )

    def test_private_message(self) -> None:
        """How a private message came is a word."""
        words = []
        for encryption in (None, *Encryption):
            self.output.message(entry(1, "hi"), Shown(encryption=encryption))
            words.append(self.last()["encryption"])
        self.assertEqual(words, [None, "sealed", "clear", "broken"])

    def test_content_that_is_no_text(self) -> None:
        """Bytes that are no UTF-8 can be had exactly."""
        self.output.message(entry(1, b"a\xffb"))
        self.assertEqual(self.last()["content"], "a\ufffdb")
        self.assertEqual(base64.b64decode(self.last()["content_base64"]), b"a\xffb")

    def test_errors(self) -> None:
        """Errors are objects on standard error."""
        self.output.error("refused", "no", 3000)
        self.output.notice("hello")
        self.assertEqual(
            [json.loads(line) for line in self.err],
            [
                {"type": "error", "error": "refused", "code": 3000, "message": "no"},
                {"type": "notice", "message": "hello"},
            ],
        )
        self.assertEqual(self.out, [])

    def test_one_line_each(self) -> None:
        """Whatever a text holds, an object is one line of plain ASCII."""
        say_everything(self.output, EVIL + "\n\u2028\udcff世")
        self.assertEqual(len(self.out + self.err), 20)
        for line in self.out + self.err:
            self.assertTrue(line.isascii() and line.isprintable(), line)
            json.loads(line)

    def test_types(self) -> None:
        """The types of objects are those that the manual names."""
        say_everything(self.output, "x")
        self.output.posted(2**60)
        types = [json.loads(line)["type"] for line in self.out]
        self.assertEqual(
            types,
            [
                *("message", "thread", "edited", "deleted", "presence", "channel", "user", "user"),
                *("account", "created", "done", "banned", "ban", "unread", "request"),
                *("conversation", "conversation", "message", "posted"),
            ],
        )
        self.assertEqual(self.last()["message_id"], str(2**60))
