"""The protocol as a table: every record and message, in the order of their codes.

Class docstrings and field notes end up in docs/protocol.md. Classes and fields are named as in the protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Self

from superchat.wire.errors import Malformed
from superchat.wire.fields import (
    data,
    flag,
    given,
    i64,
    key32,
    optional,
    sequence,
    text,
    timestamp,
    trailing,
    u8,
    u16,
    u32,
    u64,
)
from superchat.wire.records import REGISTERED, Message, Record, Sender, message, record

CLIENT, SERVER, EITHER = Sender.CLIENT, Sender.SERVER, Sender.EITHER

CHANNEL_TYPE = "0 chat, 1 forum"
KEY_TYPE = "0 from an SSH key, 1 generated, 2 for this session only"
USER_FLAGS = "bit 0 admin, bit 1 moderator"
INVITE = "id of the invite, not of a channel"
CURSOR = "exclusive cursor"


# Records that messages hold lists of


@record("UnreadTarget")
class UnreadTarget(Record):
    """A place to count unread messages in."""

    channel_id: int = u64()
    subchannel_id: int | None = optional(u64())
    thread_id: int | None = optional(u64())


@record("Channel")
class ChannelEntry(Record):
    """A top-level channel."""

    channel_id: int = u64()
    name: str = text()
    description: str = text("empty: none")
    user_count: int = u32("subscribers")
    is_operator: bool = flag("always false")
    type: int = u8(CHANNEL_TYPE)
    retention_hours: int = u32()
    has_subchannels: bool = flag()
    subchannel_count: int = u16()


@record("Message")
class MessageEntry(Record):
    """A stored message."""

    message_id: int = u64()
    channel_id: int = u64()
    subchannel_id: int | None = optional(u64())
    parent_id: int | None = optional(u64("the message it replies to"))
    author_user_id: int | None = optional(u64("absent: anonymous"))
    author_nickname: str = text("as shown: ~ anonymous, $ admin, @ moderator, bare for other accounts")
    content: bytes = data("UTF-8, or ciphertext in encrypted direct messages")
    created_at: int = timestamp()
    edited_at: int | None = optional(timestamp())
    reply_count: int = u32("all living descendants")


@record("SSHKey")
class SSHKeyEntry(Record):
    """A public key of one's own account."""

    key_id: int = i64()
    fingerprint: str = text("SHA256:...")
    key_type: str = text("such as ssh-ed25519")
    label: str = text("empty: none")
    added_at: int = i64("unix milliseconds")
    last_used_at: int = i64("unix milliseconds; 0: never")


@record("Subchannel")
class SubchannelEntry(Record):
    """A channel inside another one."""

    subchannel_id: int = u64()
    name: str = text()
    description: str = text("empty: none")
    type: int = u8(CHANNEL_TYPE)
    retention_hours: int = u32()


@record("UnreadCount")
class UnreadCount(Record):
    """How many messages are unread in one place."""

    channel_id: int = u64()
    subchannel_id: int | None = optional(u64())
    thread_id: int | None = optional(u64())
    unread_count: int = u32()


@record("UserListEntry")
class UserListEntry(Record):
    """Somebody who is here, or has an account."""

    nickname: str = text("bare name")
    is_registered: bool = flag()
    user_id: int | None = optional(u64())
    online: bool = flag()


@record("ServerInfo")
class ServerInfo(Record):
    """A server known to a directory."""

    hostname: str = text()
    port: int = u16()
    name: str = text()
    description: str = text()
    user_count: int = u32()
    max_users: int = u32("0: unlimited")
    uptime_seconds: int = u64()
    is_public: bool = flag()
    channel_count: int = u32()


@record("BanEntry")
class BanEntry(Record):
    """A ban of an account, a nickname or a network."""

    ban_id: int = u64()
    ban_type: str = text("'user' or 'ip'")
    user_id: int | None = optional(u64())
    nickname: str | None = optional(text())
    ip_cidr: str | None = optional(text())
    reason: str = text()
    shadowban: bool = flag()
    banned_at: int = i64("unix milliseconds")
    banned_until: int | None = optional(i64("unix milliseconds; absent: for ever"))
    banned_by: str = text()


@record("ChannelUserEntry")
class ChannelUserEntry(Record):
    """A session in a channel."""

    session_id: int = u64()
    nickname: str = text("bare name")
    is_registered: bool = flag()
    user_id: int | None = optional(u64())
    user_flags: int = u8(USER_FLAGS)


