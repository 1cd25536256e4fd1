"""Stored values keep what people wrote out of logs."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from superchat.model import Message, NewMessage


class MessageTests(SynchronousTestCase):
    """``Message`` and ``NewMessage``."""

    def test_content_is_not_shown(self) -> None:
        """A traceback or debug line with a message in it does not show the message's text."""
        for shown in (
            repr(NewMessage(1, None, "anna", 5, b"secret", 7)),
            repr(Message(9, 1, None, 9, None, "anna", 0, 5, b"secret", 7)),
        ):
            self.assertNotIn("secret", shown)
            self.assertIn("content=<6 bytes>", shown)
