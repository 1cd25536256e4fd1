"""Tests for `superchat.chat.editing`: who may change and take back what, and who hears of it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail

from superchat.model import UserFlags
from superchat.storage.errors import AlreadyDeleted, UnknownMessage
from superchat.storage.memory import MemoryStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    DeleteMessage,
    EditMessage,
    JoinChannel,
    ListMessages,
    MessageDeleted,
    MessageEdited,
    NewMessage,
    SetNickname,
    SubscribeChannel,
    SubscribeThread,
)
from superchat.wire.records import Message as WireMessage
from tests.chat.people import PeopleTestCase, account_of, session_of
from tests.chat.slow_look_ups import SlowLookUps
from tests.chat.talk import GENERAL, Client

UNKNOWN = (ErrorCode.MESSAGE_NOT_FOUND, "Message not found")


def edit(message_id: int, content: bytes = b"other text") -> EditMessage:
    """Put another text in place of a message's."""
    return EditMessage(message_id=message_id, new_content=content)


class EditTests(PeopleTestCase):
    """EDIT_MESSAGE."""

    def setUp(self) -> None:
        super().setUp()
        self.anna, self.bob, self.mod = self.person("anna"), self.person("bob"), self.moderator()
        self.root = self.post(self.anna, b"frist")

    def texts(self) -> list[tuple[bytes, int | None]]:
        """The roots as anybody reads them, and when they were edited."""
        entries = self.entries(self.bob, ListMessages(channel_id=GENERAL, limit=0))
        return [(entry.content, entry.edited_at) for entry in entries]

    def test_answer(self) -> None:
        """The editor is answered with MESSAGE_EDITED, once even if subscribed, and lists show it (4.8, W36)."""
        self.anna.send(JoinChannel(channel_id=GENERAL))
        self.anna.send(SubscribeChannel(channel_id=GENERAL))
        self.settle()
        now = self.now_ms()
        self.assertEqual(
            self.anna.ask(edit(self.root, b"first")),
            [MessageEdited(success=True, message_id=self.root, edited_at=now, new_content=b"first", message="")],
        )
        self.assertEqual(self.texts(), [(b"first", now)])

    def test_any_session_of_the_author(self) -> None:
        """The author's account edits, whichever of its sessions posted (decisions 3.3)."""
        again = self.session(account_of(self.anna))
        self.anna.leave()
        self.assertTrue(again.one(MessageEdited, edit(self.root)).success)

    def test_moderators(self) -> None:
        """Moderators and admins edit what others wrote, anonymous messages too, and it is recorded (3.3, 7.3)."""
        anonymous = self.post(self.connect("guest"))
        admin = self.person("root", UserFlags.ADMIN)
        self.assertTrue(self.mod.one(MessageEdited, edit(self.root)).success)
        self.assertTrue(admin.one(MessageEdited, edit(anonymous)).success)
        by_admin, by_mod = self.acts()
        self.assertEqual(
            (by_mod.action, by_mod.actor, by_mod.actor_id, by_mod.address, by_mod.target_type, by_mod.target_id),
            ("edit_message", "mod", account_of(self.mod).id, "192.0.2.1", "message", self.root),
        )
        self.assertEqual((by_mod.target, by_admin.target), ("anna", "~guest"))
        self.assertEqual(by_mod.performed_at, self.now_ms())

    def test_own_edits_are_not_recorded(self) -> None:
        """Nobody has to answer for changing one's own words, moderators included."""
        self.anna.send(edit(self.root))
        self.mod.send(edit(self.post(self.mod)))
        self.assertEqual(self.acts(), [])

    def test_refusals(self) -> None:
        """In the reference's order: account, length, existence, rights, deleted (reference 2.3, W35)."""
        guest = self.connect("guest")
        anonymous = self.post(guest)
        deleted = self.post(self.anna)
        self.anna.send(DeleteMessage(message_id=deleted))
        no_account = (ErrorCode.AUTH_REQUIRED, "Authentication required. Register to edit messages.")
        too_long = (ErrorCode.MESSAGE_TOO_LONG, "Message too long (max 4096 bytes)")
        not_mine = (ErrorCode.PERMISSION_DENIED, "You can only edit your own messages")
        for client, message, refusal in (
            (guest, edit(anonymous), no_account),
            (guest, edit(1, b""), no_account),
            (self.connect(), edit(self.root), no_account),
            (self.bob, edit(1, b""), (ErrorCode.INVALID_INPUT, "Message must not be empty")),
            (self.bob, edit(1, b"x" * 4097), too_long),
            (self.bob, edit(1), UNKNOWN),
            (self.bob, edit(2**64 - 1), UNKNOWN),
            (self.bob, edit(anonymous), (ErrorCode.PERMISSION_DENIED, "Cannot edit anonymous messages")),
            (self.bob, edit(self.root), not_mine),
            (self.bob, edit(deleted), not_mine),
            (self.anna, edit(deleted), (ErrorCode.INVALID_INPUT, "Cannot edit deleted message")),
            (self.mod, edit(deleted), (ErrorCode.INVALID_INPUT, "Cannot edit deleted message")),
            (self.anna, edit(self.root, b"\xff"), (ErrorCode.INVALID_INPUT, "Message is not valid UTF-8")),
            (self.anna, edit(self.root, b"\x1b"), (ErrorCode.INVALID_INPUT, "Message must not be empty")),
        ):
            self.assertEqual(client.refusal(message), refusal, message)
        self.assertEqual(self.texts(), [(b"hello", None), (b"frist", None)])
        self.assertEqual(self.acts(), [])

    def test_anonymous_author_who_registers(self) -> None:
        """Whoever posted before registering is anonymous in that message, and cannot edit it (reference 2.3)."""
        guest = self.connect("guest")
        message = self.post(guest)
        self.chat.sessions.log_in(session_of(guest), account_of(self.bob))
        self.assertEqual(guest.refusal(edit(message))[0], ErrorCode.PERMISSION_DENIED)

    def test_cleaned(self) -> None:
        """An edit is cleaned as a post is (decisions 4.4)."""
        edited = self.anna.one(MessageEdited, edit(self.root, b"\x1b[1mhi\r\n\tthere"))
        self.assertEqual(edited.new_content, b"[1mhi\n\tthere")

    def test_log_line(self) -> None:
        """The log tells who did it, never what was written (monitoring guide)."""
        self.mod.send(edit(self.root, b"a secret"))
        (line,) = [line for line in self.log_lines() if "EDIT_MESSAGE" in line]
        self.assertTrue(line.startswith("@mod EDIT_MESSAGE"), line)
        self.assertNotIn("secret", line)


