"""Tests for `superchat.chat.accounts`: what happens while a password is computed, or something is stored."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from superchat.auth.passwords import Passwords
from superchat.model import Account, NewAct, NewBan
from superchat.storage.errors import Unavailable
from superchat.storage.memory import MemoryStorage
from superchat.wire.messages import (
    AuthResponse,
    Error,
    PasswordChanged,
    RegisterResponse,
    RegisterUser,
    ServerPresence,
)
from tests.auth.in_hand import PasswordsInHand
from tests.auth.quick import secret_of
from tests.chat.registered import RegisteredTestCase, auth, change, session_of
from tests.chat.talk import Client

INVALID = AuthResponse(success=False, message="Invalid credentials")


class MeanwhileTests(RegisteredTestCase):
    """What happens while a password is computed."""

    passwords: PasswordsInHand

    def make_passwords(self) -> Passwords:
        self.passwords = PasswordsInHand()
        return self.passwords

    def begin(self, client: Client, request: Any) -> Deferred[None]:
        """Ask for something that takes a while."""
        client.received()
        waiting = client.send(request)
        assert waiting is not None
        self.assertNoResult(waiting)
        self.assertEqual(client.received(), [])
        return waiting

    def finish(self, waiting: Deferred[None]) -> None:
        """Let the password be known, and everything that follows from it be done."""
        while self.passwords.waiting:
            self.passwords.answer()
        self.successResultOf(waiting)

    def test_answered_later(self) -> None:
        """The request is answered when the password is known, not before."""
        self.account("anna")
        client = self.connect()
        self.finish(self.begin(client, auth("anna")))
        self.assertEqual([type(event) for event in client.received()], [AuthResponse, ServerPresence])

    def test_gone_before_login(self) -> None:
        """A session that has ended meanwhile logs in to nothing, and nobody hears of it."""
        anna = self.account("anna")
        client, watcher = self.connect(), self.connect("watcher")
        waiting = self.begin(client, auth("anna"))
        client.leave()
        self.finish(waiting)
        self.settle()
        self.assertEqual((client.late_writes, watcher.received()), (0, []))
        self.assertEqual(self.chat.sessions.of_account(anna.id), ())
        self.assertEqual(self.stored("anna").last_seen, anna.last_seen)

    def test_gone_before_registration(self) -> None:
        """A session that has ended meanwhile registers nothing."""
        client = self.connect("anna")
        waiting = self.begin(client, RegisterUser(password_hash=secret_of("anna", "secret")))
        client.leave()
        self.finish(waiting)
        self.assertIsNone(self.now(self.storage.account_named("anna")))

    def test_gone_before_change(self) -> None:
        """A session that has ended meanwhile changes no password."""
        anna = self.account("anna")
        client = self.connect()
        self.chat.sessions.log_in(session_of(client), anna)
        waiting = self.begin(client, change("anna", "secret", "new secret"))
        client.leave()
        self.finish(waiting)
        self.assertEqual(self.stored("anna"), anna)

    def test_name_taken_meanwhile(self) -> None:
        """Of two who register the same name one gets it."""
        first, second = self.connect("anna"), self.connect("Anna")
        request = RegisterUser(password_hash=secret_of("anna", "secret"))
        waiting = [self.begin(client, request) for client in (first, second)]
        for each in waiting:
            self.finish(each)
        answers = [m for client in (first, second) for m in client.received() if isinstance(m, RegisterResponse)]
        self.assertEqual([answer.success for answer in answers], [True, False])
        self.assertEqual(answers[1].message, "Nickname already registered")

    def test_deleted_meanwhile(self) -> None:
        """Nobody logs in to an account that is deleted while its password is compared."""
        anna = self.account("anna")
        client = self.connect()
        waiting = self.begin(client, auth("anna"))
        self.now(self.storage.delete_account(anna.id, self.now_ms()))
        self.finish(waiting)
        self.assertEqual(client.received(), [INVALID])

    def test_password_changed_meanwhile(self) -> None:
        """Nobody logs in with a password that is changed while it is compared."""
        anna = self.account("anna")
        client = self.connect()
        waiting = self.begin(client, auth("anna"))
        self.now(self.storage.set_password(anna.id, "another hash"))
        self.finish(waiting)
        self.assertEqual(client.received(), [INVALID])

    def test_renamed_meanwhile(self) -> None:
        """Who logs in while the account is renamed goes by the new nickname."""
        anna = self.account("anna")
        client = self.connect()
        waiting = self.begin(client, auth("anna"))
        self.now(self.storage.rename_account(anna.id, "zoe"))
        self.finish(waiting)
        self.assertEqual(session_of(client).nickname, "zoe")

    def test_rename_before_change(self) -> None:
        """A password that goes with a nickname is not stored for another one: its owner would be locked out
        (decisions 2.5)."""
        anna = self.account("anna")
        client = self.connect()
        self.chat.sessions.log_in(session_of(client), anna)
        waiting = self.begin(client, change("anna", "secret", "new secret"))
        self.chat.identity.changed(self.now(self.storage.rename_account(anna.id, "zoe")))
        self.finish(waiting)
        text = "The nickname has changed meanwhile. Try again."
        self.assertEqual(client.received()[-1], PasswordChanged(success=False, error_message=text))
        self.assertEqual(self.stored("zoe").password_hash, anna.password_hash)

    def test_busy(self) -> None:
        """When too many passwords wait, one is told so at once, in the request's own answer."""
        anna = self.account("anna")
        self.passwords.full = True
        client = self.connect("guest")
        text = "Too many people are logging in at the moment. Try again later."
        for name in ("anna", "nobody"):
            self.assertEqual(client.ask(auth(name)), [AuthResponse(success=False, message=text)])
        answer = client.one(RegisterResponse, RegisterUser(password_hash=secret_of("guest", "secret")))
        self.assertEqual((answer.success, answer.message), (False, text))
        self.chat.sessions.log_in(session_of(client), anna)
        self.assertEqual(self.changed(client, change("anna", "secret", "new secret")), text)


