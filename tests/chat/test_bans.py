"""Bans in force: whom they refuse, what they hide, and when they end."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.bans import LAST_MOMENT_MS, Bans, ends, matching
from superchat.chat.session import Session
from superchat.model import Account, Ban, Message, NewAccount, NewAct, NewBan, UserFlags
from superchat.storage.memory import MemoryStorage
from superchat.wire.messages import SetNickname
from tests.chat.talk import Client, TalkTestCase
from tests.clocks import now_ms_of

START = 1_800_000_000
START_MS = START * 1000
ACT = NewAct("root", None, "local", "ban_user", "user", None, "", "", START_MS)


def a_new_ban(**changes: Any) -> NewBan:
    """A ban to be made, for ever unless it says otherwise."""
    values: dict[str, Any] = {
        "ban_type": "user",
        "account_id": None,
        "nickname": None,
        "ip_cidr": None,
        "reason": "spam",
        "shadowban": False,
        "banned_at": START_MS,
        "banned_until": None,
        "banned_by": "root",
    }
    return NewBan(**(values | changes))


def a_ban(ban_id: int = 1, **changes: Any) -> Ban:
    """A ban as it is stored."""
    return Ban(**attrs.asdict(a_new_ban(**changes)), id=ban_id)


def an_account(account_id: int = 1, nickname: str = "bob", flags: int = 0) -> Account:
    """A registered user."""
    return Account(account_id, nickname, flags, "", None, START_MS, START_MS, None, False)


def a_message(**changes: Any) -> Message:
    """Something that was said."""
    values: dict[str, Any] = {
        "id": 1,
        "channel_id": 1,
        "parent_id": None,
        "root_id": 1,
        "author_id": None,
        "author_nickname": "bob",
        "author_flags": 0,
        "author_session": 99,
        "content": b"words",
        "created_at": START_MS,
    }
    return Message(**(values | changes))


class BansTests(SynchronousTestCase):
    """The bans by themselves."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.bans = Bans(now_ms_of(self.clock))

    def add(self, *bans: Ban) -> None:
        for ban in bans:
            self.bans.add(ban)

    # Refusing

    def test_addresses(self) -> None:
        """Connections from banned addresses and networks are refused, with the reason (decisions 1.4, 7.1)."""
        self.add(a_ban(1, ban_type="ip", ip_cidr="192.0.2.0/24"), a_ban(2, ban_type="ip", ip_cidr="2001:db8::1"))
        for address in ("192.0.2.200", "::ffff:192.0.2.200", "2001:db8::1"):
            self.assertEqual(self.bans.address_refusal(address), "Address banned permanently. Reason: spam")
        for address in ("192.0.3.1", "2001:db8::2", "::1", "/run/socket", ""):
            self.assertIsNone(self.bans.address_refusal(address))

    def test_nicknames(self) -> None:
        """Nobody takes a banned nickname, ignoring case; a shadowban refuses nobody (decisions 7.1, 7.2)."""
        self.add(a_ban(1, nickname="Bob", reason=""), a_ban(2, nickname="carl", shadowban=True))
        self.assertEqual(self.bans.nickname_refusal("bOB"), "Nickname banned permanently")
        for nickname in ("bobby", "carl", ""):
            self.assertIsNone(self.bans.nickname_refusal(nickname))

    def test_logins(self) -> None:
        """Nobody logs in to a banned account, by whatever it was banned, and is told as the reference does."""
        self.add(a_ban(1, account_id=7), a_ban(2, nickname="Carl"), a_ban(3, account_id=8, shadowban=True))
        self.assertEqual(self.bans.login_refusal(an_account(7)), "Account banned permanently. Reason: spam")
        self.assertEqual(self.bans.login_refusal(an_account(9, "carl")), "Account banned permanently. Reason: spam")
        self.assertIsNone(self.bans.login_refusal(an_account(8, "dora")))
        self.assertIsNone(self.bans.login_refusal(an_account(10, "bob")))

    def test_name_of_another(self) -> None:
        """A nickname's ban that became one account's is not that of another with the nickname later."""
        self.add(a_ban(1, nickname="bob", account_id=7))
        self.assertIsNone(self.bans.login_refusal(an_account(8, "bob")))

    def test_longest_wins(self) -> None:
        """Of several bans the one that lasts longest is named: an older or shorter one masks none (reference 7)."""
        until = START_MS + 3_600_000
        self.add(
            a_ban(1, account_id=7, shadowban=True, reason="shadow"),
            a_ban(2, account_id=7, banned_until=until + 999, reason="long"),
            a_ban(3, account_id=7, banned_until=until - 1, reason="short"),
        )
        text = "Account banned until 2027-01-15T09:00:00Z. Reason: long"
        self.assertEqual(self.bans.login_refusal(an_account(7)), text)
        self.add(a_ban(4, account_id=7, reason="ever"))
        self.assertEqual(self.bans.login_refusal(an_account(7)), "Account banned permanently. Reason: ever")

    def test_removed(self) -> None:
        """What is lifted refuses nobody any more; lifting it again does nothing."""
        bans = [
            a_ban(1, nickname="bob", account_id=7),
            a_ban(2, ban_type="ip", ip_cidr="192.0.2.0/24"),
            a_ban(3, account_id=9, shadowban=True),
        ]
        self.add(*bans)
        self.assertEqual((self.bans.count("user"), self.bans.count("ip")), (2, 1))
        for ban in bans + bans:
            self.bans.remove(ban)
        self.assertIsNone(self.bans.login_refusal(an_account(7)))
        self.assertIsNone(self.bans.nickname_refusal("bob"))
        self.assertIsNone(self.bans.address_refusal("192.0.2.1"))
        self.assertEqual(self.bans.hidden_accounts, frozenset())
        self.assertEqual((self.bans.count("user"), self.bans.count("ip")), (0, 0))

    def test_others_remain(self) -> None:
        """Lifting one of two bans of the same user, or network, leaves the other."""
        first, second = a_ban(1, nickname="bob"), a_ban(2, nickname="BOB", reason="more")
        self.add(first, second, a_ban(3, ip_cidr="192.0.2.1"), a_ban(4, ip_cidr="192.0.2.1", reason="more"))
        self.bans.remove(first)
        self.bans.remove(a_ban(3, ip_cidr="192.0.2.1"))
        self.assertEqual(self.bans.nickname_refusal("bob"), "Nickname banned permanently. Reason: more")
        self.assertEqual(self.bans.address_refusal("192.0.2.1"), "Address banned permanently. Reason: more")

    # Ending

    def test_end(self) -> None:
        """A ban refuses until its very moment, and no longer (decisions 7.1)."""
        self.add(
            a_ban(1, account_id=7, banned_until=START_MS + 2000),
            a_ban(2, nickname="bob", banned_until=START_MS + 2000),
            a_ban(3, ban_type="ip", ip_cidr="192.0.2.1", banned_until=START_MS + 2000),
        )
        self.clock.advance(1.999)
        self.assertIsNotNone(self.bans.login_refusal(an_account(7, "dora")))
        self.assertIsNotNone(self.bans.nickname_refusal("bob"))
        self.assertIsNotNone(self.bans.address_refusal("192.0.2.1"))
        self.clock.advance(0.001)
        self.assertIsNone(self.bans.login_refusal(an_account(7, "dora")))
        self.assertIsNone(self.bans.nickname_refusal("bob"))
        self.assertIsNone(self.bans.address_refusal("192.0.2.1"))
        self.assertEqual((self.bans.count("user"), self.bans.count("ip")), (0, 0))

    def test_shadow_ends(self) -> None:
        """What a shadowban hides is hidden until its very moment, and no longer (decisions 7.2)."""
        self.add(
            a_ban(1, account_id=7, nickname="Bob", shadowban=True, banned_until=START_MS + 2000),
            a_ban(2, account_id=8, shadowban=True),
        )
        self.clock.advance(1.999)
        self.assertEqual((self.bans.hidden_accounts, self.bans.hidden_names), ({7, 8}, {"bob"}))
        self.assertTrue(self.bans.withholds(a_message(author_id=7)))
        self.clock.advance(0.001)
        self.assertEqual((self.bans.hidden_accounts, self.bans.hidden_names), ({8}, frozenset()))
        self.assertFalse(self.bans.withholds(a_message(author_id=7)))

    def test_ends_are_independent(self) -> None:
        """Each ends by itself, whatever the order in which they were made."""
        for number in (3, 1, 2):
            self.add(a_ban(number, nickname=f"bob{number}", banned_until=START_MS + 1000 * number))
        for number in (1, 2, 3):
            self.assertEqual(self.bans.count("user"), 4 - number)
            self.clock.advance(1)
        self.assertEqual((self.bans.count("user"), self.bans.count("ip")), (0, 0))

    def test_ended_from_the_start(self) -> None:
        """A ban whose end is past refuses nobody."""
        self.add(a_ban(1, nickname="bob", banned_until=START_MS))
        self.assertIsNone(self.bans.nickname_refusal("bob"))

    def test_banned_and_freed_for_ever(self) -> None:
        """Banning and freeing somebody again and again keeps nothing of it in memory."""
        for number in range(5000):
            ban = a_ban(number, nickname="bob", banned_until=START_MS + 10**9)
            self.bans.add(ban)
            self.bans.remove(ban)
        self.assertLessEqual(len(self.bans._ends), 1002)

    def test_times(self) -> None:
        """An end is told in RFC 3339, and one beyond all calendars is none."""
        self.assertEqual(ends(a_ban()), "permanently")
        self.assertEqual(ends(a_ban(banned_until=START_MS + 1)), "until 2027-01-15T08:00:00Z")
        self.assertEqual(ends(a_ban(banned_until=LAST_MOMENT_MS)), "until 9999-12-31T23:59:59Z")
        self.assertEqual(ends(a_ban(banned_until=2**63 - 1)), "permanently")

    def test_many_addresses(self) -> None:
        """Looking up an address does not go through all that are banned, 100,000 here (decisions 1.4)."""
        for number in range(100_000):
            size = 32 - number % 2
            self.bans._networks.add(IPv4Network(((10 << 24) + number & -(1 << 32 - size), size)), number)
        looked_at: list[object] = []

        class Watched(dict[int, dict[int, None]]):
            def get(self, key: int, default: Any = None) -> Any:
                looked_at.append(key)
                return super().get(key, default)

        sizes = self.bans._networks._by_size
        sizes.update({key: Watched(same_size) for key, same_size in sizes.items()})
        self.assertIsNone(self.bans.address_refusal("192.0.2.1"))
        self.assertEqual(len(looked_at), 2)

    # Names that become accounts'

    def test_adopted(self) -> None:
        """A nickname's ban sticks to the account that takes the nickname, also when that is renamed then."""
        self.add(a_ban(1, nickname="Bob", shadowban=True), a_ban(2, nickname="bob"), a_ban(3, nickname="carl"))
        self.bans.adopt(an_account(7, "bob"))
        self.assertEqual(self.bans.hidden_accounts, {7})
        self.assertIsNotNone(self.bans.login_refusal(an_account(7, "robert")))
        self.bans.adopt(an_account(8, "bob"))
        self.assertEqual(self.bans.hidden_accounts, {7})
        self.assertIsNotNone(self.bans.nickname_refusal("bob"))
        self.assertEqual(self.bans.count("user"), 3)


