"""Banning, freeing and deleting people: the answers, what comes of it at once, and what is kept of it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from superchat.chat.ban_terms import LONGEST_REASON_BYTES
from superchat.chat.dispatch import Role
from superchat.chat.moderation import Actor
from superchat.config import Server
from superchat.errors import Declined
from superchat.model import Account, Act, NewAccount, UserFlags
from superchat.storage.errors import Unavailable
from superchat.wire.errors import ErrorCode, Malformed
from superchat.wire.messages import (
    BanIP,
    BanList,
    BanUser,
    DeleteUser,
    Error,
    IPBanned,
    IPUnbanned,
    ListBans,
    ServerPresence,
    UnbanIP,
    UnbanUser,
    UserBanned,
    UserDeleted,
    UserUnbanned,
)
from superchat.wire.records import Message
from tests.chat.talk import GENERAL, Client, TalkTestCase

DENIED = "Permission denied: admin access required"
NOBODY = "Must provide either UserID or Nickname"


def ban(nickname: str | None = "bob", **more: Any) -> BanUser:
    """BAN_USER."""
    values: dict[str, Any] = {"nickname": nickname, "reason": "spam", "shadowban": False}
    return BanUser(**(values | more))


def ban_ip(ip_cidr: str = "203.0.113.0/24", **more: Any) -> BanIP:
    """BAN_IP."""
    values: dict[str, Any] = {"ip_cidr": ip_cidr, "reason": "spam"}
    return BanIP(**(values | more))


class ModerationTestCase(TalkTestCase):
    """With accounts, and an admin from elsewhere."""

    server = Server(admin_users=("root", "boss"))

    def setUp(self) -> None:
        super().setUp()
        self.accounts: dict[str, Account] = {}
        self.root = self.logged_in("root", UserFlags.ADMIN, address="198.51.100.1")
        self.mod = self.logged_in("mod", UserFlags.MODERATOR, address="198.51.100.2")

    def logged_in(self, nickname: str, flags: int = 0, **more: Any) -> Client:
        """A client that is logged in to an account of its own."""
        if nickname not in self.accounts:
            new = NewAccount(nickname, "hash", flags, self.now_ms())
            self.accounts[nickname] = self.now(self.storage.create_account(new))
        client = self.connect(**more)
        assert client.session is not None
        self.chat.sessions.log_in(client.session, self.accounts[nickname])
        self.chat.presence.online(client.session)
        self.settle()
        client.received()
        return client

    def id_of(self, nickname: str) -> int:
        return self.accounts[nickname].id

    def acts(self) -> list[Act]:
        return self.now(self.storage.acts(100))

    def bans(self) -> list[Any]:
        return self.now(self.storage.bans(self.now_ms(), True))

    def traces(self) -> tuple[Any, ...]:
        """What an act would change."""
        in_force = self.chat.bans.count("user"), self.chat.bans.count("ip")
        return self.bans(), self.acts(), len(self.chat.sessions), in_force

    def declined(self, client: Client, message: Message, kind: type[Any]) -> str:
        """The text of the one answer, which says no; it leaves no trace."""
        before = self.traces()
        (answer,) = client.ask(message)
        self.assertIsInstance(answer, kind)
        assert isinstance(answer, kind)
        self.assertFalse(answer.success)
        self.assertEqual(self.traces(), before)
        text: str = answer.message
        return text


class RightsTests(ModerationTestCase):
    """Who may do what (decisions 3.4)."""

    COMMANDS = (
        (ban(), UserBanned),
        (ban_ip(), IPBanned),
        (UnbanUser(nickname="bob"), UserUnbanned),
        (UnbanIP(ip_cidr="203.0.113.1"), IPUnbanned),
        (DeleteUser(user_id=1), UserDeleted),
    )

    def test_strangers(self) -> None:
        """Without the right role nothing happens, and the answer is the command's own (reference 2.4)."""
        for client in (self.connect(), self.connect("root2"), self.logged_in("bob")):
            for command, kind in self.COMMANDS:
                self.assertEqual(self.declined(client, command, kind), DENIED)
            refusal = client.refusal(ListBans(include_expired=True))
            self.assertEqual(refusal, (ErrorCode.PERMISSION_DENIED, DENIED))
        self.assertEqual(self.chat.counters.errors, {ErrorCode.PERMISSION_DENIED: 18})

    def test_moderators(self) -> None:
        """Moderators ban and free users and list bans; networks and accounts are for admins (decisions 3.4)."""
        for command, kind in (self.COMMANDS[1], self.COMMANDS[3], self.COMMANDS[4]):
            self.assertEqual(self.declined(self.mod, command, kind), DENIED)
        self.assertTrue(self.mod.one(UserBanned, ban()).success)
        self.assertEqual(len(self.mod.one(BanList, ListBans(include_expired=False)).bans), 1)
        self.assertTrue(self.mod.one(UserUnbanned, UnbanUser(nickname="bob")).success)

    def test_checked_before_reading(self) -> None:
        """Rights are checked before the payload is read; whoever has them is told that it is none (reference 2.4)."""
        stranger = self.connect("stranger")
        for code, name, kind in ((0x59, "BAN_USER", UserBanned), (0x5E, "DELETE_USER", UserDeleted)):
            (answer,) = stranger.ask(Malformed(code, name, "too short"))
            self.assertIsInstance(answer, kind)
            invalid = ErrorCode.INVALID_FORMAT, "Invalid message format"
            self.assertEqual(self.root.refusal(Malformed(code, name, "too short")), invalid)

    def test_demoted(self) -> None:
        """Who logs out has no power any more (decisions 2.4)."""
        assert self.root.session is not None
        self.chat.sessions.log_out(self.root.session)
        self.assertEqual(self.declined(self.root, ban(), UserBanned), DENIED)

    def test_admins_are_safe_from_moderators(self) -> None:
        """No moderator bans an admin, by id or by name, nor a name that is reserved for one (decisions 3.4)."""
        text = "Permission denied: moderators cannot ban admins"
        for target in (ban("ROOT"), ban(None, user_id=self.id_of("root")), ban("Boss"), ban("root", shadowban=True)):
            self.assertEqual(self.declined(self.mod, target, UserBanned), text)
        self.logged_in("other", UserFlags.ADMIN)
        self.assertEqual(self.declined(self.mod, ban("other"), UserBanned), text)
        self.assertTrue(self.root.one(UserBanned, ban("other")).success)
        self.assertTrue(self.mod.one(UserUnbanned, UnbanUser(nickname="other")).success)

    def test_moderators_may_ban_moderators(self) -> None:
        """Among moderators there is no rank."""
        self.logged_in("mod2", UserFlags.MODERATOR)
        self.assertTrue(self.mod.one(UserBanned, ban("mod2")).success)