# What clients send


@message(0x01, CLIENT)
class AuthRequest(Message):
    """Log in to an account."""

    nickname: str = text()
    password_hash: str = text("Argon2id of the password, 43 characters of base64", secret=True)


@message(0x02, CLIENT)
class SetNickname(Message):
    """Choose the name this session goes by."""

    nickname: str = text("3 to 20 of a-z A-Z 0-9 _ -; the rules check it, not the codec")


@message(0x03, CLIENT)
class RegisterUser(Message):
    """Make an account of the current nickname."""

    password_hash: str = text("as in AUTH_REQUEST", secret=True)


@message(0x04, CLIENT)
class ListChannels(Message):
    """Ask for a page of the top-level channels."""

    from_channel_id: int = u64(CURSOR + "; 0: from the start")
    limit: int = u16("0: no limit")


@message(0x05, CLIENT)
class JoinChannel(Message):
    """Enter a channel, leaving the one joined before."""

    channel_id: int = u64("may name a subchannel")
    subchannel_id: int | None = optional(u64())


@message(0x06, CLIENT)
class LeaveChannel(Message):
    """Leave a channel; a wholly empty payload leaves the current one."""

    channel_id: int = u64("0: the current one")
    subchannel_id: int | None = optional(u64())
    permanent: bool = trailing(flag("true also ends a direct conversation"), default=False)

    @classmethod
    def accept(cls, payload: bytes) -> Self:
        """As ``unpack``, but takes the empty payload that some clients send (wire 0x06)."""
        return cls.unpack(payload) if payload else cls(channel_id=0)


@message(0x07, CLIENT)
class CreateChannel(Message):
    """Create a top-level channel."""

    name: str = text("3 to 50 bytes")
    display_name: str = text("1 to 100 bytes; never sent back")
    description: str | None = optional(text("at most 500 bytes"))
    channel_type: int = u8(CHANNEL_TYPE)
    retention_hours: int = u32("1 to 8760")


@message(0x08, CLIENT)
class CreateSubchannel(Message):
    """Create a channel inside another one."""

    channel_id: int = u64("the parent")
    name: str = text("3 to 50 bytes")
    description: str = text("at most 500 bytes; empty: none")
    type: int = u8(CHANNEL_TYPE)
    retention_hours: int = u32("1 to 8760")


@message(0x09, CLIENT)
class ListMessages(Message):
    """Ask for a page of a channel's root messages, or of the replies below one message."""

    channel_id: int = u64()
    subchannel_id: int | None = optional(u64())
    limit: int = u16("0: 50; at most 200")
    before_id: int | None = optional(u64(CURSOR + "; wins over after_id"))
    parent_id: int | None = optional(u64("replies below this message"))
    after_id: int | None = optional(u64(CURSOR))


@message(0x0A, CLIENT)
class PostMessage(Message):
    """Post a message, or a reply to one."""

    channel_id: int = u64()
    subchannel_id: int | None = optional(u64())
    parent_id: int | None = optional(u64("the message to reply to"))
    content: bytes = data("UTF-8, or ciphertext in encrypted direct messages")


@message(0x0B, CLIENT)
class EditMessage(Message):
    """Replace the text of a message."""

    message_id: int = u64()
    new_content: bytes = data()


@message(0x0C, CLIENT)
class DeleteMessage(Message):
    """Take a message's text away."""

    message_id: int = u64()


@message(0x0D, CLIENT)
class AddSSHKey(Message):
    """Allow logging in to one's account with another key."""

    public_key: str = text("a line of authorized_keys", secret=True)
    label: str = text("empty: none")


@message(0x0E, CLIENT)
class ChangePassword(Message):
    """Set, change or remove one's account's password."""

    old_password_hash: str = text("empty: has none", secret=True)
    new_password_hash: str = text("empty: remove it", secret=True)


@message(0x0F, CLIENT)
class GetUserInfo(Message):
    """Ask who a nickname is."""

    nickname: str = text()


@message(0x10, CLIENT)
class Ping(Message):
    """Ask for a PONG, and keep the connection from timing out, as any frame does."""

    timestamp: int = i64("comes back unchanged")


@message(0x11, EITHER)
class Disconnect(Message):
    """Say goodbye before closing."""

    reason: str | None = optional(text("none at all is the one byte 0x00"))

    @classmethod
    def accept(cls, payload: bytes) -> Self:
        """Take any payload: a goodbye that cannot be read gives no reason (wire 0x11)."""
        try:
            return cls.unpack(payload)
        except Malformed:
            return cls()


