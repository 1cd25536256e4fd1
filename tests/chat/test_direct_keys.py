"""Keys, and the direct conversations that they open."""

from __future__ import annotations

from superchat.chat import conversations
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    DMReady,
    DMRequest,
    KeyRequired,
)
from tests.chat.conversing import (
    ANNAS,
    BOBS,
    EPHEMERAL,
    GENERATED,
    GUESTS,
    IMPOSSIBLE,
    OPTIONAL,
    REQUIRED,
    ConversingTestCase,
    allow,
    answers,
    heard,
    leave_for_good,
    only,
    provide,
    to_name,
    to_session,
)
from tests.chat.people import account_of, session_of


class KeyTests(ConversingTestCase):
    """PROVIDE_PUBLIC_KEY, and conversations that keys open."""

    def test_insisting_without_a_key(self) -> None:
        """Who has no key and wants encryption is told to get one, and nothing else happens (reference 6.1)."""
        for client in (self.anna, self.guest):
            expected = KeyRequired(
                reason="You need to set up an encryption key before starting encrypted DMs", dm_channel_id=None
            )
            self.assertEqual(answers(client, to_name("bob", unencrypted=False)), [expected])
            self.assertEqual(self.invites(client), [])
        self.assertEqual(heard(self.bob), [])

    def test_both_have_keys(self) -> None:
        """With both keys there the conversation opens at once, each with the other's key (decisions 6.3)."""
        for one, other in ((self.anna, self.bob), (self.guest, self.anna), (self.bob, self.guest)):
            self.give_key(one, ANNAS)
            self.give_key(other, BOBS)
            (ready,) = answers(one, to_session(other.id, unencrypted=False))
            self.assertEqual((ready.is_encrypted, ready.other_public_key), (True, BOBS))
            (told,) = heard(other)
            self.assertEqual((told.channel_id, told.other_public_key), (ready.channel_id, ANNAS))
            self.assertIn(ready.channel_id, self.conversations(one))
            self.assertIn(ready.channel_id, self.conversations(other))

    def test_opens_for_all_sessions(self) -> None:
        """All sessions of both accounts are told, the one that asked among them (reference W38)."""
        self.give_key(self.anna, ANNAS)
        self.give_key(self.bob, BOBS)
        annas, bobs = (self.session(self.account(number)) for number in (self.anna_id, self.bob_id))
        self.forget_all()
        channel_id = self.opened(self.anna, to_name("bob"))
        for client in (annas, bobs, self.bob):
            self.assertEqual([ready.channel_id for ready in heard(client)], [channel_id])

    def test_status(self) -> None:
        """Who is asked learns whether encryption is impossible, required, or up to them (reference 6.1)."""
        self.invite(self.anna, to_name("bob"))
        self.give_key(self.guest, GUESTS)
        self.invite(self.guest, to_name("bob", unencrypted=False))
        other = self.connect("other")
        self.give_key(other, GUESTS)
        self.invite(other, to_name("bob"))
        requests = only(DMRequest, self.bob)
        self.assertEqual([request.encryption_status for request in requests], [IMPOSSIBLE, REQUIRED, OPTIONAL])

    def test_stored(self) -> None:
        """An account has one key, the last one that any of its sessions provided, of whatever type (reference 6.2)."""
        other = self.session(self.account(self.anna_id))
        for client, key_type, key in ((self.anna, GENERATED, ANNAS), (other, EPHEMERAL, BOBS), (other, 0, GUESTS)):
            self.assertEqual(answers(client, provide(key, key_type)), [])
            self.assertEqual(self.account(self.anna_id).encryption_public_key, key)
            for each in (self.anna, other):
                self.assertEqual(account_of(each).encryption_public_key, key)

    def test_guests_keep_nothing(self) -> None:
        """Without an account there are only keys for the session (reference 6.2)."""
        expected = (ErrorCode.PERMISSION_DENIED, "Anonymous users can only use ephemeral keys")
        for key_type in (0, GENERATED, 3, 255):
            self.assertEqual(self.guest.refusal(provide(GUESTS, key_type)), expected)
        self.assertIsNone(session_of(self.guest).public_key)
        self.give_key(self.guest, GUESTS)
        self.assertEqual(session_of(self.guest).public_key, GUESTS)

    def test_unsafe_keys(self) -> None:
        """A key that would make every conversation public is refused, and the old one stays (wire 9)."""
        self.give_key(self.anna, ANNAS)
        self.give_key(self.guest, GUESTS)
        prime = 2**255 - 19
        for number in (0, 1, prime - 1, prime, prime + 1, 2**255, 2**255 + 1):
            key = number.to_bytes(32, "little")
            for client, key_type in ((self.anna, GENERATED), (self.guest, EPHEMERAL)):
                code, _ = client.refusal(provide(key, key_type))
                self.assertEqual(code, ErrorCode.INVALID_INPUT)
        self.assertEqual(self.account(self.anna_id).encryption_public_key, ANNAS)
        self.assertEqual(session_of(self.guest).public_key, GUESTS)

    def test_key_opens_invites(self) -> None:
        """The key that an invite waited for opens it encrypted; who provided it hears first (reference 6.2)."""
        self.give_key(self.anna, ANNAS)
        invite_id = self.invite(self.anna, to_name("bob", unencrypted=False))
        other = self.session(self.account(self.bob_id))
        order = self.watch()
        (ready,) = answers(other, provide(BOBS))
        self.assertEqual((ready.other_nickname, ready.other_public_key), ("anna", ANNAS))
        (told,) = heard(self.anna)[-1:]
        self.assertEqual((told.channel_id, told.other_public_key), (ready.channel_id, BOBS))
        self.assertEqual(order, [other, self.bob, self.anna])
        self.assertIsNone(self.now(self.storage.invite(invite_id)))

    def test_key_of_the_initiator_opens_invites(self) -> None:
        """An invite whose target has a key opens as soon as its initiator has one as well."""
        self.give_key(self.bob, BOBS)
        self.invite(self.anna, to_name("bob"))
        self.forget_all()
        (ready,) = answers(self.anna, provide(ANNAS))
        self.assertEqual((ready.other_nickname, ready.other_public_key), ("bob", BOBS))
        self.assertEqual([each.other_public_key for each in only(DMReady, self.bob)], [ANNAS])

    def test_key_without_the_other_one(self) -> None:
        """A key alone opens nothing."""
        self.invite(self.anna, to_name("bob"))
        self.assertEqual(answers(self.bob, provide(BOBS)), [])
        self.assertEqual(self.conversations(self.bob), [])
        self.assertEqual(len(self.invites(self.bob)), 1)

    def test_key_opens_many(self) -> None:
        """One key opens all invites that waited for it, a guest's key as well (decisions 6.3)."""
        crowd = [self.connect(f"guest{number}") for number in range(5)]
        for client in crowd:
            self.give_key(client, client.id.to_bytes(32, "little"))
            self.invite(client, to_session(self.guest.id, unencrypted=False))
        self.forget_all()
        opened = answers(self.guest, provide(GUESTS, EPHEMERAL))
        keys = [client.id.to_bytes(32, "little") for client in crowd]
        self.assertEqual([ready.other_public_key for ready in opened], keys)
        self.assertEqual(len(self.conversations(self.guest)), 5)

    def test_names_are_those_of_the_invite(self) -> None:
        """Clients recognise a settled invite by the other's nickname, so it stays what it was (reference 11.1)."""
        self.give_key(self.anna, ANNAS)
        self.invite(self.anna, to_name("bob"))
        renamed = self.now(self.storage.rename_account(self.anna_id, "annika"))
        self.chat.sessions.refresh(renamed)
        self.forget_all()
        (ready,) = answers(self.bob, provide(BOBS))
        self.assertEqual(ready.other_nickname, "anna")
        self.assertEqual([each.other_nickname for each in only(DMReady, self.anna)], ["bob"])

    def test_insisting_later(self) -> None:
        """Asking again says anew whether encryption is required, on the same invite."""
        self.give_key(self.anna, ANNAS)
        invite_id = self.invite(self.anna, to_name("bob"))
        for unencrypted in (False, True):
            self.assertEqual(self.invite(self.anna, to_name("bob", unencrypted=unencrypted)), invite_id)
            (invite,) = self.invites(self.bob)
            self.assertIs(invite.encrypted, not unencrypted)

    def test_conversations_cannot_be_piled_up(self) -> None:
        """Who was left alone in a hundred conversations is asked before there are more, keys or not; what they
        consent to opens."""
        self.give_key(self.anna, ANNAS)
        self.give_key(self.bob, BOBS)
        for _ in range(100):
            answers(self.anna, leave_for_good(self.opened(self.anna, to_name("bob"))))
        invite_id = self.invite(self.anna, to_name("bob"))
        self.assertEqual(answers(self.anna, provide(ANNAS)), [])
        (ready,) = answers(self.bob, allow(invite_id))
        self.assertEqual((ready.is_encrypted, ready.other_public_key), (True, ANNAS))
        answers(self.anna, leave_for_good(ready.channel_id))
        self.invite(self.anna, to_name("bob"))
        (again,) = answers(self.bob, provide(BOBS))
        self.assertTrue(again.is_encrypted)

    def test_conversations_are_bounded(self) -> None:
        """Nobody takes part in more conversations than the bound, and the refusal leaves no trace."""
        self.patch(conversations, "MOST_CONVERSATIONS", 3)
        for number in range(3):
            self.talk(self.connect(f"guest{number}"), self.bob)
        invite_id = self.invite(self.anna, to_name("bob"))
        expected = (ErrorCode.RATE_LIMIT_EXCEEDED, "Too many direct conversations")
        self.assertEqual(self.bob.refusal(allow(invite_id)), expected)
        self.assertEqual(len(self.conversations(self.bob)), 3)
        self.assertEqual(len(self.invites(self.bob)), 1)
