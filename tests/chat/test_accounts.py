"""Tests for `superchat.chat.accounts`: logging in and out, registering."""

from __future__ import annotations

from typing import Any

from superchat.config import Server
from superchat.model import Account, NewAct, NewBan, Participant, UserFlags
from superchat.wire.errors import ErrorCode, Malformed
from superchat.wire.messages import (
    AuthRequest,
    AuthResponse,
    ChannelPresence,
    JoinChannel,
    ListUsers,
    Logout,
    RegisterResponse,
    RegisterUser,
    ServerPresence,
    SubscribeChannel,
    UserList,
)
from tests.auth.quick import secret_of
from tests.chat.registered import RegisteredTestCase, auth, session_of
from tests.chat.talk import GENERAL, Client

INVALID = AuthResponse(success=False, message="Invalid credentials")


def presence(client: Client, nickname: str, account: Account | None = None, flags: int = 0) -> ServerPresence:
    """What everybody is told of a session."""
    return ServerPresence(
        session_id=client.id,
        nickname=nickname,
        is_registered=account is not None,
        user_id=None if account is None else account.id,
        user_flags=flags,
        online=True,
    )


class LoginTests(RegisteredTestCase):
    """AUTH_REQUEST."""

    def test_order(self) -> None:
        """The answer, then who is here already, then oneself, as everybody hears it (reference 2.1)."""
        anna = self.account("anna", flags=UserFlags.MODERATOR)
        bob, client = self.connect("bob"), self.connect()
        answer, *told = client.ask(auth("anna"))
        self.assertEqual(
            answer,
            AuthResponse(
                success=True, user_id=anna.id, nickname="anna", message="Welcome back, anna!", user_flags=2
            ),
        )
        own = presence(client, "anna", anna, 2)
        self.assertEqual(told, [presence(bob, "bob"), own])
        self.settle()
        self.assertEqual(bob.received(), [own])

    def test_name_as_registered(self) -> None:
        """Case of the name does not matter for finding the account, which shows its own (decisions 2.3)."""
        self.account("Anna")
        answer = self.connect().one(AuthResponse, auth("aNNA", salt="Anna"))
        self.assertEqual(answer.nickname, "Anna")

    def test_after_a_nickname(self) -> None:
        """Who has a nickname is not told again who is here, and others hear of the account."""
        self.account("anna")
        bob, client = self.connect("bob"), self.connect("someone")
        bob.received()
        kinds = [type(message) for message in client.ask(auth("anna"))]
        self.assertEqual(kinds, [AuthResponse, ServerPresence])
        self.settle()
        (heard,) = bob.received()
        assert isinstance(heard, ServerPresence)
        self.assertEqual((heard.nickname, heard.is_registered), ("anna", True))

    def test_refusals(self) -> None:
        """A wrong password and an unknown name are told apart by nothing, and change nothing (reference 2.1)."""
        self.account("anna")
        client = self.connect("guest")
        for request in (
            auth("anna", "wrong"),
            auth("nobody"),
            auth("~anna"),
            auth(""),
            auth("an\udcff"),
            auth("x" * 60_000),
            AuthRequest(nickname="anna", password_hash=""),
            AuthRequest(nickname="anna", password_hash="x" * 60_000),
            AuthRequest(nickname="anna", password_hash="\udcff" * 43),
        ):
            self.assertEqual(client.ask(request), [INVALID])
        self.assertEqual((session_of(client).account, session_of(client).nickname), (None, "guest"))
        self.assertEqual(self.chat.counters.errors, {ErrorCode.AUTH_REQUIRED: 9})

    def test_unknown_names_take_as_long(self) -> None:
        """The same is computed for unknown names as for wrong passwords (decisions 2.6)."""
        self.account("anna")
        client = self.connect()
        computed = []
        for request in (auth("anna", "wrong"), auth("nobody"), auth("not a nickname")):
            before = self.chat.passwords.work.seconds.snapshot().count
            client.send(request)
            computed.append(self.chat.passwords.work.seconds.snapshot().count - before)
        self.assertEqual(computed, [1, 1, 1])

    def test_without_a_password(self) -> None:
        """An account that has only keys is told how to log in (reference 2.1)."""
        self.account("anna", "", keys=1)
        text = "This account requires SSH authentication. Please connect via SSH."
        self.assertEqual(self.connect().ask(auth("anna")), [AuthResponse(success=False, message=text)])

    def test_unreadable(self) -> None:
        """A payload that is none is ERROR 1000 (wire 0x01)."""
        self.assertEqual(self.connect().refusal(Malformed(1, "AUTH_REQUEST", "short"))[0], ErrorCode.INVALID_FORMAT)

    def test_last_login(self) -> None:
        """When somebody logged in last is stored."""
        before = self.account("anna").last_seen
        self.clock.advance(5)
        self.log_in("anna")
        self.assertGreaterEqual(self.stored("anna").last_seen, before + 5000)

    def test_rights(self) -> None:
        """Rights are those of the account, at once (decisions 2.4)."""
        self.account("root", flags=UserFlags.ADMIN)
        root = self.connect("guest")
        offline = ListUsers(limit=0, include_offline=True)
        self.assertEqual(root.refusal(offline)[0], ErrorCode.PERMISSION_DENIED)
        root.send(auth("root"))
        self.assertTrue(root.one(UserList, offline).users)

    def test_switch(self) -> None:
        """Logging in to another account leaves the first one, with its rights (reference 2.1)."""
        self.account("root", flags=UserFlags.ADMIN)
        anna = self.account("anna")
        client = self.log_in("root")
        _, own = client.ask(auth("anna"))
        self.assertEqual(own, presence(client, "anna", anna))
        self.assertFalse(session_of(client).is_admin)
        self.assertEqual(self.chat.sessions.of_account(self.stored("root").id), ())

    def test_failed_switch(self) -> None:
        """Who fails to log in to another account stays in the first one."""
        anna = self.account("anna")
        self.account("bob")
        client = self.log_in("anna")
        self.assertEqual(client.ask(auth("bob", "wrong")), [INVALID])
        self.assertEqual(session_of(client).account_id, anna.id)

    def test_several_sessions(self) -> None:
        """An account may have several sessions (reference 5), and each is present."""
        anna = self.account("anna")
        first, second = self.log_in("anna"), self.log_in("anna")
        self.assertEqual(self.chat.sessions.of_account(anna.id), (first.session, second.session))
        self.assertEqual([type(event) for event in first.received()], [ServerPresence])

    def test_log_lines(self) -> None:
        """Failures can be found in the log with who and from where, and no line has a secret."""
        self.account("anna")
        client = self.connect(address="192.0.2.66")
        client.send(auth("anna", "wrong"))
        client.send(auth("evil\nname"))
        client.send(auth("anna"))
        lines = self.log_lines()
        self.assertIn("Session 1 authentication failed for anna from 192.0.2.66: Invalid credentials", lines)
        self.assertIn("Session 1 authentication failed for no nickname from 192.0.2.66: Invalid credentials", lines)
        self.assertIn("Session 1 logged in as anna", lines)
        for secret in (secret_of("anna", "wrong"), secret_of("anna", "secret"), self.stored("anna").password_hash):
            self.assertNotIn(secret, repr(self.log))

    def test_database_trouble(self) -> None:
        """Without the database nobody can log in, and is told so (reference 2.1)."""
        self.account("anna")
        client = self.connect()
        self.storage.close()
        self.assertEqual(client.refusal(auth("anna")), (ErrorCode.DATABASE_ERROR, "Database error"))
        self.now(self.storage.open())
        self.assertTrue(client.one(AuthResponse, auth("anna")).success)
        self.flushLoggedErrors()