@message(0x12, CLIENT)
class UpdateSSHKeyLabel(Message):
    """Rename one of one's keys."""

    key_id: int = i64()
    new_label: str = text()


@message(0x13, CLIENT)
class DeleteSSHKey(Message):
    """Forget one of one's keys."""

    key_id: int = i64()


@message(0x14, CLIENT)
class ListSSHKeys(Message):
    """Ask for one's keys."""


@message(0x15, CLIENT)
class GetSubchannels(Message):
    """Ask for a channel's subchannels."""

    channel_id: int = u64()


@message(0x16, CLIENT)
class ListUsers(Message):
    """Ask who is online or, for admins, who has an account."""

    limit: int = u16("0: 100; at most 500")
    include_offline: bool = trailing(flag("admins only"), default=False)


@message(0x17, CLIENT)
class ListChannelUsers(Message):
    """Ask who is in a channel."""

    channel_id: int = u64()
    subchannel_id: int | None = optional(u64())


@message(0x18, CLIENT)
class GetUnreadCounts(Message):
    """Ask how much is unread in some places."""

    since_timestamp: int | None = optional(i64("unix milliseconds; absent: since the stored read position"))
    targets: tuple[UnreadTarget, ...] = sequence(UnreadTarget)


@message(0x19, CLIENT)
class StartDM(Message):
    """Ask somebody for a direct conversation."""

    target_type: int = u8("0 account, 1 nickname, 2 session")
    target_id: int | None = given("target_type in [0, 2]", u64())
    target_nickname: str | None = given("target_type in [1]", text())
    allow_unencrypted: bool = flag()


@message(0x1A, CLIENT)
class ProvidePublicKey(Message):
    """Give the server the key that direct messages to oneself are encrypted with."""

    key_type: int = u8(KEY_TYPE)
    public_key: bytes = key32("X25519")
    label: str = text("may be empty")


@message(0x1B, CLIENT)
class AllowUnencrypted(Message):
    """Accept an invite without encryption."""

    dm_channel_id: int = u64(INVITE)
    permanent: bool = flag("also for all later ones")


@message(0x1C, CLIENT)
class Logout(Message):
    """Become anonymous again."""


@message(0x1D, CLIENT)
class UpdateReadState(Message):
    """Say up to when a channel has been read."""

    channel_id: int = u64()
    subchannel_id: int | None = optional(u64())
    timestamp: int = i64("unix milliseconds")


@message(0x1E, CLIENT)
class DeclineDM(Message):
    """Refuse an invite."""

    dm_channel_id: int = u64(INVITE)


@message(0x51, CLIENT)
class SubscribeThread(Message):
    """Ask to be sent a thread's new replies."""

    thread_id: int = u64("id of the root message")


@message(0x52, CLIENT)
class UnsubscribeThread(Message):
    """End a thread subscription."""

    thread_id: int = u64("id of the root message")


@message(0x53, CLIENT)
class SubscribeChannel(Message):
    """Ask to be sent a channel's new messages."""

    channel_id: int = u64("may name a subchannel")
    subchannel_id: int | None = optional(u64())


@message(0x54, CLIENT)
class UnsubscribeChannel(Message):
    """End a channel subscription."""

    channel_id: int = u64("may name a subchannel")
    subchannel_id: int | None = optional(u64())


@message(0x55, CLIENT)
class ListServers(Message):
    """Ask a directory for the servers it knows."""

    limit: int = u16("0: 100; at most 500")


@message(0x56, CLIENT)
class RegisterServer(Message):
    """Announce a server to a directory."""

    hostname: str = text()
    port: int = u16()
    name: str = text()
    description: str = text()
    max_users: int = u32("0: unlimited")
    is_public: bool = flag()
    channel_count: int = u32()


@message(0x57, CLIENT)
class Heartbeat(Message):
    """Tell a directory that a server is alive."""

    hostname: str = text()
    port: int = u16()
    user_count: int = u32()
    uptime_seconds: int = u64()
    channel_count: int = u32()


@message(0x58, EITHER)
class VerifyResponse(Message):
    """Answer a directory's VERIFY_REGISTRATION."""

    challenge: int = u64("the number asked for")


