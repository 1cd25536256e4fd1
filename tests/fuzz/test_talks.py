"""The judge of talks: what is right passes, and each thing that can be wrong is seen."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from superchat.chat import commands
from superchat.wire import frames
from superchat.wire import messages as wire
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import FROM_CLIENT
from superchat.wire.records import Message
from tests.fuzz.talks import play, script
from tests.fuzz.talks.answers import ANSWERS, FLOOD_TEXT
from tests.fuzz.talks.stage import staged
from tests.fuzz.talks.transcript import Transcript

CONFIG = wire.ServerConfig(
    protocol_version=2,
    max_message_rate=0,
    max_channel_creates=0,
    inactive_cleanup_days=90,
    max_connections_per_ip=0,
    max_message_length=4096,
    max_thread_subscriptions=50,
    max_channel_subscriptions=10,
    directory_enabled=False,
)
POST = wire.PostMessage(channel_id=2, content=b"hello")
EMPTY = wire.PostMessage(channel_id=2, content=b"")
PING = wire.Ping(timestamp=7)
PONG = wire.Pong(client_timestamp=7)


def posted(message_id: int) -> wire.MessagePosted:
    """The confirmation of a post."""
    return wire.MessagePosted(success=True, message_id=message_id, message="Message posted")


def news(message_id: int) -> wire.NewMessage:
    """A message of somebody."""
    return wire.NewMessage(
        message_id=message_id,
        channel_id=2,
        parent_id=None,
        author_user_id=None,
        author_nickname="~anna",
        content=b"hello",
        created_at=1,
        edited_at=None,
        reply_count=0,
    )


def error(code: ErrorCode, text: str = "no") -> wire.Error:
    """A refusal."""
    return wire.Error(error_code=code, message=text)


class TranscriptTests(SynchronousTestCase):
    """`Transcript`."""

    def setUp(self) -> None:
        self.transcript = Transcript()
        self.hear(CONFIG)

    def say(self, *requests: Message) -> None:
        """What the client says."""
        self.transcript.said(b"".join(map(frames.encode, requests)))

    def hear(self, *answers: Message) -> None:
        """What the server says."""
        self.transcript.hears(b"".join(map(frames.encode, answers)))

    def assert_wrong(self, *answers: Message) -> None:
        """The last of them is wrong."""
        self.hear(*answers[:-1])
        self.assertRaises(AssertionError, self.hear, answers[-1])

    def test_good(self) -> None:
        """Answers in order, with news in between, are a conversation; so is one that came byte by byte."""
        self.say(POST, EMPTY, PING, wire.Logout(), PING)
        spoken = (posted(5), news(5), error(ErrorCode.INVALID_INPUT), news(6), PONG, PONG)
        for byte in b"".join(map(frames.encode, spoken)):
            self.transcript.hears(bytes((byte,)))
        self.transcript.close()
        self.assertEqual(self.transcript.acknowledged, [(5, POST)])

    def test_missing(self) -> None:
        """A request without an answer is seen: at once when the next is answered, at the latest in the end."""
        self.say(POST, wire.ListChannels(from_channel_id=0, limit=0), PING)
        self.hear(posted(5))
        self.assertRaises(AssertionError, self.transcript.close)
        self.assert_wrong(PONG)

    def test_twice(self) -> None:
        """A second answer is seen, and so is an answer to nothing."""
        self.say(PING)
        self.assert_wrong(PONG, PONG)

    def test_order(self) -> None:
        """An answer that belongs to a later request is seen, also among requests of one kind."""
        self.say(wire.SubscribeThread(thread_id=1), wire.SubscribeThread(thread_id=2))
        self.assert_wrong(wire.SubscribeOk(type=1, id=2, subchannel_id=None))

    def test_refusals_in_order(self) -> None:
        """What cannot succeed has not, whatever else was said with it."""
        self.say(EMPTY, POST)
        self.assert_wrong(posted(5))

    def test_internal_errors(self) -> None:
        """ERROR 9000 is no answer, and 9001 only when the storage may fail."""
        self.say(POST)
        self.assert_wrong(error(ErrorCode.INTERNAL_ERROR))
        self.assert_wrong(error(ErrorCode.DATABASE_ERROR))
        self.transcript.may_fail = True
        self.hear(error(ErrorCode.DATABASE_ERROR))
        self.transcript.close()

    def test_foreign_refusals(self) -> None:
        """A refusal that another message gets is none; a flood is told without being asked for (decisions 1.9)."""
        self.say(PING)
        self.hear(error(ErrorCode.RATE_LIMIT_EXCEEDED, FLOOD_TEXT))
        self.assert_wrong(error(ErrorCode.CHANNEL_NOT_FOUND))

    def test_news(self) -> None:
        """News of a channel ascend, each once, and no sooner than its author was answered (decisions 4.6)."""
        self.hear(news(6), news(7))
        self.assert_wrong(news(6))
        self.assert_wrong(news(7))
        self.say(POST)
        self.assert_wrong(posted(7))

    def test_ids(self) -> None:
        """One client's messages get ids that ascend (decisions 4.6)."""
        self.say(POST, POST)
        self.assert_wrong(posted(7), posted(6))

    def test_broken(self) -> None:
        """Lost framing is ERROR 1002, DISCONNECT and the end (decisions 1.5)."""
        self.say(PING)
        self.transcript.said(bytes(4))
        self.assertFalse(self.transcript.is_answered)
        self.hear(PONG)
        self.assertRaises(AssertionError, self.transcript.close)
        self.hear(error(ErrorCode.INVALID_FRAME), wire.Disconnect(reason="Protocol violation"))
        self.transcript.close()
        self.assert_wrong(PONG)

    def test_malformed(self) -> None:
        """What cannot be read is refused, in the message's own way if it has one."""
        self.transcript.said(bytes.fromhex("00000003 02 07 00 00000003 02 10 00 00000003 02 4f 00"))
        refusal = wire.ChannelCreated(success=False, message="no")
        self.hear(refusal, error(ErrorCode.INVALID_FORMAT), error(ErrorCode.UNSUPPORTED_VERSION))
        self.transcript.close()

    def test_frames(self) -> None:
        """Frames that no server writes are seen: of clients' messages, of unknown ones, compressed for others."""
        long = frames.encode(error(ErrorCode.NOT_FOUND, "a" * 1000), compress=True)
        for wrong in (frames.encode(PING), bytes.fromhex("00000003 02 ff 00"), long, bytes(7)):
            transcript = Transcript()
            transcript.hears(frames.encode(CONFIG))
            self.assertRaises(AssertionError, transcript.hears, wrong)

    def test_first(self) -> None:
        """SERVER_CONFIG is the first message, and comes once (decisions 1.1)."""
        self.assert_wrong(CONFIG)
        self.assertRaises(AssertionError, Transcript().hears, frames.encode(PONG))

    def test_silent_end(self) -> None:
        """A server that closes says why (decisions 1.7); a client need not."""
        self.assertRaises(AssertionError, self.transcript.lose)
        self.transcript.leave()
        self.transcript.lose()

    def test_table(self) -> None:
        """Every message that a client may send has its answer."""
        self.assertEqual({*ANSWERS}, {*FROM_CLIENT.values()})


