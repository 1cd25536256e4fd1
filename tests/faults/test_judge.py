"""The judge of databases after a fault sees what is wrong, and only that."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.beginnings import seeds
from superchat.config import Config
from superchat.ids import EPOCH_MS, Snowflakes
from superchat.model import Message, NewAct, NewBan, NewMessage
from superchat.storage.connections import connect
from superchat.storage.moderation.writes import add_ban
from superchat.storage.writes import append_messages, delete_message, edit_message, seed_channels
from superchat.wire.messages import NewMessage as Told
from tests.e2e.phrases import TECH
from tests.faults.cast import admit
from tests.faults.judge import Judge, is_possible_history, possible
from tests.faults.ledger import ABSENT, Claim, Ledger, Post
from tests.faults.residents import RESIDENTS
from tests.faults.subjects import NicknameBan, Password, Terms, Text

NOW_MS: Final = EPOCH_MS + 10**9


class JudgeTests(SynchronousTestCase):
    """A database as its clients were told: a message, an answer that was edited, one that was deleted, and a ban."""

    def setUp(self) -> None:
        self.now = 0.0
        self.database = Path(self.mktemp()).absolute() / "superchat.db"
        self.ledger = Ledger(self.clock)
        admit(self.database, self.ledger)
        self.change(lambda connection: seed_channels(seeds(Config()), NOW_MS, connection))
        self.ids = Snowflakes()
        self.root, self.root_id = self.post(b"root", None)
        _, self.edited_id = self.post(b"first words", self.root_id)
        _, self.deleted_id = self.post(b"hasty words", self.root_id)
        edit = self.ledger.ask(Text(self.edited_id), b"better words")
        self.change(
            lambda connection: edit_message(self.edited_id, b"better words", NOW_MS, "~guest", None, connection)
        )
        self.ledger.tell(edit, (NOW_MS, b"better words"))
        self.deletion = self.ledger.ask(Text(self.deleted_id), ABSENT)
        self.change(
            lambda connection: delete_message(self.deleted_id, b"[deleted]", NOW_MS, "~guest", None, connection)
        )
        self.ledger.tell(self.deletion, (NOW_MS, b"[deleted]"))

    def clock(self) -> float:
        """Time goes on whenever somebody looks."""
        self.now += 1.0
        return self.now

    def change(self, act: Callable[[sqlite3.Connection], Any]) -> Any:
        """Do something to the database."""
        with closing(connect(self.database)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            result = act(connection)
            connection.execute("COMMIT")
            return result

    def spoil(self, statement: str) -> None:
        """Change what no server would."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute(statement)

    def post(self, content: bytes, parent_id: int | None) -> tuple[Post, int]:
        """Post a message, and be told so."""
        post = self.ledger.ask_post(1, "guest", None, TECH, parent_id, content)
        new = NewMessage(TECH, parent_id, "guest", 1, content, NOW_MS)
        (message,) = self.change(lambda connection: append_messages(self.ids, [new], connection))
        assert isinstance(message, Message)
        self.ledger.tell_post(post, message.id)
        return post, message.id

    def told(self, message_id: int, content: bytes) -> Told:
        """What a listener was sent of a root."""
        return Told(
            message_id=message_id,
            channel_id=TECH,
            author_nickname="~guest",
            content=content,
            created_at=NOW_MS,
            reply_count=0,
        )

    def complaints(self, ledger: Ledger | None = None) -> str:
        """What the judge has to say."""
        return "\n".join(Judge().complaints(self.database, ledger or self.ledger))

    def test_nothing_wrong(self) -> None:
        """There is nothing to say of a database that is as it was told."""
        self.ledger.hear(2, self.told(self.root_id, b"root"))
        self.assertEqual(self.complaints(), "")

    def test_lost_message(self) -> None:
        """An acknowledged message that is not there is noticed, and one that only others were told of."""
        lost = self.ledger.ask_post(1, "guest", None, TECH, None, b"lost")
        self.ledger.hear(2, self.told(self.root_id + 70, b"lost too"))
        self.ledger.tell_post(lost, self.root_id + 60)
        self.assertIn(f"message {self.root_id + 60} of guest was acknowledged and is lost", self.complaints())
        self.assertIn(f"message {self.root_id + 70} was told to others and is lost", self.complaints())

    def test_not_acknowledged(self) -> None:
        """What was asked for and not answered may be there or not."""
        self.ledger.ask_post(1, "guest", None, TECH, None, b"on its way")
        self.ledger.ask(Text(self.root_id), b"never arrived")
        self.assertEqual(self.complaints(), "")
        self.spoil(f"UPDATE message SET content = CAST('foreign' AS BLOB) WHERE id = {self.root_id}")
        self.assertIn("nobody said what message", self.complaints())

    def test_stored_twice(self) -> None:
        """A message that is there twice is noticed."""
        new = NewMessage(TECH, None, "guest", 1, b"root", NOW_MS)
        self.change(lambda connection: append_messages(self.ids, [new], connection))
        self.assertIn("is stored twice", self.complaints())

    def test_edit_lost(self) -> None:
        """An acknowledged edit that is undone is noticed, and one whose former text is gone."""
        for statement in (
            f"UPDATE message SET content = CAST('first words' AS BLOB), edited_at = NULL WHERE id = {self.edited_id}",
            f"UPDATE message SET content = CAST('better words' AS BLOB) WHERE id = {self.edited_id}",
            f"DELETE FROM message_version WHERE message_id = {self.edited_id}",
        ):
            self.spoil(statement)
        self.assertIn(f"message {self.edited_id} has the history (b'better words',)", self.complaints())

    def test_edit_time(self) -> None:
        """The time of an edit is the one that was told."""
        self.spoil(f"UPDATE message SET edited_at = 7 WHERE id = {self.edited_id}")
        self.assertIn(f"message {self.edited_id} was told to be", self.complaints())

    def test_deletion_lost(self) -> None:
        """An acknowledged deletion that is undone is noticed, unless it was not acknowledged yet at that moment."""
        before = self.ledger.as_of(self.deletion.told_at - 1)
        self.spoil(
            f"UPDATE message SET content = CAST('hasty words' AS BLOB), deleted_at = NULL WHERE id = {self.deleted_id}"
        )
        self.spoil(f"DELETE FROM message_version WHERE message_id = {self.deleted_id}")
        self.spoil(f"UPDATE message SET reply_count = 2 WHERE id = {self.root_id}")
        self.assertIn(f"message {self.deleted_id} has the history (b'hasty words',)", self.complaints())
        self.assertEqual(self.complaints(before), "")

    def test_reply_count(self) -> None:
        """A wrong number of replies is noticed."""
        self.spoil(f"UPDATE message SET reply_count = 2 WHERE id = {self.root_id}")
        self.assertIn(f"message {self.root_id} has 1 replies and counts 2", self.complaints())

    def test_order(self) -> None:
        """Ids that do not ascend as messages were asked for are noticed, on one connection and over all."""
        self.root.message_id, self.root.line = self.root_id + 100, 1
        found = self.complaints()
        self.assertIn(f"was asked for after {self.root_id + 100} on the same connection", found)
        self.assertIn(f"was asked for when {self.root_id + 100} had been acknowledged", found)

    def test_order_told(self) -> None:
        """Listeners who are told messages in another order than that of the ids are noticed."""
        _, later_id = self.post(b"later", None)
        self.ledger.hear(2, self.told(later_id, b"later"))
        self.ledger.hear(2, self.told(self.root_id, b"root"))
        self.assertIn(f"message {self.root_id} was told after {later_id}", self.complaints())

    def test_accounts(self) -> None:
        """An account that is lost is noticed, one with another password, and one that nobody registered."""
        self.ledger.tell(self.ledger.ask(Password("lost"), "l" * 43))
        self.ledger.tell(self.ledger.ask(Password(RESIDENTS[0]), "n" * 43))
        del self.ledger.claims[Password(RESIDENTS[1])]
        found = self.complaints()
        self.assertIn("the account lost is lost", found)
        self.assertIn(f"the password of {RESIDENTS[0]} is not what it was last set to", found)
        self.assertIn(f"nobody registered ['{RESIDENTS[1]}']", found)

    def test_bans(self) -> None:
        """A ban that is lost is noticed, one with other terms, and one that nobody asked for."""
        new = NewBan("user", None, "troll", None, "noise", False, NOW_MS, None, "keeper")
        act = NewAct("keeper", None, "local", "ban_user", "user", None, "troll", "", NOW_MS)
        self.change(lambda connection: add_ban(new, act, connection))
        self.assertIn("nobody asked for NicknameBan(nickname='troll')", self.complaints())
        self.ledger.tell(self.ledger.ask(NicknameBan("troll"), Terms("noise", True, "keeper")))
        self.ledger.tell(self.ledger.ask(NicknameBan("lost"), Terms("noise", True, "keeper")))
        found = self.complaints()
        self.assertIn("NicknameBan(nickname='troll') is Terms(reason='noise', shadowban=False", found)
        self.assertIn("NicknameBan(nickname='lost') is not there", found)
        self.assertIn("ban_user of lost was done 1 to 1 times, and noted 0 times", found)

    def test_unreadable(self) -> None:
        """A file that is no database is one complaint, not an error."""
        self.database.write_bytes(b"no database" * 1000)
        self.assertIn("cannot be read", self.complaints())


class ClaimTests(SynchronousTestCase):
    """What a subject may be, by what was asked for and told."""

    def test_possible(self) -> None:
        """A subject is what was acknowledged last, or any of what was asked for after it."""
        told, asked = Claim("told", 1.0), Claim("asked")
        self.assertEqual(possible([]), [ABSENT])
        self.assertEqual(possible([asked]), [ABSENT, "asked"])
        self.assertEqual(possible([asked, told]), ["told"])
        self.assertEqual(possible([told, asked]), ["told", "asked"])

    def test_history(self) -> None:
        """A history has all that was acknowledged, in its order; the rest may be missing."""
        claims = [Claim("first", 1.0), Claim("lost"), Claim("second", 2.0), Claim("last")]
        right: tuple[tuple[str, ...], ...] = (("first", "second"), ("first", "lost", "second", "last"))
        wrong = (("first",), ("second", "first"), ("first", "second", "lost"), ("first", "second", "other"))
        for history in right:
            self.assertTrue(is_possible_history(history, claims), history)
        for history in wrong:
            self.assertFalse(is_possible_history(history, claims), history)
