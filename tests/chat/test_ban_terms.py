"""What a request to ban may say; what comes of it is in test_moderation."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.ban_terms import LONGEST_REASON_BYTES, checked_reason, network, until, whom
from superchat.chat.bans import LAST_MOMENT_MS
from superchat.chat.networks import shown
from superchat.errors import Declined

NOW_MS = 1_800_000_000_000


class TermsTests(SynchronousTestCase):
    """Each by itself."""

    def test_whom(self) -> None:
        """A user is named as people see them in lists and logs."""
        self.assertEqual(str(whom(7, None)), "user_id:7")
        self.assertEqual(str(whom(7, "bob")), "bob")
        self.assertEqual(str(whom(None, "$Bob ")), "Bob")

    @given(st.none() | st.integers(0, 2**64 - 1), st.none() | st.text(max_size=30))
    def test_any_name(self, account_id: int | None, nickname: str | None) -> None:
        """Whatever is typed is either refused, or names somebody who may exist."""
        try:
            target = whom(account_id, nickname)
        except Declined:
            return
        if target.nickname is None:
            self.assertIsNotNone(target.account_id)
        else:
            self.assertRegex(target.nickname, r"\A[a-zA-Z0-9_-]{3,20}\Z")

    def test_network(self) -> None:
        """Networks are normalised (decisions 7.1)."""
        self.assertEqual(shown(network(" ::ffff:192.0.2.7/120")), "192.0.2.0/24")

    @given(st.text(max_size=LONGEST_REASON_BYTES + 9))
    def test_any_reason(self, text: str) -> None:
        """A reason that is taken is one line that everybody can read, and no longer than it was."""
        try:
            reason = checked_reason(text)
        except Declined:
            self.assertGreater(len(text.encode()), LONGEST_REASON_BYTES)
            return
        self.assertLessEqual(len(reason.encode()), LONGEST_REASON_BYTES)
        self.assertEqual(len(reason.splitlines()), int(bool(reason)))

    @given(st.integers(1, 2**64 - 1))
    def test_any_duration(self, seconds: int) -> None:
        """Every duration that the wire can say ends at a time that can be stored and told, or never."""
        end = until(NOW_MS, seconds)
        self.assertEqual(end is None, NOW_MS + seconds * 1000 > LAST_MOMENT_MS)
        if end is not None:
            self.assertEqual(end - NOW_MS, seconds * 1000)

    def test_no_duration(self) -> None:
        """Without a duration a ban is for ever; with none at all it makes no sense."""
        self.assertIsNone(until(NOW_MS, None))
        for seconds in (0, -1):
            self.assertRaises(Declined, until, NOW_MS, seconds)
