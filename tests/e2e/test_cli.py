"""superchat-cli against a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import termios
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from superchat.wire import messages as wire
from tests.e2e.cli import RunningCLI, TerminalCLI, cli_environment, run_cli
from tests.e2e.peers import connect
from tests.e2e.server import UNLIMITED, Finished, RunningServer, free_port


class CommandTests(SynchronousTestCase):
    """The commands that ask once and end."""

    def setUp(self) -> None:
        self.server = RunningServer(self)

    def cli(self, *arguments: str, typed: bytes = b"", status: int = 0) -> Finished:
        done = run_cli(self.server, *arguments, typed=typed)
        self.assertEqual(done.exit_code, status, done)
        return done

    def objects(self, *arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.cli("--json", *arguments).stdout.splitlines()]

    def test_a_thread(self) -> None:
        """What is posted is in the list of threads and can be read, replies in their places."""
        root = self.cli("--nick", "bob", "post", "general", "What is it?").stdout.strip()
        reply = self.cli("--nick", "eve", "post", "general", "A chat.", "--reply-to", root).stdout.strip()
        self.cli("--nick", "bob", "post", "general", "Ah!", "--reply-to", reply)
        self.assertRegex(self.cli("threads", "general").stdout, rf"^{root}  .*  ~bob  2 replies  What is it\?\n$")
        lines = self.cli("read", root).stdout.splitlines()
        self.assertEqual(
            [line.lstrip().partition(" ")[2] for line in lines],
            [
                "~bob: What is it?",
                "~eve: A chat.",
                "~bob: Ah!",
            ],
        )
        self.assertEqual([len(line) - len(line.lstrip()) for line in lines], [0, 2, 4])

    def test_json(self) -> None:
        """The same as objects, with ids that survive."""
        root = self.objects("post", "general", "one")[0]["message_id"]
        self.cli("post", "general", "two", "--reply-to", root)
        [thread] = self.objects("threads", "general")
        self.assertEqual((thread["message_id"], thread["content"], thread["reply_count"]), (root, "one", 1))
        self.assertEqual([each["parent_id"] for each in self.objects("read", root)], [None, root])

    def test_from_standard_input(self) -> None:
        """A message can come from a pipe; only the line end behind it is taken away."""
        self.cli("post", "general", "-", typed=b"one\n two\n\n")
        self.assertEqual(self.objects("threads", "general")[0]["content"], "one\n two\n")

    def test_pages(self) -> None:
        """More than a page of messages can be listed, and older ones (decisions 4.3)."""
        peer = connect(self, self.server).named("bob")
        ids = [
            str(peer.ask_past_presence(wire.PostMessage(channel_id=2, content=b"x"), wire.MessagePosted).message_id)
            for _ in range(205)
        ]
        listed = [each["message_id"] for each in self.objects("threads", "general", "--limit", "300")]
        self.assertEqual(listed, ids[::-1])
        before = self.objects("threads", "general", "--limit", "2", "--before", ids[5])
        self.assertEqual([each["message_id"] for each in before], [ids[4], ids[3]])

    def test_channels_and_users(self) -> None:
        """The channels of the server and the people on it are listed; asking is not being there."""
        names = [each["name"] for each in self.objects("channels")]
        self.assertIn("general", names)
        self.assertEqual(names, [line.split()[1].lstrip("#") for line in self.cli("channels").stdout.splitlines()])
        self.assertEqual(self.cli("users").stdout, "")
        peer = connect(self, self.server).named("bob")
        peer.ask_past_presence(wire.JoinChannel(channel_id=2), wire.JoinResponse)
        self.assertEqual(self.cli("users").stdout, "bob (anonymous)\n")
        self.assertEqual(self.cli("users", "--channel", "general").stdout, "bob (anonymous)\n")
        self.assertEqual(self.cli("users", "--channel", "tech").stdout, "")

    def test_refusals(self) -> None:
        """What the server refuses has status 1 and the server's words, as an object with --json."""
        self.assertIn("there is no channel nowhere", self.cli("post", "nowhere", "x", status=1).stderr)
        self.assertIn("Invalid nickname", self.cli("--nick", "a b", "post", "general", "x", status=1).stderr)
        done = self.cli("--json", "post", "4711", "x", status=1)
        error = json.loads(done.stderr)
        self.assertEqual((error["type"], error["error"], error["code"]), ("error", "refused", 4001))
        self.assertEqual(done.stdout, "")

    def test_wrong_usage(self) -> None:
        """Wrong usage has status 2."""
        self.assertIn("usage:", self.cli("post", "general", status=2).stderr)

    def test_too_long_for_the_protocol(self) -> None:
        """So has a text that no message can hold."""
        self.assertIn("too long", self.cli("post", "general", "-", typed=b"x" * 70000, status=2).stderr)

    def test_no_server(self) -> None:
        """Where nobody listens the status is 3."""
        done = run_cli(self.server, "channels", port=free_port())
        self.assertEqual(done.exit_code, 3)
        self.assertIn("refused", done.stderr)

    def test_reader_that_leaves(self) -> None:
        """A reader of the output that has enough, such as head, ends it quietly, as if by SIGPIPE."""
        readable, writable = os.pipe()
        os.close(readable)
        done = subprocess.run(
            [sys.executable, "-m", "superchat.tools.cli", "channels"],
            env=cli_environment(self.server.place, self.server.port),
            stdout=writable,
            stderr=subprocess.PIPE,
            timeout=30,
        )
        os.close(writable)
        self.assertEqual((done.returncode, done.stderr), (141, b""))