@message(0x59, CLIENT)
class BanUser(Message):
    """Ban an account or a nickname; one of the two must be given."""

    user_id: int | None = optional(u64())
    nickname: str | None = optional(text())
    reason: str = text()
    shadowban: bool = flag("only hide what they write")
    duration_seconds: int | None = optional(u64("absent: for ever"))


@message(0x5A, CLIENT)
class BanIP(Message):
    """Ban an address or a network."""

    ip_cidr: str = text()
    reason: str = text()
    duration_seconds: int | None = optional(u64("absent: for ever"))


@message(0x5B, CLIENT)
class UnbanUser(Message):
    """Lift the bans of an account or a nickname; one of the two must be given."""

    user_id: int | None = optional(u64())
    nickname: str | None = optional(text())


@message(0x5C, CLIENT)
class UnbanIP(Message):
    """Lift the bans of an address or a network."""

    ip_cidr: str = text()


@message(0x5D, CLIENT)
class ListBans(Message):
    """Ask for the bans."""

    include_expired: bool = flag()


@message(0x5E, CLIENT)
class DeleteUser(Message):
    """Delete an account."""

    user_id: int = u64()


@message(0x5F, CLIENT)
class DeleteChannel(Message):
    """Delete a channel and everything in it."""

    channel_id: int = u64()
    reason: str = text("may be empty")


# What servers send


@message(0x81, SERVER)
class AuthResponse(Message):
    """Answers AUTH_REQUEST; on SSH it comes unasked after SERVER_CONFIG."""

    success: bool = flag()
    user_id: int | None = given("success", u64())
    nickname: str | None = given("success", text())
    message: str = text()
    user_flags: int | None = trailing(given("success", u8(USER_FLAGS)), default=None)


@message(0x82, SERVER)
class NicknameResponse(Message):
    """Answers SET_NICKNAME."""

    success: bool = flag()
    message: str = text()


@message(0x83, SERVER)
class RegisterResponse(Message):
    """Answers REGISTER_USER."""

    success: bool = flag()
    user_id: int | None = given("success", u64())
    message: str = text()


@message(0x84, SERVER)
class ChannelList(Message):
    """Answers LIST_CHANNELS."""

    channels: tuple[ChannelEntry, ...] = sequence(ChannelEntry)


@message(0x85, SERVER)
class JoinResponse(Message):
    """Answers JOIN_CHANNEL."""

    success: bool = flag()
    channel_id: int = u64("the one asked for")
    subchannel_id: int | None = optional(u64())
    message: str = text()


@message(0x86, SERVER)
class LeaveResponse(Message):
    """Answers LEAVE_CHANNEL."""

    success: bool = flag()
    channel_id: int = u64("the one left or, on failure, asked for")
    subchannel_id: int | None = optional(u64())
    message: str = text()


@message(0x87, SERVER)
class ChannelCreated(Message):
    """Answers CREATE_CHANNEL and tells everybody else."""

    success: bool = flag()
    channel_id: int | None = given("success", u64())
    name: str | None = given("success", text())
    description: str | None = given("success", text("empty: none"))
    type: int | None = given("success", u8(CHANNEL_TYPE))
    retention_hours: int | None = given("success", u32())
    message: str = text()


@message(0x88, SERVER)
class SubchannelCreated(Message):
    """Answers CREATE_SUBCHANNEL and tells everybody else."""

    success: bool = flag()
    channel_id: int | None = given("success", u64("the parent"))
    subchannel_id: int | None = given("success", u64())
    name: str | None = given("success", text())
    description: str | None = given("success", text("empty: none"))
    type: int | None = given("success", u8(CHANNEL_TYPE))
    retention_hours: int | None = given("success", u32())
    message: str = text()


@message(0x89, SERVER)
class MessageList(Message):
    """Answers LIST_MESSAGES."""

    channel_id: int = u64("the one asked for")
    subchannel_id: int | None = optional(u64("the one asked for"))
    parent_id: int | None = optional(u64("the one asked for"))
    messages: tuple[MessageEntry, ...] = sequence(MessageEntry)


@message(0x8A, SERVER)
class MessagePosted(Message):
    """Answers POST_MESSAGE: the message is on stable storage."""

    success: bool = flag()
    message_id: int = u64()
    message: str = text()


@message(0x8B, SERVER)
class MessageEdited(Message):
    """Answers EDIT_MESSAGE and tells everybody who sees the message."""

    success: bool = flag()
    message_id: int = u64()
    edited_at: int | None = given("success", timestamp())
    new_content: bytes | None = given("success", data())
    message: str = text("empty on success")


