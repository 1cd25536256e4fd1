"""What every storage engine promises about direct conversations; each engine's tests inherit all of it."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import gatherResults

from superchat.model import (
    Account,
    Channel,
    Invite,
    Message,
    NewAccount,
    NewChannel,
    NewInvite,
    NewMessage,
    Participant,
)
from superchat.storage.errors import (
    InvitePending,
    TooManyInvites,
    Unavailable,
    UnknownAccount,
    UnknownInvite,
)
from tests.storage.engines import FAR_IDS, NOON_MS, EngineTestCase

MOST = 100
KEY = 2**63 - 1
"""The greatest key that a session may have."""


def somebody(account: Account) -> Participant:
    """An account as a participant."""
    return Participant(account.id, None, account.nickname)


def anonymous(session_key: int, nickname: str = "guest") -> Participant:
    """A session without an account as a participant."""
    return Participant(None, session_key, nickname)


class DirectContract(EngineTestCase):
    """Inherit, together with an engine's test case."""

    def setUp(self) -> None:
        super().setUp()
        anna = self.account("anna")
        self.anna, self.anna_id = somebody(anna), anna.id
        self.bob = somebody(self.account("bob"))
        self.guest = anonymous(KEY)

    def account(self, nickname: str) -> Account:
        return self.result(self.storage.create_account(NewAccount(nickname, f"hash of {nickname}", 0, NOON_MS)))

    def deleted(self, nickname: str) -> Participant:
        account = self.account(nickname)
        self.result(self.storage.delete_account(account.id, NOON_MS))
        return somebody(account)

    def open_direct(self, *participants: Participant, invite_id: int | None = None) -> Channel:
        return self.result(self.storage.open_direct(participants, NOON_MS, invite_id))

    def participants(self) -> list[tuple[int, Participant]]:
        return self.result(self.storage.participants())

    def leave(self, channel: Channel, participant: Participant) -> bool:
        return self.result(self.storage.leave_direct(channel.id, participant, NOON_MS + 1))

    def channels(self) -> list[Channel]:
        return self.result(self.storage.channels())

    def invite(self, initiator: Participant, target: Participant, **changes: Any) -> Invite:
        new = attrs.evolve(NewInvite(initiator, target, False, NOON_MS), **changes)
        return self.result(self.storage.create_invite(new, MOST))

    def invites(self, participant: Participant) -> list[Invite]:
        return self.result(self.storage.invites(participant))

    # Conversations

    def test_open(self) -> None:
        """A direct conversation is a channel as the reference makes them, and outlives a restart (decisions 6.1)."""
        channel = self.open_direct(self.bob, self.anna)
        self.assertEqual(
            channel,
            Channel(
                id=channel.id,
                name=f"dm_{self.anna.account_id}_{self.bob.account_id}",
                display_name="Direct Message",
                description="",
                channel_type=0,
                retention_hours=168,
                parent_id=None,
                created_by=None,
                created_at=NOON_MS,
                is_direct=True,
            ),
        )
        for _ in range(2):
            self.assertEqual(self.channels(), [channel])
            self.assertEqual(self.participants(), [(channel.id, self.bob), (channel.id, self.anna)])
            self.reopen()

    def test_open_with_a_session(self) -> None:
        """Somebody without an account takes part as a session, whose keys may have 63 bits."""
        channel = self.open_direct(self.guest, self.anna)
        self.assertEqual(channel.name, f"dm_{self.anna.account_id}_{KEY}")
        self.assertEqual(self.participants(), [(channel.id, self.guest), (channel.id, self.anna)])

    def test_messages(self) -> None:
        """A conversation has messages like any channel."""
        channel = self.open_direct(self.anna, self.bob)
        new = NewMessage(channel.id, None, "anna", 7, b"\xff\x00", NOON_MS, self.anna.account_id)
        posted = self.result(self.storage.append_message(new))
        self.assertEqual(self.result(self.storage.root_page(channel.id, 10, None, None)), [posted])

    def test_two_conversations(self) -> None:
        """Whoever left may begin another conversation with the same one; names of channels do not stand against it."""
        first = self.open_direct(self.anna, self.bob)
        self.assertTrue(self.leave(first, self.anna))
        second = self.open_direct(self.anna, self.bob)
        self.assertNotEqual(first.id, second.id)
        everybody = [(first.id, self.bob), (second.id, self.anna), (second.id, self.bob)]
        self.assertEqual(self.participants(), everybody)

    def test_names_of_channels(self) -> None:
        """A direct conversation takes no name away from the channels, whose makers would notice (decisions 3.2)."""
        direct = self.open_direct(self.anna, self.bob)
        new = NewChannel(direct.name, "Mine", "", 0, 168)
        created = self.result(self.storage.create_channel(new, NOON_MS))
        self.assertNotEqual(created.id, direct.id)
        self.open_direct(self.anna, self.bob)

    def test_open_with_nobody(self) -> None:
        """Accounts that do not exist, or no more, take part in nothing, and the attempt leaves no trace."""
        eve = self.deleted("eve")
        for nobody in (eve, *(Participant(account_id, None, "") for account_id in (99, *FAR_IDS))):
            for pair in ((self.anna, nobody), (nobody, self.anna)):
                self.assert_refused(self.storage.open_direct(pair, NOON_MS), UnknownAccount)
        self.assertEqual((self.channels(), self.participants()), ([], []))

    def test_leave(self) -> None:
        """Who leaves is out, also after a restart; the last one takes the channel along (reference 6.5)."""
        channel = self.open_direct(self.anna, self.bob)
        other = self.open_direct(self.guest, self.bob)
        self.assertTrue(self.leave(channel, attrs.evolve(self.anna, nickname="renamed")))
        self.reopen()
        self.assertEqual(self.participants(), [(channel.id, self.bob), (other.id, self.guest), (other.id, self.bob)])
        self.assertFalse(self.leave(channel, self.bob))
        for _ in range(2):
            self.assertEqual(self.channels(), [other])
            self.assertEqual(self.participants(), [(other.id, self.guest), (other.id, self.bob)])
            self.reopen()

    def test_leave_with_messages(self) -> None:
        """A conversation that everybody left keeps nothing that could be read."""
        channel = self.open_direct(self.anna, self.bob)
        new = NewMessage(channel.id, None, "anna", 7, b"secret", NOON_MS, self.anna.account_id)
        posted = self.result(self.storage.append_message(new))
        self.leave(channel, self.anna)
        self.leave(channel, self.bob)
        self.assertIsNone(self.result(self.storage.message(posted.id)))
        self.assertEqual(self.result(self.storage.root_page(channel.id, 10, None, None)), [])

    def test_space(self) -> None:
        """Nothing remains of a conversation that everybody left, once its space is given back (decisions 4.11)."""
        channel = self.open_direct(self.anna, self.bob)
        self.post(channel)
        self.result(self.storage.set_read(self.anna_id, channel.id, NOON_MS, NOON_MS))
        for side in (self.anna, self.bob):
            self.leave(channel, side)
        while self.result(self.storage.sweep()).more:
            pass
        size = self.result(self.storage.measure())
        self.assertEqual((size.channels, size.messages), (0, 0))

    def test_leave_without_taking_part(self) -> None:
        """Who takes no part changes nothing by leaving, least of all a channel that is no conversation."""
        general = self.result(self.storage.create_channel(NewChannel("general", "", "", 0, 0), NOON_MS))
        channel = self.open_direct(self.anna, self.bob)
        self.assertTrue(self.leave(channel, self.guest))
        self.assertFalse(self.leave(general, self.anna))
        for far in FAR_IDS:
            self.assertFalse(self.result(self.storage.leave_direct(far, self.anna, NOON_MS)))
        self.assertEqual(self.channels(), [general, channel])
        self.assertEqual(self.participants(), [(channel.id, self.anna), (channel.id, self.bob)])

    def test_ids_of_channels(self) -> None:
        """The id of a conversation that is over is never given out again: clients remember ids."""
        channel = self.open_direct(self.anna, self.bob)
        self.leave(channel, self.anna)
        self.leave(channel, self.bob)
        self.reopen()
        self.assertGreater(self.open_direct(self.anna, self.bob).id, channel.id)

    def test_deleted_account(self) -> None:
        """A deleted account takes part in nothing, and its invites are gone (reference section 6)."""
        shared = self.open_direct(self.anna, self.bob)
        alone = self.open_direct(self.anna, self.guest)
        self.leave(alone, self.guest)
        self.invite(self.anna, self.guest)
        self.invite(self.bob, self.anna)
        kept = self.invite(self.bob, self.guest)
        self.result(self.storage.delete_account(self.anna_id, NOON_MS))
        self.assertEqual(self.participants(), [(shared.id, self.bob)])
        self.assertEqual(self.channels(), [shared])
        self.assertEqual([note.content for note in self.messages(shared)], [b"anna has left the conversation"])
        self.assertEqual(self.invites(self.bob), [kept])

    def test_note(self) -> None:
        """Those who are left read who is gone, under the name of today, in a message without author (reference 6.5)."""
        channel = self.open_direct(self.anna, self.bob)
        before = self.post(channel)
        self.leave(channel, attrs.evolve(self.anna, nickname="annika"))
        self.leave(channel, self.anna)
        note, posted = self.messages(channel)
        self.assertEqual(posted, before)
        self.assertEqual(note.content, b"annika has left the conversation")
        self.assertEqual((note.author_nickname, note.author_id, note.created_at), ("", None, NOON_MS + 1))
        self.assertGreater(self.post(channel).id, note.id)

    def post(self, channel: Channel) -> Message:
        return self.result(self.storage.append_message(NewMessage(channel.id, None, "bob", 7, b"hello", NOON_MS)))

    def messages(self, channel: Channel) -> list[Message]:
        return self.result(self.storage.root_page(channel.id, 10, None, None))

    def test_restart_ends_sessions(self) -> None:
        """After a restart those without an account have left, and so say notes where somebody is left."""
        other_guest = anonymous(5, "visitor")
        shared = self.open_direct(self.guest, self.anna)
        guests = self.open_direct(self.guest, other_guest)
        accounts = self.open_direct(self.anna, self.bob)
        self.invite(self.guest, self.bob)
        self.invite(self.anna, other_guest)
        kept = self.invite(self.bob, self.anna)
        for _ in range(2):
            self.result(self.storage.forget_sessions(NOON_MS + 1))
            self.assertNotIn(guests, self.channels())
            everybody = [(shared.id, self.anna), (accounts.id, self.anna), (accounts.id, self.bob)]
            self.assertEqual(self.participants(), everybody)
            (note,) = self.messages(shared)
            self.assertEqual((note.content, note.author_nickname), (b"guest has left the conversation", ""))
            self.assertEqual(self.messages(accounts), [])
            self.assertEqual(self.invites(self.bob), [kept])
            self.assertEqual(self.invites(self.anna), [kept])
            self.assertEqual(self.invites(self.guest), [])

    # Invites

    def test_invite(self) -> None:
        """An invite is kept as it was made, and outlives a restart (decisions 6.1)."""
        new = NewInvite(self.anna, self.bob, encrypted=True, created_at=NOON_MS)
        invite = self.result(self.storage.create_invite(new, MOST))
        self.assertEqual(invite, Invite(invite.id, self.anna, self.bob, encrypted=True, created_at=NOON_MS))
        self.assertIs(self.result(self.storage.remove_invite(self.invite(self.bob, self.anna).id)).encrypted, False)
        for _ in range(2):
            self.assertEqual(self.result(self.storage.invite(invite.id)), invite)
            self.assertEqual(self.result(self.storage.invite_between(self.anna, self.bob)), invite)
            self.assertIsNone(self.result(self.storage.invite_between(self.bob, self.anna)))
            self.reopen()

    def test_invites(self) -> None:
        """Everybody finds their own invites, those they made and those they got, oldest first."""
        first = self.invite(self.bob, self.anna, created_at=NOON_MS + 1)
        second = self.invite(self.anna, self.guest)
        third = self.invite(self.anna, self.bob)
        self.assertEqual(self.invites(self.anna), [first, second, third])
        self.assertEqual(self.invites(self.bob), [first, third])
        self.assertEqual(self.invites(self.guest), [second])
        self.assertEqual(self.invites(anonymous(1)), [])
        for far in FAR_IDS:
            self.assertEqual(self.invites(Participant(far, None, "")), [])

    def test_session_is_no_account(self) -> None:
        """A session whose key is the number of an account is somebody else."""
        namesake = anonymous(self.anna_id)
        invite = self.invite(self.bob, self.anna)
        self.assertEqual(self.invites(namesake), [])
        self.assertNotEqual(self.invite(self.bob, namesake).id, invite.id)

    def test_pending(self) -> None:
        """The same one is asked once, accounts and sessions alike, whatever they are called (decisions 6.1)."""
        renamed = attrs.evolve(self.anna, nickname="renamed")
        for initiator, target in ((self.anna, self.bob), (self.guest, self.bob), (self.anna, self.guest)):
            invite = self.invite(initiator, target)
            for who in {initiator, renamed} if initiator is self.anna else {initiator}:
                again = NewInvite(who, target, encrypted=True, created_at=NOON_MS + 1)
                self.assert_refused(self.storage.create_invite(again, MOST), InvitePending)
            self.assertEqual(self.result(self.storage.invite(invite.id)), invite)
        self.invite(self.bob, self.anna)

    def test_pending_in_one_commit(self) -> None:
        """Of two identical invites at the same moment one is kept."""
        new = NewInvite(self.guest, self.bob, encrypted=False, created_at=NOON_MS)
        first, second = (self.storage.create_invite(new, MOST) for _ in range(2))
        kept = self.result(first)
        self.assert_refused(second, InvitePending)
        self.assertEqual(self.invites(self.bob), [kept])

    def test_too_many(self) -> None:
        """Neither does anybody wait for more than so many, nor do more wait for anybody (bounded storage)."""
        for number in range(3):
            self.result(self.storage.create_invite(self.new(self.anna, anonymous(number)), 3))
            self.result(self.storage.create_invite(self.new(anonymous(number), self.bob), 3))
        self.assert_refused(self.storage.create_invite(self.new(self.anna, anonymous(3)), 3), TooManyInvites)
        self.assert_refused(self.storage.create_invite(self.new(anonymous(3), self.bob), 3), TooManyInvites)
        self.assertEqual(len(self.invites(self.anna)), 3)
        self.assertEqual(len(self.invites(self.bob)), 3)
        self.result(self.storage.create_invite(self.new(self.bob, self.anna), 3))

    def new(self, initiator: Participant, target: Participant) -> NewInvite:
        return NewInvite(initiator, target, encrypted=False, created_at=NOON_MS)

    def test_invite_nobody(self) -> None:
        """Accounts that do not exist, or no more, neither invite nor are invited."""
        eve = self.deleted("eve")
        for nobody in (eve, *(Participant(account_id, None, "") for account_id in (99, *FAR_IDS))):
            for initiator, target in ((self.anna, nobody), (nobody, self.anna)):
                self.assert_refused(self.storage.create_invite(self.new(initiator, target), MOST), UnknownAccount)
        self.assertEqual(self.invites(self.anna), [])

    def test_insist(self) -> None:
        """An initiator may change their mind about encryption, and the invite stays the same."""
        invite = self.invite(self.anna, self.bob)
        for encrypted in (True, False):
            changed = self.result(self.storage.insist(invite.id, encrypted))
            self.assertEqual(changed, attrs.evolve(invite, encrypted=encrypted))
            self.assertEqual(self.result(self.storage.invite(invite.id)), changed)

    def test_remove(self) -> None:
        """An invite is taken away once, and whoever does learns what it was."""
        invite, other = self.invite(self.anna, self.bob), self.invite(self.bob, self.anna)
        self.assertEqual(self.result(self.storage.remove_invite(invite.id)), invite)
        self.assertIsNone(self.result(self.storage.invite(invite.id)))
        self.assertEqual(self.invites(self.anna), [other])
        self.assertGreater(self.invite(self.anna, self.bob).id, other.id)

    def test_unknown(self) -> None:
        """What is no invite cannot be found, changed or taken away, whatever its number."""
        invite = self.invite(self.anna, self.bob)
        self.result(self.storage.remove_invite(invite.id))
        for invite_id in (invite.id, 99, *FAR_IDS):
            self.assertIsNone(self.result(self.storage.invite(invite_id)))
            self.assert_refused(self.storage.insist(invite_id, True), UnknownInvite)
            self.assert_refused(self.storage.remove_invite(invite_id), UnknownInvite)
            self.assert_refused(self.storage.open_direct((self.anna, self.bob), NOON_MS, invite_id), UnknownInvite)
        self.assertEqual((self.channels(), self.participants()), ([], []))

    def test_remove_all_of_somebody(self) -> None:
        """All invites of one who is gone go together."""
        made, got = self.invite(self.guest, self.anna), self.invite(self.bob, self.guest)
        kept = self.invite(self.bob, self.anna)
        self.assertEqual(self.result(self.storage.remove_invites(self.guest)), [made, got])
        self.assertEqual(self.invites(self.guest), [])
        self.assertEqual(self.invites(self.bob), [kept])

    def test_accept(self) -> None:
        """A conversation ends the invites of its participants to each other, in both directions, and no others."""
        invite = self.invite(self.anna, self.bob)
        self.invite(self.bob, self.anna)
        kept = self.invite(self.guest, self.anna)
        self.open_direct(self.anna, self.bob, invite_id=invite.id)
        self.assertEqual(self.invites(self.anna), [kept])
        self.assertEqual(self.invites(self.bob), [])

    def test_accept_twice(self) -> None:
        """Of two who accept at the same moment one opens the conversation."""
        invite = self.invite(self.guest, self.bob)
        pair = (self.guest, self.bob)
        first, second = (self.storage.open_direct(pair, NOON_MS, invite.id) for _ in range(2))
        channel = self.result(first)
        self.assert_refused(second, UnknownInvite)
        self.assertEqual(self.channels(), [channel])
        self.assertEqual(self.participants(), [(channel.id, self.guest), (channel.id, self.bob)])

    def test_accept_and_decline(self) -> None:
        """Of an acceptance and a refusal at the same moment one counts."""
        invite = self.invite(self.anna, self.bob)
        removed = self.storage.remove_invite(invite.id)
        opened = self.storage.open_direct((self.anna, self.bob), NOON_MS, invite.id)
        self.assertEqual(self.result(removed), invite)
        self.assert_refused(opened, UnknownInvite)
        self.assertEqual(self.channels(), [])

    def test_expire(self) -> None:
        """Invites made before a time are forgotten together (decisions 6.1)."""
        late = self.invite(self.anna, self.bob, created_at=NOON_MS)
        middle = self.invite(self.bob, self.anna, created_at=NOON_MS - 1)
        early = self.invite(self.guest, self.anna, created_at=NOON_MS - 2)
        self.assertEqual(self.result(self.storage.expire_invites(NOON_MS)), [early, middle])
        self.assertEqual(self.invites(self.anna), [late])
        self.assertEqual(self.result(self.storage.expire_invites(-(2**70))), [])
        self.assertEqual(self.result(self.storage.expire_invites(2**70)), [late])

    def test_closed(self) -> None:
        """A closed storage answers nothing."""
        self.result(self.storage.close())
        for asked in (
            self.storage.open_direct((self.anna, self.bob), NOON_MS),
            self.storage.participants(),
            self.storage.leave_direct(1, self.anna, NOON_MS),
            self.storage.create_invite(self.new(self.anna, self.bob), MOST),
            self.storage.insist(1, True),
            self.storage.invite(1),
            self.storage.invites(self.anna),
            self.storage.invite_between(self.anna, self.bob),
            self.storage.remove_invite(1),
            self.storage.remove_invites(self.anna),
            self.storage.expire_invites(NOON_MS),
            self.storage.forget_sessions(NOON_MS),
        ):
            self.assert_refused(asked, Unavailable)

    def test_many_at_once(self) -> None:
        """Whatever is asked at the same moment is answered, each in its own right."""
        keys = range(50)
        asked = [self.storage.open_direct((anonymous(key), self.anna), NOON_MS) for key in keys]
        channels = self.result(gatherResults(asked))
        self.assertEqual(len({channel.id for channel in channels}), len(keys))
        self.assertEqual(len(self.participants()), 2 * len(keys))
