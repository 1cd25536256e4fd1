"""Consenting to direct conversations, refusing them, and invites that wait."""

from __future__ import annotations

import bcrypt

from superchat.model import NewAccount
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import AuthRequest, AuthResponse, DMDeclined, DMReady, DMRequest, Error, KeyRequired
from tests.chat.conversing import (
    ANNAS,
    BOBS,
    GUESTS,
    IMPOSSIBLE,
    OPTIONAL,
    WEEK_SECONDS,
    ConversingTestCase,
    allow,
    answers,
    decline,
    heard,
    only,
    provide,
    to_account,
    to_name,
    to_session,
)
from tests.chat.people import account_of, session_of

SECRET = "c" * 43
UNKNOWN = (ErrorCode.NOT_FOUND, "DM invite not found")
NOT_YOURS = (ErrorCode.PERMISSION_DENIED, "Not authorized for this invite")


class ConsentTests(ConversingTestCase):
    """ALLOW_UNENCRYPTED."""

    def test_allow(self) -> None:
        """With consent the conversation is there for both, who accepted hears first (reference 6.3)."""
        for one, other in ((self.anna, self.bob), (self.guest, self.bob), (self.anna, self.guest)):
            invite_id = self.invite(one, to_session(other.id))
            self.forget_all()
            order = self.watch()
            (ready,) = answers(other, allow(invite_id))
            self.assertEqual(order, [other, one])
            mine, theirs = self.side(one), self.side(other)
            told = DMReady(
                channel_id=ready.channel_id,
                other_user_id=theirs.account_id,
                other_nickname=theirs.nickname,
                is_encrypted=False,
                other_public_key=None,
            )
            self.assertEqual((ready.other_user_id, ready.other_nickname), (mine.account_id, mine.nickname))
            self.assertFalse(ready.is_encrypted)
            self.assertEqual(heard(one), [told])
            self.assertIn(ready.channel_id, self.conversations(one))
            self.assertIn(ready.channel_id, self.conversations(other))
            self.assertIsNone(self.now(self.storage.invite(invite_id)))

    def test_another_session_allows(self) -> None:
        """Any session of an account may accept, and all of both sides are told (decisions 6.1)."""
        annas, bobs = (self.session(self.account(number)) for number in (self.anna_id, self.bob_id))
        invite_id = self.invite(annas, to_name("bob"))
        self.forget_all()
        channel_id = bobs.one(DMReady, allow(invite_id)).channel_id
        for client in (self.anna, annas, self.bob):
            self.assertEqual([ready.channel_id for ready in only(DMReady, client)], [channel_id])

    def test_unknown(self) -> None:
        """There is nothing to accept but what waits (reference 6.3)."""
        invite_id = self.invite(self.anna, to_name("bob"))
        answers(self.bob, allow(invite_id))
        for nothing in (0, invite_id, 99, 2**63, 2**64 - 1):
            self.assertEqual(self.bob.refusal(allow(nothing)), UNKNOWN)

    def test_not_the_target(self) -> None:
        """Nobody consents for somebody else, the initiator least of all (reference 6.3)."""
        invite_id = self.invite(self.anna, to_name("bob"))
        for client in (self.anna, self.guest, self.moderator()):
            self.assertEqual(client.refusal(allow(invite_id)), NOT_YOURS)
        self.assertEqual(len(self.invites(self.bob)), 1)
        guests = self.invite(self.anna, to_session(self.guest.id))
        for client in (self.anna, self.bob, self.connect("guest")):
            self.assertEqual(client.refusal(allow(guests)), NOT_YOURS)

    def test_required_encryption(self) -> None:
        """What requires encryption is never opened without it; who tries is told what is missing (decisions 6.2)."""
        for client, whom in ((self.anna, self.bob), (self.anna, self.guest)):
            self.give_key(client, ANNAS)
            invite_id = self.invite(client, to_session(whom.id, unencrypted=False))
            self.forget_all()
            refusal, required = answers(whom, allow(invite_id, permanent=True))
            self.assertIsInstance(refusal, Error)
            self.assertEqual(refusal.error_code, ErrorCode.PERMISSION_DENIED)
            self.assertIsInstance(required, KeyRequired)
            self.assertEqual(required.dm_channel_id, invite_id)
            self.assertEqual(heard(client), [])
            self.assertEqual(self.conversations(whom), [])
            self.assertTrue(self.invites(whom)[0].encrypted)
        self.assertFalse(self.account(self.bob_id).allow_unencrypted)
        self.assertTrue(answers(self.bob, provide(BOBS))[0].is_encrypted)

    def test_permanent(self) -> None:
        """Who allows it for good is not asked again when the other allows it as well (decisions 6.2)."""
        answers(self.bob, allow(self.invite(self.anna, to_name("bob")), permanent=True))
        self.assertTrue(self.account(self.bob_id).allow_unencrypted)
        self.assertTrue(account_of(self.bob).allow_unencrypted)
        self.forget_all()
        (ready,) = answers(self.guest, to_name("bob"))
        self.assertEqual((type(ready), ready.is_encrypted), (DMReady, False))
        self.assertEqual([told.channel_id for told in heard(self.bob)], [ready.channel_id])
        carl = self.person("carl")
        self.give_key(carl, GUESTS)
        self.invite(carl, to_name("bob", unencrypted=False))
        self.assertEqual(carl.one(DMReady, to_name("bob")).is_encrypted, False)
        self.assertEqual(self.invites(self.bob), [])

    def test_permanent_outlives_a_restart(self) -> None:
        """What was allowed for good is stored with the account (decisions 6.2)."""
        answers(self.bob, allow(self.invite(self.anna, to_name("bob")), permanent=True))
        self.chat.stop()
        self.run_now(self.start_chat())
        carl = self.person("carl")
        self.assertEqual(len(only(DMReady, carl)), 0)
        self.opened(carl, to_account(self.bob_id))

    def test_once_only(self) -> None:
        """Consent to one conversation is none to the next."""
        answers(self.bob, allow(self.invite(self.anna, to_name("bob"))))
        self.assertFalse(self.account(self.bob_id).allow_unencrypted)
        self.invite(self.guest, to_name("bob"))

    def test_guests_allow_nothing_for_good(self) -> None:
        """Without an account there is nobody to remember it for."""
        answers(self.guest, allow(self.invite(self.anna, to_session(self.guest.id)), permanent=True))
        self.invite(self.bob, to_session(self.guest.id))

    def test_after_logging_in(self) -> None:
        """A session that was asked before it logged in may still consent, as who it was."""
        invite_id = self.invite(self.anna, to_session(self.guest.id))
        self.chat.sessions.log_in(session_of(self.guest), self.account(self.bob_id))
        ready = self.guest.one(DMReady, allow(invite_id))
        (told,) = only(DMReady, self.anna)
        self.assertEqual((told.channel_id, told.other_user_id), (ready.channel_id, None))


