"""The command to talk in a channel: shows messages with small numbers, takes lines and commands."""

from __future__ import annotations

from typing import Final, Protocol

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime

from superchat.client import ServerRefused
from superchat.client.errors import ClientError
from superchat.tools.cli_ask import Declined, Questions
from superchat.tools.cli_excerpts import Excerpts
from superchat.tools.cli_follow import Follower, Listen
from superchat.tools.cli_options import Options
from superchat.tools.cli_output import Channel, Output, Shown
from superchat.wire import messages as wire
from superchat.wire.errors import Unencodable
from superchat.wire.messages import MessageEntry

NUMBERS_REMEMBERED: Final = 5000

HELP: Final = (
    "/reply N TEXT   reply to the message shown as [N], in forums",
    "/nick NAME      take another nickname",
    "/users          list who is in the channel",
    "/quit           leave; so does Ctrl-D on an empty line",
    "//TEXT          post /TEXT",
)


class Keyboard(Protocol):
    """Where the lines come from."""

    def start(self, chat: Chat) -> None:
        """Begin to pass lines to ``chat.line``, in order, and after the last of them call ``chat.quit``."""

    def prompt(self, text: str) -> None:
        """Show what is asked for, if there is anybody to see it."""

    def gives_back(self, line: str) -> bool:
        """Put a line that cannot be sent now back under the cursor; False if lines had better wait."""


class Numbers:
    """Small numbers for messages: ids are too long to type."""

    def __init__(self) -> None:
        self._messages: dict[int, int] = {}
        self._numbers: dict[int, int] = {}
        self._last = 0

    def give(self, message_id: int) -> int:
        """Return the number of a message, a new one if it has none."""
        if message_id not in self._numbers:
            self._last += 1
            self._numbers[message_id] = self._last
            self._messages[self._last] = message_id
            forgotten = self._messages.pop(self._last - NUMBERS_REMEMBERED, None)
            if forgotten is not None:
                del self._numbers[forgotten]
        return self._numbers[message_id]

    def of(self, message_id: int) -> int | None:
        """Return the number of a message, None if it has none."""
        return self._numbers.get(message_id)

    def message(self, number: str) -> int | None:
        """Return the message with the number that ``number`` spells, in brackets or not; None if there is none."""
        digits = number.removeprefix("[").removesuffix("]")
        return self._messages.get(int(digits)) if digits.isascii() and digits.isdigit() else None


class Chat:
    """A conversation in one channel."""

    def __init__(
        self, clock: IReactorTime, listen: Listen, options: Options, output: Output, keyboard: Keyboard
    ) -> None:
        self._options = options
        self._output = output
        self._keyboard = keyboard
        self.failed = False
        """Whether anything typed came to nothing."""
        self._numbers = Numbers()
        self._excerpts = Excerpts()
        self._one_at_a_time = DeferredLock()
        self._follower = Follower(clock, listen, options, output, self, join=True)

    async def run(self) -> None:
        """Talk until ``quit``. Raises as ``Follower.run``."""
        await self._follower.run()

    def quit(self) -> None:
        """Leave."""
        self._follower.stop()

    # What the follower shows

    def known(self, entry: MessageEntry) -> None:
        """Replies may answer it."""
        self._excerpts.remember(entry)

    def message(self, entry: MessageEntry, channel: Channel | None) -> None:
        """Show a message with its number."""
        reply_to = None
        if entry.parent_id is not None:
            number = self._numbers.of(entry.parent_id)
            reply_to = self._excerpts.of(entry.parent_id) if number is None else f"[{number}]"
        shown = Shown(number=self._numbers.give(entry.message_id), reply_to=reply_to)
        self._output.message(entry, shown)

    def edited(self, event: wire.MessageEdited) -> None:
        """Show the new text under the old number."""
        self._output.edited(event, self._numbers.of(event.message_id))

    def deleted(self, event: wire.MessageDeleted) -> None:
        """Show which message is gone."""
        self._output.deleted(event, self._numbers.of(event.message_id))

    def presence(self, event: wire.ChannelPresence) -> None:
        """Show who comes and goes."""
        self._output.presence(event)

    def entered(self) -> None:
        """The channel is joined: lines can be typed."""
        self._prompt()
        self._keyboard.start(self)

    # What is typed

    async def line(self, text: str) -> None:
        """Post a line or obey it, after those before it. What goes wrong is shown and ends nothing."""
        await self._one_at_a_time.acquire()
        try:
            await self._take(text)
        finally:
            self._one_at_a_time.release()

    async def _take(self, text: str) -> None:
        if not text.strip():
            return
        questions = self._follower.questions
        if questions is None and self._keyboard.gives_back(text):
            self._output.notice("not connected; the line was not sent")
            return
        try:
            await self._obey(questions or await self._follower.reachable(), text)
        except ServerRefused as refusal:
            self._fail("refused", refusal.text, refusal.code)
        except (Declined, Unencodable) as refusal:
            self._fail("refused", str(refusal))
        except ClientError as trouble:
            self._fail("connection", f"the line may not have been sent: {trouble}")

    def _fail(self, kind: str, text: str, code: int | None = None) -> None:
        self.failed = True
        self._output.error(kind, text, code)

    async def _obey(self, questions: Questions, text: str) -> None:
        if not text.startswith("/") or text.startswith("//"):
            await self._post(questions, text[1:] if text.startswith("//") else text)
            return
        verb, _, rest = text[1:].partition(" ")
        command = COMMANDS.get(verb)
        if command is None:
            raise Declined(f"there is no command /{verb}; /help lists them")
        await command(self, questions, rest.strip())

    async def _post(self, questions: Questions, text: str, parent_id: int | None = None) -> None:
        [channel_id] = self._follower.channels
        request = wire.PostMessage(
            channel_id=channel_id, parent_id=parent_id, content=text.encode("utf-8", "surrogateescape")
        )
        reply: wire.MessagePosted = await questions.ask(request)
        if not reply.success:
            raise Declined(reply.message)

    async def reply(self, questions: Questions, rest: str) -> None:
        """``/reply N TEXT``"""
        number, _, text = rest.partition(" ")
        message_id = self._numbers.message(number)
        if message_id is None or not text.strip():
            raise Declined("usage: /reply N TEXT, with N as in [N] before a message")
        [channel] = self._follower.channels.values()
        if channel.is_forum is not False:
            # Whoever replies wants to see the reply, and those to it.
            await self._follower.attend(questions, message_id, channel.channel_id)
        await self._post(questions, text.strip(), message_id)

    async def nick(self, questions: Questions, name: str) -> None:
        """``/nick NAME``"""
        reply: wire.NicknameResponse = await questions.ask(wire.SetNickname(nickname=name))
        if not reply.success:
            raise Declined(reply.message)
        self._follower.link.places.nickname = name
        self._prompt()
        self._output.notice(reply.message)

    async def users(self, questions: Questions, rest: str) -> None:
        """``/users``"""
        [channel_id] = self._follower.channels
        roster: wire.ChannelUserList = await questions.ask(wire.ListChannelUsers(channel_id=channel_id))
        self._output.users(roster.users)

    async def help(self, questions: Questions, rest: str) -> None:
        """``/help``"""
        for line in HELP:
            self._output.notice(line)

    async def leave(self, questions: Questions, rest: str) -> None:
        """``/quit``"""
        self.quit()

    def _prompt(self) -> None:
        self._keyboard.prompt(f"{self._follower.link.places.nickname}> ")


COMMANDS: Final = {
    "reply": Chat.reply,
    "nick": Chat.nick,
    "users": Chat.users,
    "help": Chat.help,
    "quit": Chat.leave,
}