class TellingTests(PeopleTestCase):
    """Who hears of edits and deletions (decisions 4.8)."""

    def setUp(self) -> None:
        super().setUp()
        self.anna = self.person("anna")
        self.root = self.post(self.anna)
        self.everything, self.member, self.thread, self.stranger = (self.connect() for _ in range(4))
        for client in (self.everything, self.member):
            client.send(JoinChannel(channel_id=GENERAL))
        self.everything.send(SubscribeChannel(channel_id=GENERAL))
        for client in (self.everything, self.thread):
            client.send(SubscribeThread(thread_id=self.root))
        self.settle()
        self.reply = self.post(self.anna, parent_id=self.root)
        self.listeners = (self.everything, self.member, self.thread, self.stranger)
        for client in self.listeners:
            client.received()

    def heard(self) -> list[list[type]]:
        return [[type(event) for event in client.received()] for client in self.listeners]

    def test_each_once(self) -> None:
        """Joined, subscribed to the channel, subscribed to the thread: everyone once, nobody else."""
        for act, notice in (
            (edit(self.reply), MessageEdited),
            (DeleteMessage(message_id=self.reply), MessageDeleted),
            (edit(self.root), MessageEdited),
            (DeleteMessage(message_id=self.root), MessageDeleted),
        ):
            self.assertEqual([type(event) for event in self.anna.ask(act)], [notice])
            self.assertEqual(self.heard(), [[notice], [notice], [notice], []])

    def test_same_as_the_answer(self) -> None:
        """Everybody is told the same."""
        answer = self.anna.one(MessageEdited, edit(self.reply))
        self.assertEqual(self.thread.received(), [answer])

    def test_shadowbanned_author(self) -> None:
        """Of a shadowbanned author's edits and deletions only the author and moderators hear (decisions 7.2)."""
        mod, again = self.moderator(), self.session(account_of(self.anna))
        for client in (mod, again):
            client.send(SubscribeChannel(channel_id=GENERAL))
        self.settle()
        mod.received(), again.received()
        self.shadowban(account_id=account_of(self.anna).id)
        for act, notice in ((edit(self.reply), MessageEdited), (DeleteMessage(message_id=self.reply), MessageDeleted)):
            self.assertEqual([type(event) for event in self.anna.ask(act)], [notice])
            self.assertEqual(self.heard(), [[], [], [], []])
            self.assertEqual([type(event) for event in (*mod.received(), *again.received())], [notice, notice])

    def test_deleted_and_shadowbanned_author(self) -> None:
        """So it is when the author's account is no more, though its messages look anonymous (decisions 7.2)."""
        account = account_of(self.anna)
        self.shadowban(account_id=account.id)
        self.now(self.storage.delete_account(account.id, self.now_ms()))
        self.anna.leave()
        self.settle()
        self.heard()
        mod = self.moderator()
        self.settle()
        self.heard()
        self.assertTrue(mod.one(MessageDeleted, DeleteMessage(message_id=self.reply)).success)
        self.assertEqual(self.heard(), [[], [], [], []])


