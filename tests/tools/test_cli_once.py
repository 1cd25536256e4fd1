"""The commands that ask once and end."""

from __future__ import annotations

import io
import sys
from datetime import UTC

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.client import ServerRefused, connect_endpoint
from superchat.tools.cli_ask import Questions
from superchat.tools.cli_commands import COMMANDS
from superchat.tools.cli_human import HumanOutput
from superchat.tools.cli_options import Options
from superchat.wire import messages as wire
from superchat.wire.errors import Unencodable
from tests.tools.chat_in_memory import ChatInMemory, entry
from tests.tools.following import options


class OnceTests(SynchronousTestCase):
    """Each command asks for what it needs and prints it."""

    def setUp(self) -> None:
        self.chat = ChatInMemory()
        client = self.successResultOf(connect_endpoint(self.chat.endpoint, Clock()))
        self.questions = Questions(client, 5.0)
        self.out: list[str] = []
        self.output = HumanOutput(self.out.append, self.out.append, now=lambda: 0.0, zone=UTC)

    def run_command(self, given: Options) -> Deferred[None]:
        command = COMMANDS[given.command](self.questions, given, self.output)
        return Deferred.fromCoroutine(command)  # type: ignore[arg-type]

    def do(self, given: Options) -> list[str]:
        self.successResultOf(self.run_command(given))
        return self.out

    def test_post(self) -> None:
        """A text is posted under one's name, and the message's id printed."""
        given = attrs.evolve(options("post", "general", nickname="alice"), text="hé", message_id=7)
        self.assertEqual(self.do(given), ["101"])
        self.assertEqual(self.chat.heard(wire.SetNickname), [wire.SetNickname(nickname="alice")])
        expected = wire.PostMessage(channel_id=1, parent_id=7, content="hé".encode())
        self.assertEqual(self.chat.heard(wire.PostMessage), [expected])

    def test_post_bytes(self) -> None:
        """An argument that is no UTF-8 is posted byte for byte."""
        self.do(attrs.evolve(options("post", "general"), text="caf\udce9"))
        self.assertEqual(self.chat.heard(wire.PostMessage)[0].content, b"caf\xe9")

    def test_post_standard_input(self) -> None:
        """Standard input is posted without its last line end, of either kind, and read no further than needed."""
        for data, posted in {b"a\nb\n": b"a\nb", b"a\r\n": b"a", b"a": b"a"}.items():
            self.patch(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
            self.do(attrs.evolve(options("post", "general"), text="-"))
            self.assertEqual(self.chat.heard(wire.PostMessage)[-1].content, posted)
        endless = io.BytesIO(b"x" * 10**6)
        self.patch(sys, "stdin", io.TextIOWrapper(endless))
        self.failureResultOf(
            self.run_command(attrs.evolve(options("post", "general"), text="-")), Unencodable
        )
        self.assertLess(endless.tell(), 10**5)

    def test_refused_post(self) -> None:
        """The server's refusal is passed on."""
        self.chat.refusals = {wire.PostMessage: wire.Error(error_code=5001, message="Rate limit exceeded")}
        failed = self.run_command(attrs.evolve(options("post", "general"), text="x"))
        self.assertEqual(self.failureResultOf(failed, ServerRefused).value.code, 5001)

    def test_threads(self) -> None:
        """Root messages come newest first, and only those asked for."""
        self.chat.messages = [entry(1, "a"), entry(2, "b"), entry(3, "c"), entry(4, "re", parent_id=1)]
        printed = self.do(attrs.evolve(options("threads", "general", limit=2), message_id=3))
        self.assertEqual([line.split()[0] for line in printed], ["2", "1"])

    def test_read(self) -> None:
        """A thread is printed as a tree."""
        self.chat.messages = [entry(1, "a"), entry(2, "b", parent_id=1), entry(3, "c", parent_id=2)]
        printed = self.do(attrs.evolve(options("read", limit=50), message_id=1))
        self.assertEqual(printed, ["00:01 ~bob: a", "  00:02 ~bob: b", "    00:03 ~bob: c"])

    def test_read_below_a_reply(self) -> None:
        """So is what stands below a reply."""
        self.chat.messages = [entry(1, "a"), entry(2, "b", parent_id=1), entry(3, "c", parent_id=2)]
        printed = self.do(attrs.evolve(options("read", limit=50), message_id=2))
        self.assertEqual(printed, ["  00:03 ~bob: c"])

    def test_channels(self) -> None:
        """All channels are listed."""
        self.assertEqual(len(self.do(options("channels"))), 3)

    def test_users(self) -> None:
        """Those online are listed, or those in a channel."""
        self.assertEqual(self.do(options("users")), ["carol"])
        self.out.clear()
        self.assertEqual(self.do(options("users", "lobby")), ["dave (anonymous)"])
        self.assertEqual(self.chat.heard(wire.ListChannelUsers), [wire.ListChannelUsers(channel_id=2)])

    def test_name(self) -> None:
        """Reading commands take a name only if one was asked for."""
        self.do(options("channels"))
        self.assertEqual(self.chat.heard(wire.SetNickname), [])
        self.do(options("channels", nickname="alice"))
        self.assertEqual(len(self.chat.heard(wire.SetNickname)), 1)
