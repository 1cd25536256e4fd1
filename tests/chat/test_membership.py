"""Who takes part in which direct conversation, in memory."""

from __future__ import annotations

from superchat.chat.membership import Membership
from superchat.model import Participant
from tests.chat.people import PeopleTestCase, session_of

ANNA, BOB, CARL = (Participant(number, None, name) for number, name in enumerate(("anna", "bob", "carl"), 1))
GUEST = Participant(None, 1, "guest")
"""Its key is the number of an account."""


class MembershipTests(PeopleTestCase):
    """``Membership``."""

    def setUp(self) -> None:
        super().setUp()
        self.membership = Membership()
        self.membership.add([(10, ANNA), (10, BOB), (11, ANNA), (11, GUEST), (12, CARL)])

    def test_who(self) -> None:
        """Everybody is found by conversation, and every conversation by who takes part in it."""
        self.assertEqual(self.membership.of(10), (ANNA, BOB))
        self.assertEqual(self.membership.of(99), ())
        self.assertEqual(self.membership.channels(ANNA), (10, 11))
        self.assertEqual(self.membership.channels(GUEST), (11,))
        self.assertEqual(self.membership.channels(Participant(9, None, "anna")), ())

    def test_between(self) -> None:
        """Two have the conversation that both take part in; names do not matter, nor does a key that is a number of
        an account."""
        self.assertEqual(self.membership.between(ANNA, BOB), 10)
        self.assertEqual(self.membership.between(BOB, Participant(1, None, "renamed")), 10)
        self.assertEqual(self.membership.between(GUEST, ANNA), 11)
        self.assertIsNone(self.membership.between(GUEST, BOB))
        self.assertIsNone(self.membership.between(CARL, ANNA))

    def test_remove(self) -> None:
        """Who has left is in it no more; the last one takes the conversation along."""
        self.membership.remove(10, Participant(1, None, "renamed"))
        self.assertEqual(self.membership.of(10), (BOB,))
        self.assertEqual(self.membership.channels(ANNA), (11,))
        self.assertIsNone(self.membership.between(ANNA, BOB))
        self.membership.remove(10, BOB)
        self.assertEqual((self.membership.of(10), self.membership.channels(BOB)), ((), ()))

    def test_remove_a_stranger(self) -> None:
        """Whoever is not in it changes nothing by leaving."""
        self.membership.remove(10, CARL)
        self.membership.remove(10, GUEST)
        self.membership.remove(99, ANNA)
        self.assertEqual(self.membership.of(10), (ANNA, BOB))
        self.assertEqual(self.membership.channels(CARL), (12,))

    def test_forget(self) -> None:
        """A conversation that is over is nobody's."""
        self.membership.forget(11)
        self.membership.forget(99)
        self.assertEqual(self.membership.channels(ANNA), (10,))
        self.assertEqual(self.membership.channels(GUEST), ())

    def test_left_alone(self) -> None:
        """It is known in how many conversations somebody is the only one left."""
        self.assertEqual([self.membership.left_alone(each) for each in (ANNA, CARL, GUEST)], [0, 1, 0])
        self.membership.remove(11, GUEST)
        self.assertEqual(self.membership.left_alone(ANNA), 1)

    def test_role(self) -> None:
        """A session takes part as its account, or as itself, also once it has logged in (decisions 3.2)."""
        anna = session_of(self.person("anna"))
        stranger = session_of(self.person("bob"))
        guest = session_of(self.connect("guest"))
        as_account = Participant(anna.account_id, None, "anna")
        as_session = Participant(None, guest.key, "guest")
        self.membership.add([(20, as_account), (20, as_session)])
        self.assertEqual(self.membership.role(anna, 20), as_account)
        self.assertEqual(self.membership.role(guest, 20), as_session)
        assert stranger.account is not None
        self.assertIsNone(self.membership.role(stranger, 20))
        self.assertIsNone(self.membership.role(anna, 99))
        self.chat.sessions.log_in(guest, stranger.account)
        self.assertEqual(self.membership.role(guest, 20), as_session)
        self.chat.sessions.log_out(anna)
        self.assertIsNone(self.membership.role(anna, 20))
