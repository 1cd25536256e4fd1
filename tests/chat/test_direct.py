"""Asking for a direct conversation: whom it reaches, and what is refused."""

from __future__ import annotations

from superchat.wire.errors import ErrorCode, Malformed
from superchat.wire.messages import (
    AllowUnencrypted,
    DeclineDM,
    DMPending,
    DMReady,
    DMRequest,
    ProvidePublicKey,
    StartDM,
)
from tests.chat.conversing import (
    ANNAS,
    BOBS,
    IMPOSSIBLE,
    ConversingTestCase,
    allow,
    answers,
    heard,
    only,
    to_account,
    to_name,
    to_session,
)
from tests.chat.people import account_of, session_of
from tests.chat.talk import Client

UNKNOWN_USER = (ErrorCode.NOT_FOUND, "User not found")
YOURSELF = (ErrorCode.INVALID_INPUT, "Cannot start a DM with yourself")


class AskingTests(ConversingTestCase):
    """START_DM: whom it reaches, and what is refused."""

    def assert_reaches(self, whom: Client, asked: StartDM) -> None:
        """Anna's request reaches somebody; she may ask again afterwards."""
        heard(whom)
        invite_id = self.invite(self.anna, asked)
        (request,) = only(DMRequest, whom)
        self.assertEqual(request.dm_channel_id, invite_id)
        self.now(self.storage.remove_invite(invite_id))

    def test_pending(self) -> None:
        """Who asks is told to wait, and who is asked hears by whom (reference 6.1)."""
        pending = self.anna.one(DMPending, to_account(self.bob_id))
        self.assertEqual(
            pending,
            DMPending(
                dm_channel_id=pending.dm_channel_id,
                waiting_for_user_id=self.bob_id,
                waiting_for_nickname="bob",
                reason="Waiting for bob to accept",
            ),
        )
        request = DMRequest(
            dm_channel_id=pending.dm_channel_id,
            from_user_id=self.anna_id,
            from_nickname="anna",
            encryption_status=IMPOSSIBLE,
        )
        self.assertEqual(heard(self.bob), [request])
        self.assertEqual(heard(self.guest), [])

    def test_account(self) -> None:
        """An account is reached by its id, and nobody by an id that no account has (reference 6.1)."""
        self.assert_reaches(self.bob, to_account(self.bob_id))
        for nobody in (0, 99, 2**63, 2**64 - 1):
            self.assertEqual(self.anna.refusal(to_account(nobody)), UNKNOWN_USER)

    def test_nickname(self) -> None:
        """An account is reached by its name, ignoring case, and also with a ~ before it (decisions 6.1)."""
        for name in ("bob", "BOB", "~bob"):
            self.assert_reaches(self.bob, to_name(name))
        for nobody in ("", "~", "nobody", "~~bob", "bob~", "x" * 60_000):
            self.assertEqual(self.anna.refusal(to_name(nobody)), UNKNOWN_USER)

    def test_nickname_of_a_guest(self) -> None:
        """Who has no account is reached by the exact name, as shown or bare (decisions 6.1)."""
        for name in ("guest", "~guest"):
            self.assert_reaches(self.guest, to_name(name))
        self.assertEqual(self.anna.refusal(to_name("Guest")), UNKNOWN_USER)

    def test_account_goes_first(self) -> None:
        """A name is its account's; but with a ~ it is that of the one who is shown so and has no account."""
        impostor = self.connect("bob")
        self.forget_all()
        self.assert_reaches(self.bob, to_name("bob"))
        self.assertEqual(heard(impostor), [])
        self.assert_reaches(impostor, to_name("~bob"))
        self.assertEqual(heard(self.bob), [])

    def test_session(self) -> None:
        """A session stands for its account if it has one (reference 6.1)."""
        self.assert_reaches(self.bob, to_session(self.bob.id))
        self.assert_reaches(self.guest, to_session(self.guest.id))
        self.guest.leave()
        for nobody in (0, 99, self.guest.id, 2**64 - 1):
            expected = (ErrorCode.NOT_FOUND, "Session not found")
            self.assertEqual(self.anna.refusal(to_session(nobody)), expected)

    def test_target_type(self) -> None:
        """There are three ways to say whom one means (reference 6.1)."""
        expected = (ErrorCode.INVALID_FORMAT, "Invalid target type")
        for target_type in (3, 255):
            asked = StartDM(target_type=target_type, allow_unencrypted=True)
            self.assertEqual(self.anna.refusal(asked), expected)

    def test_oneself(self) -> None:
        """Nobody talks with oneself, by no name, from no session (decisions 6.1)."""
        again = self.session(self.account(self.anna_id))
        for asked in (to_account(self.anna_id), to_name("Anna"), to_session(self.anna.id), to_session(again.id)):
            self.assertEqual(self.anna.refusal(asked), YOURSELF)
        for asked in (to_name("guest"), to_name("~guest"), to_session(self.guest.id)):
            self.assertEqual(self.guest.refusal(asked), YOURSELF)

    def test_namesakes(self) -> None:
        """Of two guests with one name each reaches the other by it."""
        other = self.connect("guest")
        heard(self.guest)
        self.invite(other, to_name("guest"))
        self.assertEqual(len(only(DMRequest, self.guest)), 1)
        self.invite(self.guest, to_name("~guest"))
        self.assertEqual(len(only(DMRequest, other)), 1)

    def test_nickname_needed(self) -> None:
        """Who has no nickname yet asks nobody, for nobody could tell whom they would talk with."""
        nameless = self.connect()
        code, _ = nameless.refusal(to_account(self.bob_id))
        self.assertEqual(code, ErrorCode.AUTH_REQUIRED)

    def test_every_session_of_the_target(self) -> None:
        """All sessions of an account hear of a request (decisions 6.1, reference W38)."""
        others = [self.session(self.account(self.bob_id)) for _ in range(2)]
        heard(self.bob)
        self.invite(self.anna, to_name("bob"))
        for client in (self.bob, *others):
            self.assertEqual(len(heard(client)), 1)

    def test_again(self) -> None:
        """Asking again repeats DM_PENDING, and does not bother the other again (decisions 6.1)."""
        first = self.anna.one(DMPending, to_name("bob"))
        heard(self.bob)
        other_session = self.session(self.account(self.anna_id))
        for client in (self.anna, self.anna, other_session):
            self.assertEqual(answers(client, to_account(self.bob_id)), [first])
        self.assertEqual(heard(self.bob), [])
        self.assertEqual(len(self.invites(self.bob)), 1)

    def test_both_ask(self) -> None:
        """Two who ask each other both wait, and the first consent settles both (reference 6.1)."""
        self.invite(self.anna, to_name("bob"))
        invite_id = self.invite(self.bob, to_name("anna"))
        self.assertNotEqual(self.anna.one(DMReady, allow(invite_id)).channel_id, 0)
        self.assertEqual(self.invites(self.anna), [])
        self.assertEqual(len(self.conversations(self.anna)), 1)

    def test_guest_asks_an_account(self) -> None:
        """Who has no account reaches one by name, id or session, as long as it is there (reference W37)."""
        for asked in (to_name("bob"), to_account(self.bob_id), to_session(self.bob.id)):
            heard(self.bob)
            pending = self.guest.one(DMPending, asked)
            (request,) = heard(self.bob)
            self.assertEqual((request.from_user_id, request.from_nickname), (None, "guest"))
            self.now(self.storage.remove_invite(pending.dm_channel_id))

    def test_guest_asks_somebody_offline(self) -> None:
        """Who has no account cannot wait for one who is not there, and is told so (reference 6.1)."""
        self.bob.leave()
        expected = (ErrorCode.NOT_FOUND, "Target user must be online for anonymous DMs")
        for asked in (to_name("bob"), to_account(self.bob_id)):
            self.assertEqual(self.guest.refusal(asked), expected)
        self.assertEqual(self.invites(self.guest), [])

    def test_account_asks_somebody_offline(self) -> None:
        """An account's request waits for another account's return (decisions 6.1)."""
        self.bob.leave()
        self.invite(self.anna, to_name("bob"))
        self.assertEqual(len(self.invites(self.anna)), 1)

    def test_guests_among_themselves(self) -> None:
        """Two without accounts talk with each other like anybody (decisions 6.3)."""
        other = self.connect("other")
        channel_id = self.talk(self.guest, other)
        self.assertEqual(self.conversations(self.guest), [channel_id])
        self.assertEqual(self.conversations(other), [channel_id])

    def test_existing(self) -> None:
        """Who talks with somebody already is told where, once more, and the other is not (reference 6.1)."""
        for one, other in ((self.anna, self.bob), (self.guest, self.bob)):
            channel_id = self.talk(one, other)
            for client, whom in ((one, other), (other, one)):
                (ready,) = answers(client, to_session(whom.id, unencrypted=False))
                self.assertEqual(ready, self.ready(channel_id, whom))
                self.assertEqual(heard(whom), [])

    def ready(self, channel_id: int, other: Client, key: bytes | None = None) -> DMReady:
        side = self.side(other)
        return DMReady(
            channel_id=channel_id,
            other_user_id=side.account_id,
            other_nickname=side.nickname,
            is_encrypted=key is not None,
            other_public_key=key,
        )

    def test_existing_with_keys(self) -> None:
        """Whether a conversation is encrypted is decided anew whenever one asks for it (reference 6.1)."""
        channel_id = self.talk(self.anna, self.bob)
        self.give_key(self.anna, ANNAS)
        self.assertEqual(answers(self.anna, to_name("bob")), [self.ready(channel_id, self.bob)])
        self.give_key(self.bob, BOBS)
        self.assertEqual(answers(self.anna, to_name("bob")), [self.ready(channel_id, self.bob, BOBS)])
        self.assertEqual(answers(self.bob, to_name("anna")), [self.ready(channel_id, self.anna, ANNAS)])

    def test_existing_with_somebody_offline(self) -> None:
        """A conversation is found again whoever is away, and under the names of today."""
        channel_id = self.talk(self.anna, self.bob)
        self.now(self.storage.rename_account(self.bob_id, "robert"))
        self.bob.leave()
        (ready,) = answers(self.anna, to_account(self.bob_id))
        self.assertEqual((ready.channel_id, ready.other_nickname), (channel_id, "robert"))

    def test_begun_before_logging_in(self) -> None:
        """A session that logs in keeps the conversation that it began before."""
        channel_id = self.talk(self.guest, self.bob)
        carl = account_of(self.person("carl"))
        self.chat.sessions.log_in(session_of(self.guest), carl)
        (ready,) = answers(self.guest, to_name("bob"))
        self.assertEqual(ready.channel_id, channel_id)

    def test_unreadable(self) -> None:
        """Each message says which one could not be read (reference 6)."""
        for kind, name in (
            (StartDM, "START_DM"),
            (ProvidePublicKey, "PROVIDE_PUBLIC_KEY"),
            (AllowUnencrypted, "ALLOW_UNENCRYPTED"),
            (DeclineDM, "DECLINE_DM"),
        ):
            expected = (ErrorCode.INVALID_FORMAT, f"Invalid {name} format")
            self.assertEqual(self.anna.refusal(Malformed(kind.CODE, kind.NAME, "cut short")), expected)

    def test_too_many(self) -> None:
        """Nobody waits for more than a hundred at once, and nobody is waited for by more."""
        crowd = [self.connect(f"guest{number}") for number in range(101)]
        for client in crowd[:100]:
            self.invite(self.anna, to_session(client.id))
            self.invite(client, to_name("bob"))
        expected = (ErrorCode.RATE_LIMIT_EXCEEDED, "Too many pending DM invites")
        self.assertEqual(self.anna.refusal(to_session(crowd[100].id)), expected)
        self.assertEqual(crowd[100].refusal(to_name("bob")), expected)
        self.assertEqual(len(self.invites(self.anna)), 100)
