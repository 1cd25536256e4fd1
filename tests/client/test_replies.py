"""Which message answers which request."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from superchat.client.errors import ClientError, ConnectionClosed, NoReply, ServerRefused
from superchat.client.replies import REPLIES, Exchanges, answers
from superchat.wire import messages as wire
from superchat.wire.messages import BY_CODE
from superchat.wire.records import Sender

CREATE = wire.CreateChannel(name="news", display_name="News", channel_type=1, retention_hours=168)
DELETE = wire.DeleteMessage(message_id=7)
REFUSAL = wire.Error(error_code=4001, message="Channel not found")
PING = wire.Ping(timestamp=1)
PONG = wire.Pong(client_timestamp=1)
USERS = wire.ListUsers(limit=0)


def created(name: str, text: str) -> wire.ChannelCreated:
    return wire.ChannelCreated(
        success=True, channel_id=9, name=name, description="", type=1, retention_hours=168, message=text
    )


class TableTests(SynchronousTestCase):
    """The table covers the protocol."""

    def test_every_request_has_its_replies(self) -> None:
        """Every message of a client can be requested, but for the five that have no reply (wire 6)."""
        from_client = {each for each in BY_CODE.values() if each.SENDER is Sender.CLIENT}
        silent = {wire.Logout, wire.UpdateReadState, wire.ProvidePublicKey, wire.DeclineDM}
        self.assertEqual(from_client - set(REPLIES), silent)
        self.assertNotIn(wire.Disconnect, REPLIES)

    def test_replies_come_from_servers(self) -> None:
        """No reply is a message that only clients send."""
        for replies in REPLIES.values():
            for reply in replies:
                self.assertIsNot(reply.SENDER, Sender.CLIENT)


class AnswersTests(SynchronousTestCase):
    """A message that others caused is never taken for a reply."""

    def test_error_answers_everything(self) -> None:
        """ERROR is the reply to whatever was asked."""
        self.assertTrue(answers(USERS, REFUSAL))
        self.assertTrue(answers(DELETE, REFUSAL))

    def test_ping_is_never_refused(self) -> None:
        """An ERROR while only a PING waits belongs to something that has no reply."""
        self.assertFalse(answers(PING, REFUSAL))

    def test_flood_warning_answers_nothing(self) -> None:
        """ERROR 5000 comes beside the replies (decisions 1.9)."""
        self.assertFalse(answers(USERS, wire.Error(error_code=5000, message="slow down")))

    def test_channel_of_somebody_else(self) -> None:
        """CHANNEL_CREATED of another name, or in the broadcast's words, is not one's own (reference 2.2)."""
        own = created("news", "Channel 'News' created successfully")
        self.assertTrue(answers(CREATE, own))
        self.assertFalse(answers(CREATE, created("other", "New channel 'Other' created")))
        self.assertFalse(answers(CREATE, created("news", "New channel 'News' created")))

    def test_refused_channel(self) -> None:
        """CHANNEL_CREATED success=false is never a broadcast."""
        self.assertTrue(answers(CREATE, wire.ChannelCreated(success=False, message="no")))

    def test_subchannel_of_somebody_else(self) -> None:
        """SUBCHANNEL_CREATED is told apart by parent and name."""
        request = wire.CreateSubchannel(channel_id=1, name="sub", description="", type=0, retention_hours=1)

        def reply(parent: int) -> wire.SubchannelCreated:
            return wire.SubchannelCreated(
                success=True,
                channel_id=parent,
                subchannel_id=5,
                name="sub",
                description="",
                type=0,
                retention_hours=1,
                message="",
            )

        self.assertTrue(answers(request, reply(1)))
        self.assertFalse(answers(request, reply(2)))

    def test_deletion_of_another_message(self) -> None:
        """MESSAGE_DELETED is told apart by the message's id."""

        def deleted(message_id: int) -> wire.MessageDeleted:
            return wire.MessageDeleted(success=True, message_id=message_id, deleted_at=1, message=b"")

        self.assertTrue(answers(DELETE, deleted(7)))
        self.assertFalse(answers(DELETE, deleted(8)))

    def test_deletion_of_another_channel(self) -> None:
        """CHANNEL_DELETED is told apart by the id, which is 0 when rights are missing (wire 0xAA)."""
        request = wire.DeleteChannel(channel_id=3, reason="")
        self.assertTrue(answers(request, wire.ChannelDeleted(success=True, channel_id=3, message="")))
        self.assertFalse(answers(request, wire.ChannelDeleted(success=True, channel_id=4, message="")))
        self.assertTrue(answers(request, wire.ChannelDeleted(success=False, channel_id=0, message="no")))

    def test_unasked_user_info(self) -> None:
        """USER_INFO after SET_NICKNAME does not answer a question about somebody else."""
        request = wire.GetUserInfo(nickname="bob")
        self.assertTrue(answers(request, wire.UserInfo(nickname="bob", is_registered=False, online=True)))
        self.assertFalse(answers(request, wire.UserInfo(nickname="alice", is_registered=True, online=True)))

    def test_conversation_with_somebody_else(self) -> None:
        """DM_READY answers START_DM when it names the one asked for, with or without ``~``, in any case."""
        request = wire.StartDM(target_type=1, target_nickname="~Bob", allow_unencrypted=True)

        def ready(name: str) -> wire.DMReady:
            return wire.DMReady(channel_id=1, other_nickname=name, is_encrypted=False)

        self.assertTrue(answers(request, ready("bob")))
        self.assertFalse(answers(request, ready("carol")))
        by_id = wire.StartDM(target_type=0, target_id=4, allow_unencrypted=True)
        self.assertFalse(answers(by_id, ready("bob")))
        self.assertTrue(answers(by_id, wire.KeyRequired(reason="")))


