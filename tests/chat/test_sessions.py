"""Tests for `superchat.chat.sessions`: numbering, look-up by nickname, and who is admitted."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.counters import Counters
from superchat.chat.session import Session
from superchat.chat.sessions import Sessions, network_of
from superchat.config import Limits
from superchat.errors import Refused
from superchat.model import Account, UserFlags
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import Error, ServerConfig
from tests.chat.talk import Client, TalkTestCase
from tests.chat.test_registry import Mailbox

NETWORKS = {
    "192.0.2.1": "a",
    "::ffff:192.0.2.1": "a",
    "192.0.2.2": "b",
    "2001:db8::1": "c",
    "2001:db8:0:0:ffff::2": "c",
    "2001:db8:0:1::1": "d",
}
ACTS = st.one_of(
    st.tuples(st.just("open"), st.sampled_from(sorted(NETWORKS))),
    st.tuples(st.just("rename"), st.integers(0, 9), st.sampled_from(["ann", "bea", "Ann"])),
    st.tuples(st.just("log_in"), st.integers(0, 9), st.integers(1, 3)),
    st.tuples(st.just("log_out"), st.integers(0, 9)),
    st.tuples(st.just("refresh"), st.integers(1, 3), st.sampled_from(["ann", "bea", "cat"])),
    st.tuples(st.just("close"), st.integers(0, 9)),
)


def account(number: int, nickname: str = "ann", user_flags: int = 0) -> Account:
    """An account that is nowhere stored."""
    return Account(number, nickname, user_flags, "hash", nickname, 0, 0, None, False)


class NetworkTests(SynchronousTestCase):
    """What counts as one address (decisions 1.4)."""

    def test_ipv4(self) -> None:
        """IPv4 addresses mapped into IPv6 count as IPv4."""
        self.assertEqual(network_of("192.0.2.1"), "192.0.2.1")
        self.assertEqual(network_of("::ffff:192.0.2.1"), "192.0.2.1")

    def test_ipv6(self) -> None:
        """IPv6 is counted per /64, whatever zone the address is in."""
        self.assertEqual(network_of("2001:db8::1"), network_of("2001:db8:0:0:ffff::2"))
        self.assertNotEqual(network_of("2001:db8::1"), network_of("2001:db8:0:1::1"))
        self.assertEqual(network_of("fe80::1%eth0"), "fe80::/64")

    def test_others(self) -> None:
        """What is no IP address counts as itself."""
        self.assertEqual(network_of("/run/socket"), "/run/socket")


class AdmissionTests(TalkTestCase):
    """Who is turned away at the door, and how (decisions 1.4)."""

    limits = Limits(max_connections_per_ip=2, max_users=3)

    def refusal(self, address: str) -> Error:
        """What a client from there is told after SERVER_CONFIG; it is also the reason of its end."""
        client = Client(self.chat, address).connect()
        self.assertIsNone(client.session)
        config, error = client.received()
        self.assertIsInstance(config, ServerConfig)
        assert isinstance(error, Error)
        self.assertEqual(client.ended, (error.message, "refused"))
        return error

    def test_per_address(self) -> None:
        """Too many from one address: ERROR 5003."""
        for _ in range(2):
            Client(self.chat, "192.0.2.1").connect()
        self.assertEqual(
            self.refusal("::ffff:192.0.2.1"),
            Error(error_code=ErrorCode.CONNECTION_LIMIT, message="Too many connections from your address"),
        )
        self.assertIsNotNone(Client(self.chat, "192.0.2.2").connect().session)

    def test_full(self) -> None:
        """The server is full: ERROR 9002."""
        for number in range(3):
            Client(self.chat, f"192.0.2.{number}").connect()
        self.assertEqual(
            self.refusal("192.0.2.9"), Error(error_code=ErrorCode.SERVER_FULL, message="Server is full")
        )

    def test_order(self) -> None:
        """When both limits are reached, the address is named."""
        for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
            Client(self.chat, address).connect()
        self.assertEqual(self.refusal("192.0.2.1").error_code, ErrorCode.CONNECTION_LIMIT)

    def test_counted(self) -> None:
        """Who is turned away counts as refused and as told so, not as a session."""
        for _ in range(3):
            Client(self.chat).connect()
        counters = self.chat.counters
        self.assertEqual(counters.connections_refused, {ErrorCode.CONNECTION_LIMIT: 1})
        self.assertEqual(counters.sent, {"SERVER_CONFIG": 3, "ERROR": 1})
        self.assertEqual((counters.sessions_created, counters.sessions_disconnected), (2, {}))

    def test_unheard_of(self) -> None:
        """Nobody else notices who is turned away."""
        watcher = self.connect("watcher")
        Client(self.chat, watcher.address).connect()
        self.refusal(watcher.address)
        self.settle()
        self.assertEqual(watcher.received(), [])
        self.assertEqual(len(self.chat.sessions), 2)

    def test_room_again(self) -> None:
        """Who leaves makes room, and ids are never used twice in a run."""
        first, second = Client(self.chat).connect(), Client(self.chat).connect()
        self.refusal("192.0.2.1")
        first.leave()
        third = Client(self.chat).connect()
        self.assertEqual([first.id, second.id, third.id], [1, 2, 3])


class BookTests(SynchronousTestCase):
    """The sessions beside a naive model of them."""

    def setUp(self) -> None:
        self.sessions = Sessions(Limits(max_connections_per_ip=3, max_users=7), Counters())
        self.here: list[Session] = []
        self.names: dict[Session, str] = {}
        self.accounts: dict[Session, int] = {}
        self.opened = 0

    def open(self, address: str) -> None:
        alike = sum(NETWORKS[one.address] == NETWORKS[address] for one in self.here)
        if alike >= 3 or len(self.here) >= 7:
            refused = self.assertRaises(Refused, self.sessions.open, address, Mailbox())
            expected = ErrorCode.CONNECTION_LIMIT if alike >= 3 else ErrorCode.SERVER_FULL
            self.assertEqual(refused.code, expected)
            return
        session = self.sessions.open(address, Mailbox())
        self.opened += 1
        self.assertEqual(session.id, self.opened)
        self.here.append(session)

    def rename(self, index: int, nickname: str) -> None:
        if self.here:
            session = self.here[index % len(self.here)]
            self.sessions.rename(session, nickname)
            self.names[session] = nickname

    def close(self, index: int) -> None:
        if self.here:
            session = self.here.pop(index % len(self.here))
            self.sessions.close(session)
            self.names.pop(session, None)
            self.accounts.pop(session, None)

    def log_in(self, index: int, number: int) -> None:
        if self.here:
            session = self.here[index % len(self.here)]
            self.sessions.log_in(session, account(number))
            self.names[session] = "ann"
            self.accounts.pop(session, None)
            self.accounts[session] = number

    def log_out(self, index: int) -> None:
        if self.here:
            session = self.here[index % len(self.here)]
            self.sessions.log_out(session)
            self.accounts.pop(session, None)

    def refresh(self, number: int, nickname: str) -> None:
        renamed = account(number, nickname, UserFlags.ADMIN)
        refreshed = self.sessions.refresh(renamed)
        self.assertCountEqual(refreshed, [one for one in self.here if self.accounts.get(one) == number])
        for session in refreshed:
            self.assertIs(session.account, renamed)
            self.names[session] = nickname

    def check(self) -> None:
        self.assertEqual(len(self.sessions), len(self.here))
        self.assertEqual(list(self.sessions.everyone()), self.here)
        self.assertEqual(list(self.sessions.newest_first()), self.here[::-1])
        for nickname in ("ann", "bea", "Ann", "cat", "dan"):
            named = [one for one in self.here if self.names.get(one) == nickname]
            self.assertCountEqual(self.sessions.named(nickname), named)
        for number in range(1, 5):
            theirs = [one for one, whose in self.accounts.items() if whose == number]
            self.assertEqual([*self.sessions.of_account(number)], theirs)
        for session in self.here:
            self.assertEqual(session.account_id, self.accounts.get(session))
            self.assertIs(self.sessions.find(session.id), session)

    @settings(max_examples=60, derandomize=True, database=None)
    @given(acts=st.lists(ACTS, min_size=15, max_size=40))
    def test_any_acts(self, acts: list[tuple[Any, ...]]) -> None:
        """Whoever comes, takes names and goes, look-ups and limits count exactly those who are here."""
        self.setUp()
        for act, *arguments in acts:
            getattr(self, act)(*arguments)
            self.check()

    def test_accounts(self) -> None:
        """Rights are the account's, from login to logout (decisions 2.4); a session that has left keeps it, for
        whoever reports that, but nobody finds it there."""
        session = self.sessions.open("192.0.2.1", Mailbox())
        self.assertEqual((session.account_id, session.user_flags, session.moderates), (None, 0, False))
        for flags, moderates, is_admin in ((0, False, False), (1, True, True), (2, True, False), (3, True, True)):
            self.sessions.log_in(session, account(7, "ann", flags))
            self.assertEqual((session.account_id, session.user_flags, session.nickname), (7, flags, "ann"))
            self.assertEqual((session.moderates, session.is_admin), (moderates, is_admin))
        self.sessions.log_out(session)
        self.assertEqual((session.account_id, session.is_admin, session.nickname), (None, False, "ann"))
        self.sessions.log_in(session, account(7))
        self.sessions.close(session)
        self.assertEqual((session.account_id, self.sessions.of_account(7)), (7, ()))
        self.assertIsNone(self.sessions.find(session.id))

    def test_unlimited(self) -> None:
        """Limits of 0 mean unlimited."""
        sessions = Sessions(Limits(max_connections_per_ip=0, max_users=0), Counters())
        for _ in range(50):
            sessions.open("192.0.2.1", Mailbox())
        self.assertEqual(len(sessions), 50)

    def test_keys(self) -> None:
        """The key that is stored with messages has 63 bits, and no two sessions share one (decisions 3.3)."""
        sessions = Sessions(Limits(max_connections_per_ip=0), Counters())
        keys = {sessions.open("192.0.2.1", Mailbox()).key for _ in range(200)}
        self.assertEqual(len(keys), 200)
        self.assertTrue(all(0 <= key < 2**63 for key in keys))