class TailTests(SynchronousTestCase):
    """Following channels."""

    def test_messages_and_replies(self) -> None:
        """New messages are printed, replies in old and new threads too, and Ctrl-C ends it with status 130."""
        server = RunningServer(self)
        bob = connect(self, server).named("bob")

        def post(text: str, parent_id: int | None = None) -> int:
            asked = wire.PostMessage(channel_id=2, parent_id=parent_id, content=text.encode())
            return bob.ask_past_presence(asked, wire.MessagePosted).message_id

        old = post("old thread")
        tail = RunningCLI(self, server, "tail", "general", "-n", "1")
        tail.expect(r"\d\d:\d\d ~bob: old thread\n")
        post("to the old", old)
        tail.expect(r'~bob \(to "old thread"\): to the old\n')
        new = post("new thread")
        tail.expect(r"~bob: new thread\n")
        # The subscription to a new thread is on its way when the thread is printed; a later one tells that it is there.
        again = RunningCLI(self, server, "tail", "general", "-n", "1")
        again.expect("new thread")
        post("to the new", new)
        again.expect(r'\(to "new thread"\): to the new\n')
        tail.interrupt()
        self.assertEqual(tail.wait(), 130)

    def test_server_restart(self) -> None:
        """A restarted server is found again, and what was posted meanwhile is printed."""
        port = ("--port", str(free_port()))
        server = RunningServer(self, UNLIMITED, arguments=port)
        tail = RunningCLI(self, server, "tail", "general", "-n", "1")
        connect(self, server).named("bob").ask_past_presence(
            wire.PostMessage(channel_id=2, content=b"before"), wire.MessagePosted
        )
        tail.expect("~bob: before\n")
        server.terminate()
        tail.expect(r"connection lost: Server shutting down for maintenance; trying again in \d+ s\n")
        server = server.restarted()
        connect(self, server).named("bob").ask_past_presence(
            wire.PostMessage(channel_id=2, content=b"after"), wire.MessagePosted
        )
        tail.expect("~bob: after\n")
        self.assertTrue(server.is_running)

    def test_no_reconnect(self) -> None:
        """With --no-reconnect the end of the server is the end, with status 3 and the server's reason."""
        server = RunningServer(self)
        tail = RunningCLI(self, server, "--no-reconnect", "tail", "general", "-n", "1")
        peer = connect(self, server)
        peer.named("bob").ask_past_presence(wire.PostMessage(channel_id=2, content=b"x"), wire.MessagePosted)
        tail.expect("~bob: x\n")
        server.terminate()
        tail.expect("shutting down for maintenance\n")
        self.assertEqual(tail.wait(), 3)


class ChatTests(SynchronousTestCase):
    """Talking."""

    def setUp(self) -> None:
        self.server = RunningServer(self)
        self.bob = connect(self, self.server).named("bob")
        self.bob.ask_past_presence(wire.SubscribeChannel(channel_id=2), wire.SubscribeOk)

    def heard(self) -> tuple[str, str]:
        """Author and text of the next message that bob hears."""
        message = self.bob.until(wire.NewMessage)
        return message.author_nickname, message.content.decode()

    def test_piped(self) -> None:
        """Lines of a pipe are posted in order, and its end is the end."""
        done = run_cli(self.server, "--nick", "eve", "chat", "general", typed=b"one\ntwo\n")
        self.assertEqual(done.exit_code, 0, done)
        self.assertEqual([self.heard(), self.heard()], [("~eve", "one"), ("~eve", "two")])

    def test_piped_and_refused(self) -> None:
        """A line that is refused makes the status 1; the others are posted."""
        done = run_cli(self.server, "--nick", "eve", "chat", "general", typed=b"/reply 1 one\ntwo\n")
        self.assertEqual(done.exit_code, 1, done)
        self.assertIn("usage: /reply N TEXT", done.stderr)
        self.assertEqual(self.heard(), ("~eve", "two"))

    def test_terminal(self) -> None:
        """On a terminal one types, sees the others above one's line, and replies by number."""
        chat = TerminalCLI(self, self.server, "--nick", "eve", "chat", "general")
        chat.expect("eve> ")
        self.assertFalse(chat.local_modes() & termios.ECHO)
        chat.type("half a l")
        chat.expect("eve> half a l")
        self.bob.send(wire.PostMessage(channel_id=2, content=b"hello\x1b[31m"))
        chat.expect(r"\r\x1b\[J\[1\] \d\d:\d\d ~bob: hello\[31m\r?\n\r\x1b\[Jeve> half a l\r")
        chat.type("ine\r")
        chat.expect(r"\[2\] \d\d:\d\d ~eve: half a line\r?\n")
        self.assertEqual([self.heard(), self.heard()], [("~bob", "hello[31m"), ("~eve", "half a line")])
        chat.type("/reply 1 Grüße\r")
        chat.expect(r"\[3\] \d\d:\d\d ~eve \(to \[1\]\): Grüße\r?\n")
        chat.type("/quit\r")
        self.assertEqual(chat.wait(), 0)
        self.assertEqual(chat.local_modes(), chat.modes_before)

    def test_interrupted(self) -> None:
        """Ctrl-C leaves with status 130 and the terminal as it was."""
        chat = TerminalCLI(self, self.server, "--nick", "eve", "chat", "general")
        chat.expect("eve> ")
        chat.interrupt()
        self.assertEqual(chat.wait(), 130)
        self.assertEqual(chat.local_modes(), chat.modes_before)

    def test_end_of_input(self) -> None:
        """Ctrl-D on an empty line leaves with status 0, and the others see it."""
        chat = TerminalCLI(self, self.server, "--nick", "eve", "chat", "general")
        chat.expect("eve> ")
        # Whoever comes and goes at once is never announced (decisions 5.1).
        self.bob.until(wire.ServerPresence, nickname="eve", online=True)
        chat.type("\x04")
        self.assertEqual(chat.wait(), 0)
        self.bob.until(wire.ServerPresence, nickname="eve", online=False)
