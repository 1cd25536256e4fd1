"""The command to talk in a channel or to somebody alone: shows messages with numbers, takes lines and commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from superchat.client import ServerRefused
from superchat.client.errors import ClientError
from superchat.client.key_file import KeyFileError
from superchat.tools.cli_ask import Declined, Questions
from superchat.tools.cli_conversations import Conversations
from superchat.tools.cli_direct import with_new_text, with_text
from superchat.tools.cli_excerpts import Excerpts
from superchat.tools.cli_follow import Follower, Listen
from superchat.tools.cli_numbers import Noted, Numbers
from superchat.tools.cli_options import Options
from superchat.tools.cli_output import Channel, Encryption, Output, Shown
from superchat.tools.cli_secrets import NoPassword
from superchat.tools.cli_text import safe
from superchat.wire import messages as wire
from superchat.wire.errors import Unencodable
from superchat.wire.messages import MessageEntry
from superchat.wire.records import Message

Command = Callable[["Chat", Questions, str], Awaitable[None]]
"""What a line does that begins with a slash, given what stands behind its first word."""

FORGOTTEN: Final = "the line may not have been sent"


class Keyboard(Protocol):
    """Where the lines come from."""

    def start(self, chat: Chat) -> None:
        """Begin to pass lines to ``chat.line``, in order, and after the last of them call ``chat.quit``."""

    def prompt(self, text: str) -> None:
        """Show what is asked for, if there is anybody to see it."""

    def gives_back(self, line: str) -> bool:
        """Put a line that cannot be sent now back under the cursor; False if lines had better wait."""

    def secret(self, prompt: str) -> Deferred[str]:
        """Ask for a line and do not show it; empty if nobody wants to tell. Fails with NoPassword."""


class Chat:
    """A conversation in one channel, with private ones beside it."""

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        listen: Listen,
        options: Options,
        output: Output,
        keyboard: Keyboard,
        commands: Mapping[str, Command],
    ) -> None:
        self.options = options
        self.output = output
        self.keyboard = keyboard
        self.failed = False
        """Whether anything typed came to nothing."""
        self.numbers = Numbers()
        self.follower = Follower(clock, listen, options, output, self, find=self._find, join=True)
        self.conversations = Conversations(options, output, self.follower)
        self._commands = commands
        self._excerpts = Excerpts()
        self._one_at_a_time = DeferredLock()
        self._read_until_ms = 0

    async def run(self) -> None:
        """Talk until ``quit``. Raises as ``Follower.run``, and KeyFileError."""
        await self.follower.run()

    def quit(self) -> None:
        """Leave."""
        self._mark_read()
        self.follower.stop()

    async def _find(self, questions: Questions) -> list[Channel]:
        if not self.options.user:
            return [await questions.channel(self.options.channel)]
        conversation = await self.conversations.start(questions, self.options.user, self.options.wait_seconds)
        return [conversation.channel]

    # What the follower shows

    def known(self, entry: MessageEntry) -> None:
        """Replies may answer it."""
        self._excerpts.remember(self._opened(entry)[0])

    def message(self, entry: MessageEntry, channel: Channel | None) -> None:
        """Show a message with its number."""
        reply_to = None
        if entry.parent_id is not None:
            number = self.numbers.of(entry.parent_id)
            reply_to = self._excerpts.of(entry.parent_id) if number is None else f"[{number}]"
        opened, encryption = self._opened(entry)
        elsewhere = channel is not None and channel.channel_id != self.follower.home.channel_id
        shown = Shown(
            number=self.numbers.give(Noted(entry.message_id, entry.channel_id)),
            reply_to=reply_to,
            channel=channel.label if channel is not None and elsewhere else None,
            is_private=channel is not None and channel.is_private,
            encryption=encryption,
        )
        self.output.message(opened, shown)
        self._read_until_ms = max(self._read_until_ms, 0 if elsewhere else entry.created_at)

    def _opened(self, entry: MessageEntry) -> tuple[MessageEntry, Encryption | None]:
        conversation = self.conversations.of(entry.channel_id)
        if conversation is None or not entry.author_nickname:  # what the server itself says is for both, in the clear
            return entry, None
        content, encryption = conversation.open(entry.content)
        return with_text(entry, content), encryption

    def edited(self, event: wire.MessageEdited) -> None:
        """Show the new text under the old number."""
        content = self.conversations.open(event.new_content or b"")
        self.output.edited(with_new_text(event, content), self.numbers.of(event.message_id))

    def deleted(self, event: wire.MessageDeleted) -> None:
        """Show which message is gone."""
        self.output.deleted(event, self.numbers.of(event.message_id))

    def presence(self, event: wire.ChannelPresence) -> None:
        """Show who comes and goes."""
        self.output.presence(event)

    def direct(self, event: Message) -> None:
        """Show what becomes of private conversations."""
        if isinstance(event, wire.DMReady):
            self._spawn(self._opened_by_others(event))
        else:
            self.conversations.show(event)

    async def _opened_by_others(self, ready: wire.DMReady) -> None:
        questions = self.follower.questions
        if questions is not None:
            await self.conversations.begin(questions, ready)

    def entered(self) -> None:
        """The channel is joined: lines can be typed."""
        self.show_prompt()
        self._mark_read()
        self.keyboard.start(self)

    def _mark_read(self) -> None:
        questions = self.follower.questions
        if questions is None or self.follower.link.places.login is None or not self._read_until_ms:
            return
        home = self.follower.home.channel_id
        questions.client.send(wire.UpdateReadState(channel_id=home, timestamp=self._read_until_ms))

    def _spawn(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        Deferred.fromCoroutine(work).addErrback(self._failed_beside)

    def _failed_beside(self, failure: Failure) -> None:
        if failure.check(ClientError, KeyFileError):
            self.output.notice(failure.getErrorMessage())
        else:
            self._log.failure("A private conversation failed", failure=failure)

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
        questions = self.follower.questions
        if questions is None and self.keyboard.gives_back(text):
            self.output.notice("not connected; the line was not sent")
            return
        try:
            await self._obey(questions or await self.follower.reachable(), text)
        except ServerRefused as refusal:
            self._fail("refused", refusal.text, refusal.code)
        except (Declined, Unencodable) as refusal:
            self._fail("refused", str(refusal))
        except (KeyFileError, NoPassword) as trouble:
            self._fail("usage", str(trouble))
        except ClientError as trouble:
            self._fail("connection", f"{FORGOTTEN}: {trouble}")

    def _fail(self, kind: str, text: str, code: int | None = None) -> None:
        self.failed = True
        self.output.error(kind, text, code)

    async def _obey(self, questions: Questions, text: str) -> None:
        if not text.startswith("/") or text.startswith("//"):
            await self.post(questions, text[1:] if text.startswith("//") else text)
            return
        verb, _, rest = text[1:].partition(" ")
        command = self._commands.get(verb)
        if command is None:
            raise Declined(f"there is no command /{verb}; /help lists them")
        await command(self, questions, rest.strip())

    async def post(
        self, questions: Questions, text: str, *, channel_id: int | None = None, parent_id: int | None = None
    ) -> None:
        """Say something here or in another place, encrypted where it is private. Raises Declined."""
        place = self.follower.home.channel_id if channel_id is None else channel_id
        content = self.conversations.seal(questions, place, text)
        await questions.granted(wire.PostMessage(channel_id=place, parent_id=parent_id, content=content))

    def named(self, nickname: str, credentials: wire.AuthRequest | None) -> None:
        """One has another name, or another account, from now on and on the next connections."""
        places = self.follower.link.places
        places.nickname, places.login = nickname, credentials
        self.show_prompt()

    def show_prompt(self) -> None:
        """Show who one is, and in private to whom one talks."""
        home = self.follower.home
        who = f"{self.follower.link.places.nickname}" + (f" to {home.label}" if home.is_private else "")
        self.keyboard.prompt(f"{safe(who)}> ")
