"""Lines from a terminal, and from elsewhere."""

from __future__ import annotations

import os
import signal
import termios
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from superchat.tools.cli_chat import Chat
from superchat.tools.cli_secrets import NoPassword
from superchat.tools.cli_terminal import ERASE_ROW, PASTE_OFF, PASTE_ON, PlainKeyboard, Terminal


class Listener:
    """Stands where the chat does; lines wait for ``release`` if ``slow``."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.ended = False
        self.slow: Deferred[None] | None = None

    async def line(self, text: str) -> None:
        self.lines.append(text)
        if self.slow is not None:
            await self.slow

    def quit(self) -> None:
        self.ended = True


class Reactor(MemoryReactor):
    """Runs what signals ask for at once."""

    def callFromThread(self, callable: Any, *args: Any, **kwargs: Any) -> None:
        callable(*args, **kwargs)


def turn(reactor: MemoryReactor) -> None:
    """Let the reactor read, as it does when there is something to read."""
    for reader in list(reactor.readers):
        failure = reader.doRead()
        if failure is not None:
            reader.connectionLost(failure)


class PlainKeyboardTests(SynchronousTestCase):
    """Standard input is a pipe or a file."""

    def setUp(self) -> None:
        self.reactor = MemoryReactor()
        readable, self.writable = os.pipe()
        self.addCleanup(os.close, readable)
        self.listener = Listener()
        self.keyboard = PlainKeyboard(self.reactor, readable)
        self.keyboard.start(cast(Chat, self.listener))

    def write(self, data: bytes) -> None:
        os.write(self.writable, data)
        turn(self.reactor)

    def end(self) -> None:
        os.close(self.writable)
        turn(self.reactor)

    def test_lines(self) -> None:
        """Each line is passed on, whatever pieces it comes in, with either line end."""
        self.write(b"one\ntw")
        self.write(b"o\r\n")
        self.end()
        self.assertEqual(self.listener.lines[:2], ["one", "two"])
        self.assertTrue(self.listener.ended)

    def test_last_line(self) -> None:
        """The last line needs no end."""
        self.write(b"one\ntwo")
        self.end()
        self.assertEqual(self.listener.lines, ["one", "two"])

    def test_one_at_a_time(self) -> None:
        """The next line, and the end, wait until a line is done; meanwhile nothing is read."""
        self.listener.slow = Deferred()
        self.write(b"one\ntwo\n")
        self.assertEqual(self.listener.lines, ["one"])
        self.assertEqual(self.reactor.readers, set())
        slow, self.listener.slow = self.listener.slow, None
        slow.callback(None)
        self.assertEqual(self.listener.lines, ["one", "two"])
        self.assertFalse(self.listener.ended)
        self.end()
        self.assertTrue(self.listener.ended)

    def test_secret(self) -> None:
        """A script is not asked for passwords."""
        self.assertIn("--password-file", str(self.failureResultOf(self.keyboard.secret("?"), NoPassword).value))

    def test_endless_line(self) -> None:
        """A line without end costs bounded memory and does not end the conversation."""
        for _ in range(3):
            self.write(b"x" * 40000)
        self.assertEqual(len(self.listener.lines), 1)
        self.assertFalse(self.listener.ended)


class TerminalTests(SynchronousTestCase):
    """Standard input and output are a terminal."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.master, self.slave = os.openpty()
        self.addCleanup(os.close, self.master)
        self.addCleanup(os.close, self.slave)
        self.before = termios.tcgetattr(self.slave)
        self.written: list[str] = []
        self.listener = Listener()
        self.terminal = Terminal(self.reactor, self.slave, self.written.append, lambda: 40)
        self.terminal.prompt("bob> ")
        self.terminal.start(cast(Chat, self.listener))
        self.addCleanup(self.terminal.stop)

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)
        turn(self.reactor)

    def row(self) -> str:
        """Return the row as it was drawn last."""
        return self.written[-1].rpartition(ERASE_ROW)[2].partition("\r")[0]

    def test_typing(self) -> None:
        """What is typed stands behind the prompt and is passed on with Enter."""
        self.press(b"hello")
        self.assertEqual(self.row(), "bob> hello")
        self.press(b"\r")
        self.assertEqual(self.listener.lines, ["hello"])
        self.assertEqual(self.row(), "bob> ")

    def test_printing(self) -> None:
        """A message appears above the line, which is drawn again with the cursor where it was."""
        self.press(b"half typed\x1b[D\x1b[D")
        self.terminal.print("00:05 bob: hi")
        self.assertEqual(self.written[-1], f"{ERASE_ROW}00:05 bob: hi\n{ERASE_ROW}bob> half typed\r\x1b[13C")
        self.press(b"X\r")
        self.assertEqual(self.listener.lines, ["half typXed"])

    def test_other_languages(self) -> None:
        """Characters of several bytes arrive whole, even if their bytes come one by one."""
        for byte in "é世".encode():
            self.press(bytes([byte]))
        self.assertEqual(self.row(), "bob> é世")
        self.press(b"\n")
        self.assertEqual(self.listener.lines, ["é世"])

    def test_keys(self) -> None:
        """Cursor keys in both notations, Home, End, Delete, Alt and Ctrl combinations work, others do nothing."""
        for keys, expected in {
            b"abc\x1b[D\x7f": "ac",
            b"abc\x1bOD\x7f": "ac",
            b"abc\x01\x1b[3~": "bc",
            b"abc\x1b[H\x1b[3~": "bc",
            b"one two\x1bb\x0b": "one ",
            b"one two\x17": "one ",
            b"one two\x1b[1;5D\x15": "two",
            b"abc\x1b[5;9~\x1b[99~d": "abcd",
            b"ab\x1b[15~\x1bOPc": "abc",
        }.items():
            self.press(keys)
            self.assertEqual(self.row(), f"bob> {expected}", keys)
            self.press(b"\x05\x15")

    def test_history(self) -> None:
        """The up key brings a line back."""
        self.press(b"one\r\x1b[A")
        self.assertEqual(self.row(), "bob> one")

    def test_paste(self) -> None:
        """Pasted lines stay one message until Enter is pressed, and pasted control characters do nothing."""
        self.press(b"\x1b[200~one\ntwo\x04\x1b[201~")
        self.assertEqual(self.listener.lines, [])
        self.assertFalse(self.listener.ended)
        self.press(b"\r")
        self.assertEqual(self.listener.lines, ["one\ntwo"])

    def test_secret(self) -> None:
        """A password is asked for in place of the line, is not drawn, not posted and not in the history."""
        self.press(b"half a line")
        told = self.terminal.secret("password: ")
        self.assertEqual(self.row(), "password: ")
        count = len(self.written)
        self.press(b"hunterx\x7f2")
        self.terminal.print("00:05 bob: hi")
        self.assertNotIn("hunter", "".join(self.written))
        self.assertEqual({each.rpartition(ERASE_ROW)[2] for each in self.written[count:]}, {"password: \r\x1b[10C"})
        self.press(b"\r")
        self.assertEqual(self.successResultOf(told), "hunter2")
        self.assertEqual(self.row(), "bob> half a line")
        self.press(b"\x15\x1b[A")
        self.assertEqual(self.row(), "bob> ")
        self.assertEqual(self.listener.lines, [])

    def test_secret_keys(self) -> None:
        """Ctrl-U begins anew, arrows do nothing, a pasted line end is left out, Ctrl-D ends like Enter."""
        told = self.terminal.secret("password: ")
        self.press("wrong\x15gr\x1b[A\x1b[1;5Dü\x1b[200~n\x1b[201~\x04".encode())
        self.assertEqual(self.successResultOf(told), "grün")
        self.assertFalse(self.listener.ended)

    def test_end(self) -> None:
        """Ctrl-D leaves on an empty line, and deletes on others."""
        self.press(b"ab\x01\x04")
        self.assertEqual(self.row(), "bob> b")
        self.press(b"\x04\x04")
        self.assertTrue(self.listener.ended)

    def test_lost_terminal(self) -> None:
        """When the terminal is gone the conversation ends."""
        os.close(self.master)
        turn(self.reactor)
        self.assertTrue(self.listener.ended)
        self.master = os.open(os.devnull, os.O_RDONLY)

    def test_given_back(self) -> None:
        """A line that could not be sent stands there again, unless something else was typed."""
        self.assertTrue(self.terminal.gives_back("again"))
        self.assertEqual(self.row(), "bob> again")
        self.terminal.gives_back("other")
        self.assertEqual(self.row(), "bob> again")

    def test_modes(self) -> None:
        """Echo is off while one types and everything is as before afterwards."""
        self.assertFalse(termios.tcgetattr(self.slave)[3] & (termios.ECHO | termios.ICANON))
        self.assertTrue(termios.tcgetattr(self.slave)[3] & termios.ISIG)
        self.assertTrue(self.written[0].startswith(PASTE_ON))
        self.terminal.stop()
        self.assertEqual(termios.tcgetattr(self.slave), self.before)
        self.assertTrue(self.written[-1].endswith(PASTE_OFF))
        self.terminal.print("after")
        self.assertEqual(self.written[-1], "after\n")

    def test_resized(self) -> None:
        """Another size of the window draws the row anew."""
        self.press(b"hello")
        count = len(self.written)
        signal.raise_signal(signal.SIGWINCH)
        self.assertEqual(self.written[count:], self.written[count - 1 : count])

    def test_cleared(self) -> None:
        """Ctrl-L clears the screen and keeps the line."""
        self.press(b"hello\x0c")
        self.assertIn("\x1b[2J", "".join(self.written))
        self.assertEqual(self.row(), "bob> hello")