class ExchangesTests(SynchronousTestCase):
    """Replies go to requests in the order of the wire."""

    def setUp(self) -> None:
        self.exchanges = Exchanges()

    def test_oldest_first(self) -> None:
        """Two equal requests get their replies in order."""
        first, second = self.exchanges.open(USERS).reply, self.exchanges.open(USERS).reply
        reply = wire.UserList()
        self.assertTrue(self.exchanges.settle(reply))
        self.assertIs(self.successResultOf(first), reply)
        self.assertNoResult(second)

    def test_never_out_of_order(self) -> None:
        """A message that would answer a younger request only is no reply while an older one waits."""
        reply = self.exchanges.open(USERS).reply
        pong = self.exchanges.open(PING).reply
        self.assertFalse(self.exchanges.settle(PONG))
        self.assertNoResult(reply)
        self.assertNoResult(pong)

    def test_refusal(self) -> None:
        """ERROR fails the request with the server's code and text."""
        reply = self.exchanges.open(USERS).reply
        self.exchanges.settle(REFUSAL)
        refused = self.failureResultOf(reply, ServerRefused).value
        self.assertEqual((refused.code, refused.text), (4001, "Channel not found"))
        self.assertIsInstance(refused, ClientError)

    def test_late_reply_is_not_anothers(self) -> None:
        """The reply that comes after its request expired does not answer the next one of the same kind."""
        late = self.exchanges.open(USERS)
        late.expire(10.0)
        self.failureResultOf(late.reply, NoReply)
        reply = self.exchanges.open(USERS).reply
        self.assertTrue(self.exchanges.settle(wire.UserList()))
        self.assertNoResult(reply)
        self.exchanges.settle(wire.UserList())
        self.successResultOf(reply)

    def test_request_that_is_never_answered(self) -> None:
        """An expired request without any reply does not block those behind it."""
        self.exchanges.open(USERS).reply.addErrback(lambda _: None).cancel()
        pong = self.exchanges.open(PING).reply
        self.assertTrue(self.exchanges.settle(PONG))
        self.successResultOf(pong)
        self.assertEqual(len(self.exchanges), 0)

    def test_cancelled(self) -> None:
        """Cancelling ends the waiting, and the reply is swallowed when it comes."""
        reply = self.exchanges.open(USERS).reply
        reply.cancel()
        self.failureResultOf(reply, CancelledError)
        self.assertTrue(self.exchanges.settle(wire.UserList()))

    def test_nothing_to_answer(self) -> None:
        """Without a request every message is an event."""
        self.assertFalse(self.exchanges.settle(REFUSAL))

    def test_end(self) -> None:
        """All that wait are told when the connection ends."""
        replies = [self.exchanges.open(USERS).reply, self.exchanges.open(PING).reply]
        self.exchanges.fail(ConnectionClosed("gone"))
        for reply in replies:
            self.failureResultOf(reply, ConnectionClosed)

    def test_without_reply(self) -> None:
        """A message without reply cannot be requested: the mistake shows at once."""
        self.assertRaises(TypeError, self.exchanges.open, wire.Logout())
