"""Leaving direct conversations: for good, by ending a session, by losing an account."""

from __future__ import annotations

from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    ChannelPresence,
    DMParticipantLeft,
    JoinChannel,
    JoinResponse,
    LeaveChannel,
    LeaveResponse,
    ListMessages,
    Logout,
    MessageDeleted,
    NewMessage,
    PostMessage,
    ServerPresence,
    SubscribeChannel,
    SubscribeThread,
)
from tests.chat.conversing import (
    ConversingTestCase,
    answers,
    heard,
    leave_for_good,
    only,
    to_name,
)
from tests.chat.people import session_of
from tests.chat.talk import GENERAL, Client

NOT_JOINED = "Not currently joined to any channel"
ELSEWHERE = "Session is not joined to the requested channel"


class LeavingTests(ConversingTestCase):
    """LEAVE_CHANNEL with ``permanent``."""

    def setUp(self) -> None:
        super().setUp()
        self.channel_id = self.talk(self.anna, self.bob)

    def listen(self, client: Client, channel_id: int) -> None:
        """Join and subscribe, to a thread as well."""
        client.one(JoinResponse, JoinChannel(channel_id=channel_id))
        client.send(SubscribeChannel(channel_id=channel_id))
        client.send(SubscribeThread(thread_id=self.post(client, channel_id=channel_id)))
        self.forget_all()

    def notes(self, client: Client, channel_id: int) -> list[tuple[str, bytes]]:
        """Authors and contents of a conversation, newest first."""
        entries = self.entries(client, ListMessages(channel_id=channel_id, limit=0))
        return [(entry.author_nickname, entry.content) for entry in entries]

    def test_joined(self) -> None:
        """Who leaves for good is confirmed, then seen to go; the other is told, and reads it (reference 6.5)."""
        answers(self.anna, JoinChannel(channel_id=self.channel_id))
        answers(self.bob, SubscribeChannel(channel_id=self.channel_id))
        self.forget_all()
        answer, presence = answers(self.anna, leave_for_good(self.channel_id))
        self.assertEqual(answer, LeaveResponse(success=True, channel_id=self.channel_id, message="Left channel"))
        self.assertIsInstance(presence, ChannelPresence)
        self.assertEqual((presence.channel_id, presence.joined), (self.channel_id, False))
        self.assertIsNone(session_of(self.anna).joined)
        told = DMParticipantLeft(dm_channel_id=self.channel_id, user_id=self.anna_id, nickname="anna")
        self.assertEqual(heard(self.bob), [told])
        self.settle()
        self.assertEqual([event.joined for event in only(ChannelPresence, self.bob)], [False])
        self.assertEqual(self.notes(self.bob, self.channel_id), [("", b"anna has left the conversation")])

    def test_the_one_that_is_joined(self) -> None:
        """Channel 0 is the one that is joined, also to leave it for good (wire 0x06)."""
        answers(self.anna, JoinChannel(channel_id=self.channel_id))
        answer = self.anna.one(LeaveResponse, LeaveChannel(channel_id=0, permanent=True))
        self.assertEqual((answer.success, answer.channel_id), (True, self.channel_id))
        self.assertEqual(self.conversations(self.anna), [])

    def test_not_joined(self) -> None:
        """One need not have joined a conversation to leave it, and stays where one is."""
        answers(self.anna, JoinChannel(channel_id=GENERAL))
        self.forget_all()
        self.assertEqual(
            answers(self.anna, leave_for_good(self.channel_id)),
            [LeaveResponse(success=True, channel_id=self.channel_id, message="Left channel")],
        )
        self.assertEqual(session_of(self.anna).joined, GENERAL)
        self.assertEqual(len(only(DMParticipantLeft, self.bob)), 1)

    def test_gone(self) -> None:
        """Who has left has no way back, and the conversation is unknown to them (decisions 3.2)."""
        answers(self.anna, leave_for_good(self.channel_id))
        self.assertFalse(self.anna.one(JoinResponse, JoinChannel(channel_id=self.channel_id)).success)
        for asked in (
            ListMessages(channel_id=self.channel_id, limit=0),
            PostMessage(channel_id=self.channel_id, content=b"hello"),
            SubscribeChannel(channel_id=self.channel_id),
        ):
            self.assertEqual(self.anna.refusal(asked)[0], ErrorCode.CHANNEL_NOT_FOUND)
        again = self.anna.one(LeaveResponse, leave_for_good(self.channel_id))
        self.assertEqual((again.success, again.message), (False, NOT_JOINED))
        self.assertEqual(self.conversations(self.bob), [self.channel_id])

    def test_hears_nothing_more(self) -> None:
        """After leaving no session of the account hears of the conversation, wherever it listened before."""
        other = self.session(self.account(self.anna_id))
        for client in (self.anna, other):
            self.listen(client, self.channel_id)
        posted = self.post(self.bob, channel_id=self.channel_id)
        self.anna.send(SubscribeThread(thread_id=posted))
        answers(self.anna, leave_for_good(self.channel_id))
        for client in (self.anna, other):
            session = session_of(client)
            self.assertEqual((session.joined, session.channels, session.threads), (None, set(), set()))
        self.settle()
        for client in (self.anna, other):
            heard(client)
        answers(self.bob, PostMessage(channel_id=self.channel_id, content=b"alone"))
        answers(self.bob, JoinChannel(channel_id=self.channel_id))
        self.settle()
        for client in (self.anna, other):
            self.assertEqual(heard(client), [])

    def test_other_sessions_are_seen_to_go(self) -> None:
        """All sessions of the account leave the roster."""
        other = self.session(self.account(self.anna_id))
        for client in (self.anna, other, self.bob):
            answers(client, JoinChannel(channel_id=self.channel_id))
        self.forget_all()
        heard(other)
        answers(self.anna, leave_for_good(self.channel_id))
        self.settle()
        gone = {event.session_id for event in only(ChannelPresence, self.bob) if not event.joined}
        self.assertEqual(gone, {self.anna.id, other.id})
        self.assertEqual([event.session_id for event in only(ChannelPresence, other)], [other.id])

    def test_all_sessions_of_the_other_are_told(self) -> None:
        """Every session of the one who is left is told (reference W38)."""
        other = self.session(self.account(self.bob_id))
        self.forget_all()
        answers(self.anna, leave_for_good(self.channel_id))
        for client in (self.bob, other):
            self.assertEqual(len(only(DMParticipantLeft, client)), 1)

    def test_last_one(self) -> None:
        """When nobody is left the conversation is gone, from memory and disk (reference 6.5)."""
        self.listen(self.bob, self.channel_id)
        [message_id] = session_of(self.bob).threads
        answers(self.anna, leave_for_good(self.channel_id))
        answers(self.bob, leave_for_good(self.channel_id))
        self.assertNotIn(self.channel_id, self.chat.directory)
        self.assertNotIn(self.channel_id, [channel.id for channel in self.now(self.storage.channels())])
        self.assertIsNone(self.now(self.storage.message(message_id)))
        self.assertEqual((self.conversations(self.anna), self.conversations(self.bob)), ([], []))
        session = session_of(self.bob)
        self.assertEqual((session.joined, session.channels, session.threads), (None, set(), set()))

    def test_fresh_one(self) -> None:
        """Asking again after leaving opens another conversation; the old one stays with who is left (decisions 6.4)."""
        self.post(self.bob, channel_id=self.channel_id)
        answers(self.anna, leave_for_good(self.channel_id))
        fresh = self.talk(self.anna, self.bob)
        self.assertNotEqual(fresh, self.channel_id)
        self.assertEqual(self.notes(self.anna, fresh), [])
        self.assertEqual(self.conversations(self.bob), [self.channel_id, fresh])
        self.assertEqual(self.opened(self.bob, to_name("anna")), fresh)

    def test_not_permanent(self) -> None:
        """Leaving for now ends nothing (reference 2.2)."""
        answers(self.anna, JoinChannel(channel_id=self.channel_id))
        answers(self.anna, LeaveChannel(channel_id=self.channel_id))
        self.assertEqual(self.conversations(self.anna), [self.channel_id])
        self.assertEqual(only(DMParticipantLeft, self.bob), [])

    def test_channels_are_not_left_for_good(self) -> None:
        """For a channel ``permanent`` means nothing."""
        for client in (self.anna, self.guest):
            answers(client, JoinChannel(channel_id=GENERAL))
            self.assertEqual(client.one(LeaveResponse, leave_for_good(GENERAL)).message, "Left channel")
            self.assertEqual(client.one(LeaveResponse, leave_for_good(GENERAL)).message, NOT_JOINED)
        self.assertIn(GENERAL, self.chat.directory)

    def test_strangers(self) -> None:
        """Who takes no part in a conversation cannot end it, nor learn of it (decisions 3.2)."""
        for client in (self.guest, self.moderator()):
            for place in (GENERAL, None):
                if place is not None:
                    answers(client, JoinChannel(channel_id=place))
                else:
                    answers(client, LeaveChannel(channel_id=0))
                real = client.one(LeaveResponse, leave_for_good(self.channel_id))
                unknown = client.one(LeaveResponse, leave_for_good(999))
                self.assertEqual((real.success, real.message), (unknown.success, unknown.message))
        self.assertEqual(self.conversations(self.anna), [self.channel_id])

    def test_todays_name(self) -> None:
        """The note and the notice carry the name that the leaver has by then."""
        renamed = self.now(self.storage.rename_account(self.anna_id, "annika"))
        self.chat.sessions.log_in(session_of(self.anna), renamed)
        answers(self.anna, leave_for_good(self.channel_id))
        self.assertEqual([told.nickname for told in only(DMParticipantLeft, self.bob)], ["annika"])
        self.assertEqual(self.notes(self.bob, self.channel_id), [("", b"annika has left the conversation")])

    def test_note_is_not_pushed(self) -> None:
        """The note is found by reading; nobody is sent a NEW_MESSAGE for it (reference 6.5)."""
        self.listen(self.bob, self.channel_id)
        answers(self.anna, leave_for_good(self.channel_id))
        self.assertEqual(only(NewMessage, self.bob), [])

    def test_note_is_nobodys(self) -> None:
        """Nobody can delete the note but those who moderate and take part."""
        answers(self.anna, leave_for_good(self.channel_id))
        (note,) = self.entries(self.bob, ListMessages(channel_id=self.channel_id, limit=0))
        self.assertIsNone(note.author_user_id)
        self.assertEqual(only(MessageDeleted, self.bob), [])


