"""Messages as the rest of the server uses them."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from superchat.wire.errors import ErrorCode, Malformed, Unencodable
from superchat.wire.messages import (
    BY_CODE,
    FROM_CLIENT,
    AddSSHKey,
    AuthRequest,
    AuthResponse,
    ChannelEntry,
    ChannelList,
    Disconnect,
    DMReady,
    Error,
    GetUnreadCounts,
    LeaveChannel,
    ListSSHKeys,
    ListUsers,
    Logout,
    MessageEntry,
    NewMessage,
    Ping,
    PostMessage,
    ProvidePublicKey,
    SetNickname,
    SSHKeyEntry,
    SSHKeyList,
    StartDM,
    UnreadTarget,
    VerifyRegistration,
)
from superchat.wire.records import Message, Sender

SSH_KEY = SSHKeyEntry(key_id=1, fingerprint="", key_type="", label="", added_at=0, last_used_at=0)


class TableTests(SynchronousTestCase):
    """The tables of messages."""

    def test_by_code(self) -> None:
        """BY_CODE has all 91 messages in the order of their codes."""
        self.assertEqual(len(BY_CODE), 91)
        self.assertEqual(list(BY_CODE), sorted(BY_CODE))
        self.assertTrue(all(code == cls.CODE for code, cls in BY_CODE.items()))

    def test_from_client(self) -> None:
        """A server takes all that clients send, and VERIFY_REGISTRATION from a directory (wire 0x9E)."""
        self.assertIn(VerifyRegistration.CODE, FROM_CLIENT)
        self.assertNotIn(NewMessage.CODE, FROM_CLIENT)
        self.assertEqual(
            [cls for cls in FROM_CLIENT.values() if cls.SENDER is Sender.EITHER],
            [cls for cls in BY_CODE.values() if cls.SENDER is Sender.EITHER],
        )

    def test_new_message_is_an_entry(self) -> None:
        """NEW_MESSAGE has the fields of an entry of MESSAGE_LIST and nothing around them (wire 0x8D)."""
        self.assertEqual(NewMessage.FIELDS, MessageEntry.FIELDS)


class ValueTests(SynchronousTestCase):
    """Messages are values."""

    def test_frozen(self) -> None:
        """A message that many sessions share cannot be changed by one of them."""
        message = Ping(timestamp=1)
        with self.assertRaises(attrs.exceptions.FrozenInstanceError):
            message.timestamp = 2  # type: ignore[misc]

    def test_no_dict(self) -> None:
        """A message takes no more memory than its fields."""
        for cls in BY_CODE.values():
            self.assertFalse(hasattr(cls, "__dict__") and "__dict__" in dir(cls), cls)

    def test_equal_and_hashable(self) -> None:
        """Messages with the same fields are the same; other messages with the same fields are not."""
        self.assertEqual({Ping(timestamp=1), Ping(timestamp=1)}, {Ping(timestamp=1)})
        self.assertNotEqual(Logout(), ListSSHKeys())

    def test_defaults(self) -> None:
        """Optional and conditional fields are absent and lists empty unless given; all else must be given."""
        self.assertIsNone(PostMessage(channel_id=1, content=b"").parent_id)
        self.assertIsNone(AuthResponse(success=False, message="").user_id)
        self.assertEqual(ChannelList().channels, ())
        self.assertIs(ListUsers(limit=1).include_offline, False)
        self.assertRaises(TypeError, PostMessage, channel_id=1)


class LenienceTests(SynchronousTestCase):
    """What is taken although it looks wrong."""

    def test_sizes_are_not_the_codecs_business(self) -> None:
        """Short names and empty texts pass the codec, so that the rules can answer (decisions 2.1, 4.4)."""
        for message in (
            SetNickname(nickname="x"),
            SetNickname(nickname="x" * 21),
            PostMessage(channel_id=1, content=b""),
            PostMessage(channel_id=1, content=b"x" * 65000),
        ):
            self.assertEqual(type(message).unpack(message.pack()), message)

    def test_empty_leave(self) -> None:
        """LEAVE_CHANNEL without a payload leaves the current channel; a cut one is refused (wire 0x06)."""
        self.assertEqual(LeaveChannel.accept(b""), LeaveChannel(channel_id=0))
        self.assertRaises(Malformed, LeaveChannel.accept, b"\x00")
        self.assertRaises(Malformed, LeaveChannel.unpack, b"")

    def test_any_disconnect(self) -> None:
        """A goodbye counts, whatever its payload (wire 0x11)."""
        self.assertEqual(Disconnect.accept(b""), Disconnect())
        self.assertEqual(Disconnect.accept(b"\x01\x00\x09half"), Disconnect())
        self.assertEqual(Disconnect.accept(b"\x01\x00\x03bye"), Disconnect(reason="bye"))

    def test_messages_without_fields(self) -> None:
        """LOGOUT and LIST_SSH_KEYS never look at their payload (wire 0x14 and 0x1C)."""
        self.assertEqual(Logout.accept(b"anything"), Logout())
        self.assertEqual(ListSSHKeys.accept(b"anything"), ListSSHKeys())

    def test_any_true(self) -> None:
        """Any byte but 0 is true, and is written as 1 (wire 3)."""
        self.assertEqual(ListUsers.unpack(b"\x00\x01\x7f"), ListUsers(limit=1, include_offline=True))
        self.assertEqual(ListUsers(limit=1, include_offline=True).pack(), b"\x00\x01\x01")
        self.assertEqual(Disconnect.unpack(b"\xff\x00\x00"), Disconnect(reason=""))

    def test_text_that_is_no_utf8(self) -> None:
        """Bytes that are no UTF-8 come back as they were (wire 3)."""
        raw = b"\x00\x04\xff\x00\xc3A\x00\x00"
        self.assertEqual(AuthRequest.unpack(raw).pack(), raw)


class ConditionTests(SynchronousTestCase):
    """Fields that depend on others."""

    def test_ignored_when_not_due(self) -> None:
        """A field whose condition does not hold is not written, even if it has a value."""
        self.assertEqual(AuthResponse(success=False, user_id=1, message="", user_flags=1).pack(), b"\0\0\0")
        self.assertEqual(
            StartDM(target_type=9, target_id=1, target_nickname="x", allow_unencrypted=True).pack(),
            b"\x09\x01",
        )

    def test_trailing_left_out(self) -> None:
        """user_flags may be missing behind a successful AUTH_RESPONSE, and is not invented (wire 0x81)."""
        message = AuthResponse(success=True, user_id=1, nickname="n", message="")
        self.assertEqual(AuthResponse.unpack(message.pack()), message)
        flagged = AuthResponse(success=True, user_id=1, nickname="n", message="", user_flags=0)
        self.assertEqual(flagged.pack(), message.pack() + b"\0")

    def test_absent_and_zero(self) -> None:
        """Absent, zero and empty are three different things (wire 3)."""
        self.assertNotEqual(Disconnect().pack(), Disconnect(reason="").pack())
        absent = GetUnreadCounts(targets=(UnreadTarget(channel_id=1),))
        zero = GetUnreadCounts(since_timestamp=0, targets=(UnreadTarget(channel_id=1, thread_id=0),))
        self.assertEqual([GetUnreadCounts.unpack(each.pack()) for each in (absent, zero)], [absent, zero])


class UnencodableTests(SynchronousTestCase):
    """Values that the protocol has no bytes for."""

    def refused(self, message: Message) -> None:
        error = self.assertRaises(Unencodable, message.pack)
        self.assertIn(message.NAME, str(error))

    def test_numbers(self) -> None:
        """Numbers outside their type are refused."""
        for number in (-1, 1 << 64):
            self.refused(LeaveChannel(channel_id=number))
        for number in (-(1 << 63) - 1, 1 << 63):
            self.refused(Ping(timestamp=number))
        self.refused(Error(error_code=65536, message=""))

    def test_long_texts(self) -> None:
        """More than 65535 bytes are refused, not cut; 65535 are fine."""
        self.refused(PostMessage(channel_id=1, content=bytes(65536)))
        self.refused(SetNickname(nickname="é" * 32768))
        longest = SetNickname(nickname="x" * 65535)
        self.assertEqual(SetNickname.unpack(longest.pack()), longest)

    def test_surrogates(self) -> None:
        """A surrogate that stands for no byte is refused."""
        self.refused(SetNickname(nickname="\ud800"))

    def test_long_lists(self) -> None:
        """More entries than a list can count are refused, not wrapped around as in the reference (wire 3)."""
        channel = ChannelEntry(
            channel_id=1,
            name="",
            description="",
            user_count=0,
            is_operator=False,
            type=0,
            retention_hours=1,
            has_subchannels=False,
            subchannel_count=0,
        )
        self.refused(ChannelList(channels=(channel,) * 65536))

    def test_keys(self) -> None:
        """A key of any other length than 32 bytes is refused, not padded."""
        for size in (0, 31, 33):
            self.refused(ProvidePublicKey(key_type=1, public_key=bytes(size), label=""))

    def test_missing(self) -> None:
        """A field that is due and has no value is refused."""
        self.refused(AuthResponse(success=True, user_id=None, nickname="n", message=""))
        self.refused(AuthResponse(success=True, user_id=1, nickname=None, message=""))
        self.refused(DMReady(channel_id=1, other_nickname="", is_encrypted=True))


class HostileTests(SynchronousTestCase):
    """Payloads made to hurt."""

    def test_count_without_entries(self) -> None:
        """A list that claims 4 billion entries and has one is refused without making room for them."""
        payload = b"\xff\xff\xff\xff" + SSHKeyList(keys=(SSH_KEY,)).pack()[4:]
        self.assertRaises(Malformed, SSHKeyList.unpack, payload)

    def test_reason(self) -> None:
        """The error says what is wrong in words that fit a log line."""
        error = self.assertRaises(Malformed, PostMessage.unpack, b"\0" * 10 + b"\0\x05abc")
        self.assertEqual(str(error), "POST_MESSAGE: 17 bytes wanted, 15 received")
        error = self.assertRaises(Malformed, PostMessage.unpack, b"")
        self.assertEqual(error.reason, "0 bytes are too few")
        self.assertEqual(error.error_code, ErrorCode.INVALID_FORMAT)


class ShownTests(SynchronousTestCase):
    """Messages in debug lines."""

    def test_content(self) -> None:
        """Content is never shown, and absent fields are left out."""
        message = PostMessage(channel_id=1, content=b"Hello, Bob!!")
        self.assertEqual(str(message), "POST_MESSAGE channel_id=1 content=<12 bytes>")
        self.assertEqual(repr(message), str(message))

    def test_secrets(self) -> None:
        """Password hashes and keys are never shown."""
        for message, shown in (
            (
                AuthRequest(nickname="bob", password_hash="x" * 43),
                "AUTH_REQUEST nickname='bob' password_hash=<43 characters>",
            ),
            (AddSSHKey(public_key="ssh-rsa A", label=""), "ADD_SSH_KEY public_key=<9 characters> label=''"),
            (
                DMReady(channel_id=1, other_nickname="a", is_encrypted=True, other_public_key=bytes(32)),
                "DM_READY channel_id=1 other_nickname='a' is_encrypted=True other_public_key=<32 bytes>",
            ),
        ):
            self.assertEqual(str(message), shown)

    def test_texts(self) -> None:
        """Long texts are cut and control characters escaped, so that no peer writes lines into our log."""
        self.assertEqual(
            str(Error(error_code=ErrorCode.NOT_FOUND, message="no\n" * 20)),
            "ERROR error_code=4000 message='" + "no\\n" * 13 + "n'...(60)",
        )

    def test_lists(self) -> None:
        """Of a list only its length is shown."""
        self.assertEqual(str(SSHKeyList(keys=(SSH_KEY,))), "SSH_KEY_LIST keys=<1 items>")
        self.assertIn("SSHKey key_id=1", str(SSH_KEY))