class DeleteTests(PeopleTestCase):
    """DELETE_MESSAGE."""

    def test_tombstone_text(self) -> None:
        """The actor gets the replacement text, with its name, once (decisions 4.7, W26, W36)."""
        alice = self.connect("alice")
        alice.send(SubscribeChannel(channel_id=GENERAL))
        message = self.post(alice)
        self.assertEqual(
            alice.ask(DeleteMessage(message_id=message)),
            [
                MessageDeleted(
                    success=True,
                    message_id=message,
                    deleted_at=self.now_ms(),
                    message=b"[deleted by ~alice]",
                )
            ],
        )

    def test_names(self) -> None:
        """The replacement names who deleted as everybody sees them, with what their rights put before (4.7)."""
        guest = self.connect("guest")
        for client, text in (
            (self.person("anna"), b"[deleted by anna]"),
            (self.moderator(), b"[deleted by @mod]"),
            (self.person("root", UserFlags.ADMIN), b"[deleted by $root]"),
            (guest, b"[deleted by ~guest]"),
        ):
            deleted = client.one(MessageDeleted, DeleteMessage(message_id=self.post(client)))
            self.assertEqual(deleted.message, text)

    def test_others(self) -> None:
        """Moderators and admins delete anybody's messages, and it is recorded without the text (3.3, 7.3)."""
        anna, guest = self.person("anna"), self.connect("guest")
        first, second = self.post(anna, b"a secret"), self.post(guest)
        mod, admin = self.moderator(), self.person("root", UserFlags.ADMIN)
        self.assertTrue(mod.one(MessageDeleted, DeleteMessage(message_id=first)).success)
        self.assertTrue(admin.one(MessageDeleted, DeleteMessage(message_id=second)).success)
        recorded = [(act.action, act.actor, act.target, act.target_id) for act in self.acts()]
        self.assertEqual(
            recorded, [("delete_message", "root", "~guest", second), ("delete_message", "mod", "anna", first)]
        )
        self.assertNotIn("secret", repr(self.acts()))

    def test_own_are_not_recorded(self) -> None:
        """Taking back one's own words is nobody's business: as an account, or as the session that posted."""
        anna, guest = self.person("anna"), self.connect("guest")
        for client in (anna, guest):
            client.send(DeleteMessage(message_id=self.post(client)))
        self.assertEqual(self.acts(), [])

    def test_other_session_of_the_account(self) -> None:
        """An account deletes what any of its sessions posted (decisions 3.3)."""
        anna = self.person("anna")
        message = self.post(anna)
        again = self.session(account_of(anna))
        anna.leave()
        self.assertTrue(again.one(MessageDeleted, DeleteMessage(message_id=message)).success)

    def test_refusals(self) -> None:
        """No nickname 6004, unknown 4002, somebody else's 3000 (W2), twice 6000 (decisions 3.3, W35)."""
        alice, namesake = self.connect("alice"), self.connect("alice")
        message, account_s = self.post(alice), self.post(self.person("anna"))
        self.assertEqual(
            self.connect().refusal(DeleteMessage(message_id=message)),
            (ErrorCode.NICKNAME_REQUIRED, "Nickname required. Use SET_NICKNAME first."),
        )
        for message_id in (1, 2**64 - 1):
            self.assertEqual(alice.refusal(DeleteMessage(message_id=message_id)), UNKNOWN)
        for client, message_id in ((namesake, message), (self.person("bob"), message), (alice, account_s)):
            self.assertEqual(
                client.refusal(DeleteMessage(message_id=message_id)),
                (ErrorCode.PERMISSION_DENIED, "You can only delete your own messages"),
            )
        alice.send(DeleteMessage(message_id=message))
        self.assertEqual(namesake.refusal(DeleteMessage(message_id=message))[0], ErrorCode.PERMISSION_DENIED)
        self.assertEqual(
            alice.refusal(DeleteMessage(message_id=message)),
            (ErrorCode.INVALID_INPUT, "Message is already deleted"),
        )

    def test_later_session(self) -> None:
        """Whoever reconnects is somebody else; session ids of another run prove nothing."""
        alice = self.connect("alice")
        message = self.post(alice)
        alice.leave()
        code, _ = self.connect("alice").refusal(DeleteMessage(message_id=message))
        self.assertEqual(code, ErrorCode.PERMISSION_DENIED)

    def test_after_rename(self) -> None:
        """The session that posted may delete after a rename; the tombstone shows who did it."""
        alice = self.connect("alice")
        message = self.post(alice)
        alice.send(SetNickname(nickname="alicia"))
        deleted = alice.one(MessageDeleted, DeleteMessage(message_id=message))
        self.assertEqual(deleted.message, b"[deleted by ~alicia]")

    def test_rights_end(self) -> None:
        """Who is no moderator any more deletes nothing of others any more (decisions 2.4)."""
        mod, guest = self.moderator(), self.connect("guest")
        message = self.post(guest)
        account = self.now(self.storage.set_flags(account_of(mod).id, 0))
        self.chat.sessions.refresh(account)
        self.assertEqual(mod.refusal(DeleteMessage(message_id=message))[0], ErrorCode.PERMISSION_DENIED)