class BanTests(RegisteredTestCase):
    """Banned accounts."""

    def ban(self, **values: Any) -> None:
        """Let a ban take effect."""
        made: dict[str, Any] = {
            "ban_type": "user",
            "account_id": None,
            "nickname": None,
            "ip_cidr": None,
            "reason": "spam",
            "shadowban": False,
            "banned_at": self.now_ms(),
            "banned_until": None,
            "banned_by": "root",
        }
        act = NewAct("root", None, "local", "ban_user", "user", None, "anna", "", self.now_ms())
        self.chat.bans.add(self.now(self.storage.add_ban(NewBan(**(made | values)), act)))

    def test_banned(self) -> None:
        """A banned account is told why, when the password is right (reference 2.1)."""
        anna = self.account("anna")
        self.ban(account_id=anna.id)
        client = self.connect()
        refusal = AuthResponse(success=False, message="Account banned permanently. Reason: spam")
        self.assertEqual(client.ask(auth("anna")), [refusal])
        self.assertEqual(client.ask(auth("anna", "wrong")), [INVALID])
        self.assertIsNone(session_of(client).account)
        self.assertEqual(self.stored("anna").last_seen, anna.last_seen)

    def test_until(self) -> None:
        """A ban that ends says when, and then lets in."""
        anna = self.account("anna")
        self.ban(account_id=anna.id, banned_until=self.now_ms() + 1000)
        self.assertRegex(self.connect().one(AuthResponse, auth("anna")).message, "^Account banned until 20..-.*spam$")
        self.clock.advance(1)
        self.assertTrue(self.can_log_in("anna"))

    def test_shadowban(self) -> None:
        """A shadowban keeps nobody from logging in."""
        self.ban(account_id=self.account("anna").id, shadowban=True)
        self.assertTrue(self.can_log_in("anna"))

    def test_registering_a_banned_name(self) -> None:
        """Nobody registers under a banned nickname that they had before the ban was loaded."""
        client = self.connect("anna")
        self.ban(nickname="Anna")
        answer = client.one(RegisterResponse, RegisterUser(password_hash=secret_of("anna", "secret")))
        self.assertEqual((answer.success, answer.message), (False, "Nickname banned permanently. Reason: spam"))
        self.assertIsNone(self.now(self.storage.account_named("anna")))

    def test_shadowbanned_name(self) -> None:
        """The shadowban of a nickname becomes one of the account that registers it, here as in the database."""
        self.ban(nickname="anna", shadowban=True)
        client = self.connect("anna")
        client.send(RegisterUser(password_hash=secret_of("anna", "secret")))
        self.assertIn(session_of(client).account_id, self.chat.bans.hidden_accounts)


