"""What operators may ask for, what comes of it at once, and what is kept of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred

from superchat.config import Limits, Server
from superchat.model import Account, Act, NewAccount, UserFlags
from superchat.ops.control.commands import LONGEST_LIST, Commands, operator
from superchat.ops.control.messages import Answer, ControlError, ErrorKind, Request
from superchat.storage.interface import IStorage
from superchat.wire.messages import BanList, Error, ListBans, ServerPresence, UserDeleted
from tests.chat.talk import Client, TalkTestCase

SECRET = "x" * 43
WHO = operator(1000)
DATABASE = Path("/srv/superchat.db")


class CommandTestCase(TalkTestCase):
    """A running chat, and an operator."""

    limits = Limits(max_connections_per_ip=0, message_rate_limit=0, max_nickname_length=12)
    server = Server(admin_users=("root",), moderator_users=("warden", "root"))

    def setUp(self) -> None:
        super().setUp()
        self.commands = Commands(self.chat, self.storage, self.clock, DATABASE, is_server=True)

    def do(self, command: str, **arguments: object) -> Answer:
        """Have something done."""
        return self.run_now(self.commands.perform(WHO, Request(command, arguments)))

    def refused(self, command: str, kind: ErrorKind = ErrorKind.REFUSED, **arguments: object) -> str:
        """Why something is not done; it leaves no trace."""
        before = self.acts(), self.now(self.storage.accounts(100)), self.now(self.storage.bans(0, True))
        request = Request(command, arguments)
        failure = self.failureResultOf(Deferred.fromCoroutine(self.commands.perform(WHO, request)), ControlError)
        self.assertEqual(failure.value.kind, kind)
        after = self.acts(), self.now(self.storage.accounts(100)), self.now(self.storage.bans(0, True))
        self.assertEqual(before, after)
        text: str = failure.value.text
        return text

    def acts(self) -> list[Act]:
        """The audit log, newest first."""
        return self.now(self.storage.acts(100))

    def made(self, nickname: str, flags: int = 0) -> Account:
        """An account that is there."""
        return self.now(self.storage.create_account(NewAccount(nickname, "stored", flags, 1)))

    def logged_in(self, account: Account) -> Client:
        """A session that is logged in."""
        client = Client(self.chat).connect()
        assert client.session is not None
        self.chat.sessions.log_in(client.session, account)
        self.chat.presence.online(client.session)
        self.settle()
        client.received()
        return client

    def account(self, nickname: str) -> Account:
        """An account as it is stored now."""
        found: Account | None = self.now(self.storage.account_named(nickname))
        assert found is not None
        return found

    def flags_heard(self, client: Client) -> list[int]:
        """The rights that a client hears of."""
        self.settle()
        return [event.user_flags for event in client.received() if isinstance(event, ServerPresence)]


class CreateTests(CommandTestCase):
    """create-user."""

    def test_created(self) -> None:
        """The account is there, its password is stored as bcrypt of what clients send, and the act is recorded."""
        answer = self.do("create-user", nickname="bob", secret=SECRET)
        account = self.account("bob")
        self.assertEqual(answer.text, "Created account bob")
        self.assertEqual(answer.fields["user_id"], str(account.id))
        self.assertTrue(self.now(self.chat.passwords.verify(SECRET, account.password_hash)))
        (act,) = self.acts()
        self.assertEqual(
            (act.actor, act.actor_id, act.address, act.action, act.target_type, act.target_id, act.target),
            ("operator uid 1000", None, "local", "create_user", "user", account.id, "bob"),
        )

    def test_rights(self) -> None:
        """Accounts get the rights of all lists of the configuration that their name is in (decisions 2.3), ignoring
        case, and those that are asked for."""
        for nickname, role, flags in (
            ("Root", None, UserFlags.ADMIN | UserFlags.MODERATOR),
            ("warden", None, UserFlags.MODERATOR),
            ("bob", "admin", UserFlags.ADMIN),
            ("eve", "moderator", UserFlags.MODERATOR),
            ("joe", None, UserFlags.NONE),
        ):
            self.do("create-user", nickname=nickname, secret=SECRET, role=role)
            self.assertEqual(self.account(nickname).user_flags, flags, nickname)
        self.assertEqual(self.acts()[-1].details, "admin, moderator")

    def test_refused(self) -> None:
        """A name that is taken, ignoring case, or none, a password that is none, and a role that is none."""
        self.made("bob")
        self.assertIn("belongs to an account", self.refused("create-user", nickname="BOB", secret=SECRET))
        for nickname in ("ab", "a" * 13, "a b c", "", "bob\n"):
            self.assertIn("3 to 12 characters", self.refused("create-user", nickname=nickname, secret=SECRET))
        for secret in ("", "x" * 39, "x" * 51, "ä" * 43):
            self.assertIn("no hash of a password", self.refused("create-user", nickname="eve", secret=secret))
        self.assertIn("admin, moderator", self.refused("create-user", nickname="eve", secret=SECRET, role="king"))

    def test_banned_name(self) -> None:
        """A ban of the nickname becomes a ban of the account, at once."""
        self.do("ban", nickname="bob")
        self.do("create-user", nickname="bob", secret=SECRET)
        self.assertIsNotNone(self.chat.bans.login_refusal(self.account("bob")))


class RoleTests(CommandTestCase):
    """grant and revoke."""

    def test_live(self) -> None:
        """Live sessions have the rights, or have them no more, at once; everybody hears of it (decisions 2.4)."""
        bob, witness = self.logged_in(self.made("bob")), self.connect("eve")
        answer = self.do("grant", nickname="BOB", role="moderator")
        self.assertEqual(answer.text, "bob is a moderator now (1 live session)")
        self.assertEqual(self.flags_heard(witness), [UserFlags.MODERATOR])
        self.assertIsInstance(bob.ask(ListBans(include_expired=False))[-1], BanList)
        answer = self.do("revoke", nickname="bob", role="moderator")
        self.assertEqual(answer.text, "bob is no longer a moderator (1 live session)")
        self.assertEqual(self.flags_heard(witness), [UserFlags.NONE])
        self.assertIsInstance(bob.ask(ListBans(include_expired=False))[-1], Error)

    def test_one_at_a_time(self) -> None:
        """A role comes and goes without the other one."""
        self.made("bob", UserFlags.ADMIN)
        self.do("grant", nickname="bob", role="moderator")
        self.assertEqual(self.account("bob").user_flags, UserFlags.ADMIN | UserFlags.MODERATOR)
        self.do("revoke", nickname="bob", role="admin")
        self.assertEqual(self.account("bob").user_flags, UserFlags.MODERATOR)
        self.assertEqual(
            [(act.action, act.target, act.details) for act in self.acts()],
            [("revoke", "bob", "admin"), ("grant", "bob", "moderator")],
        )

    def test_nothing_to_do(self) -> None:
        """What is so already is said, and is no act: scripts may say it again."""
        self.made("bob", UserFlags.ADMIN)
        answer = self.do("grant", nickname="bob", role="admin")
        self.assertEqual((answer.text, answer.fields["changed"]), ("bob is an admin already", False))
        answer = self.do("revoke", nickname="bob", role="moderator")
        self.assertEqual((answer.text, answer.fields["changed"]), ("bob is not a moderator", False))
        self.assertEqual(self.acts(), [])

    def test_unknown(self) -> None:
        """Without such an account there is nothing to grant, nor a role of another name."""
        self.assertEqual(self.refused("grant", nickname="nobody", role="admin"), "There is no account nobody")
        self.made("bob")
        self.assertIn("admin, moderator", self.refused("revoke", nickname="bob", role="king"))


class PasswordTests(CommandTestCase):
    """reset-password."""

    def test_reset(self) -> None:
        """The new password is stored, and the sessions of whoever had the old one end (decisions 1.7)."""
        account = self.made("bob")
        session = self.logged_in(account)
        answer = self.do("reset-password", user_id=account.id, nickname="bob", secret=SECRET)
        self.assertEqual(answer.text, "Reset the password of bob (1 sessions disconnected)")
        self.assertTrue(self.now(self.chat.passwords.verify(SECRET, self.account("bob").password_hash)))
        self.assertEqual(session.ended, ("Password reset by an operator", "password"))
        self.assertEqual([(act.action, act.target_id) for act in self.acts()], [("reset_password", account.id)])

    def test_login_name(self) -> None:
        """After a rename the account logs in with the name of today again (decisions 2.5)."""
        account = self.made("bob")
        self.now(self.storage.rename_account(account.id, "rob"))
        self.do("reset-password", user_id=account.id, nickname="rob", secret=SECRET)
        self.assertEqual(self.account("rob").password_name, "rob")
        self.assertIsNone(self.now(self.storage.account_named("bob")))

    def test_refused(self) -> None:
        """A password that was made for another name is refused: nobody could log in with it. So is no account."""
        account = self.made("bob")
        text = self.refused("reset-password", user_id=account.id, nickname="Bob", secret=SECRET)
        self.assertIn("another name", text)
        self.assertIn("no account", self.refused("reset-password", user_id=77, nickname="bob", secret=SECRET))
        self.assertIn("no hash", self.refused("reset-password", user_id=account.id, nickname="bob", secret="short"))

    def test_account(self) -> None:
        """How the nickname is written is told, by any name that belongs to the account."""
        account = self.made("Bob")
        self.now(self.storage.rename_account(account.id, "Rob"))
        for name in ("bob", "ROB"):
            fields = self.do("account", nickname=name).fields
            self.assertEqual((fields["user_id"], fields["nickname"]), (str(account.id), "Rob"))


class BanTests(CommandTestCase):
    """ban, unban, delete-user."""

    def test_user(self) -> None:
        """--user is an account, which must exist; its sessions end, also one that only logs in with the name."""
        self.assertIn("no account bob", self.refused("ban", user="bob"))
        account = self.made("bob")
        self.now(self.storage.rename_account(account.id, "rob"))
        session = self.logged_in(self.account("rob"))
        self.do("ban", user="bob", reason="spam", duration_seconds=60)
        self.assertEqual(session.ended, ("Banned: spam", "banned"))
        (ban,) = self.now(self.storage.bans(0, True))
        self.assertEqual((ban.account_id, ban.nickname, ban.banned_by), (account.id, "rob", WHO))
        self.do("unban", user="rob")
        self.assertEqual(self.now(self.storage.bans(0, True)), [])

    def test_nickname(self) -> None:
        """--nickname is anybody who goes by it."""
        session = self.connect("eve")
        self.do("ban", nickname="EVE")
        self.assertEqual(session.ended, ("Banned", "banned"))
        self.do("unban", nickname="eve")
        self.assertEqual([act.action for act in self.acts()], ["unban_user", "ban_user"])

    def test_shadow(self) -> None:
        """A shadowban disconnects nobody."""
        session = self.connect("eve")
        self.do("ban", nickname="eve", shadow=True)
        self.assertIsNone(session.ended)
        self.assertEqual([row["shadow"] for row in self.do("bans", limit=9).rows], [True])
        self.assertIn("shadow", self.refused("ban", ErrorKind.USAGE, ip_cidr="10.0.0.1", shadow=True))

    def test_address(self) -> None:
        """--ip is an address or a network, normalised (decisions 7.1)."""
        session = self.connect("eve")
        self.do("ban", ip_cidr="192.0.2.77/24")
        self.assertEqual(session.ended, ("Banned", "banned"))
        self.assertIn("No active ban", self.refused("unban", ip_cidr="192.0.2.1"))
        self.do("unban", ip_cidr="192.0.2.0/24")
        self.assertIn("Invalid IP", self.refused("ban", ip_cidr="nonsense"))

    def test_one_target(self) -> None:
        """Nothing is banned that is not named, and nothing besides."""
        for target in ({}, {"user": "bob", "nickname": "bob"}, {"user": "bob", "ip_cidr": "10.0.0.1"}):
            for command in ("ban", "unban"):
                self.assertIn("only one", self.refused(command, ErrorKind.USAGE, **target))

    def test_admins(self) -> None:
        """An operator may ban an admin, whom no moderator may."""
        self.made("root", UserFlags.ADMIN)
        self.do("ban", user="root")
        self.assertEqual(len(self.do("bans", limit=9).rows), 1)

    def test_delete_user(self) -> None:
        """The account is gone, its session too, and everybody is told (reference 2.4)."""
        session, witness = self.logged_in(self.made("bob")), self.connect("eve")
        self.do("delete-user", nickname="bob")
        self.assertEqual(session.ended, ("Account deleted", "deleted"))
        told = [event for event in witness.received() if isinstance(event, UserDeleted)]
        self.assertEqual([event.success for event in told], [True])
        self.assertIn("no account bob", self.refused("delete-user", nickname="bob"))


class ListTests(CommandTestCase):
    """users, bans, audit and stats."""

    def rows(self, command: str, **arguments: object) -> list[dict[str, Any]]:
        """The rows of a list."""
        return [dict(row) for row in self.do(command, **arguments).rows]

    def test_users(self) -> None:
        """By name, with rights and live sessions; a page begins behind the last name of the one before."""
        self.made("carol", UserFlags.ADMIN)
        self.logged_in(self.made("Bob"))
        self.made("alice", UserFlags.MODERATOR)
        rows = self.rows("users", limit=2)
        self.assertEqual([(row["nickname"], row["sessions"]) for row in rows], [("alice", 0), ("Bob", 1)])
        self.assertEqual([(row["admin"], row["moderator"]) for row in rows], [(False, True), (False, False)])
        self.assertEqual([row["nickname"] for row in self.rows("users", limit=2, after="Bob")], ["carol"])
        self.assertEqual(self.do("users", limit=2).text, "2 accounts")

    def test_bans(self) -> None:
        """Those in force, newest first; the others, too, if asked for, and marked."""
        self.do("ban", nickname="eve", duration_seconds=1)
        self.do("ban", ip_cidr="10.0.0.0/8", reason="why")
        self.assertEqual([row["ban_type"] for row in self.rows("bans", limit=9)], ["ip", "user"])
        self.clock.advance(1)
        self.assertEqual([row["ip_cidr"] for row in self.rows("bans", limit=9)], ["10.0.0.0/8"])
        rows = self.rows("bans", limit=9, include_expired=True)
        self.assertEqual([row["active"] for row in rows], [True, False])

    def test_audit(self) -> None:
        """Newest first, in pages (decisions 7.3)."""
        for nickname in ("eve", "joe", "bob"):
            self.do("ban", nickname=nickname)
        rows = self.rows("audit", limit=2)
        self.assertEqual([row["target"] for row in rows], ["bob", "joe"])
        older = self.rows("audit", limit=2, before_id=int(rows[-1]["act_id"]))
        self.assertEqual([row["target"] for row in older], ["eve"])

    def test_limits(self) -> None:
        """No list is without end."""
        for command in ("users", "bans", "audit"):
            self.assertIn("missing", self.refused(command, ErrorKind.USAGE))
            self.assertIn("limit", self.refused(command, ErrorKind.USAGE, limit=LONGEST_LIST + 1))

    def test_stats(self) -> None:
        """The numbers of now."""
        self.made("bob")
        self.connect("eve")
        self.do("ban", ip_cidr="10.0.0.0/8")
        self.clock.advance(61)
        fields = dict(self.do("stats").fields)
        wanted = {"sessions": 1, "accounts": 1, "messages": 0, "user_bans": 0, "ip_bans": 1, "uptime_seconds": 61}
        self.assertEqual({name: fields[name] for name in wanted}, wanted)
        self.assertEqual((fields["running"], fields["database"]), (True, str(DATABASE)))

    def test_stats_without_server(self) -> None:
        """When no server runs, nothing is said of its time and process."""
        self.commands = Commands(self.chat, self.storage, self.clock, DATABASE, is_server=False)
        fields = self.do("stats").fields
        self.assertEqual([fields[name] for name in ("running", "pid", "uptime_seconds")], [False, None, None])

    def test_backup_noted(self) -> None:
        """Who has copied the database is in the audit log."""
        self.do("note-backup", path="/backup/copy.db", size_bytes=4096)
        (act,) = self.acts()
        self.assertEqual(
            (act.actor, act.action, act.target, act.details), (WHO, "backup", "/backup/copy.db", "4096 bytes")
        )

    def test_logged(self) -> None:
        """The log says who did what, and no secret."""
        self.do("create-user", nickname="bob", secret=SECRET, role="admin")
        self.do("revoke", nickname="bob", role="admin")
        self.do("note-backup", path="/backup/copy.db", size_bytes=4096)
        self.assertEqual(
            self.log_lines()[-3:],
            [
                f"{WHO} created account bob (admin)",
                f"{WHO} revoked admin from bob",
                f"{WHO} backed up the database to /backup/copy.db",
            ],
        )
        self.assertNotIn(SECRET, "".join(self.log_lines()))


class RequestTests(CommandTestCase):
    """Requests as such."""

    def test_other_database(self) -> None:
        """A request that is meant for another database is not carried out."""
        work = self.commands.perform(WHO, Request("stats", {}, "/elsewhere/superchat.db"))
        error = self.failureResultOf(Deferred.fromCoroutine(work), ControlError).value
        self.assertEqual(error.kind, ErrorKind.WRONG_DATABASE)
        self.assertIn(str(DATABASE), error.text)
        self.run_now(self.commands.perform(WHO, Request("stats", {}, str(DATABASE))))

    def test_unknown(self) -> None:
        """A command or an argument that does not exist is refused, by every command."""
        self.assertIn("no such command", self.refused("dance", ErrorKind.USAGE))
        self.made("bob")
        whole: dict[str, dict[str, object]] = {
            "account": {"nickname": "bob"},
            "create-user": {"nickname": "eve", "secret": SECRET},
            "grant": {"nickname": "bob", "role": "admin"},
            "revoke": {"nickname": "bob", "role": "admin"},
            "reset-password": {"user_id": 1, "nickname": "bob", "secret": SECRET},
            "users": {"limit": 1},
            "delete-user": {"nickname": "bob"},
            "ban": {"user": "bob"},
            "unban": {"user": "bob"},
            "bans": {"limit": 1},
            "audit": {"limit": 1},
            "stats": {},
            "note-backup": {"path": "/a", "size_bytes": 1},
        }
        for command, arguments in whole.items():
            self.assertIn("'more' is not known", self.refused(command, ErrorKind.USAGE, **arguments, more=1))

    def test_database_errors(self) -> None:
        """What the database says is told to the operator, and logged."""
        self.made("bob")
        self.now(self.storage.close())
        work = self.commands.perform(WHO, Request("grant", {"nickname": "bob", "role": "admin"}))
        error = self.failureResultOf(Deferred.fromCoroutine(work), ControlError).value
        self.assertEqual(error.kind, ErrorKind.FAILED)
        self.now(self.storage.open())

    def test_one_after_the_other(self) -> None:
        """Two operators who change the same account at the same time both get what they asked for."""
        self.made("bob")
        slow = SlowStorage(self.storage)
        commands = Commands(self.chat, cast(IStorage, slow), self.clock, DATABASE, is_server=True)
        both = [
            Deferred.fromCoroutine(commands.perform(WHO, Request("grant", {"nickname": "bob", "role": role})))
            for role in ("admin", "moderator")
        ]
        while slow.waiting:
            slow.waiting.pop(0).callback(None)
        for one in both:
            self.successResultOf(one)
        self.assertEqual(self.account("bob").user_flags, UserFlags.ADMIN | UserFlags.MODERATOR)


@attrs.define
class SlowStorage:
    """A storage that answers when the test lets it."""

    storage: Any
    waiting: list[Deferred[None]] = attrs.field(factory=list)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.storage, name)

        def later(*arguments: Any, **more: Any) -> Deferred[Any]:
            turn: Deferred[None] = Deferred()
            self.waiting.append(turn)
            return turn.addCallback(lambda _: method(*arguments, **more))

        return later