class EndingTests(ConversingTestCase):
    """Sessions and accounts that end."""

    def test_guest_disconnects(self) -> None:
        """A guest that disconnects has left: the other is told after presence, and reads it (decisions 6.4)."""
        channel_id = self.talk(self.guest, self.anna)
        other = self.session(self.account(self.anna_id))
        self.forget_all()
        self.guest.leave()
        events = heard(self.anna)
        told = DMParticipantLeft(dm_channel_id=channel_id, user_id=None, nickname="guest")
        self.assertEqual(events[-1], told)
        self.assertEqual([event.online for event in events[:-1] if isinstance(event, ServerPresence)], [False])
        self.assertEqual(len(only(DMParticipantLeft, other)), 1)
        self.settle()
        self.assertEqual(heard(self.anna), [])
        (note,) = self.entries(self.anna, ListMessages(channel_id=channel_id, limit=0))
        self.assertEqual((note.author_nickname, note.content), ("", b"guest has left the conversation"))
        self.assertEqual(self.conversations(self.anna), [channel_id])

    def test_both_guests_disconnect(self) -> None:
        """When both guests are gone nothing is left."""
        other = self.connect("other")
        channel_id = self.talk(self.guest, other)
        self.guest.leave()
        other.leave()
        self.assertNotIn(channel_id, self.chat.directory)
        self.assertEqual(self.now(self.storage.participants()), [])

    def test_account_disconnects(self) -> None:
        """An account that merely disconnects has left nothing, and nobody is told (decisions 6.4)."""
        channel_id = self.talk(self.anna, self.bob)
        self.anna.leave()
        self.settle()
        self.assertEqual(only(DMParticipantLeft, self.bob), [])
        self.assertEqual(self.entries(self.bob, ListMessages(channel_id=channel_id, limit=0)), ())
        again = self.session(self.account(self.anna_id))
        self.assertEqual(self.opened(again, to_name("bob")), channel_id)

    def test_guest_that_logged_in_disconnects(self) -> None:
        """Who began as a guest leaves when the session ends, whatever it became."""
        self.talk(self.guest, self.anna)
        self.chat.sessions.log_in(session_of(self.guest), self.account(self.bob_id))
        self.guest.leave()
        self.assertEqual(len(only(DMParticipantLeft, self.anna)), 1)

    def test_shutdown(self) -> None:
        """A server that stops tells nobody of leaving; the next start takes out who is gone (decisions 6.1)."""
        with_guest = self.talk(self.guest, self.anna)
        accounts = self.talk(self.anna, self.bob)
        other = self.connect("other")
        guests = self.talk(self.guest, other)
        self.chat.stop()
        self.guest.leave()
        self.assertEqual(only(DMParticipantLeft, self.anna), [])
        self.run_now(self.start_chat())
        anna = self.session(self.account(self.anna_id))
        self.assertEqual(self.conversations(anna), [with_guest, accounts])
        self.assertNotIn(guests, self.chat.directory)
        (note,) = self.entries(anna, ListMessages(channel_id=with_guest, limit=0))
        self.assertEqual(note.content, b"guest has left the conversation")
        self.assertEqual(self.entries(anna, ListMessages(channel_id=accounts, limit=0)), ())
        self.assertEqual(self.opened(anna, to_name("bob")), accounts)
        stranger = self.connect("guest")
        self.assertFalse(stranger.one(JoinResponse, JoinChannel(channel_id=with_guest)).success)

    def test_deleted_account(self) -> None:
        """When an account is deleted its conversations are left, the others told, and empty ones gone."""
        shared = self.talk(self.anna, self.bob)
        alone = self.talk(self.anna, self.guest)
        self.guest.leave()
        anna = self.account(self.anna_id)
        self.now(self.storage.delete_account(anna.id, self.now_ms()))
        self.anna.leave()
        heard(self.bob)
        self.run_now(self.chat.direct.account_deleted(anna))
        told = DMParticipantLeft(dm_channel_id=shared, user_id=self.anna_id, nickname="anna")
        self.assertEqual(only(DMParticipantLeft, self.bob), [told])
        self.assertEqual(self.conversations(self.bob), [shared])
        self.assertNotIn(alone, self.chat.directory)
        self.assertEqual(self.chat.directory.membership.channels(self.side(self.anna)), ())
        (note,) = self.entries(self.bob, ListMessages(channel_id=shared, limit=0))
        self.assertEqual(note.content, b"anna has left the conversation")

    def test_logging_out_of_a_thread(self) -> None:
        """Also who only followed a thread of a conversation hears nothing more of it (decisions 2.4)."""
        channel_id = self.talk(self.anna, self.bob)
        posted = self.post(self.anna, channel_id=channel_id)
        self.anna.send(SubscribeThread(thread_id=posted))
        self.anna.send(Logout())
        self.assertEqual(session_of(self.anna).threads, set())

    def test_both_sides_in_one_session(self) -> None:
        """A session that has become its own counterpart leaves one side, and stays as the other."""
        channel_id = self.talk(self.guest, self.anna)
        self.chat.sessions.log_in(session_of(self.guest), self.account(self.anna_id))
        self.guest.send(JoinChannel(channel_id=channel_id))
        answers(self.guest, leave_for_good(channel_id))
        self.assertEqual(session_of(self.guest).joined, channel_id)
        self.assertEqual(len(self.chat.directory.membership.of(channel_id)), 1)
        answers(self.guest, leave_for_good(channel_id))
        self.assertIsNone(session_of(self.guest).joined)
        self.assertNotIn(channel_id, self.chat.directory)

    def test_storage_fails(self) -> None:
        """When the database fails while somebody goes, the next start sees to it that they are gone (decisions 6.1)."""
        channel_id = self.talk(self.guest, self.anna)
        self.now(self.storage.close())
        self.guest.leave()
        self.now(self.storage.open())
        self.assertEqual(only(DMParticipantLeft, self.anna), [])
        self.chat.stop()
        self.run_now(self.start_chat())
        self.assertEqual([*self.chat.directory.membership.of(channel_id)], [self.side(self.anna)])

    def test_logging_out(self) -> None:
        """Who has logged out hears nothing more of the account's conversations, but keeps its own (decisions 2.4)."""
        channel_id = self.talk(self.anna, self.bob)
        own = self.talk(self.guest, self.bob)
        self.chat.sessions.log_in(session_of(self.guest), self.account(self.anna_id))
        for place in (channel_id, own, GENERAL):
            self.guest.send(SubscribeChannel(channel_id=place))
        self.guest.send(SubscribeThread(thread_id=self.post(self.guest, channel_id=channel_id)))
        self.guest.send(JoinChannel(channel_id=channel_id))
        self.bob.send(JoinChannel(channel_id=channel_id))
        self.forget_all()
        answers(self.guest, Logout())
        session = session_of(self.guest)
        self.assertEqual((session.joined, session.channels, session.threads), (None, {own, GENERAL}, set()))
        self.forget_all()
        answers(self.bob, PostMessage(channel_id=channel_id, content=b"secret"))
        self.assertEqual(heard(self.guest), [])
        answers(self.bob, PostMessage(channel_id=own, content=b"for the guest"))
        self.assertEqual(len(only(NewMessage, self.guest)), 1)


class ContentTests(ConversingTestCase):
    """What is said in conversations."""

    def test_any_bytes(self) -> None:
        """Contents are opaque: what was posted is what is told and read, byte for byte (decisions 4.4)."""
        channel_id = self.talk(self.anna, self.bob)
        self.bob.send(SubscribeChannel(channel_id=channel_id))
        self.forget_all()
        for content in (bytes(range(256)), b"\xff\xfe\x00\x1b[2J", b"\x00", b"\xc3"):
            self.post(self.anna, content, channel_id=channel_id)
            self.assertEqual([message.content for message in only(NewMessage, self.bob)], [content])
            entry, *_ = self.entries(self.anna, ListMessages(channel_id=channel_id, limit=1))
            self.assertEqual(entry.content, content)