class RefusalTests(ConversingTestCase):
    """DECLINE_DM."""

    def test_decline(self) -> None:
        """The initiator is told on all sessions, who declined hears nothing (reference 6.4)."""
        for target in (self.bob, self.guest):
            other = self.session(self.account(self.anna_id))
            invite_id = self.invite(self.anna, to_session(target.id))
            self.forget_all()
            heard(other)
            self.assertEqual(answers(target, decline(invite_id)), [])
            side = self.side(target)
            told = DMDeclined(dm_channel_id=invite_id, user_id=side.account_id, nickname=side.nickname)
            for client in (self.anna, other):
                self.assertEqual(heard(client), [told])
            self.assertEqual(self.invites(self.anna), [])
            self.assertEqual(target.refusal(allow(invite_id)), UNKNOWN)

    def test_unknown(self) -> None:
        """Refusing what is not there is met with silence (reference 6.4)."""
        invite_id = self.invite(self.anna, to_name("bob"))
        answers(self.bob, decline(invite_id))
        self.forget_all()
        for nothing in (0, invite_id, 99, 2**64 - 1):
            self.assertEqual(answers(self.bob, decline(nothing)), [])
        self.assertEqual(heard(self.anna), [])

    def test_not_the_target(self) -> None:
        """Nobody refuses for somebody else (reference 6.4)."""
        invite_id = self.invite(self.anna, to_name("bob"))
        for client in (self.anna, self.guest):
            self.assertEqual(client.refusal(decline(invite_id)), NOT_YOURS)
        self.assertEqual(len(self.invites(self.bob)), 1)

    def test_again(self) -> None:
        """After a refusal one may ask again, by another invite."""
        invite_id = self.invite(self.anna, to_name("bob"))
        answers(self.bob, decline(invite_id))
        self.assertGreater(self.invite(self.anna, to_name("bob")), invite_id)