class RegistrationTests(RegisteredTestCase):
    """REGISTER_USER."""

    server = Server(admin_users=("Root",), moderator_users=("Mod",))
    request = RegisterUser(password_hash=secret_of("anna", "secret"))

    def test_order(self) -> None:
        """Everybody hears of it, oneself included, and then comes the answer (reference 2.1)."""
        client, bob = self.connect("anna"), self.connect("bob")
        self.settle()
        client.received()
        told = client.ask(self.request)
        anna = self.stored("anna")
        answer = RegisterResponse(success=True, user_id=anna.id, message="Successfully registered anna!")
        self.assertEqual(told, [presence(client, "anna", anna), answer])
        self.settle()
        self.assertEqual(bob.received(), [presence(client, "anna", anna)])
        self.assertEqual(session_of(client).account, anna)
        self.assertEqual((anna.user_flags, anna.password_name), (0, "anna"))
        self.assertIn("Session 1 registered anna", self.log_lines())

    def test_log_in_later(self) -> None:
        """The same secret logs in from now on, and what is stored is not the secret."""
        self.connect("anna").send(self.request)
        self.assertTrue(self.can_log_in("anna"))
        self.assertFalse(self.can_log_in("anna", "wrong"))
        self.assertNotIn(self.request.password_hash, self.stored("anna").password_hash)

    def test_refusals(self) -> None:
        """Without a nickname, with a taken one, or with no hash (reference 2.1)."""
        self.account("Taken")
        self.account("old")
        self.now(self.storage.rename_account(self.stored("old").id, "new"))
        for nickname, request, text in (
            (None, self.request, "Must set nickname before registering"),
            ("anna", RegisterUser(password_hash="x" * 39), "Invalid password hash format"),
            ("anna", RegisterUser(password_hash="x" * 51), "Invalid password hash format"),
            ("anna", RegisterUser(password_hash=""), "Invalid password hash format"),
            ("tAKEN", self.request, "Nickname already registered"),
            ("old", self.request, "Nickname already registered"),
            ("new", self.request, "Nickname already registered"),
        ):
            client = self.connect(nickname)
            self.assertEqual(client.ask(request), [RegisterResponse(success=False, message=text)])
            self.assertIsNone(session_of(client).account)
        self.assertIsNone(self.now(self.storage.account_named("anna")))

    def test_nothing_is_computed_in_vain(self) -> None:
        """A taken name is refused before anything is hashed."""
        self.account("anna")
        before = self.chat.passwords.work.seconds.snapshot().count
        self.connect("anna").send(self.request)
        self.assertEqual(self.chat.passwords.work.seconds.snapshot().count, before)

    def test_twice(self) -> None:
        """Who is logged in has registered that name already."""
        self.account("anna")
        answer = self.log_in("anna").one(RegisterResponse, self.request)
        self.assertEqual(answer.message, "Nickname already registered")

    def test_reserved(self) -> None:
        """Names of administrators and moderators cannot be registered by who has them since before (decisions 2.3)."""
        client = self.connect("guest")
        for name in ("root", "ROOT", "mod"):
            self.chat.sessions.rename(session_of(client), name)
            answer = client.one(RegisterResponse, self.request)
            self.assertEqual((answer.success, answer.message), (False, "This nickname is reserved"))
            self.assertIsNone(self.now(self.storage.account_named(name)))

    def test_no_rights(self) -> None:
        """Registering gives no rights, whatever the name (decisions 2.4)."""
        client = self.connect("anna")
        client.send(self.request)
        self.assertFalse(session_of(client).moderates)

    def test_unreadable(self) -> None:
        """A payload that is none is ERROR 1000, for those who have a nickname."""
        malformed = Malformed(3, "REGISTER_USER", "short")
        self.assertEqual(self.connect("anna").refusal(malformed)[0], ErrorCode.INVALID_FORMAT)
        answer = self.connect().one(RegisterResponse, malformed)
        self.assertEqual(answer.message, "Must set nickname before registering")


