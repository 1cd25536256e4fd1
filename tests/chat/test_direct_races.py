"""What happens to direct conversations when several things happen at once: every order is tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from superchat.storage.memory import MemoryStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import DMDeclined, DMPending, DMReady
from superchat.wire.records import Message
from tests.chat.conversing import (
    ANNAS,
    BOBS,
    EPHEMERAL,
    GUESTS,
    ConversingTestCase,
    allow,
    decline,
    heard,
    leave_for_good,
    only,
    provide,
    to_name,
    to_session,
)
from tests.chat.talk import Client

T = TypeVar("T")

Schedule = list[int]


class HeldStorage(MemoryStorage):
    """Does at once what it is asked, and keeps the answers back until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.holds = False
        self.held: list[Callable[[], Any]] = []

    def _answer(self, action: Callable[[], T]) -> Deferred[T]:
        result = super()._answer(action)
        if not self.holds:
            return result
        kept: Deferred[T] = Deferred()
        self.held.append(partial(result.chainDeferred, kept))
        return kept


class RaceTestCase(ConversingTestCase):
    """Plays a scene over and over, letting the storage's answers go in every possible order."""

    storage: HeldStorage

    def make_storage(self) -> HeldStorage:
        return HeldStorage()

    def every_order(self) -> Iterator[Callable[..., None]]:
        """For each order, a chat that has just begun, and what plays events at once in that order."""
        schedule: Schedule | None = []
        while schedule is not None:
            choices: list[tuple[int, int]] = []
            yield lambda *events, plan=schedule, choices=choices: self.play(plan, choices, *events)
            schedule = following(choices)
            self.chat.stop()
            self.setUp()

    def play(self, plan: Schedule, choices: list[tuple[int, int]], *events: Callable[[], Any]) -> None:
        """Let one thing after the other happen: the next event, or the storage's answer to an earlier one.

        What *plan* says goes first, then always the first that there is. Notes in *choices* which of how many was
        taken each time.
        """
        coming = [*events]
        self.storage.holds = True
        while self.storage.held or coming:
            ready = [*self.storage.held, *coming[:1]]
            chosen = plan[len(choices)] if len(choices) < len(plan) else 0
            choices.append((chosen, len(ready)))
            (self.storage.held if chosen < len(self.storage.held) else coming).remove(ready[chosen])
            ready[chosen]()
        self.storage.holds = False
        self.assertEqual(len(self.chat.direct.conversations.turns), 0)
        self.assertEqual(self.chat.counters.under_way, 0)

    def sent(self, client: Client, message: Message) -> Callable[[], Any]:
        """An event: a client sends something."""
        return lambda: client.send(message)

    def assert_one(self, one: Client, other: Client) -> int:
        """Both are in one conversation, were told of it once each, and nothing waits any more."""
        (mine,), (theirs,) = self.conversations(one), self.conversations(other)
        self.assertEqual(mine, theirs)
        for client in (one, other):
            self.assertEqual([ready.channel_id for ready in only(DMReady, client)], [mine])
        self.assertEqual(self.invites(one) + self.invites(other), [])
        return mine

    def assert_none(self, *clients: Client) -> None:
        """Nobody is in any conversation, in memory or stored."""
        for client in clients:
            self.assertEqual(self.conversations(client), [])
        self.assertEqual(self.now(self.storage.participants()), [])
        self.assertEqual([channel for channel in self.now(self.storage.channels()) if channel.is_direct], [])


def following(choices: list[tuple[int, int]]) -> Schedule | None:
    """The next order after one, depth first; None after the last."""
    while choices:
        chosen, number = choices.pop()
        if chosen + 1 < number:
            return [taken for taken, _ in choices] + [chosen + 1]
    return None


