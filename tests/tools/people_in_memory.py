"""A chat server in memory that has accounts and private conversations, as far as the command line can tell."""

from __future__ import annotations

from superchat.client.encryption import Cipher, KeyPair
from superchat.wire import messages as wire
from superchat.wire.records import Message
from tests.tools.chat_in_memory import ChatInMemory, entry

CREDENTIALS = wire.AuthRequest(nickname="alice", password_hash="a" * 43)
CONVERSATION = 77
INVITE = 5


class PeopleInMemory(ChatInMemory):
    """``accounts`` has the hash of each account's password; bob is the one to talk to.

    ``on_key`` and ``on_dm`` are what PROVIDE_PUBLIC_KEY and START_DM are answered with, ``at_login`` what follows
    AUTH_RESPONSE.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hidden = {CONVERSATION, CONVERSATION + 1}
        self.accounts = {CREDENTIALS.nickname: CREDENTIALS.password_hash}
        self.flags = 0
        self.at_login: list[Message] = []
        self.on_key: list[Message] = []
        self.on_dm: list[Message] = []
        self.bob = KeyPair.generate()
        self.named = ""

    def ready(self, *, encrypted: bool = True, name: str = "bob", channel_id: int = CONVERSATION) -> wire.DMReady:
        """What opens the conversation with bob."""
        key = self.bob.public if encrypted else None
        return wire.DMReady(
            channel_id=channel_id, other_user_id=8, other_nickname=name, is_encrypted=encrypted, other_public_key=key
        )

    def cipher(self, channel_id: int = CONVERSATION) -> Cipher:
        """Encrypts and decrypts on bob's side, with the key he was told last."""
        return self.bob.cipher(self.heard(wire.ProvidePublicKey)[-1].public_key, channel_id)

    def from_bob(self, text: str, message_id: int = 500) -> wire.MessageEntry:
        """What bob says in private."""
        sealed = self.cipher().encrypt(text.encode())
        return entry(message_id, sealed, channel_id=CONVERSATION, author="bob")

    def answer(self, message: Message) -> list[Message]:
        if type(message) in self.refusals:
            return [self.refusals[type(message)]]
        match message:
            case wire.AuthRequest():
                return self._log_in(message)
            case wire.SetNickname(nickname=name):
                self.named = name
                return super().answer(message)
            case wire.RegisterUser(password_hash=hashed):
                return [self._register(hashed)]
            case wire.ChangePassword():
                return [self._change(message)]
            case wire.Ping(timestamp=timestamp):
                return [wire.Pong(client_timestamp=timestamp)]
            case wire.ProvidePublicKey():
                return self.on_key
            case wire.StartDM():
                return self.on_dm
            case wire.EditMessage(message_id=number, new_content=text):
                return [wire.MessageEdited(success=True, message_id=number, edited_at=1, new_content=text, message="")]
            case wire.DeleteMessage(message_id=number):
                gone = b"[deleted by alice]"
                return [wire.MessageDeleted(success=True, message_id=number, deleted_at=1, message=gone)]
        return super().answer(message)

    def _log_in(self, asked: wire.AuthRequest) -> list[Message]:
        if self.accounts.get(asked.nickname) != asked.password_hash:
            return [wire.AuthResponse(success=False, message="Invalid credentials")]
        self.named = asked.nickname
        welcome = wire.AuthResponse(
            success=True,
            user_id=7,
            nickname=asked.nickname,
            message=f"Welcome back, {asked.nickname}!",
            user_flags=self.flags,
        )
        return [welcome, *self.at_login]

    def _register(self, hashed: str) -> wire.RegisterResponse:
        if self.named in self.accounts:
            return wire.RegisterResponse(success=False, message="Nickname already registered")
        self.accounts[self.named] = hashed
        return wire.RegisterResponse(success=True, user_id=9, message=f"Successfully registered {self.named}!")

    def _change(self, asked: wire.ChangePassword) -> wire.PasswordChanged:
        if self.accounts[self.named] != asked.old_password_hash:
            return wire.PasswordChanged(success=False, error_message="Incorrect current password")
        self.accounts[self.named] = asked.new_password_hash
        return wire.PasswordChanged(success=True, error_message="")


def request(status: int = 1, name: str = "bob", invite_id: int = INVITE) -> wire.DMRequest:
    """Somebody wants to talk alone."""
    return wire.DMRequest(dm_channel_id=invite_id, from_user_id=8, from_nickname=name, encryption_status=status)


def pending() -> wire.DMPending:
    """Bob has to accept first."""
    return wire.DMPending(
        dm_channel_id=INVITE, waiting_for_user_id=8, waiting_for_nickname="bob", reason="Waiting for bob to accept"
    )
