"""Where the lines of a chat come from: a terminal with a line editor, or any other standard input."""

from __future__ import annotations

import codecs
import contextlib
import os
import signal
import termios
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, Final

from twisted.conch.insults.insults import ServerProtocol, TerminalProtocol
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from superchat.tools.cli_chat import Chat
from superchat.tools.cli_line import Line
from superchat.tools.cli_secrets import NoPassword

READ_BYTES: Final = 65536

PASTE_ON: Final = "\x1b[?2004h"
PASTE_OFF: Final = "\x1b[?2004l"
ERASE_ROW: Final = "\r\x1b[J"
ERASE_SCREEN: Final = "\x1b[H\x1b[2J"


class FileReader(FileDescriptor):
    """Reads a file descriptor when there is something to read.

    Unlike twisted's StandardIO it leaves it blocking: that is a property of the terminal, which this
    process shares with the shell and with its own output.
    """

    def __init__(
        self, reactor: Any, descriptor: int, take: Callable[[bytes], None], end: Callable[[], None]
    ) -> None:
        super().__init__(reactor)
        self._descriptor = descriptor
        self._take = take
        self._end = end
        self.connected = 1

    def fileno(self) -> int:
        return self._descriptor

    def doRead(self) -> Failure | None:
        """Called by the reactor; a returned failure makes it call ``connectionLost``."""
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except OSError:
            data = b""  # the terminal is gone
        if data:
            self._take(data)
            return None
        return Failure(ConnectionDone())

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        self._end()


class PlainKeyboard(LineReceiver):
    """Takes lines from a pipe or file, each after the one before is done."""

    delimiter = b"\n"
    MAX_LENGTH = READ_BYTES

    _log = Logger()

    def __init__(self, reactor: Any, descriptor: int) -> None:
        self._reader = FileReader(reactor, descriptor, self.dataReceived, self._ended)
        self._chat: Chat | None = None

    def start(self, chat: Chat) -> None:
        """Begin to read."""
        self._chat = chat
        self.makeConnection(self._reader)
        self._reader.startReading()

    def stop(self) -> None:
        """Read no more."""
        self._reader.stopReading()

    def prompt(self, text: str) -> None:
        """Nobody is there to see it."""

    def gives_back(self, line: str) -> bool:
        """Lines wait for the connection to come back."""
        return False

    def secret(self, prompt: str) -> Deferred[str]:
        """There is nobody to ask, and a script had better not have its passwords among its lines."""
        return fail(NoPassword("passwords are asked for on a terminal only; use --login and --password-file"))

    def lineReceived(self, line: bytes) -> None:
        self.pauseProducing()
        self._pass_on(line).addCallback(lambda _: self.resumeProducing())

    def lineLengthExceeded(self, line: bytes) -> None:
        # LineReceiver would hang up on standard input; the server refuses the line with a reason.
        self.lineReceived(line[: READ_BYTES - 1])

    def _ended(self) -> None:
        rest = self.clearLineBuffer()
        self._pass_on(rest).addCallback(lambda _: self._chat.quit() if self._chat else None)

    def _pass_on(self, line: bytes) -> Deferred[None]:
        assert self._chat is not None
        text = line.removesuffix(b"\r").decode("utf-8", "surrogateescape")
        passed = Deferred.fromCoroutine(self._chat.line(text))
        return passed.addErrback(lambda failure: self._log.failure("A line failed", failure=failure))


class Secret:
    """A line that is being typed unseen."""

    def __init__(self, prompt: str) -> None:
        self.prompt = prompt
        self.line = Line()
        self.told: Deferred[str] = Deferred()