class LogoutTests(RegisteredTestCase):
    """LOGOUT."""

    def test_announced(self) -> None:
        """No answer, but everybody hears that the session is anonymous now (decisions 2.4, reference W17)."""
        self.account("root", flags=UserFlags.ADMIN)
        client, bob = self.log_in("root"), self.connect("bob")
        self.settle()
        client.received()
        self.assertEqual(client.ask(Logout()), [presence(client, "root")])
        self.settle()
        self.assertEqual(bob.received(), [presence(client, "root")])

    def test_rights_end(self) -> None:
        """Anonymous again means no rights at once (decisions 2.4)."""
        root = self.account("root", flags=UserFlags.ADMIN)
        client = self.log_in("root")
        client.send(Logout())
        offline = ListUsers(limit=0, include_offline=True)
        self.assertEqual(client.refusal(offline)[0], ErrorCode.PERMISSION_DENIED)
        self.assertEqual(self.chat.sessions.of_account(root.id), ())

    def test_anonymous(self) -> None:
        """Who is not logged in is told nothing, and nobody else either."""
        bob, anonymous = self.connect("bob"), self.connect("guest")
        self.settle()
        bob.received()
        for client in (anonymous, self.connect()):
            self.assertEqual(client.ask(Logout()), [])
        self.settle()
        self.assertEqual(bob.received(), [])

    def test_other_sessions_stay(self) -> None:
        """Other sessions of the account stay logged in."""
        anna = self.account("anna")
        first, second = self.log_in("anna"), self.log_in("anna")
        first.send(Logout())
        self.assertEqual(self.chat.sessions.of_account(anna.id), (second.session,))

    def test_back_again(self) -> None:
        """Who logged out can log in again."""
        self.account("anna")
        client = self.log_in("anna")
        client.send(Logout())
        self.assertTrue(client.one(AuthResponse, auth("anna")).success)

    def conversation(self) -> int:
        """A direct conversation of Anna's and Bob's."""
        sides = [Participant(self.account(name).id, None, name) for name in ("anna", "bob")]
        channel = self.now(self.storage.open_direct(sides, self.now_ms()))
        self.chat.directory.add([channel])
        self.chat.directory.membership.add([(channel.id, side) for side in sides])
        return channel.id

    def test_conversations_end(self) -> None:
        """Direct conversations of the account are no longer heard, whoever one is from now on (decisions 3.2)."""
        direct = self.conversation()
        self.account("carl")
        for last in (Logout(), auth("carl")):
            client = self.log_in("anna")
            for request in (JoinChannel(channel_id=direct), SubscribeChannel(channel_id=direct)):
                client.send(request)
            client.send(SubscribeChannel(channel_id=GENERAL))
            client.send(last)
            self.assertEqual((session_of(client).joined, session_of(client).channels), (None, {GENERAL}))
            self.assertEqual((*self.chat.registry.audience(direct),), ())

    def test_joined_channels_stay(self) -> None:
        """A channel that everybody may see stays joined."""
        self.account("anna")
        client = self.log_in("anna")
        client.send(JoinChannel(channel_id=GENERAL))
        self.assertEqual([m for m in client.ask(Logout()) if isinstance(m, ChannelPresence)], [])
        self.assertEqual(session_of(client).joined, GENERAL)
