"""Private conversations: begins them, seals what is written in them and opens what is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs

from superchat.client.encryption import (
    EPHEMERAL,
    GENERATED,
    OVERHEAD_BYTES,
    Cipher,
    KeyPair,
    Undecryptable,
    UnsafeKey,
    fingerprint,
)
from superchat.client.key_file import load_or_create
from superchat.tools.cli_ask import Declined, Questions
from superchat.tools.cli_incoming import plain
from superchat.tools.cli_output import Channel, Encryption
from superchat.wire import messages as wire
from superchat.wire.messages import MessageEntry
from superchat.wire.records import Message

BY_NICKNAME = 1
"""The value of dm_target_type."""

KEY_LABEL = "superchat-cli"


@attrs.frozen
class Conversation:
    """One that can begin, as DM_READY tells of it; without cipher, everything is in the clear."""

    ready: wire.DMReady
    cipher: Cipher | None

    @property
    def channel(self) -> Channel:
        """The place where it happens."""
        return Channel(self.ready.channel_id, self.ready.other_nickname, is_forum=False, is_private=True)

    @property
    def key(self) -> str | None:
        """The fingerprint of the other's key."""
        return fingerprint(self.ready.other_public_key) if self.ready.other_public_key else None

    def seal(self, plaintext: bytes, limit_bytes: int) -> bytes:
        """Return what to send for a text; ``limit_bytes`` is the server's for messages. Raises Declined."""
        if self.cipher is None:
            return plaintext
        longest = limit_bytes - OVERHEAD_BYTES
        if len(plaintext) > longest:
            raise Declined(f"the message is too long: encrypted ones have at most {longest} bytes")
        return self.cipher.encrypt(plaintext) if plaintext else plaintext

    def open(self, content: bytes) -> tuple[bytes, Encryption]:
        """Return the text of a content, and how it came."""
        if self.cipher is None:
            return content, Encryption.CLEAR
        try:
            return self.cipher.decrypt(content), Encryption.SEALED
        except Undecryptable:
            return content, Encryption.CLEAR if is_text(content) else Encryption.BROKEN


class Direct:
    """One's own side of all of them: the keys, made or read when they are first needed."""

    def __init__(self, key_file: Path) -> None:
        self._key_file = key_file
        self._of_account: KeyPair | None = None
        self._ephemeral = KeyPair.generate()

    def keys(self, is_account: bool) -> KeyPair:
        """Return the key to use. Raises KeyFileError."""
        if not is_account:
            return self._ephemeral
        if self._of_account is None:
            self._of_account = load_or_create(self._key_file)
        return self._of_account

    async def provide(self, questions: Questions, is_account: bool) -> None:
        """Tell the server one's key, which may open conversations that waited for it."""
        key_type = GENERATED if is_account else EPHEMERAL
        public = self.keys(is_account).public
        await questions.tell(wire.ProvidePublicKey(key_type=key_type, public_key=public, label=KEY_LABEL))

    def conversation(self, ready: wire.DMReady, *, is_account: bool, unencrypted: bool) -> Conversation:
        """Make a conversation of DM_READY. Raises Declined if it is less secret than was asked for."""
        other = ready.other_nickname
        if not ready.is_encrypted or ready.other_public_key is None:
            if not unencrypted:
                raise Declined(f"the conversation with {other} is not encrypted; --unencrypted would allow that")
            return Conversation(ready, None)
        try:
            cipher = self.keys(is_account).cipher(ready.other_public_key, ready.channel_id)
        except UnsafeKey:
            raise Declined(f"the key of {other} is no secret: somebody wants to listen") from None
        return Conversation(ready, cipher)

    async def start(
        self,
        questions: Questions,
        user: str,
        *,
        is_account: bool,
        unencrypted: bool,
        wait_seconds: float | None,
        on_pending: Callable[[str], None],
    ) -> Conversation:
        """Begin or resume a conversation with somebody; wait until they accept. Raises Declined if they do not.

        ``on_pending`` is told, in the server's words, if there is something to wait for.
        """
        # First the key: the server may hold another one, of another client, that nothing can be read with here.
        await self.provide(questions, is_account)
        request = wire.StartDM(target_type=BY_NICKNAME, target_nickname=user, allow_unencrypted=unencrypted)
        reply: Message | None = await questions.ask(request)
        if isinstance(reply, wire.DMPending):
            on_pending(reply.reason)
            reply = await questions.wait(_end_of(reply), wait_seconds)
        if isinstance(reply, wire.KeyRequired):
            raise Declined(reply.reason)
        if isinstance(reply, wire.DMDeclined):
            raise Declined(f"{reply.nickname} declined")
        if not isinstance(reply, wire.DMReady):
            raise Declined(f"{user} has not accepted yet")
        return self.conversation(reply, is_account=is_account, unencrypted=unencrypted)


def with_text(entry: MessageEntry, content: bytes) -> MessageEntry:
    """Return a message with another content."""
    return attrs.evolve(entry, content=content)  # type: ignore[misc]  # records are attrs classes behind mypy's back


def with_new_text(event: wire.MessageEdited, content: bytes) -> wire.MessageEdited:
    """Return an edit with another content."""
    return attrs.evolve(event, new_content=content)  # type: ignore[misc]


def _end_of(pending: wire.DMPending) -> Callable[[Message], bool]:
    """Return what tells whether an event ends the waiting for an answer."""

    def ends(event: Message) -> bool:
        if isinstance(event, wire.DMDeclined):
            return event.dm_channel_id == pending.dm_channel_id
        return is_ready(event, pending.waiting_for_nickname)

    return ends


def is_ready(event: Message, user: str) -> bool:
    """Whether an event says that the conversation with somebody can begin."""
    return isinstance(event, wire.DMReady) and plain(event.other_nickname) == plain(user)


def is_text(content: bytes) -> bool:
    """Whether a content was never encrypted: ciphertext is no UTF-8, but for a chance of one in many millions."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