class WaitingTests(ConversingTestCase):
    """Invites that wait, for days or through a restart."""

    def test_login(self) -> None:
        """Who was away is told after the next login who waits, oldest first, and each session once (decisions 6.1)."""
        self.bob.leave()
        carl = self.person("carl")
        self.give_key(carl, GUESTS)
        waiting = [self.invite(self.anna, to_name("bob")), self.invite(carl, to_name("bob"))]
        for _ in range(2):
            requests = self.log_in(self.bob_id)
            self.assertEqual([request.dm_channel_id for request in requests], waiting)
            whom = [(request.from_user_id, request.from_nickname) for request in requests]
            self.assertEqual(whom, [(self.anna_id, "anna"), (self.side(carl).account_id, "carl")])
            self.assertEqual([request.encryption_status for request in requests], [IMPOSSIBLE, OPTIONAL])

    def test_login_over_the_wire(self) -> None:
        """They come after the answer to the login, and nobody but the session that logged in gets them again."""
        hashed = bcrypt.hashpw(SECRET.encode(), bcrypt.gensalt(4)).decode()
        self.now(self.storage.create_account(NewAccount("carl", hashed, 0, self.now_ms())))
        invite_id = self.invite(self.anna, to_name("carl"))
        carl = self.connect()
        self.forget_all()
        kinds = [type(message) for message in answers(carl, AuthRequest(nickname="carl", password_hash=SECRET))]
        self.assertEqual((kinds[0], kinds[-1], kinds.count(DMRequest)), (AuthResponse, DMRequest, 1))
        self.assertEqual(heard(self.anna), [])
        again = self.connect()
        again.send(AuthRequest(nickname="carl", password_hash=SECRET))
        self.assertEqual([request.dm_channel_id for request in only(DMRequest, again)], [invite_id])
        self.assertEqual(only(DMRequest, carl), [])

    def test_login_of_the_initiator(self) -> None:
        """Who waits is not asked."""
        self.invite(self.anna, to_name("bob"))
        self.assertEqual(self.log_in(self.anna_id), [])

    def test_login_of_somebody_else(self) -> None:
        """An invite is nobody's but its target's."""
        self.invite(self.anna, to_name("bob"))
        self.assertEqual(self.log_in(self.side(self.person("carl")).account_id or 0), [])

    def test_restart(self) -> None:
        """Invites between accounts survive a restart, those of sessions cannot (decisions 6.1)."""
        invite_id = self.invite(self.anna, to_name("bob"))
        self.invite(self.guest, to_name("bob"))
        self.invite(self.anna, to_session(self.guest.id))
        self.chat.stop()
        self.run_now(self.start_chat())
        self.assertEqual([request.dm_channel_id for request in self.log_in(self.bob_id)], [invite_id])
        bob = self.session(self.account(self.bob_id))
        bob.one(DMReady, allow(invite_id))
        self.assertEqual(self.invites(self.anna), [])

    def test_expired(self) -> None:
        """After a week an invite is as if there were none (decisions 6.1)."""
        invite_id = self.invite(self.anna, to_name("bob"))
        self.clock.advance(WEEK_SECONDS - 1)
        self.assertEqual(len(self.log_in(self.bob_id)), 1)
        self.age(2)
        self.assertEqual(self.bob.refusal(allow(invite_id)), UNKNOWN)
        self.assertEqual(answers(self.bob, decline(invite_id)), [])
        self.give_key(self.anna, ANNAS)
        self.assertEqual(answers(self.bob, provide(BOBS)), [])
        self.run_now(self.chat.direct.logged_in(session_of(self.bob)))
        self.assertEqual(heard(self.bob), [])
        self.assertEqual(len(self.invites(self.bob)), 1)

    def age(self, seconds: float) -> None:
        """Let time pass, and nobody look for what has expired."""
        self.clock.rightNow += seconds

    def test_asking_after_expiry(self) -> None:
        """Whose invite has expired may ask again, and the other is asked again."""
        invite_id = self.invite(self.anna, to_name("bob"))
        self.age(WEEK_SECONDS + 1)
        heard(self.bob)
        self.assertNotEqual(self.invite(self.anna, to_name("bob")), invite_id)
        self.assertEqual(len(only(DMRequest, self.bob)), 1)
        self.assertEqual(len(self.invites(self.bob)), 1)

    def test_expiry_cleans_up(self) -> None:
        """What has expired is forgotten within the hour, also what expired while the server was down."""
        self.invite(self.anna, to_name("bob"))
        self.clock.pump([3600] * (7 * 24 + 1))
        self.assertEqual(len(self.invites(self.bob)), 0)
        self.invite(self.anna, to_name("bob"))
        self.chat.stop()
        self.age(WEEK_SECONDS + 1)
        self.run_now(self.start_chat())
        self.assertEqual(len(self.invites(self.bob)), 0)

    def test_stopped(self) -> None:
        """A chat that has stopped looks for nothing any more."""
        before = len(self.clock.getDelayedCalls())
        self.chat.stop()
        self.assertLess(len(self.clock.getDelayedCalls()), before)

    def test_session_ends(self) -> None:
        """What a guest asked for, or was asked, ends with its session; accounts' invites stay."""
        asked = self.invite(self.guest, to_name("bob"))
        wanted = self.invite(self.anna, to_session(self.guest.id))
        kept = self.invite(self.anna, to_name("bob"))
        self.guest.leave()
        self.anna.leave()
        self.assertEqual([invite.id for invite in self.invites(self.bob)], [kept])
        for gone in (asked, wanted):
            self.assertIsNone(self.now(self.storage.invite(gone)))
        self.assertEqual(self.bob.refusal(allow(asked)), UNKNOWN)

    def test_deleted_account(self) -> None:
        """What a deleted account asked for is gone with it."""
        invite_id = self.invite(self.anna, to_name("bob"))
        self.now(self.storage.delete_account(self.anna_id, self.now_ms()))
        self.assertEqual(self.bob.refusal(allow(invite_id)), UNKNOWN)
        self.assertEqual(self.bob.refusal(to_account(self.anna_id)), (ErrorCode.NOT_FOUND, "User not found"))
