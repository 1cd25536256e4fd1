"""A chat with somebody in every role, on any storage, and what each is answered."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeVar

import bcrypt
from twisted.internet.defer import Deferred

from superchat.config import Limits, Server
from superchat.model import (
    Account,
    Message,
    NewAccount,
    NewAct,
    NewBan,
    NewChannel,
    NewInvite,
    NewMessage,
    Participant,
    UserFlags,
)
from superchat.storage.memory import MemoryStorage
from superchat.storage.sqlite import SQLiteStorage
from superchat.wire.messages import BanUser, Error, SetNickname
from superchat.wire.records import Message as WireMessage
from tests.chat.talk import GENERAL, Client, TalkTestCase
from tests.storage.reactor import SteppedReactor

T = TypeVar("T")

ROLES: Final = (
    "nobody",  # no nickname yet
    "anonymous",
    "registered",  # has nothing to do with anything on the stage: also the stranger of the conversation
    "author",  # of a public message, and owner of a channel
    "participant",  # of a direct conversation, in which the other side has posted; and invited to another
    "shadowbanned",
    "moderator",
    "admin",
    "banned",
)
SECRET: Final = "c" * 43
HASH: Final = bcrypt.hashpw(SECRET.encode(), bcrypt.gensalt(4)).decode()
_PASSING: Final = ("_is_open", "_operations", "_ids")
"""What the storage in memory has beside its contents."""
HOST: Final = NewAct("host", None, "local", "ban_user", "user", None, "", "", 0)


class Stage:
    """The accounts, messages and channels that the cases speak of."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.clients: dict[str, Client] = {}
        self.messages: dict[str, int] = {}
        self.direct = 0
        self.invite = 0
        self.owned = 0
        self.invitation_to_other = 0


class StageTestCase(TalkTestCase):
    """Sets the stage on the storage of the subclass."""

    limits = Limits(max_connections_per_ip=0, message_rate_limit=0, max_channel_creates=0)
    server = Server(admin_users=("root",))
    on_disk = False

    def setUp(self) -> None:
        self.reactor = SteppedReactor()
        super().setUp()
        self.stage = Stage()
        self._people()
        self._places()
        self._words()
        self.run_now(self._load_again())
        self._connect()

    def tearDown(self) -> None:
        self.chat.stop()
        self.now(self.storage.close())

    def make_storage(self) -> Any:
        if self.on_disk:
            self.path = Path(self.mktemp())
            return SQLiteStorage(self.path, self.reactor, 1)
        return MemoryStorage()

    def now(self, deferred: Deferred[T]) -> T:
        if self.on_disk:
            self.reactor.run_until_fired(deferred)
        return super().now(deferred)

    def contents(self) -> Any:
        """Everything that is stored, to be compared."""
        storage: object = self.storage
        if isinstance(storage, MemoryStorage):
            return {name: repr(value) for name, value in vars(storage).items() if name not in _PASSING}
        with closing(sqlite3.connect(self.path)) as connection:
            return [*connection.iterdump()]

    def act(self, role: str, message: WireMessage) -> list[Any]:
        """What somebody in this role is sent for a message; presence of others is not among it."""
        client = self.stage.clients[role]
        client.received()
        deferred = client.complete(message)
        if deferred is not None:
            self.now(deferred)
        return client.received()

    def outcome(self, role: str, message: WireMessage, *answers: type[WireMessage]) -> str:
        """In a word what came of it: a code, marked with ! when the answer is the message's own; ok; or silence."""
        errors = self.chat.counters.errors
        before = errors.copy()
        heard = self.act(role, message)
        if self.stage.clients[role].ended is not None:
            return "closed"
        codes = [int(code) for code in (errors - before).elements()]
        if codes:
            (code,) = codes
            return f"{code}" if any(isinstance(one, Error) for one in heard) else "!"
        return "ok" if any(isinstance(one, answers) for one in heard) else "-"

    def _people(self) -> None:
        flags = {"moderator": UserFlags.MODERATOR, "admin": UserFlags.ADMIN}
        names = {"admin": "root"}
        for role in (*ROLES[2:], "other", "victim"):
            new = NewAccount(names.get(role, role), HASH, flags.get(role, UserFlags.NONE), self._tick())
            self.stage.accounts[role] = self.now(self.storage.create_account(new))

    def _places(self) -> None:
        stage, accounts = self.stage, self.stage.accounts
        owner = accounts["author"].id
        owned = NewChannel("owned", "Owned", "", 1, 168, created_by=owner)
        stage.owned = self.now(self.storage.create_channel(owned, self._tick())).id
        sides = [self._side("participant"), self._side("other")]
        stage.direct = self.now(self.storage.open_direct(sides, self._tick())).id
        invite = NewInvite(self._side("victim"), self._side("participant"), encrypted=False, created_at=self._tick())
        stage.invite = self.now(self.storage.create_invite(invite)).id

    def _words(self) -> None:
        self._say("author", GENERAL)
        self._say("shadowbanned", GENERAL)
        self._say("other", self.stage.direct)
        shadow = NewBan(
            "user", self.stage.accounts["shadowbanned"].id, None, None, "spam", True, self._tick(), None, "root"
        )
        self.now(self.storage.add_ban(shadow, HOST))

    async def _load_again(self) -> None:
        """Start a new chat on what was stored, as after a restart: rights must not depend on who made what when."""
        self.chat.stop()
        await self.start_chat()

    def _connect(self) -> None:
        for role in ROLES:
            client = Client(self.chat, address=f"198.51.100.{ROLES.index(role) + 1}").connect()
            self.stage.clients[role] = client
            assert client.session is not None
            if role in self.stage.accounts:
                self.chat.sessions.log_in(client.session, self.stage.accounts[role])
        self.act("anonymous", SetNickname(nickname="passer-by"))
        self._say_as("anonymous")
        self.act("admin", BanUser(user_id=self.stage.accounts["banned"].id, reason="noise", shadowban=False))
        self.settle()

    def _say_as(self, role: str) -> None:
        session = self.stage.clients[role].session
        assert session is not None
        self.stage.messages[role] = self.now(
            self.storage.append_message(
                NewMessage(GENERAL, None, session.nickname or "", session.key, b"hello", self._tick())
            )
        ).id

    def _say(self, role: str, place: int) -> None:
        account = self.stage.accounts[role]
        new = NewMessage(place, None, account.nickname, 7, b"hello", self._tick(), account.id, account.user_flags)
        message: Message = self.now(self.storage.append_message(new))
        self.stage.messages[role] = message.id

    def _side(self, role: str) -> Participant:
        account = self.stage.accounts[role]
        return Participant(account.id, None, account.nickname)

    def _tick(self) -> int:
        self.clock.advance(0.001)
        return int(self.clock.seconds() * 1000)
