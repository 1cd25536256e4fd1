"""What every storage engine promises about bans and the audit log; each engine's tests inherit all of it."""

from __future__ import annotations

from typing import Any

import attrs

from superchat.model import Account, Act, Ban, NewAccount, NewAct, NewBan
from superchat.storage.errors import Unavailable, UnknownAccount
from tests.storage.engines import FAR_IDS, NOON_MS, EngineTestCase


def act(action: str = "ban_user", **changes: Any) -> NewAct:
    """Something that an admin did."""
    values: dict[str, Any] = {
        "actor": "anna",
        "actor_id": 1,
        "address": "192.0.2.7",
        "action": action,
        "target_type": "user",
        "target_id": None,
        "target": "bob",
        "details": "reason=spam",
        "performed_at": NOON_MS,
    }
    return NewAct(**(values | changes))


def user_ban(**changes: Any) -> NewBan:
    """A ban of somebody."""
    values: dict[str, Any] = {
        "ban_type": "user",
        "account_id": None,
        "nickname": None,
        "ip_cidr": None,
        "reason": "spam",
        "shadowban": False,
        "banned_at": NOON_MS,
        "banned_until": None,
        "banned_by": "anna",
    }
    return NewBan(**(values | changes))


def ip_ban(ip_cidr: str = "192.0.2.0/24", **changes: Any) -> NewBan:
    """A ban of a network."""
    return user_ban(**({"ban_type": "ip", "ip_cidr": ip_cidr} | changes))


