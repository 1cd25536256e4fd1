"""superchat-cli: read and write on a server from a terminal or a script."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from shutil import get_terminal_size
from types import FrameType
from typing import Any, Final, TextIO

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from superchat.client import ChatClient, ClientError, ServerRefused, connect
from superchat.client.key_file import KeyFileError
from superchat.client.passwords import password_hash, takes_long
from superchat.client.protocol import EventListener
from superchat.tools.cli_arguments import parse
from superchat.tools.cli_ask import Declined, Questions
from superchat.tools.cli_chat import Chat
from superchat.tools.cli_chat_commands import CHAT_COMMANDS
from superchat.tools.cli_commands import COMMANDS
from superchat.tools.cli_human import HumanOutput
from superchat.tools.cli_incoming import Incoming
from superchat.tools.cli_json import JsonOutput
from superchat.tools.cli_options import Options
from superchat.tools.cli_output import Output, WriteLine
from superchat.tools.cli_secrets import NoPassword, Secrets, existing, new
from superchat.tools.cli_tail import tail
from superchat.tools.cli_text import Palette, wants_colour
from superchat.wire import messages as wire
from superchat.wire.errors import Unencodable
from superchat.wire.records import Message

DONE: Final = 0
REFUSED: Final = 1
WRONG_USAGE: Final = 2
NO_CONNECTION: Final = 3
SOFTWARE_ERROR: Final = 70  # EX_SOFTWARE of sysexits.h
CANNOT_WRITE: Final = 74  # EX_IOERR
BY_SIGNAL: Final = 128  # plus its number, as in shells

INTERRUPTS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stream:
    """Writes text to a file descriptor of this process, blocking.

    When that fails, mostly because the reader is gone, ``on_broken`` is called once and the rest is dropped.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._encoding = file.encoding or "utf-8"
        self.error: OSError | None = None
        self.on_broken: Callable[[], None] = lambda: None

    def write(self, text: str) -> None:
        """Write, all of it."""
        left = memoryview(text.encode(self._encoding, "backslashreplace"))
        while left and self.error is None:
            try:
                left = left[os.write(self._file.fileno(), left) :]
            except OSError as error:
                self.error = error
                self.on_broken()

    def line(self, text: str) -> None:
        """Write a line."""
        self.write(text + "\n")