class PlayTests(SynchronousTestCase):
    """Talks that are played."""

    def test_written(self) -> None:
        """A talk that was written down is the same when it is read."""
        settings = script.Settings(storage="sqlite", frame_burst=3)
        steps: list[script.Step] = [
            script.Open(1, "tcp", "192.0.2.1"),
            script.Delay(True),
            script.Send(1, b"\x00\xff", (1,)),
            script.Send(1, b""),
            script.Wait(0.25),
            script.Read(1, False),
            script.Reply(2, True),
            script.Fill(True),
            script.Leave(1),
        ]
        self.assertEqual(script.read(script.written(settings, steps)), (settings, steps))

    def test_unreadable(self) -> None:
        """What is no talk is said to be none."""
        for junk in (b"", b"on storage=memory\nnonsense 1\n", b"on storage=memory\nopen 1\n", b"\xff"):
            self.assertRaises(script.Unreadable, script.read, junk)

    def test_repeats(self) -> None:
        """The same seed gives the same talk, and what was written down plays the same."""
        data, features = play.play_by_chance(3)
        self.assertEqual(play.play_by_chance(3)[0], data)
        self.assertEqual(play.replay(data), features)

    def test_storages(self) -> None:
        """A talk can be played on either storage."""
        for storage in ("memory", "sqlite"):
            with staged(script.Settings(storage=storage)) as stage:
                stage.play(script.Open(1, "websocket", "192.0.2.1"))
                named = frames.encode(wire.SetNickname(nickname="somebody"))
                stage.play(script.Send(1, named + frames.encode(POST), (3, 9)))
                stage.finish()
                self.assertIn(("POST_MESSAGE", "MESSAGE_POSTED True"), stage.features)

    def test_dropped(self) -> None:
        """A server that forgets an answer fails the talk, and the talk gets no longer than it has to be."""
        steps: list[script.Step] = [
            script.Open(1, "tcp", "192.0.2.1"),
            script.Wait(1.0),
            script.Send(1, bytes.fromhex("00000003021c00")),
        ]
        data = script.written(script.Settings(), [*steps, script.Send(1, frames.encode(PING)), script.Wait(0.5)])
        play.replay(data)
        self.patch(commands, "_pong", lambda session, message: None)
        failed = self.assertRaises(play.Failed, play.replay, data)
        shorter = script.read(play.shortened_failure(failed))[1]
        self.assertEqual(shorter, [steps[0], script.Send(1, frames.encode(PING))])