class DirectTests(PeopleTestCase):
    """Messages of direct conversations (decisions 3.2)."""

    def setUp(self) -> None:
        super().setUp()
        self.anna, self.bob, self.mod = self.person("anna"), self.person("bob"), self.moderator()
        self.talk = self.conversation(self.anna, self.bob)
        self.message = self.post(self.anna, b"\xff\x00", channel_id=self.talk)

    def test_strangers(self) -> None:
        """To others they do not exist, moderators and admins included (decisions 3.2, W3)."""
        admin = self.person("root", UserFlags.ADMIN)
        for client in (self.mod, admin):
            self.assertEqual(client.refusal(edit(self.message)), UNKNOWN)
            self.assertEqual(client.refusal(DeleteMessage(message_id=self.message)), UNKNOWN)

    def test_participants(self) -> None:
        """Both sides hear of it, and only the author may change what is said; bytes stay as they are (4.4)."""
        self.bob.send(SubscribeChannel(channel_id=self.talk))
        self.bob.received()
        self.assertEqual(self.bob.refusal(edit(self.message))[0], ErrorCode.PERMISSION_DENIED)
        cipher = bytes(range(256))
        self.assertEqual(self.anna.one(MessageEdited, edit(self.message, cipher)).new_content, cipher)
        (edited,) = self.bob.received()
        assert isinstance(edited, MessageEdited)
        self.assertEqual(edited.new_content, cipher)
        self.anna.send(DeleteMessage(message_id=self.message))
        self.assertEqual([type(event) for event in self.bob.received()], [MessageDeleted])

    def test_who_has_left(self) -> None:
        """Who takes no part any more hears nothing, even if something still has them on its list (decisions 3.2)."""
        self.bob.send(SubscribeChannel(channel_id=self.talk))
        self.bob.received()
        membership = self.chat.directory.membership
        role = membership.role(session_of(self.bob), self.talk)
        assert role is not None
        membership.remove(self.talk, role)
        self.post(self.anna, channel_id=self.talk)
        self.anna.send(edit(self.message))
        self.assertEqual([event for event in self.bob.received() if isinstance(event, NewMessage | MessageEdited)], [])