@message(0x8C, SERVER)
class MessageDeleted(Message):
    """Answers DELETE_MESSAGE and tells everybody who sees the message."""

    success: bool = flag()
    message_id: int = u64()
    deleted_at: int | None = given("success", timestamp())
    message: bytes = data("on success the text to show in its place")


@message(0x8D, SERVER)
class NewMessage(MessageEntry, Message):
    """A message was posted where one listens; its fields are those of one Message in MESSAGE_LIST."""


@message(0x8E, SERVER)
class PasswordChanged(Message):
    """Answers CHANGE_PASSWORD."""

    success: bool = flag()
    error_message: str = text("empty on success")


@message(0x8F, SERVER)
class UserInfo(Message):
    """Answers GET_USER_INFO; comes unasked after choosing a nickname that belongs to an account."""

    nickname: str = text()
    is_registered: bool = flag()
    user_id: int | None = optional(u64())
    online: bool = flag()


@message(0x90, SERVER)
class Pong(Message):
    """Answers PING."""

    client_timestamp: int = i64("the timestamp of the PING")


@message(0x91, SERVER)
class Error(Message):
    """Refuses a request that has no answer of its own, or could not be read."""

    error_code: int = u16("see Error codes")
    message: str = text()


@message(0x92, SERVER)
class SSHKeyLabelUpdated(Message):
    """Answers UPDATE_SSH_KEY_LABEL."""

    success: bool = flag()
    error_message: str = text("empty on success")


@message(0x93, SERVER)
class SSHKeyDeleted(Message):
    """Answers DELETE_SSH_KEY."""

    success: bool = flag()
    error_message: str = text("empty on success")


@message(0x94, SERVER)
class SSHKeyList(Message):
    """Answers LIST_SSH_KEYS."""

    keys: tuple[SSHKeyEntry, ...] = sequence(SSHKeyEntry, "the only list with a u32 count", count=u32())


@message(0x95, SERVER)
class SSHKeyAdded(Message):
    """Answers ADD_SSH_KEY."""

    success: bool = flag()
    key_id: int = i64("0 on failure")
    fingerprint: str = text("empty on failure")
    error_message: str = text("empty on success")


@message(0x96, SERVER)
class SubchannelList(Message):
    """Answers GET_SUBCHANNELS."""

    channel_id: int = u64("the parent")
    subchannels: tuple[SubchannelEntry, ...] = sequence(SubchannelEntry)


@message(0x97, SERVER)
class UnreadCounts(Message):
    """Answers GET_UNREAD_COUNTS, one count per target, in their order."""

    counts: tuple[UnreadCount, ...] = sequence(UnreadCount)


@message(0x98, SERVER)
class ServerConfig(Message):
    """Always the first frame of a server: what it speaks and what it allows."""

    protocol_version: int = u8()
    max_message_rate: int = u16("per minute")
    max_channel_creates: int = u16("per hour")
    inactive_cleanup_days: int = u16()
    max_connections_per_ip: int = u8()
    max_message_length: int = u32("bytes")
    max_thread_subscriptions: int = u16()
    max_channel_subscriptions: int = u16()
    directory_enabled: bool = flag()


@message(0x99, SERVER)
class SubscribeOk(Message):
    """Answers all four messages that begin or end a subscription."""

    type: int = u8("1 thread, 2 channel")
    id: int = u64("of the thread or the channel")
    subchannel_id: int | None = optional(u64())


@message(0x9A, SERVER)
class UserList(Message):
    """Answers LIST_USERS."""

    users: tuple[UserListEntry, ...] = sequence(UserListEntry)


@message(0x9B, SERVER)
class ServerList(Message):
    """Answers LIST_SERVERS; a directory lists itself first."""

    servers: tuple[ServerInfo, ...] = sequence(ServerInfo)


@message(0x9C, SERVER)
class RegisterAck(Message):
    """Answers REGISTER_SERVER."""

    success: bool = flag()
    heartbeat_interval: int | None = given("success", u32("seconds"))
    message: str = text()


@message(0x9D, SERVER)
class HeartbeatAck(Message):
    """Answers HEARTBEAT."""

    heartbeat_interval: int = u32("seconds")


@message(0x9E, EITHER)
class VerifyRegistration(Message):
    """A directory, as the client of a server that registered, asks it to repeat a number."""

    challenge: int = u64()