class ModerationContract(EngineTestCase):
    """Inherit, together with an engine's test case."""

    def account(self, nickname: str) -> Account:
        return self.result(self.storage.create_account(NewAccount(nickname, f"hash of {nickname}", 0, NOON_MS)))

    def ban(self, **changes: Any) -> Ban:
        return self.result(self.storage.add_ban(user_ban(**changes), act()))

    def bans(self, now_ms: int = NOON_MS, *, include_expired: bool = False) -> list[Ban]:
        return self.result(self.storage.bans(now_ms, include_expired))

    def unban(self, account_id: int | None = None, nickname: str | None = None) -> list[Ban]:
        return self.result(self.storage.remove_user_bans(account_id, nickname, act("unban_user")))

    def acts(self, limit: int = 50, before_id: int | None = None) -> list[Act]:
        return self.result(self.storage.acts(limit, before_id))

    # Bans

    def test_ban(self) -> None:
        """A ban is stored as it was made, with an id of its own, and is there after a restart (decisions 7.1)."""
        new = user_ban(nickname="Bob", reason="Spam, ärgerlich", shadowban=True, banned_until=NOON_MS + 1)
        first = self.result(self.storage.add_ban(new, act()))
        second = self.result(self.storage.add_ban(ip_ban("2001:db8::/32"), act("ban_ip")))
        self.assertEqual(first, Ban(**attrs.asdict(new), id=first.id))
        self.assertIs(first.shadowban, True)
        self.assertGreater(second.id, first.id)
        self.assertEqual(self.bans(), [second, first])
        self.reopen()
        self.assertEqual(self.bans(), [second, first])

    def test_ban_of_an_account(self) -> None:
        """A ban by id is a ban of that account, and of no name."""
        bob = self.account("bob")
        banned = self.ban(account_id=bob.id)
        self.assertEqual((banned.account_id, banned.nickname), (bob.id, None))

    def test_ban_of_nobody(self) -> None:
        """There is no ban of an account that does not exist, and no trace of the attempt."""
        bob = self.account("bob")
        self.result(self.storage.delete_account(bob.id, NOON_MS))
        for account_id in (bob.id, 99, *FAR_IDS):
            self.assert_refused(self.storage.add_ban(user_ban(account_id=account_id), act()), UnknownAccount)
        self.assertEqual((self.bans(include_expired=True), self.acts()), ([], []))

    def test_ban_of_a_name(self) -> None:
        """A ban by nickname is one of the account of that name too, ignoring case (decisions 7.1)."""
        bob = self.account("bob")
        self.assertEqual(self.ban(nickname="BOB").account_id, bob.id)
        self.assertIsNone(self.ban(nickname="carl").account_id)

    def test_ban_of_a_former_name(self) -> None:
        """The name that an account's password is salted with is still its own (decisions 2.5)."""
        bob = self.account("bob")
        self.result(self.storage.rename_account(bob.id, "robert"))
        self.assertEqual(self.ban(nickname="Bob").account_id, bob.id)
        self.assertEqual(self.ban(nickname="Robert").account_id, bob.id)

    def test_ban_waits_for_its_account(self) -> None:
        """Who registers under a banned name is banned (decisions 7.1); who is banned already stays so."""
        first = self.ban(nickname="Bob")
        bob = self.account("bOB")
        self.assertEqual(self.bans(), [attrs.evolve(first, account_id=bob.id)])
        second = self.ban(nickname="Rob")
        self.result(self.storage.rename_account(bob.id, "rob"))
        self.assertEqual(self.bans()[0], attrs.evolve(second, account_id=bob.id))
        self.account("carl")
        self.assertEqual({ban.account_id for ban in self.bans()}, {bob.id})

    def test_network_bans_belong_to_nobody(self) -> None:
        """A ban of an address is no ban of a user."""
        self.account("bob")
        banned = self.result(self.storage.add_ban(ip_ban(), act()))
        self.assertEqual((banned.account_id, banned.nickname, banned.ip_cidr), (None, None, "192.0.2.0/24"))

    def test_expiry(self) -> None:
        """A ban is in force until its moment, and after it listed only when asked for (decisions 7.1)."""
        short = self.ban(nickname="bob", banned_until=NOON_MS + 10)
        long = self.ban(nickname="carl")
        self.assertEqual(self.bans(NOON_MS + 9), [long, short])
        self.assertEqual(self.bans(NOON_MS + 10), [long])
        self.assertEqual(self.bans(NOON_MS + 10, include_expired=True), [long, short])

    def test_limit(self) -> None:
        """A list may be bounded, and holds the newest then."""
        banned = [self.ban(nickname=f"bob{n}", banned_until=NOON_MS + n) for n in range(4)][::-1]
        self.assertEqual(self.result(self.storage.bans(NOON_MS, True, 3)), banned[:3])
        self.assertEqual(self.result(self.storage.bans(NOON_MS + 1, False, 2)), banned[:2])
        self.assertEqual(self.result(self.storage.bans(NOON_MS, True, 2**70)), banned)
        self.assertEqual(self.result(self.storage.bans(NOON_MS, False, 0)), [])
        self.assertEqual(self.result(self.storage.bans(NOON_MS, True, -1)), [])

    def test_far_times(self) -> None:
        """Times beyond 63 bits are stored as the last moment there is."""
        banned = self.ban(nickname="bob", banned_until=2**70)
        self.assertEqual(self.bans(2**62), [banned])
        self.assertEqual(self.bans(2**80), [])

    # Lifting them

    def test_lift_by_account(self) -> None:
        """All bans of an account are lifted, however they came to be, expired ones too (reference 2.4)."""
        early = self.ban(nickname="bob", banned_until=NOON_MS - 1)
        bob = self.account("bob")
        banned = [self.ban(account_id=bob.id), self.ban(nickname="Bob", shadowban=True)]
        other = self.ban(nickname="carl")
        lifted = self.unban(account_id=bob.id)
        self.assertEqual([ban.id for ban in lifted], [banned[1].id, banned[0].id, early.id])
        self.assertEqual(self.bans(include_expired=True), [other])

    def test_lift_by_name(self) -> None:
        """All bans of a nickname are lifted, ignoring case, and those of the account of that name."""
        bob = self.account("bob")
        banned = {self.ban(account_id=bob.id).id, self.ban(nickname="BOB").id}
        anonymous = self.ban(nickname="Carl").id
        self.assertEqual({ban.id for ban in self.unban(nickname="Bob")}, banned)
        self.assertEqual([ban.id for ban in self.unban(nickname="cARL")], [anonymous])
        self.assertEqual(self.bans(include_expired=True), [])

    def test_lift_after_a_rename(self) -> None:
        """An account is freed under the name that it has now, whichever was banned."""
        bob = self.account("bob")
        banned = self.ban(nickname="bob")
        self.result(self.storage.rename_account(bob.id, "robert"))
        self.assertEqual([ban.id for ban in self.unban(nickname="robert")], [banned.id])

    def test_lift_by_both(self) -> None:
        """With an id and a name the bans of both are lifted."""
        bob, _carl = self.account("bob"), self.account("carl")
        self.ban(account_id=bob.id)
        self.ban(nickname="carl")
        self.ban(nickname="dora")
        self.assertEqual(len(self.unban(bob.id, "carl")), 2)

    def test_bans_outlive_their_account(self) -> None:
        """A banned account that is deleted stays listed, and its ban can be lifted by id and by name."""
        bob = self.account("bob")
        self.ban(account_id=bob.id)
        named = self.ban(nickname="bob")
        self.result(self.storage.delete_account(bob.id, NOON_MS))
        self.assertEqual(len(self.bans()), 2)
        self.assertEqual([ban.id for ban in self.unban(nickname="bob")], [named.id])
        self.assertEqual(len(self.unban(account_id=bob.id)), 1)

    def test_lift_network(self) -> None:
        """Bans of exactly this network are lifted, no wider or narrower one (reference 2.4)."""
        for ip_cidr in ("192.0.2.0/24", "192.0.2.0/25", "192.0.2.0/24"):
            self.result(self.storage.add_ban(ip_ban(ip_cidr), act("ban_ip")))
        lifted = self.result(self.storage.remove_ip_bans("192.0.2.0/24", act("unban_ip")))
        self.assertEqual([ban.id for ban in lifted], [3, 1])
        self.assertEqual([ban.ip_cidr for ban in self.bans()], ["192.0.2.0/25"])

    def test_nothing_to_lift(self) -> None:
        """Where there is no ban nothing is lifted, and nothing recorded."""
        self.ban(nickname="bob")
        self.result(self.storage.add_ban(ip_ban(), act("ban_ip")))
        before = self.acts()
        for account_id, nickname in ((99, None), (None, "carl"), (None, None), (2**64 - 1, None), (99, "carl")):
            self.assertEqual(self.unban(account_id, nickname), [])
        self.assertEqual(self.result(self.storage.remove_ip_bans("192.0.2.1", act("unban_ip"))), [])
        self.assertEqual(self.acts(), before)
        self.assertEqual(len(self.bans()), 2)

    def test_ids_are_not_used_again(self) -> None:
        """The id of a ban that was lifted is never another's: the audit log speaks of it."""
        first = self.ban(nickname="bob")
        self.unban(nickname="bob")
        self.assertGreater(self.ban(nickname="bob").id, first.id)

    # The audit log

    def test_acts_are_recorded(self) -> None:
        """Banning and lifting are rows of the audit log, the ban with its id (decisions 7.3)."""
        banned = self.ban(nickname="bob")
        network = self.result(self.storage.add_ban(ip_ban(), act("ban_ip")))
        self.unban(nickname="bob")
        self.result(self.storage.remove_ip_bans("192.0.2.0/24", act("unban_ip")))
        expected = [
            act("unban_ip"),
            act("unban_user"),
            act("ban_ip", target_id=network.id),
            act("ban_user", target_id=banned.id),
        ]
        found = self.acts()
        self.assertEqual(found, [Act(**attrs.asdict(new), id=4 - n) for n, new in enumerate(expected)])
        self.reopen()
        self.assertEqual(self.acts(), found)

    def test_record(self) -> None:
        """Any act can be recorded, also one of an operator without an account."""
        new = act("edit_message", actor_id=None, target_type="message", target_id=2**62, performed_at=NOON_MS + 3)
        recorded = self.result(self.storage.record(new))
        self.assertEqual(recorded, Act(**attrs.asdict(new), id=1))
        self.assertEqual(self.acts(), [recorded])

    def test_far_targets(self) -> None:
        """What no row can have as its id is not recorded as one."""
        for number in FAR_IDS:
            recorded = self.result(self.storage.record(act(target_id=number, actor_id=number)))
            self.assertEqual((recorded.target_id, recorded.actor_id), (None, None))

    def test_pages(self) -> None:
        """The audit log is read newest first, a page at a time, to its end."""
        recorded = [self.result(self.storage.record(act(target=str(n)))) for n in range(5)][::-1]
        self.assertEqual(self.acts(), recorded)
        self.assertEqual(self.acts(2), recorded[:2])
        self.assertEqual(self.acts(2, recorded[1].id), recorded[2:4])
        self.assertEqual(self.acts(2, recorded[3].id), recorded[4:])
        self.assertEqual(self.acts(50, -(2**70)), [])
        self.assertEqual(self.acts(2**70, 2**70), recorded)
        self.assertEqual(self.acts(0), [])
        self.assertEqual(self.acts(-1), [])

    def test_closed(self) -> None:
        """A closed storage says so."""
        closed = self.make_storage()
        self.result(self.storage.close())
        for deferred in (
            closed.add_ban(user_ban(nickname="bob"), act()),
            closed.remove_user_bans(None, "bob", act()),
            closed.remove_ip_bans("192.0.2.1", act()),
            closed.bans(NOON_MS, True),
            closed.record(act()),
            closed.acts(1),
        ):
            self.assert_refused(deferred, Unavailable)