class ForgetfulStorage(MemoryStorage):
    """Loses a message between two questions, as retention or somebody else may."""

    error: Exception = UnknownMessage("there is no such message")

    def delete_message(self, *arguments: Any) -> Deferred[Any]:
        return fail(self.error)

    def edit_message(self, *arguments: Any) -> Deferred[Any]:
        return fail(self.error)


class MeanwhileTests(PeopleTestCase):
    """Messages that go while they are being changed."""

    storage: ForgetfulStorage

    def make_storage(self) -> MemoryStorage:
        return ForgetfulStorage()

    def test_gone(self) -> None:
        """A message that is gone by then is unknown: ERROR 4002 (decisions 4.11)."""
        anna = self.person("anna")
        message = self.post(anna)
        for act in (edit(message), DeleteMessage(message_id=message)):
            self.assertEqual(anna.refusal(act), UNKNOWN)

    def test_deleted(self) -> None:
        """One that somebody else has deleted by then is deleted: ERROR 6000."""
        anna = self.person("anna")
        message = self.post(anna)
        self.storage.error = AlreadyDeleted("deleted")
        expected: tuple[tuple[WireMessage, str], ...] = (
            (edit(message), "Cannot edit deleted message"),
            (DeleteMessage(message_id=message), "Message is already deleted"),
        )
        for act, text in expected:
            self.assertEqual(anna.refusal(act), (ErrorCode.INVALID_INPUT, text))


class LeavesMeanwhileTests(PeopleTestCase):
    """Somebody who goes before the change is made."""

    storage: SlowLookUps

    def make_storage(self) -> MemoryStorage:
        return SlowLookUps()

    def leave_during(self, client: Client, act: WireMessage) -> None:
        client.send(act)
        client.leave()
        self.storage.answers.pop().callback(None)

    def test_nothing_changed(self) -> None:
        """What somebody asked for who has gone since is not done, and nobody is told."""
        anna, reader = self.person("anna"), self.connect()
        reader.send(SubscribeChannel(channel_id=GENERAL))
        message = self.post(anna)
        self.settle()
        for client in (anna, self.session(account_of(anna))):
            act = edit(message) if client is anna else DeleteMessage(message_id=message)
            reader.received()
            self.leave_during(client, act)
            self.assertEqual([e for e in reader.received() if isinstance(e, MessageEdited | MessageDeleted)], [])
        (entry,) = self.entries(reader, ListMessages(channel_id=GENERAL, limit=0))
        self.assertEqual((entry.content, entry.edited_at), (b"hello", None))