class RaceTests(RaceTestCase):
    """Of what happens at once, exactly one thing has happened afterwards."""

    def test_two_accept(self) -> None:
        """Two sessions that accept one invite open one conversation."""
        for play in self.every_order():
            second = self.session(self.account(self.bob_id))
            invite_id = self.invite(self.anna, to_name("bob"))
            self.forget_all()
            play(self.sent(self.bob, allow(invite_id)), self.sent(second, allow(invite_id)))
            self.assert_one(self.anna, self.bob)

    def test_accept_and_decline(self) -> None:
        """An acceptance or a refusal counts, and the initiator hears of that one only."""
        outcomes: set[type[Message]] = set()
        for play in self.every_order():
            second = self.session(self.account(self.bob_id))
            invite_id = self.invite(self.anna, to_name("bob"))
            self.forget_all()
            play(self.sent(self.bob, allow(invite_id)), self.sent(second, decline(invite_id)))
            kinds = [type(message) for message in heard(self.anna)]
            outcomes.update(kinds)
            self.assertEqual(len(self.conversations(self.anna)), kinds.count(DMReady))
            self.assertEqual(self.invites(self.bob), [])
        self.assertEqual(outcomes, {DMReady, DMDeclined})

    def test_asking_again_and_decline(self) -> None:
        """The last that an initiator hears is true: wait for an invite that waits, or no more for one that is gone."""
        outcomes: set[tuple[type[Message], ...]] = set()
        for play in self.every_order():
            self.give_key(self.anna, ANNAS)
            invite_id = self.invite(self.anna, to_name("bob"))
            self.forget_all()
            play(self.sent(self.anna, to_name("bob", unencrypted=False)), self.sent(self.bob, decline(invite_id)))
            kinds = tuple(type(message) for message in heard(self.anna))
            outcomes.add(kinds)
            self.assertEqual(len(self.invites(self.anna)), kinds[-1] is DMPending)
        self.assertEqual(outcomes, {(DMPending, DMDeclined), (DMDeclined, DMPending)})

    def test_asking_again_and_leaving(self) -> None:
        """A guest that is gone while somebody changes their mind about it leaves no invite behind."""
        for play in self.every_order():
            self.give_key(self.anna, ANNAS)
            self.invite(self.anna, to_session(self.guest.id))
            play(self.sent(self.anna, to_session(self.guest.id, unencrypted=False)), self.guest.leave)
            self.assertEqual(self.invites(self.anna), [])
            self.assertEqual(self.chat.counters.errors[ErrorCode.DATABASE_ERROR], 0)

    def test_keys_and_deletion(self) -> None:
        """Keys and consent of an account that is just being deleted come to nothing, and are no database error."""
        for play in self.every_order():
            invite_id = self.invite(self.bob, to_name("anna"))
            second = self.session(self.account(self.anna_id))
            play(
                self.sent(self.anna, provide(ANNAS)),
                self.sent(second, allow(invite_id, permanent=True)),
                self.delete_anna,
            )
            self.assertEqual(self.chat.counters.errors[ErrorCode.DATABASE_ERROR], 0)
            self.assertEqual(self.conversations(self.anna), [])

    def test_both_ask(self) -> None:
        """Two who ask each other at once, both with keys, have one conversation."""
        for play in self.every_order():
            self.give_key(self.anna, ANNAS)
            self.give_key(self.bob, BOBS)
            self.forget_all()
            play(self.sent(self.anna, to_name("bob")), self.sent(self.bob, to_name("anna")))
            (mine,), (theirs,) = self.conversations(self.anna), self.conversations(self.bob)
            self.assertEqual(mine, theirs)
            for client in (self.anna, self.bob):
                self.assertEqual({ready.channel_id for ready in only(DMReady, client)}, {mine})

    def test_both_accept(self) -> None:
        """Two who asked each other and accept at once have one conversation."""
        for play in self.every_order():
            of_anna, of_bob = self.invite(self.anna, to_name("bob")), self.invite(self.bob, to_name("anna"))
            self.forget_all()
            play(self.sent(self.bob, allow(of_anna)), self.sent(self.anna, allow(of_bob)))
            self.assert_one(self.anna, self.bob)

    def test_one_asks_twice(self) -> None:
        """Two sessions of one account that ask the same one at once make one invite."""
        for play in self.every_order():
            second = self.session(self.account(self.anna_id))
            self.forget_all()
            play(self.sent(self.anna, to_name("bob")), self.sent(second, to_name("bob")))
            self.assertEqual(len(self.invites(self.bob)), 1)
            self.assertEqual(len(heard(self.bob)), 1)

    def test_asking_and_providing_a_key(self) -> None:
        """A key that comes while one is being asked opens the conversation, whichever comes first."""
        for play in self.every_order():
            self.give_key(self.anna, ANNAS)
            self.forget_all()
            play(self.sent(self.anna, to_name("bob", unencrypted=False)), self.sent(self.bob, provide(BOBS)))
            channel_id = self.assert_one(self.anna, self.bob)
            self.assertTrue(self.bob.one(DMReady, to_name("anna")).is_encrypted, channel_id)

    def test_accepting_and_providing_a_key(self) -> None:
        """A key and a consent at once open one conversation."""
        for play in self.every_order():
            self.give_key(self.guest, GUESTS)
            invite_id = self.invite(self.guest, to_name("bob"))
            second = self.session(self.account(self.bob_id))
            self.forget_all()
            play(self.sent(self.bob, allow(invite_id)), self.sent(second, provide(BOBS)))
            self.assert_one(self.guest, self.bob)

    def test_asking_and_leaving(self) -> None:
        """A guest that ends while it asks leaves nothing behind."""
        for play in self.every_order():
            play(self.sent(self.guest, to_name("bob")), self.guest.leave)
            self.assertEqual(self.invites(self.bob), [])
            self.assert_none(self.guest, self.bob)

    def test_asking_with_a_key_and_leaving(self) -> None:
        """A guest whose conversation opens at once, and that ends meanwhile, has left it, or it never began."""
        outcomes: set[tuple[str, ...]] = set()
        for play in self.every_order():
            self.give_key(self.guest, GUESTS)
            self.give_key(self.bob, BOBS)
            self.forget_all()
            play(self.sent(self.guest, to_name("bob")), self.guest.leave)
            self.assertEqual(self.conversations(self.guest), [])
            outcomes.add(tuple(each.NAME for each in heard(self.bob) if each.NAME.startswith("DM_")))
        self.assertEqual(outcomes, {(), ("DM_READY", "DM_PARTICIPANT_LEFT")})

    def test_insisting_and_accepting(self) -> None:
        """Who is told to wait for an encrypted conversation is not taken into another one (decisions 6.2)."""
        outcomes: set[tuple[type[Message], ...]] = set()
        for play in self.every_order():
            self.give_key(self.anna, ANNAS)
            invite_id = self.invite(self.anna, to_name("bob"))
            self.forget_all()
            play(self.sent(self.anna, to_name("bob", unencrypted=False)), self.sent(self.bob, allow(invite_id)))
            kinds = tuple(type(message) for message in heard(self.anna))
            outcomes.add(kinds)
            self.assertEqual(len(self.conversations(self.anna)), DMReady in kinds)
        self.assertEqual(outcomes, {(DMPending,), (DMReady, DMReady)})

    def test_asking_back_and_providing_a_key(self) -> None:
        """A key that opens one's own invite, while the other asks as well, opens one conversation."""
        for play in self.every_order():
            self.give_key(self.anna, ANNAS)
            self.invite(self.bob, to_name("anna"))
            self.forget_all()
            play(self.sent(self.bob, provide(BOBS)), self.sent(self.anna, to_name("bob")))
            self.assertEqual(len(self.conversations(self.anna)), 1)
            self.assertEqual(self.invites(self.anna), [])

    def test_asked_and_leaving(self) -> None:
        """A guest that ends while it is being asked leaves nothing behind."""
        for play in self.every_order():
            play(self.sent(self.anna, to_session(self.guest.id)), self.guest.leave)
            self.assertEqual(self.invites(self.anna), [])
            self.assert_none(self.guest, self.anna)

    def test_accepting_and_leaving(self) -> None:
        """A guest that ends while its conversation begins has left it, or it never began."""
        outcomes = set()
        for play in self.every_order():
            invite_id = self.invite(self.guest, to_name("bob"))
            self.forget_all()
            play(self.sent(self.bob, allow(invite_id)), self.guest.leave)
            kinds = [message.NAME for message in heard(self.bob) if message.NAME.startswith("DM_")]
            outcomes.add(tuple(kinds))
            self.assertEqual(self.conversations(self.guest), [])
            self.assertEqual(len(self.conversations(self.bob)), kinds.count("DM_READY"))
            self.assertEqual(self.invites(self.bob), [])
        self.assertEqual(outcomes, {(), ("DM_READY", "DM_PARTICIPANT_LEFT")})

    def test_guest_accepts_and_leaves(self) -> None:
        """A guest that accepts and ends at once has left."""
        for play in self.every_order():
            invite_id = self.invite(self.anna, to_session(self.guest.id))
            self.forget_all()
            play(self.sent(self.guest, allow(invite_id)), self.guest.leave)
            self.assertEqual(self.conversations(self.guest), [])
            self.assertEqual(self.invites(self.anna), [])
            kinds = [message.NAME for message in heard(self.anna) if message.NAME.startswith("DM_")]
            self.assertIn(kinds, ([], ["DM_READY", "DM_PARTICIPANT_LEFT"]))

    def test_key_and_leaving(self) -> None:
        """A guest whose key opens a conversation, and that ends meanwhile, has left."""
        for play in self.every_order():
            self.give_key(self.anna, ANNAS)
            self.invite(self.anna, to_session(self.guest.id, unencrypted=False))
            self.forget_all()
            play(self.sent(self.guest, provide(GUESTS, EPHEMERAL)), self.guest.leave)
            self.assertEqual(self.conversations(self.guest), [])
            self.assertEqual(self.invites(self.anna), [])

    def test_two_leave(self) -> None:
        """Two who leave at once have both left, and nothing is left of it."""
        for play in self.every_order():
            channel_id = self.talk(self.anna, self.bob)
            play(self.sent(self.anna, leave_for_good(channel_id)), self.sent(self.bob, leave_for_good(channel_id)))
            self.assertNotIn(channel_id, self.chat.directory)
            self.assert_none(self.anna, self.bob)

    def test_one_leaves_twice(self) -> None:
        """Two sessions that leave at once for one account leave once."""
        for play in self.every_order():
            channel_id = self.talk(self.anna, self.bob)
            second = self.session(self.account(self.anna_id))
            self.forget_all()
            play(self.sent(self.anna, leave_for_good(channel_id)), self.sent(second, leave_for_good(channel_id)))
            self.assertEqual(len([each for each in heard(self.bob) if each.NAME == "DM_PARTICIPANT_LEFT"]), 1)
            self.assertEqual(len(self.now(self.storage.root_page(channel_id, 10, None, None))), 1)

    def test_leaving_and_ending(self) -> None:
        """One who leaves for good while the other's session ends: both are gone."""
        for play in self.every_order():
            channel_id = self.talk(self.anna, self.guest)
            play(self.sent(self.anna, leave_for_good(channel_id)), self.guest.leave)
            self.assertNotIn(channel_id, self.chat.directory)
            self.assert_none(self.anna, self.guest)

    def test_leaving_and_asking(self) -> None:
        """Who asks for one that is just leaving gets a conversation that both are in, or that one has left."""
        for play in self.every_order():
            old = self.talk(self.anna, self.bob)
            self.give_key(self.anna, ANNAS)
            self.give_key(self.bob, BOBS)
            self.forget_all()
            play(self.sent(self.anna, leave_for_good(old)), self.sent(self.bob, to_name("anna")))
            self.assertNotIn(old, self.conversations(self.anna))
            fresh = {*self.conversations(self.bob)} - {old}
            self.assertEqual({*self.conversations(self.anna)}, fresh)
            self.assertLessEqual(len(fresh), 1)

    def test_accepting_and_deletion(self) -> None:
        """An account that is deleted while its invite is accepted takes part in nothing afterwards."""
        for play in self.every_order():
            invite_id = self.invite(self.anna, to_name("bob"))
            self.forget_all()
            play(self.sent(self.bob, allow(invite_id)), self.delete_anna)
            self.assertEqual(self.conversations(self.anna), [])
            self.assertEqual(self.invites(self.bob), [])

    def delete_anna(self) -> None:
        """As the moderation does."""
        anna = self.side(self.anna)

        async def delete() -> None:
            deleted = await self.storage.delete_account(anna.account_id or 0, self.now_ms())
            self.anna.leave()
            await self.chat.direct.account_deleted(deleted)

        Deferred.fromCoroutine(delete())