@message(0x9F, SERVER)
class UserBanned(Message):
    """Answers BAN_USER."""

    success: bool = flag()
    ban_id: int | None = given("success", u64())
    message: str = text()


@message(0xA1, SERVER)
class KeyRequired(Message):
    """A direct conversation needs a key: send PROVIDE_PUBLIC_KEY."""

    reason: str = text()
    dm_channel_id: int | None = optional(u64(INVITE))


@message(0xA2, SERVER)
class DMReady(Message):
    """A direct conversation is open."""

    channel_id: int = u64("id of the channel, not of the invite")
    other_user_id: int | None = optional(u64("absent: anonymous"))
    other_nickname: str = text()
    is_encrypted: bool = flag()
    other_public_key: bytes | None = given("is_encrypted", key32("X25519"))


@message(0xA3, SERVER)
class DMPending(Message):
    """An invite waits for the other side."""

    dm_channel_id: int = u64(INVITE)
    waiting_for_user_id: int | None = optional(u64())
    waiting_for_nickname: str = text()
    reason: str = text()


@message(0xA4, SERVER)
class DMRequest(Message):
    """Somebody asks for a direct conversation."""

    dm_channel_id: int = u64(INVITE)
    from_user_id: int | None = optional(u64())
    from_nickname: str = text()
    encryption_status: int = u8("0 impossible, 1 required, 2 optional")


@message(0xA5, SERVER)
class IPBanned(Message):
    """Answers BAN_IP."""

    success: bool = flag()
    ban_id: int | None = given("success", u64())
    message: str = text()


@message(0xA6, SERVER)
class UserUnbanned(Message):
    """Answers UNBAN_USER."""

    success: bool = flag()
    message: str = text()


@message(0xA7, SERVER)
class IPUnbanned(Message):
    """Answers UNBAN_IP."""

    success: bool = flag()
    message: str = text()


@message(0xA8, SERVER)
class BanList(Message):
    """Answers LIST_BANS."""

    bans: tuple[BanEntry, ...] = sequence(BanEntry)


@message(0xA9, SERVER)
class UserDeleted(Message):
    """Answers DELETE_USER and tells everybody else."""

    success: bool = flag()
    message: str = text()


@message(0xAA, SERVER)
class ChannelDeleted(Message):
    """Answers DELETE_CHANNEL and tells everybody else."""

    success: bool = flag()
    channel_id: int = u64("0 when refused for missing rights")
    message: str = text()


@message(0xAB, SERVER)
class ChannelUserList(Message):
    """Answers LIST_CHANNEL_USERS."""

    channel_id: int = u64("the one asked for")
    subchannel_id: int | None = optional(u64("the one asked for"))
    users: tuple[ChannelUserEntry, ...] = sequence(ChannelUserEntry)


@message(0xAC, SERVER)
class ChannelPresence(Message):
    """Somebody entered or left a channel."""

    channel_id: int = u64()
    subchannel_id: int | None = optional(u64())
    session_id: int = u64()
    nickname: str = text("bare name")
    is_registered: bool = flag()
    user_id: int | None = optional(u64())
    user_flags: int = u8(USER_FLAGS)
    joined: bool = flag()


@message(0xAD, SERVER)
class ServerPresence(Message):
    """Somebody came, went, or changed name or account."""

    session_id: int = u64()
    nickname: str = text("bare name")
    is_registered: bool = flag()
    user_id: int | None = optional(u64())
    user_flags: int = u8(USER_FLAGS)
    online: bool = flag()


@message(0xAE, SERVER)
class DMParticipantLeft(Message):
    """The other side of a direct conversation left it for good."""

    dm_channel_id: int = u64("id of the channel, not of the invite")
    user_id: int | None = optional(u64("absent: anonymous"))
    nickname: str = text()


@message(0xAF, SERVER)
class DMDeclined(Message):
    """The other side refused an invite."""

    dm_channel_id: int = u64(INVITE)
    user_id: int | None = optional(u64("absent: anonymous"))
    nickname: str = text()


BY_CODE: Final[Mapping[int, type[Message]]] = MappingProxyType(REGISTERED)
"""Every message by its type byte: what a client takes."""

FROM_CLIENT: Final[Mapping[int, type[Message]]] = MappingProxyType(
    {code: each for code, each in BY_CODE.items() if each.SENDER is not SERVER}
)
"""What a server takes from its peers: a directory is one of them, so VERIFY_REGISTRATION is among them."""