class BanUserTests(ModerationTestCase):
    """BAN_USER (decisions 7.1)."""

    def test_by_name(self) -> None:
        """The account of a nickname, and anonymous sessions with it, are disconnected with the reason, at once."""
        bob, same, anonymous = self.logged_in("bob"), self.logged_in("bob"), self.connect("BOB")
        other, nameless = self.connect("bobby"), self.connect()
        answer = self.root.one(UserBanned, ban("Bob"))
        (stored,) = self.bans()
        self.assertEqual(answer, UserBanned(success=True, ban_id=stored.id, message="User Bob banned successfully"))
        self.assertEqual((stored.account_id, stored.nickname), (self.id_of("bob"), "Bob"))
        for client in (bob, same, anonymous):
            self.assertEqual(client.ended, ("Banned: spam", "banned"))
        self.assertEqual((other.ended, nameless.ended, self.root.ended), (None, None, None))
        self.assertEqual(self.chat.counters.sessions_disconnected, {"banned": 3})
        self.settle()
        gone = [one for one in other.received() if isinstance(one, ServerPresence)]
        self.assertEqual([(one.nickname, one.online) for one in gone], [("bob", False), ("bob", False), ("BOB", False)])

    def test_by_id(self) -> None:
        """A ban by id is the account's alone: somebody anonymous with the same nickname is not meant."""
        bob, anonymous = self.logged_in("bob"), self.connect("bob2")
        number = self.id_of("bob")
        answer = self.root.one(UserBanned, ban(None, user_id=number, reason=""))
        self.assertEqual(answer.message, f"User user_id:{number} banned successfully")
        self.assertEqual(bob.ended, ("Banned", "banned"))
        self.assertIsNone(anonymous.ended)

    def test_by_both(self) -> None:
        """An id and a nickname must be the same user's."""
        self.logged_in("bob")
        self.logged_in("carl")
        for nickname in ("carl", "nobody"):
            text = self.declined(self.root, ban(nickname, user_id=self.id_of("bob")), UserBanned)
            self.assertEqual(text, "UserID and Nickname are not the same user's")
        self.assertTrue(self.root.one(UserBanned, ban("BOB", user_id=self.id_of("bob"))).success)

    def test_as_it_is_shown(self) -> None:
        """A nickname may be given with the prefix that it is shown with."""
        anonymous = self.connect("troll")
        self.assertEqual(self.root.one(UserBanned, ban("~troll")).message, "User troll banned successfully")
        self.assertEqual(anonymous.ended, ("Banned: spam", "banned"))

    def test_nobody(self) -> None:
        """Somebody must be named; an account that does not exist cannot be banned, a nickname nobody has can."""
        for message in (ban(None), ban(""), ban(" ~ ")):
            self.assertEqual(self.declined(self.root, message, UserBanned), NOBODY)
        for number in (0, 999, 2**63, 2**64 - 1):
            text = self.declined(self.root, ban(None, user_id=number), UserBanned)
            self.assertEqual(text, "Failed to create ban: user not found")
        self.assertTrue(self.root.one(UserBanned, ban("newcomer")).success)

    def test_no_nickname(self) -> None:
        """What cannot be a nickname cannot be banned."""
        for nickname in ("x" * 21, "a b", "bob\x00", "böb", "\udcff", "a'; DROP TABLE ban;--"):
            self.assertEqual(self.declined(self.root, ban(nickname), UserBanned), "Invalid nickname")
        self.assertEqual(self.chat.counters.errors, {ErrorCode.INVALID_NICKNAME: 6})

    def test_oneself(self) -> None:
        """Nobody bans themselves by mistake, by whatever name (decisions 7.1)."""
        for client, name in ((self.root, "root"), (self.mod, "mod")):
            number = self.id_of(name)
            for message in (ban(name), ban(name.upper()), ban(None, user_id=number), ban(name, shadowban=True)):
                self.assertEqual(self.declined(client, message, UserBanned), "You cannot ban yourself")
        self.now(self.storage.rename_account(self.id_of("mod"), "maude"))
        self.assertEqual(self.declined(self.mod, ban("maude"), UserBanned), "You cannot ban yourself")

    def test_shadowban(self) -> None:
        """A shadowban disconnects nobody and takes effect for live sessions at once (decisions 7.2)."""
        bob = self.logged_in("bob")
        self.assertTrue(self.root.one(UserBanned, ban("bob", shadowban=True)).success)
        self.assertIsNone(bob.ended)
        self.assertEqual(bob.received(), [])
        self.assertEqual(self.chat.bans.hidden_accounts, {self.id_of("bob")})
        self.assertEqual(self.chat.bans.hidden_names, {"bob"})
        self.assertIsNone(self.chat.bans.login_refusal(self.accounts["bob"]))

    def test_for_a_time(self) -> None:
        """A ban ends after its duration, at that moment (decisions 7.1)."""
        self.root.one(UserBanned, ban("bob", duration_seconds=60))
        self.assertEqual(self.bans()[0].banned_until, self.now_ms() + 60_000)
        self.assertIsNotNone(self.chat.bans.nickname_refusal("bob"))
        self.clock.advance(60)
        self.assertIsNone(self.chat.bans.nickname_refusal("bob"))

    def test_far_ends(self) -> None:
        """Durations beyond all calendars, up to the wire's 64 bits, mean for ever (decisions 7.1)."""
        for number, seconds in enumerate((2**64 - 1, 2**63, 2**53, 253_402_300_800)):
            self.root.one(UserBanned, ban(f"bob{number}", duration_seconds=seconds))
        self.assertEqual([one.banned_until for one in self.bans()], [None] * 4)
        self.root.one(UserBanned, ban("bob", duration_seconds=100 * 366 * 86_400))
        self.assertIsNotNone(self.bans()[0].banned_until)

    def test_no_time_at_all(self) -> None:
        """A ban that would have ended already is refused: it must be a mistake."""
        text = self.declined(self.root, ban(duration_seconds=0), UserBanned)
        self.assertEqual(text, "Duration must be at least one second")

    def test_reasons(self) -> None:
        """A reason is one short line of text; what could confuse a terminal is not in it."""
        self.root.one(UserBanned, ban("bob", reason=" a\r\nb\x1b[31m\u2028ü "))
        self.assertEqual(self.bans()[0].reason, "a b [31m ü")
        longest = "ü" * (LONGEST_REASON_BYTES // 2)
        self.assertTrue(self.root.one(UserBanned, ban("carl", reason=longest)).success)
        text = self.declined(self.root, ban("dora", reason=f"{longest}x"), UserBanned)
        self.assertEqual(text, "Reason too long (max 500 bytes)")
        self.assertEqual(self.declined(self.root, ban(reason="\udcff"), UserBanned), "Reason is not valid UTF-8")

    def test_recorded(self) -> None:
        """A ban is in the audit log, with who, from where, and whom (decisions 7.3), and in the server's log."""
        self.root.one(UserBanned, ban("bob", reason="it's spam", duration_seconds=60))
        (act,) = self.acts()
        (stored,) = self.bans()
        self.assertEqual((act.actor, act.actor_id, act.address), ("root", self.id_of("root"), "198.51.100.1"))
        self.assertEqual((act.action, act.target_type, act.target), ("ban_user", "user", "bob"))
        self.assertEqual(act.target_id, stored.id)
        details = "reason=\"it's spam\", shadowban=false, until 2027-01-15T08:01:00Z"
        self.assertEqual((act.details, act.performed_at), (details, self.now_ms()))
        line = f"Admin root banned user bob (ban_id={stored.id}, {details}), 0 sessions disconnected"
        self.assertEqual(self.log_lines()[-1], line)
        self.mod.one(UserBanned, ban("carl", shadowban=True))
        self.assertTrue(self.log_lines()[-1].startswith("Moderator mod banned user carl (ban_id="))
        self.assertIn("shadowban=true", self.log_lines()[-1])

    def test_no_forged_lines(self) -> None:
        """A reason cannot be mistaken for the rest of the line (reference W16)."""
        self.root.one(UserBanned, ban("bob", reason="x', shadowban=true)\nAdmin mod banned user anna"))
        self.assertIn(
            """reason="x', shadowban=true) Admin mod banned user anna", shadowban=false""", self.log_lines()[-1]
        )
        self.assertNotIn("\n", self.log_lines()[-1])

    def test_twice(self) -> None:
        """Somebody may be banned again, and is free only when all bans are lifted or over."""
        self.root.one(UserBanned, ban("bob", duration_seconds=60))
        self.root.one(UserBanned, ban("bob"))
        self.clock.advance(60)
        self.assertIsNotNone(self.chat.bans.nickname_refusal("bob"))
        answer = self.root.one(UserUnbanned, UnbanUser(nickname="bob"))
        self.assertEqual(answer.message, "User bob unbanned successfully (2 bans removed)")
        self.assertIsNone(self.chat.bans.nickname_refusal("bob"))

    def test_after_a_restart(self) -> None:
        """Bans are in force again as soon as the server is (decisions 7.1)."""
        self.root.one(UserBanned, ban("bob"))
        self.root.one(UserBanned, ban("shady", shadowban=True))
        self.root.one(IPBanned, ban_ip())
        again = type(self.chat)(self.chat.config, self.storage, self.clock, self.now_ms, self.chat.activity)
        self.run_now(again.start())
        self.assertIsNotNone(again.bans.nickname_refusal("bob"))
        self.assertEqual(again.bans.hidden_names, {"shady"})
        self.assertIsNone(Client(again, address="203.0.113.9").connect().session)


class BanIPTests(ModerationTestCase):
    """BAN_IP (decisions 7.1)."""

    def test_ban(self) -> None:
        """Sessions from a banned network are disconnected at once, and nobody connects from it any more."""
        clients = [self.connect(address=address) for address in ("203.0.113.5", "::ffff:203.0.113.6")]
        other = self.connect(address="203.0.114.1")
        answer = self.root.one(IPBanned, ban_ip("203.0.113.77/24"))
        (stored,) = self.bans()
        self.assertEqual(
            answer, IPBanned(success=True, ban_id=stored.id, message="IP 203.0.113.0/24 banned successfully")
        )
        self.assertEqual((stored.ban_type, stored.ip_cidr), ("ip", "203.0.113.0/24"))
        self.assertEqual([client.ended for client in clients], [("Banned: spam", "banned")] * 2)
        self.assertIsNone(other.ended)
        self.assertIsNone(Client(self.chat, address="203.0.113.7").connect().session)
        self.assertIsNotNone(Client(self.chat, address="203.0.114.7").connect().session)

    def test_normalised(self) -> None:
        """An address is banned as which it is known, however it is written (decisions 7.1)."""
        for given, normal in (("::ffff:203.0.113.1", "203.0.113.1"), ("2001:DB8::1/64", "2001:db8::/64")):
            self.assertEqual(self.root.one(IPBanned, ban_ip(given)).message, f"IP {normal} banned successfully")
            self.assertEqual(self.bans()[0].ip_cidr, normal)

    def test_junk(self) -> None:
        """What is no address or CIDR is refused (decisions 7.1)."""
        for text in ("", "  "):
            self.assertEqual(self.declined(self.root, ban_ip(text), IPBanned), "IP/CIDR address required")
            self.assertEqual(self.declined(self.root, UnbanIP(ip_cidr=text), IPUnbanned), "IP/CIDR address required")
        for text in ("localhost", "203.0.113.0/33", "\udcff", "203.0.113.0/255.255.255.0", "1" * 60_000):
            self.assertEqual(self.declined(self.root, ban_ip(text), IPBanned), "Invalid IP or CIDR format")
            self.assertEqual(self.declined(self.root, UnbanIP(ip_cidr=text), IPUnbanned), "Invalid IP or CIDR format")

    def test_own_address(self) -> None:
        """Nobody bans the network that they are connected from, with any session of theirs (decisions 7.1)."""
        self.logged_in("root", address="2001:db8::5")
        for network in ("198.51.100.1", "198.51.100.0/24", "0.0.0.0/0", "::ffff:198.51.100.1", "2001:db8::/32", "::/0"):
            self.assertEqual(self.declined(self.root, ban_ip(network), IPBanned), "You cannot ban your own address")
        self.assertTrue(self.root.one(IPBanned, ban_ip("198.51.100.3")).success)

    def test_durations(self) -> None:
        """Bans of networks end like those of users."""
        self.root.one(IPBanned, ban_ip("203.0.113.1", duration_seconds=10))
        self.root.one(IPBanned, ban_ip("203.0.113.2", duration_seconds=2**64 - 1))
        text = self.declined(self.root, ban_ip(duration_seconds=0), IPBanned)
        self.assertEqual(text, "Duration must be at least one second")
        self.clock.advance(9.999)
        self.assertIsNone(Client(self.chat, address="203.0.113.1").connect().session)
        self.clock.advance(0.001)
        self.assertIsNotNone(Client(self.chat, address="203.0.113.1").connect().session)
        self.assertIsNone(Client(self.chat, address="203.0.113.2").connect().session)

    def test_recorded(self) -> None:
        """A ban is in the audit log and in the server's (decisions 7.3)."""
        self.root.one(IPBanned, ban_ip())
        (act,) = self.acts()
        (stored,) = self.bans()
        self.assertEqual((act.action, act.target_type, act.target_id), ("ban_ip", "ip", stored.id))
        self.assertEqual((act.target, act.details), ("203.0.113.0/24", "reason='spam', permanently"))
        line = f"Admin root banned IP 203.0.113.0/24 (ban_id={stored.id}, reason='spam', permanently), "
        self.assertEqual(self.log_lines()[-1], f"{line}0 sessions disconnected")


class UnbanTests(ModerationTestCase):
    """UNBAN_USER and UNBAN_IP."""

    def test_by_whatever_name(self) -> None:
        """Who was banned by name is freed by id, and the other way round (reference 2.4)."""
        self.logged_in("bob")
        number = self.id_of("bob")
        for banned, freed in (
            (ban("bob"), UnbanUser(user_id=number)),
            (ban(None, user_id=number), UnbanUser(nickname="BOB")),
        ):
            self.root.one(UserBanned, banned)
            self.assertIsNotNone(self.chat.bans.login_refusal(self.accounts["bob"]))
            who = "BOB" if freed.nickname else f"user_id:{number}"
            text = f"User {who} unbanned successfully (1 bans removed)"
            self.assertEqual(self.root.ask(freed), [UserUnbanned(success=True, message=text)])
            self.assertIsNone(self.chat.bans.login_refusal(self.accounts["bob"]))
            self.assertIsNone(self.chat.bans.nickname_refusal("bob"))

    def test_shadowban_ends_at_once(self) -> None:
        """Lifting a shadowban shows what was hidden at once (decisions 7.2)."""
        self.root.one(UserBanned, ban("shady", shadowban=True))
        self.root.one(UserUnbanned, UnbanUser(nickname="Shady"))
        self.assertEqual(self.chat.bans.hidden_names, frozenset())

    def test_not_banned(self) -> None:
        """Freeing somebody who is not banned is refused."""
        for message in (UnbanUser(nickname="bob"), UnbanUser(user_id=999), UnbanUser(user_id=2**64 - 1)):
            text = self.declined(self.root, message, UserUnbanned)
            self.assertEqual(text, "No active ban found for this user")
        for message in (UnbanUser(), UnbanUser(nickname="")):
            self.assertEqual(self.declined(self.root, message, UserUnbanned), NOBODY)
        text = self.declined(self.root, UnbanIP(ip_cidr="203.0.113.1"), IPUnbanned)
        self.assertEqual(text, "No active ban found for this IP")

    def test_network(self) -> None:
        """A network is freed however it is written, and only as the whole it was banned as."""
        self.root.one(IPBanned, ban_ip("203.0.113.0/24"))
        self.declined(self.root, UnbanIP(ip_cidr="203.0.113.0/25"), IPUnbanned)
        answer = self.root.one(IPUnbanned, UnbanIP(ip_cidr="203.0.113.9/24"))
        self.assertEqual(answer.message, "IP 203.0.113.0/24 unbanned successfully (1 bans removed)")
        self.assertIsNotNone(Client(self.chat, address="203.0.113.9").connect().session)

    def test_expired(self) -> None:
        """Bans that are over are lifted, too: they leave the list (reference 2.4)."""
        self.root.one(UserBanned, ban("bob", duration_seconds=1))
        self.clock.advance(2)
        self.assertTrue(self.root.one(UserUnbanned, UnbanUser(nickname="bob")).success)
        self.assertEqual(self.bans(), [])

    def test_recorded(self) -> None:
        """Lifting is in the audit log and in the server's (decisions 7.3)."""
        number = self.root.one(UserBanned, ban("bob")).ban_id
        self.mod.one(UserUnbanned, UnbanUser(nickname="bob"))
        self.assertEqual(self.log_lines()[-1], f"Moderator mod unbanned user bob (1 bans removed: {number})")
        number = self.root.one(IPBanned, ban_ip()).ban_id
        self.root.one(IPUnbanned, UnbanIP(ip_cidr="203.0.113.0/24"))
        self.assertEqual(self.log_lines()[-1], f"Admin root unbanned IP 203.0.113.0/24 (1 bans removed: {number})")
        acts = [(act.actor, act.action, act.target_type, act.target_id, act.target) for act in self.acts()]
        self.assertEqual(acts[0], ("root", "unban_ip", "ip", None, "203.0.113.0/24"))
        self.assertEqual(acts[2], ("mod", "unban_user", "user", None, "bob"))


class ListBansTests(ModerationTestCase):
    """LIST_BANS."""

    def test_list(self) -> None:
        """Newest first, with everything there is to know; expired ones only when asked for (reference 2.4)."""
        self.logged_in("bob")
        self.root.one(UserBanned, ban("bob", duration_seconds=60, shadowban=True))
        self.root.one(IPBanned, ban_ip(reason=""))
        first, second = self.mod.one(BanList, ListBans(include_expired=False)).bans
        self.assertEqual((first.ban_type, first.ip_cidr), ("ip", "203.0.113.0/24"))
        self.assertEqual((first.user_id, first.nickname, second.ip_cidr), (None, None, None))
        self.assertEqual((first.reason, first.banned_until, first.shadowban), ("", None, False))
        self.assertEqual((second.ban_type, second.user_id, second.nickname), ("user", self.id_of("bob"), "bob"))
        self.assertEqual((second.reason, second.shadowban, second.banned_by), ("spam", True, "root"))
        self.assertEqual((second.banned_at, second.banned_until), (self.now_ms(), self.now_ms() + 60_000))
        self.clock.advance(60)
        self.assertEqual(self.mod.one(BanList, ListBans(include_expired=False)).bans, (first,))
        self.assertEqual(self.mod.one(BanList, ListBans(include_expired=True)).bans, (first, second))

    def test_none(self) -> None:
        """An empty list is a list."""
        self.assertEqual(self.root.ask(ListBans(include_expired=True)), [BanList(bans=())])

    def test_more_than_a_frame(self) -> None:
        """Of more bans than fit one frame the newest are listed (decisions 4.3)."""
        operator = Actor("operator", None, "local", Role.ADMIN)
        for number in range(2100):
            self.run_now(self.chat.moderation.ban_user(operator, None, f"bob{number}", "x" * 500))
        listed = self.root.one(BanList, ListBans(include_expired=True)).bans
        self.assertGreater(len(listed), 1800)
        self.assertLess(len(listed), 2100)
        self.assertEqual([one.nickname for one in listed[:2]], ["bob2099", "bob2098"])


class DeleteUserTests(ModerationTestCase):
    """DELETE_USER (reference 2.4, W36)."""

    def test_delete(self) -> None:
        """The account is gone with its sessions; everybody is told once, the admin by its answer."""
        bob, same, other, nameless = self.logged_in("bob"), self.logged_in("bob"), self.connect("other"), self.connect()
        number = self.id_of("bob")
        text = "User 'bob' deleted successfully (messages anonymized, 2 sessions disconnected)"
        notice = UserDeleted(success=True, message=text)
        for client in (bob, same, other, nameless):
            client.received()
        self.assertEqual(self.root.ask(DeleteUser(user_id=number)), [notice])
        for client in (bob, same):
            self.assertEqual(client.ended, ("Account deleted", "deleted"))
            self.assertEqual((client.received(), client.late_writes), ([], 0))
        self.settle()
        for client in (other, nameless):
            told, *offline = client.received()
            self.assertEqual(told, notice)
            gone = [(one.nickname, one.online) for one in offline if isinstance(one, ServerPresence)]
            self.assertEqual((gone, len(offline)), ([("bob", False)] * 2, 2))
        self.assertIsNone(self.now(self.storage.account(number)))
        self.assertEqual(self.chat.counters.sessions_disconnected, {"deleted": 2})

    def test_words_remain(self) -> None:
        """What the account said stays, as said by somebody anonymous (reference section 7)."""
        bob = self.logged_in("bob")
        message_id = self.post(bob, b"words", channel_id=GENERAL)
        self.root.ask(DeleteUser(user_id=self.id_of("bob")))
        stored = self.now(self.storage.message(message_id))
        assert stored is not None
        self.assertEqual((stored.author_id, stored.author_nickname, stored.content), (None, "bob", b"words"))

    def test_refused(self) -> None:
        """There must be such an account, and not one's own."""
        for number in (0, 999, 2**64 - 1):
            self.assertEqual(self.declined(self.root, DeleteUser(user_id=number), UserDeleted), "User not found")
        text = self.declined(self.root, DeleteUser(user_id=self.id_of("root")), UserDeleted)
        self.assertEqual(text, "Cannot delete your own account")
        self.assertIsNone(self.root.ended)

    def test_another_admin(self) -> None:
        """An admin may delete another one (reference 2.4)."""
        boss = self.logged_in("boss", UserFlags.ADMIN)
        self.assertTrue(self.root.one(UserDeleted, DeleteUser(user_id=self.id_of("boss"))).success)
        self.assertEqual(boss.ended, ("Account deleted", "deleted"))

    def test_recorded(self) -> None:
        """The deletion is in the audit log and in the server's (decisions 7.3, reference W26)."""
        self.logged_in("bob")
        number = self.id_of("bob")
        self.root.ask(DeleteUser(user_id=number))
        (act,) = self.acts()
        self.assertEqual((act.actor, act.actor_id, act.address), ("root", self.id_of("root"), "198.51.100.1"))
        self.assertEqual(
            (act.action, act.target_type, act.target_id, act.target), ("delete_user", "user", number, "bob")
        )
        line = f"Admin root deleted user bob (user_id={number}), 1 sessions disconnected"
        self.assertEqual(self.log_lines()[-1], line)

    def test_bans_stay(self) -> None:
        """A banned nickname stays banned when its account is deleted."""
        self.logged_in("bob")
        self.root.one(UserBanned, ban("bob"))
        self.root.ask(DeleteUser(user_id=self.id_of("bob")))
        self.assertIsNotNone(self.chat.bans.nickname_refusal("bob"))
        self.assertTrue(self.root.one(UserUnbanned, UnbanUser(nickname="bob")).success)

    def test_others_are_told(self) -> None:
        """Whoever keeps something about accounts hears of it, once the sessions are gone; whatever comes of that, the
        account is deleted."""
        told: list[tuple[str, bool]] = []
        bob = self.logged_in("bob")

        async def hear(account: Account) -> None:
            told.append((account.nickname, bob.ended is not None))
            raise Unavailable("the disk is full")

        self.chat.moderation.account_deleted = hear
        self.assertTrue(self.root.one(UserDeleted, DeleteUser(user_id=self.id_of("bob"))).success)
        self.assertEqual(told, [("bob", True)])


class OperatorTests(ModerationTestCase):
    """The same beside the server, without a session."""

    operator = Actor("operator", None, "local", Role.ADMIN)

    def test_same_effects(self) -> None:
        """What an operator does takes the same effects, and is recorded as theirs (decisions 7.3, 9.7)."""
        bob, carl, dora = self.logged_in("bob"), self.connect(address="203.0.113.5"), self.logged_in("dora")
        power = self.chat.moderation
        banned = self.run_now(power.ban_user(self.operator, None, "bob", "spam", duration_seconds=60))
        self.assertEqual((banned.text, banned.bans), ("User bob banned successfully", self.bans()))
        self.run_now(power.ban_ip(self.operator, "203.0.113.0/24", "spam"))
        self.run_now(power.delete_user(self.operator, self.id_of("dora")))
        self.assertEqual([bob.ended, carl.ended], [("Banned: spam", "banned")] * 2)
        self.assertEqual(dora.ended, ("Account deleted", "deleted"))
        self.assertEqual([one.nickname for one in self.run_now(power.list_bans(include_expired=True))], [None, "bob"])
        self.assertEqual(len(self.run_now(power.unban_user(self.operator, None, "bob")).bans), 1)
        self.assertEqual(len(self.run_now(power.unban_ip(self.operator, "203.0.113.0/24")).bans), 1)
        self.assertEqual({(act.actor, act.actor_id, act.address) for act in self.acts()}, {("operator", None, "local")})
        self.assertEqual(len(self.acts()), 5)
        (notice,) = [one for one in self.root.received() if isinstance(one, UserDeleted)]
        self.assertTrue(notice.success)

    def test_same_refusals(self) -> None:
        """An operator is told what is wrong in the same words, as an exception."""
        power = self.chat.moderation
        for attempt, text in (
            (power.ban_user(self.operator, None, None, ""), NOBODY),
            (power.ban_user(self.operator, 999, None, ""), "Failed to create ban: user not found"),
            (power.ban_ip(self.operator, "junk", ""), "Invalid IP or CIDR format"),
            (power.unban_user(self.operator, None, "bob"), "No active ban found for this user"),
            (power.unban_ip(self.operator, "203.0.113.1"), "No active ban found for this IP"),
            (power.delete_user(self.operator, 999), "User not found"),
        ):
            failure = self.failureResultOf(Deferred.fromCoroutine(attempt), Declined)
            self.assertEqual(failure.value.text, text)
        self.assertEqual(self.acts(), [])

    def test_admins(self) -> None:
        """An operator may ban anybody, admins and their addresses included."""
        self.run_now(self.chat.moderation.ban_ip(self.operator, "198.51.100.1", ""))
        self.assertEqual(self.root.ended, ("Banned", "banned"))
        self.assertTrue(self.run_now(self.chat.moderation.ban_user(self.operator, None, "root", "")).bans)


class MeanwhileTests(ModerationTestCase):
    """What happens while an answer is being written."""

    def test_nothing_for_the_gone(self) -> None:
        """An admin who is gone when the ban is stored gets nothing more; the ban holds all the same."""
        bob = self.logged_in("bob")
        add_ban = self.storage.add_ban

        def slow(*arguments: Any) -> Any:
            self.root.leave()
            return add_ban(*arguments)

        self.storage.add_ban = slow  # type: ignore[method-assign, assignment]
        self.root.received()
        self.root.send(ban("bob"))
        self.assertEqual((self.root.received(), self.root.late_writes), ([], 0))
        self.assertEqual(bob.ended, ("Banned: spam", "banned"))

    def test_account_deleted_meanwhile(self) -> None:
        """An account that another admin deletes first is not found."""
        self.logged_in("bob")
        number = self.id_of("bob")
        account = self.storage.account

        def late(account_id: int) -> Any:
            found = account(account_id)
            self.now(self.storage.delete_account(account_id, self.now_ms()))
            return found

        self.storage.account = late  # type: ignore[method-assign]
        (answer,) = self.root.ask(ban(None, user_id=number))
        self.assertEqual(answer, UserBanned(success=False, ban_id=None, message="Failed to create ban: user not found"))
        self.assertEqual(self.bans(), [])

    def test_storage_fails(self) -> None:
        """A ban that cannot be stored is none, and nobody is disconnected."""
        bob = self.logged_in("bob")
        self.now(self.storage.close())
        (error,) = self.root.ask(ban("bob"))
        assert isinstance(error, Error)
        self.assertEqual(error.error_code, ErrorCode.DATABASE_ERROR)
        self.assertIsNone(bob.ended)
        self.assertEqual(self.chat.bans.count("user"), 0)