class SlowStorage(MemoryStorage):
    """Makes changes at once, and tells so when the test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.held: Deferred[None] | None = None

    def hold(self) -> None:
        """Tell nothing from now on."""
        self.held = Deferred()

    def let_go(self) -> None:
        """Tell everything."""
        held, self.held = self.held, None
        assert held is not None
        held.callback(None)

    def seen(self, account_id: int, now_ms: int) -> Deferred[Account]:
        return self._held_up(super().seen(account_id, now_ms))

    def create_account(self, *arguments: Any) -> Deferred[Account]:
        return self._held_up(super().create_account(*arguments))

    def _held_up(self, done: Deferred[Account]) -> Deferred[Account]:
        return done if self.held is None else self.held.addCallback(lambda _: done)


class CommitTests(RegisteredTestCase):
    """What happens while something is stored."""

    storage: SlowStorage

    def make_storage(self) -> SlowStorage:
        return SlowStorage()

    def test_gone_before_login(self) -> None:
        """A session that has ended meanwhile does not act for the account."""
        anna = self.account("anna")
        client = self.connect()
        self.storage.hold()
        client.send(auth("anna"))
        client.leave()
        self.storage.let_go()
        self.assertEqual((self.chat.sessions.of_account(anna.id), client.late_writes), ((), 0))

    def test_banned_before_login(self) -> None:
        """A ban that comes meanwhile keeps out (decisions 7.1)."""
        anna = self.account("anna")
        client = self.connect()
        self.storage.hold()
        client.send(auth("anna"))
        ban = NewBan("user", anna.id, None, None, "spam", False, self.now_ms(), None, "root")
        act = NewAct("root", None, "local", "ban_user", "user", None, "anna", "", self.now_ms())
        self.chat.bans.add(self.now(self.storage.add_ban(ban, act)))
        client.received()
        self.storage.let_go()
        self.assertEqual([event.success for event in client.received() if isinstance(event, AuthResponse)], [False])
        self.assertIsNone(session_of(client).account)

    def test_gone_before_registered(self) -> None:
        """What was registered by a session that has ended meanwhile can be logged in to."""
        client = self.connect("anna")
        self.storage.hold()
        client.send(RegisterUser(password_hash=secret_of("anna", "secret")))
        client.leave()
        self.storage.let_go()
        self.assertEqual(self.chat.sessions.of_account(self.stored("anna").id), ())
        self.assertTrue(self.can_log_in("anna"))


class BrokenStorage(MemoryStorage):
    """Cannot write accounts."""

    def set_password(self, *arguments: Any, **more: Any) -> Deferred[Account]:
        raise Unavailable("disk full")


class FailureTests(RegisteredTestCase):
    """When the storage fails."""

    def make_storage(self) -> MemoryStorage:
        return BrokenStorage()

    def test_password_stays(self) -> None:
        """A password that cannot be stored is ERROR 9001, and the old one still logs in (reference 2.1)."""
        self.account("anna")
        client = self.log_in("anna")
        (error,) = client.ask(change("anna", "secret", "new secret"))
        self.assertIsInstance(error, Error)
        self.assertTrue(self.can_log_in("anna"))
        self.flushLoggedErrors()