class Program:
    """One run: from options to an exit status."""

    _log = Logger()

    def __init__(self, options: Options, reactor: Any, environ: Mapping[str, str]) -> None:
        self._options = options
        self._reactor = reactor
        self._environ = environ
        self._out = Stream(sys.stdout)
        self._err = Stream(sys.stderr)
        self._output = self._output_to(self._out.line, self._err.line, sys.stderr)
        self._work: Deferred[int] | None = None
        self._signal: int | None = None
        self._give_back: Callable[[], None] = lambda: None
        self._out.on_broken = lambda: self._interrupt(signal.SIGPIPE)

    def run(self) -> int:
        """Do what was asked for; return the exit status."""
        try:
            # Before anything else: no connection waits for somebody who has to remember a password.
            self._options = attrs.evolve(self._options, secrets=self._ask_secrets())
        except NoPassword as trouble:
            self._output.error("usage", str(trouble))
            return WRONG_USAGE
        except KeyboardInterrupt:
            return BY_SIGNAL + signal.SIGINT
        statuses: list[int] = []

        def start() -> None:
            self._work = Deferred.fromCoroutine(self._command())
            self._work.addErrback(self._failed).addCallback(statuses.append)
            self._work.addBoth(lambda _: self._reactor.callLater(0, self._reactor.stop))

        for number in INTERRUPTS:
            signal.signal(number, self._signalled)
        self._reactor.callWhenRunning(start)
        self._reactor.run(installSignalHandlers=False)
        return statuses[0] if statuses else SOFTWARE_ERROR

    # Commands

    async def _command(self) -> int:
        await self._prove_identity()
        match self._options:
            case Options(command="tail"):
                await tail(self._reactor, self._listen, self._options, self._output)
            case Options(command="chat") | Options(command="dm", text=""):
                return await self._chat()
            case _:
                await self._once()
        return DONE

    async def _once(self) -> None:
        incoming = Incoming()

        def listener(event: Message) -> None:
            incoming.take(event)

        client = await self._listen(listener)
        try:
            questions = Questions(client, self._options.timeout_seconds, incoming)
            await COMMANDS[self._options.command](questions, self._options, self._output)
        finally:
            await client.close()

    async def _chat(self) -> int:
        # Only here: the others need no line editor, and start sooner without.
        from superchat.tools.cli_terminal import PlainKeyboard, Terminal

        if self._options.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
            keyboard = PlainKeyboard(self._reactor, sys.stdin.fileno())
            chat = Chat(self._reactor, self._listen, self._options, self._output, keyboard, CHAT_COMMANDS)
            try:
                await chat.run()
            finally:
                keyboard.stop()
            return REFUSED if chat.failed else DONE
        terminal = Terminal(self._reactor, sys.stdin.fileno(), self._out.write, self._columns)
        self._output = self._output_to(terminal.print, terminal.print, sys.stdout)
        self._give_back = terminal.stop
        try:
            await Chat(self._reactor, self._listen, self._options, self._output, terminal, CHAT_COMMANDS).run()
        finally:
            terminal.stop()
        return DONE

    # Secrets

    def _ask_secrets(self) -> Secrets:
        options = self._options
        if not options.login:
            return Secrets(hash=self._hash)
        if options.command == "register":
            return Secrets(password=new(options.password_file, "Password: "), hash=self._hash)
        password = existing(options.password_file)
        if options.command != "passwd":
            return Secrets(password=password, hash=self._hash)
        return Secrets(password=password, new_password=new(options.new_password_file), hash=self._hash)

    async def _prove_identity(self) -> None:
        """Make of the password what the server gets to see."""
        options, secrets = self._options, self._options.secrets
        if not options.login or options.nickname is None:
            return
        hashed = await self._hash(options.nickname, secrets.password)
        credentials = wire.AuthRequest(nickname=options.nickname, password_hash=hashed)
        known = attrs.evolve(secrets, credentials=credentials, password="")
        self._options = attrs.evolve(options, secrets=known)

    def _hash(self, nickname: str, password: str) -> Deferred[str]:
        if takes_long(nickname):
            self._output.notice("for so short a nickname it takes a minute to prepare the password")
        pool = self._reactor.getThreadPool()
        return deferToThreadPool(self._reactor, pool, password_hash, nickname, password)

    def _listen(self, listener: EventListener) -> Deferred[ChatClient]:
        options = self._options
        return connect(
            self._reactor,
            options.host,
            options.port,
            timeout_seconds=options.timeout_seconds,
            on_event=listener,
        )

    # Output

    def _output_to(self, out: WriteLine, err: WriteLine, err_file: TextIO) -> Output:
        if self._options.json:
            return JsonOutput(out, err)
        palettes = [Palette(wants_colour(each, self._environ)) for each in (sys.stdout, err_file)]
        return HumanOutput(out, err, *palettes, columns=self._columns)

    def _columns(self) -> int:
        return get_terminal_size().columns

    # The end

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None:
            os._exit(BY_SIGNAL + number)  # asked twice: no goodbyes
        self._reactor.callFromThread(self._interrupt, number)

    def _interrupt(self, number: int) -> None:
        if self._signal is None and self._work is not None:
            self._signal = number
            self._give_back()  # goodbyes take their time, and a second interruption none at all
            self._reactor.callLater(0, self._work.cancel)

    def _failed(self, failure: Failure) -> int:
        """Say what went wrong, and return the status for it."""
        error = failure.value
        if self._out.error is not None and not isinstance(self._out.error, BrokenPipeError):
            self._output.error("output", f"cannot write: {self._out.error}")
            return CANNOT_WRITE
        if isinstance(error, CancelledError) and self._signal is not None:
            return BY_SIGNAL + self._signal
        if isinstance(error, ServerRefused):
            self._output.error("refused", error.text, error.code)
            return REFUSED
        if isinstance(error, Declined):
            self._output.error("refused", str(error))
            return REFUSED
        if isinstance(error, KeyFileError | NoPassword):
            self._output.error("usage", str(error))
            return WRONG_USAGE
        if isinstance(error, Unencodable):
            self._output.error("usage", "the message is too long for the protocol")
            return WRONG_USAGE
        if isinstance(error, ClientError | ConnectError | DNSLookupError):
            place = f"{self._options.host}, port {self._options.port}"
            self._output.error("connection", f"{place}: {str(error).rstrip('.')}")
            return NO_CONNECTION
        self._log.failure("superchat-cli failed", failure=failure)
        return SOFTWARE_ERROR


def main(arguments: Sequence[str] | None = None) -> int:
    """Run superchat-cli; return its exit status. Raises SystemExit for --help and wrong usage."""
    options = parse(sys.argv[1:] if arguments is None else arguments, os.environ)
    from twisted.internet import reactor

    return Program(options, reactor, os.environ).run()


if __name__ == "__main__":
    sys.exit(main())