class LoadTests(SynchronousTestCase):
    """Bans that were made before the start."""

    def test_load(self) -> None:
        """All bans in force are at hand after a restart, and those that have ended are not (decisions 7.1)."""
        storage, clock = MemoryStorage(), Clock()
        clock.advance(START)
        self.successResultOf(storage.open())
        for new in (
            a_new_ban(nickname="bob"),
            a_new_ban(nickname="carl", shadowban=True, banned_until=START_MS + 1),
            a_new_ban(nickname="dora", banned_until=START_MS),
            a_new_ban(ban_type="ip", ip_cidr="192.0.2.0/24"),
        ):
            self.successResultOf(storage.add_ban(new, ACT))
        bans = Bans(now_ms_of(clock))
        self.successResultOf(Deferred.fromCoroutine(bans.load(storage)))
        self.assertEqual((bans.count("user"), bans.count("ip")), (2, 1))
        self.assertIsNotNone(bans.nickname_refusal("bob"))
        self.assertIsNone(bans.nickname_refusal("dora"))
        self.assertEqual(bans.hidden_names, {"carl"})


class SessionTests(TalkTestCase):
    """Bans and live sessions."""

    def account(self, nickname: str, flags: int = 0) -> Account:
        return self.now(self.storage.create_account(NewAccount(nickname, "x", flags, START_MS)))

    def logged_in(self, nickname: str, flags: int = 0) -> Session:
        session = self.connect().session
        assert session is not None
        self.chat.sessions.log_in(session, self.account(nickname, flags))
        return session

    def matched(self, ban: Ban) -> list[str]:
        found = matching(ban, self.chat.sessions.everyone())
        return [session.nickname or "" for session in found]

    def test_matching_users(self) -> None:
        """A ban of an account matches its sessions; one of a nickname those, and anonymous ones with it (7.1)."""
        bob = self.logged_in("bob")
        self.connect("Bob")
        self.connect("bobby")
        self.connect()
        self.assertEqual(self.matched(a_ban(account_id=bob.account_id)), ["bob"])
        self.assertEqual(self.matched(a_ban(account_id=bob.account_id, nickname="bob")), ["bob", "Bob"])
        self.assertEqual(self.matched(a_ban(nickname="BOB")), ["bob", "Bob"])
        self.assertEqual(self.matched(a_ban(account_id=99, nickname="bob")), ["Bob"])
        self.assertEqual(self.matched(a_ban(account_id=99)), [])

    def test_matching_addresses(self) -> None:
        """A ban of a network matches the sessions from it, whoever they are."""
        self.connect("alice", address="192.0.2.1")
        self.connect("bob", address="::ffff:192.0.2.2")
        self.connect("carl", address="198.51.100.1")
        self.connect("dora", address="2001:db8::1")
        self.connect("eve", address="/run/socket")
        self.assertEqual(self.matched(a_ban(ip_cidr="192.0.2.0/24")), ["alice", "bob"])
        self.assertEqual(self.matched(a_ban(ip_cidr="::/0")), ["dora"])

    def test_views(self) -> None:
        """Shadowbanned words are withheld from all but their author, moderators and admins (decisions 7.2)."""
        bob, other = self.logged_in("bob"), self.logged_in("other")
        mod, root = self.logged_in("mod", UserFlags.MODERATOR), self.logged_in("root", UserFlags.ADMIN)
        self.chat.bans.add(a_ban(1, account_id=bob.account_id, shadowban=True))
        self.chat.bans.add(a_ban(2, nickname="Shady", shadowban=True))
        theirs = self.chat.bans.view(other)
        self.assertEqual((theirs.accounts, theirs.names), ({bob.account_id}, {"shady"}))
        self.assertEqual(self.chat.bans.view(bob).accounts, frozenset())
        for session in (mod, root):
            everything = self.chat.bans.view(session)
            self.assertEqual((everything.accounts, everything.names), (frozenset(), frozenset()))
        self.assertTrue(self.chat.bans.withholds(a_message(author_id=bob.account_id)))
        self.assertTrue(self.chat.bans.withholds(a_message(author_nickname="shady")))
        self.assertFalse(self.chat.bans.withholds(a_message(author_nickname="other")))

    def test_view_ends(self) -> None:
        """What a live session may see grows at the moment a shadowban ends (decisions 7.2)."""
        reader = self.connect("reader").session
        assert reader is not None
        now = int(self.clock.seconds() * 1000)
        self.chat.bans.add(a_ban(1, nickname="shady", shadowban=True, banned_until=now + 5000))
        self.clock.advance(4.999)
        self.assertEqual(self.chat.bans.view(reader).names, {"shady"})
        self.clock.advance(0.001)
        self.assertEqual(self.chat.bans.view(reader).names, frozenset())

    def test_plain_bans_hide_nothing(self) -> None:
        """What somebody wrote before being banned stays visible."""
        reader = self.connect("reader").session
        assert reader is not None
        self.chat.bans.add(a_ban(1, nickname="bob", account_id=7))
        self.assertEqual(self.chat.bans.view(reader).accounts, frozenset())
        self.assertFalse(self.chat.bans.withholds(a_message(author_id=7)))

    def test_at_the_door(self) -> None:
        """A banned address gets SERVER_CONFIG, ERROR 3000 and the reason, and is let go (decisions 1.4)."""
        self.chat.bans.add(a_ban(1, ban_type="ip", ip_cidr="192.0.2.0/24"))
        client = Client(self.chat, address="::ffff:192.0.2.9").connect()
        self.assertIsNone(client.session)
        config, error = client.received()
        self.assertEqual(str(config).split()[0], "SERVER_CONFIG")
        text = "Address banned permanently. Reason: spam"
        self.assertEqual((error.error_code, error.message), (3000, text))  # type: ignore[union-attr]
        self.assertEqual(client.ended, (text, "refused"))
        self.assertEqual(self.chat.counters.connections_refused, {3000: 1})
        self.assertEqual(len(self.chat.sessions), 0)

    def test_banned_comes_first(self) -> None:
        """Who is banned is told so, also when there are too many connections anyway (decisions 1.4)."""
        self.chat.sessions.limits = attrs.evolve(self.limits, max_connections_per_ip=1, max_users=1)
        self.connect("alice")
        self.chat.bans.add(a_ban(1, ban_type="ip", ip_cidr="192.0.2.1"))
        client = Client(self.chat).connect()
        assert client.ended is not None
        self.assertEqual(client.ended[0], "Address banned permanently. Reason: spam")

    def test_shadowbans_are_let_in(self) -> None:
        """A shadowbanned nickname is free to take, as if nothing was (decisions 7.2)."""
        self.chat.bans.add(a_ban(1, nickname="shady", shadowban=True))
        client = self.connect()
        client.send(SetNickname(nickname="shady"))
        assert client.session is not None
        self.assertEqual(client.session.nickname, "shady")
