"""The private conversations that are open in a chat."""

from __future__ import annotations

from typing import Final

from superchat.client.encryption import Undecryptable
from superchat.tools.cli_ask import Declined, Questions
from superchat.tools.cli_direct import Conversation, Direct
from superchat.tools.cli_follow import Follower
from superchat.tools.cli_human import ENCRYPTION
from superchat.tools.cli_incoming import plain
from superchat.tools.cli_options import Options
from superchat.tools.cli_output import Output
from superchat.tools.cli_private import answer
from superchat.wire import messages as wire
from superchat.wire.records import Message

MOST_OPEN: Final = 100


class Conversations:
    """Begins conversations, and finds the one that a message belongs to."""

    def __init__(self, options: Options, output: Output, follower: Follower) -> None:
        self._options = options
        self._output = output
        self._follower = follower
        self._direct = Direct(options.key_file)
        self._open: dict[int, Conversation] = {}
        self._left: set[int] = set()

    def of(self, channel_id: int) -> Conversation | None:
        """Return the conversation in a channel, None if it is a channel for all."""
        return self._open.get(channel_id)

    async def start(self, questions: Questions, user: str, wait_seconds: float | None) -> Conversation:
        """Begin or resume a conversation. Raises Declined."""
        conversation = await self._direct.start(
            questions,
            user,
            is_account=self._is_account,
            unencrypted=self._options.unencrypted,
            wait_seconds=wait_seconds,
            on_pending=self._output.notice,
        )
        self._keep(conversation)
        return conversation

    async def join(self, questions: Questions, user: str) -> Conversation:
        """As ``start``, beside the channel one is in, and without waiting for the other to accept."""
        for each in self._open.values():
            if plain(each.ready.other_nickname) == plain(user) and each.ready.channel_id not in self._left:
                return each
        conversation = await self.start(questions, user, 0.0)
        await self._follower.add(questions, conversation.channel)
        return conversation

    async def accept(self, questions: Questions, user: str) -> None:
        """Accept a request, and follow the conversation. Raises Declined."""
        accepted = await answer(questions, user, self._direct, self._options, is_account=self._is_account)
        self._keep(accepted)
        await self._follower.add(questions, accepted.channel)

    async def begin(self, questions: Questions, ready: wire.DMReady) -> None:
        """Follow a conversation that the other has opened, or one that has another key now. Raises Declined."""
        if len(self._open) >= MOST_OPEN and ready.channel_id not in self._open:
            raise Declined(f"too many private conversations; that with {ready.other_nickname} is not followed")
        unencrypted = self._options.unencrypted
        opened = self._direct.conversation(ready, is_account=self._is_account, unencrypted=unencrypted)
        self._keep(opened)
        await self._follower.add(questions, opened.channel)

    def seal(self, questions: Questions, channel_id: int, text: str) -> bytes:
        """Return what to send for a text that goes to a channel. Raises Declined if it is too long."""
        content = text.encode("utf-8", "surrogateescape")
        conversation = self.of(channel_id)
        return content if conversation is None else conversation.seal(content, questions.message_limit_bytes)

    def open(self, content: bytes) -> bytes:
        """Return the text of a content that may belong to any conversation: edits do not say to which."""
        for each in self._open.values():
            try:
                return content if each.cipher is None else each.cipher.decrypt(content)
            except Undecryptable:
                continue
        return content

    def show(self, event: Message) -> None:
        """Tell of requests, refusals and departures."""
        match event:
            case wire.DMRequest(from_nickname=name, encryption_status=status):
                how = ENCRYPTION.get(status, "unknown")
                self._output.notice(
                    f"{name} wants to talk to you alone, encryption {how}: /accept {name} or /decline {name}"
                )
            case wire.DMDeclined(nickname=name):
                self._output.notice(f"{name} declined to talk alone")
            case wire.DMParticipantLeft(nickname=name, dm_channel_id=channel_id):
                if channel_id in self._open:
                    self._left.add(channel_id)
                self._output.notice(f"{name} has left the private conversation")
            case wire.KeyRequired(reason=reason):
                self._output.notice(reason)

    @property
    def _is_account(self) -> bool:
        return self._follower.link.places.login is not None

    def _keep(self, conversation: Conversation) -> None:
        self._open[conversation.ready.channel_id] = conversation
        self._output.conversation(conversation.ready, conversation.key)