class Terminal(TerminalProtocol):
    """One row at the bottom to type in; everything else is printed above it."""

    _log = Logger()

    def __init__(
        self, reactor: Any, descriptor: int, write: Callable[[str], None], columns: Callable[[], int]
    ) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._write = write
        self._columns = columns
        self._keys = ServerProtocol(lambda: self)
        self._reader = FileReader(reactor, descriptor, self._typed, self._ended)
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._line = Line()
        self._prompt = ""
        self._secret: Secret | None = None
        self._pasting = False
        self._active = False
        self._modes: list[Any] | None = None
        self._signals: dict[int, Any] = {}
        self._chat: Chat | None = None

    # What the chat wants

    def start(self, chat: Chat) -> None:
        """Take over the terminal."""
        self._chat = chat
        self._keys.makeConnection(self._reader)
        self._acquire()
        for number, react in ((signal.SIGWINCH, self._redraw), (signal.SIGTSTP, self._suspend)):
            self._signals[number] = signal.signal(number, self._in_the_reactor(react))
        self._reader.startReading()

    def stop(self) -> None:
        """Give the terminal back as it was."""
        for number, previous in self._signals.items():
            signal.signal(number, previous)
        self._signals = {}
        self._reader.stopReading()
        self._release()

    def prompt(self, text: str) -> None:
        """Change what stands before the line."""
        self._prompt = text
        self._redraw()

    def gives_back(self, line: str) -> bool:
        """Let it be sent again with one key, unless something else was typed meanwhile."""
        if not self._line.text:
            self._line.replace(line)
            self._redraw()
        return True

    def secret(self, prompt: str) -> Deferred[str]:
        """Ask for a line that is neither shown nor remembered. Enter ends it."""
        self._secret = Secret(prompt)
        self._redraw()
        return self._secret.told

    def print(self, text: str) -> None:
        """Print a line above the one being typed."""
        if self._active:
            self._write(f"{ERASE_ROW}{text}\n{self._row()}")
        else:
            self._write(f"{text}\n")

    # The terminal

    def _acquire(self) -> None:
        self._modes = termios.tcgetattr(self._descriptor)
        raw = termios.tcgetattr(self._descriptor)
        # Signals stay on: Ctrl-C and Ctrl-Z do what they always do.
        raw[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
        raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, raw)
        self._active = True
        self._write(PASTE_ON + self._row())

    def _release(self) -> None:
        if self._modes is not None:
            self._write(ERASE_ROW + PASTE_OFF)
            with contextlib.suppress(termios.error):  # the terminal may be gone
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._modes)
        self._modes = None
        self._active = False

    def _suspend(self) -> None:
        self._release()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        # Here the process stands still until it is continued.
        signal.signal(signal.SIGTSTP, self._in_the_reactor(self._suspend))
        self._acquire()

    def _in_the_reactor(self, react: Callable[[], None]) -> Callable[[int, FrameType | None], None]:
        # A signal may come in the middle of a write.
        return lambda number, frame: self._reactor.callFromThread(react)

    def _row(self) -> str:
        line, prompt = (self._line, self._prompt) if self._secret is None else (Line(), self._secret.prompt)
        row, cursor = line.row(prompt, self._columns())
        return f"{ERASE_ROW}{row}\r" + (f"\x1b[{cursor}C" if cursor else "")

    def _redraw(self) -> None:
        if self._active:
            self._write(self._row())

    # Keys

    def _typed(self, data: bytes) -> None:
        self._keys.dataReceived(data)
        self._redraw()

    def _ended(self) -> None:
        if self._chat is not None:
            self._chat.quit()

    def keystrokeReceived(self, keyID: Any, modifier: Any) -> None:
        key = (keyID, modifier)
        if self._secret is not None:
            self._whisper(self._secret, keyID, modifier)
        elif key in KEYS and not (self._pasting and keyID in ENTER):
            KEYS[key](self._line)
        elif keyID in ENTER and modifier is None:
            self._enter()
        elif key == (b"\x04", None):
            self._end_or_delete()
        elif key == (b"\x0c", None):
            self._write(ERASE_SCREEN)
        elif is_character(keyID, modifier):
            self._insert(self._decoder.decode(keyID))

    def _whisper(self, secret: Secret, key: Any, modifier: Any) -> None:
        if (key in ENTER and not self._pasting) or key == b"\x04":
            self._secret = None
            secret.told.callback(secret.line.text)
        elif key in ERASERS:
            secret.line.backspace()
        elif key == b"\x15":
            secret.line.replace("")
        elif is_character(key, modifier) and key not in ENTER:
            typed = self._decoder.decode(key)
            secret.line.insert("".join(each for each in typed if each.isprintable()))

    def unhandledControlSequence(self, seq: bytes) -> None:
        if seq in PASTES:
            self._pasting = PASTES[seq]
        elif self._secret is None and seq in SEQUENCES:
            SEQUENCES[seq](self._line)

    def _insert(self, text: str) -> None:
        for each in text:
            if each.isprintable() or "\udc80" <= each <= "\udcff":
                self._line.insert(each)
            elif each in "\t":
                self._line.insert(" ")

    def _enter(self) -> None:
        if self._pasting:
            self._line.insert("\n")
            return
        text = self._line.take()
        assert self._chat is not None
        passed = Deferred.fromCoroutine(self._chat.line(text))
        passed.addErrback(lambda failure: self._log.failure("A line failed", failure=failure))

    def _end_or_delete(self) -> None:
        if self._line.text:
            self._line.delete()
        else:
            self._ended()



def is_character(key: Any, modifier: Any) -> bool:
    """Whether a key stands for itself; twisted's names of other keys are longer."""
    return isinstance(key, bytes) and len(key) == 1 and modifier is None


ENTER: Final = (b"\r", b"\n")
ERASERS: Final = (b"\x7f", b"\x08")
PASTES: Final = {b"\x1b[200~": True, b"\x1b[201~": False}

_KEY: Any = ServerProtocol  # it gets its key names from a table

KEYS: Final[Mapping[tuple[Any, Any], Callable[[Line], None]]] = {
    (_KEY.LEFT_ARROW, None): Line.left,
    (_KEY.RIGHT_ARROW, None): Line.right,
    (_KEY.UP_ARROW, None): Line.older,
    (_KEY.DOWN_ARROW, None): Line.newer,
    (_KEY.HOME, None): Line.home,
    (_KEY.END, None): Line.end,
    (_KEY.DELETE, None): Line.delete,
    (b"\x7f", None): Line.backspace,
    (b"\x08", None): Line.backspace,
    (b"\x7f", _KEY.ALT): Line.delete_word,
    (b"b", _KEY.ALT): Line.word_left,
    (b"f", _KEY.ALT): Line.word_right,
    (b"\x01", None): Line.home,
    (b"\x02", None): Line.left,
    (b"\x05", None): Line.end,
    (b"\x06", None): Line.right,
    (b"\x0b", None): Line.delete_to_end,
    (b"\x0e", None): Line.newer,
    (b"\x10", None): Line.older,
    (b"\x15", None): Line.delete_to_start,
    (b"\x17", None): Line.delete_word,
}
"""Keys as twisted's VT100 parser names them, and what they do: those of the usual shells."""

SEQUENCES: Final[Mapping[bytes, Callable[[Line], None]]] = {
    b"\x1b[1;5D": Line.word_left,
    b"\x1b[1;5C": Line.word_right,
    b"\x1b[1;3D": Line.word_left,
    b"\x1b[1;3C": Line.word_right,
    # What the parser makes of ESC O H and so on, which terminals in application mode send.
    b"\x1b[OA": Line.older,
    b"\x1b[OB": Line.newer,
    b"\x1b[OC": Line.right,
    b"\x1b[OD": Line.left,
    b"\x1b[OF": Line.end,
    b"\x1b[OH": Line.home,
}
