"""The table: a message for every case, and what each role is answered.

Outcomes are those of `StageTestCase.outcome`, in the order of the columns: nobody, anonymous, registered, author,
participant, shadowbanned, moderator, admin. Whoever is banned is gone, whatever the message (decisions 7.1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from superchat.wire import messages as wire
from superchat.wire.records import Message
from tests.chat.talk import GENERAL
from tests.rights.stage import SECRET, Stage

KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGCmCCbnsY8Fg2rvHl7T5Lw8k2hHdVEEQ3XbZ7x0rJcF"
X25519: Final = bytes(range(32))
UNKNOWN: Final = 999_999


@attrs.frozen
class Case:
    """One message to one kind of target."""

    name: str
    make: Callable[[Stage], Message]
    outcomes: tuple[str, ...]
    answers: tuple[type[Message], ...] = ()


def _case(name: str, make: Callable[[Stage], Message], outcomes: str, *answers: type[Message]) -> Case:
    columns = tuple(outcomes.split())
    return Case(name, make, columns * 8 if len(columns) == 1 else columns, answers)


CASES: Final = (
    # Identity: names and accounts are for everybody, what belongs to an account for those who have one.
    _case("log in", lambda s: wire.AuthRequest(nickname="author", password_hash=SECRET), "ok", wire.AuthResponse),
    _case("log in wrongly", lambda s: wire.AuthRequest(nickname="author", password_hash="d" * 43), "!"),
    _case("log in, banned", lambda s: wire.AuthRequest(nickname="banned", password_hash=SECRET), "!"),
    _case("take a free name", lambda s: wire.SetNickname(nickname="fresh"), "ok", wire.NicknameResponse),
    _case("take the name of an account", lambda s: wire.SetNickname(nickname="VICTIM"),
          "ok ok ! ! ! ! ! !", wire.NicknameResponse),
    _case("take a reserved name", lambda s: wire.SetNickname(nickname="Root"),
          "! ! ! ! ! ! ! ok", wire.NicknameResponse),
    _case("register", lambda s: wire.RegisterUser(password_hash=SECRET), "! ok ! ! ! ! ! !", wire.RegisterResponse),
    _case("log out", lambda s: wire.Logout(), "-", wire.AuthResponse),
    _case("change the password", lambda s: wire.ChangePassword(old_password_hash=SECRET, new_password_hash="e" * 43),
          "2000 2000 ok ok ok ok ok ok", wire.PasswordChanged),
    _case("change the password without the old one",
          lambda s: wire.ChangePassword(old_password_hash="", new_password_hash="e" * 43), "2000 2000 ! ! ! ! ! !"),
    _case("add a key", lambda s: wire.AddSSHKey(public_key=KEY, label="laptop"),
          "2000 2000 ok ok ok ok ok ok", wire.SSHKeyAdded),
    _case("list keys", lambda s: wire.ListSSHKeys(), "2000 2000 ok ok ok ok ok ok", wire.SSHKeyList),
    _case("label a key", lambda s: wire.UpdateSSHKeyLabel(key_id=UNKNOWN, new_label="x"),
          "2000 2000 ! ! ! ! ! !"),
    _case("delete a key", lambda s: wire.DeleteSSHKey(key_id=UNKNOWN), "2000 2000 ! ! ! ! ! !"),
    _case("ask who somebody is", lambda s: wire.GetUserInfo(nickname="author"), "ok", wire.UserInfo),
    _case("list who is online", lambda s: wire.ListUsers(limit=0), "ok", wire.UserList),
    _case("list all accounts", lambda s: wire.ListUsers(limit=0, include_offline=True),
          "3000 3000 3000 3000 3000 3000 3000 ok", wire.UserList),
    _case("ping", lambda s: wire.Ping(timestamp=1), "ok", wire.Pong),
    _case("say goodbye", lambda s: wire.Disconnect(), "closed"),
    # Channels
    _case("list channels", lambda s: wire.ListChannels(from_channel_id=0, limit=0), "ok", wire.ChannelList),
    _case("join", lambda s: wire.JoinChannel(channel_id=GENERAL), "ok", wire.JoinResponse),
    _case("join a conversation", lambda s: wire.JoinChannel(channel_id=s.direct),
          "! ! ! ! ok ! ! !", wire.JoinResponse),
    _case("leave what is not joined", lambda s: wire.LeaveChannel(channel_id=GENERAL), "!"),
    _case("leave a conversation for good", lambda s: wire.LeaveChannel(channel_id=s.direct, permanent=True),
          "! ! ! ! ok ! ! !", wire.LeaveResponse),
    _case("create a channel",
          lambda s: wire.CreateChannel(name="new", display_name="New", channel_type=1, retention_hours=24),
          "! ! ok ok ok ok ok ok", wire.ChannelCreated),
    _case("create a subchannel of nobody's channel",
          lambda s: wire.CreateSubchannel(channel_id=GENERAL, name="new", description="", type=1, retention_hours=24),
          "! ! ! ! ! ! ! ok", wire.SubchannelCreated),
    _case("create a subchannel of the author's channel",
          lambda s: wire.CreateSubchannel(channel_id=s.owned, name="new", description="", type=1, retention_hours=24),
          "! ! ! ok ! ! ! ok", wire.SubchannelCreated),
    _case("create a subchannel of a conversation",
          lambda s: wire.CreateSubchannel(channel_id=s.direct, name="new", description="", type=1, retention_hours=24),
          "!"),
    _case("list subchannels", lambda s: wire.GetSubchannels(channel_id=GENERAL), "ok", wire.SubchannelList),
    _case("list subchannels of a conversation", lambda s: wire.GetSubchannels(channel_id=s.direct),
          "4001 4001 4001 4001 ok 4001 4001 4001", wire.SubchannelList),
    _case("list who joined", lambda s: wire.ListChannelUsers(channel_id=GENERAL), "ok", wire.ChannelUserList),
    _case("list who joined a conversation", lambda s: wire.ListChannelUsers(channel_id=s.direct),
          "4001 4001 4001 4001 ok 4001 4001 4001", wire.ChannelUserList),
    _case("delete a channel", lambda s: wire.DeleteChannel(channel_id=s.owned, reason=""),
          "! ! ! ! ! ! ! ok", wire.ChannelDeleted),
    _case("delete a conversation", lambda s: wire.DeleteChannel(channel_id=s.direct, reason=""), "!"),
    # Messages
    _case("read", lambda s: wire.ListMessages(channel_id=GENERAL, limit=0), "ok", wire.MessageList),
    _case("read a conversation", lambda s: wire.ListMessages(channel_id=s.direct, limit=0),
          "4001 4001 4001 4001 ok 4001 4001 4001", wire.MessageList),
    _case("read below a conversation's message",
          lambda s: wire.ListMessages(channel_id=GENERAL, limit=0, parent_id=s.messages["other"]),
          "4002 4002 4002 4002 6000 4002 4002 4002", wire.MessageList),
    _case("read below a shadowbanned message",
          lambda s: wire.ListMessages(channel_id=GENERAL, limit=0, parent_id=s.messages["shadowbanned"]),
          "4002 4002 4002 4002 4002 ok ok ok", wire.MessageList),
    _case("post", lambda s: wire.PostMessage(channel_id=GENERAL, content=b"hello"),
          "2000 ok ok ok ok ok ok ok", wire.MessagePosted),
    _case("post in a conversation", lambda s: wire.PostMessage(channel_id=s.direct, content=b"hello"),
          "2000 4001 4001 4001 ok 4001 4001 4001", wire.MessagePosted),
    _case("answer a shadowbanned message",
          lambda s: wire.PostMessage(channel_id=GENERAL, parent_id=s.messages["shadowbanned"], content=b"hello"),
          "2000 4002 4002 4002 4002 ok ok ok", wire.MessagePosted),
    _case("answer a conversation's message elsewhere",
          lambda s: wire.PostMessage(channel_id=GENERAL, parent_id=s.messages["other"], content=b"hello"),
          "2000 4002 4002 4002 6000 4002 4002 4002", wire.MessagePosted),
    _case("edit the author's message",
          lambda s: wire.EditMessage(message_id=s.messages["author"], new_content=b"other"),
          "2000 2000 3000 ok 3000 3000 ok ok", wire.MessageEdited),
    _case("edit an anonymous message",
          lambda s: wire.EditMessage(message_id=s.messages["anonymous"], new_content=b"other"),
          "2000 2000 3000 3000 3000 3000 ok ok", wire.MessageEdited),
    _case("edit a shadowbanned message",
          lambda s: wire.EditMessage(message_id=s.messages["shadowbanned"], new_content=b"other"),
          "2000 2000 4002 4002 4002 ok ok ok", wire.MessageEdited),
    _case("edit the other's message in a conversation",
          lambda s: wire.EditMessage(message_id=s.messages["other"], new_content=b"other"),
          "2000 2000 4002 4002 3000 4002 4002 4002", wire.MessageEdited),
    _case("delete the author's message", lambda s: wire.DeleteMessage(message_id=s.messages["author"]),
          "6004 3000 3000 ok 3000 3000 ok ok", wire.MessageDeleted),
    _case("delete an anonymous message", lambda s: wire.DeleteMessage(message_id=s.messages["anonymous"]),
          "6004 ok 3000 3000 3000 3000 ok ok", wire.MessageDeleted),
    _case("delete a shadowbanned message", lambda s: wire.DeleteMessage(message_id=s.messages["shadowbanned"]),
          "6004 4002 4002 4002 4002 ok ok ok", wire.MessageDeleted),
    _case("delete the other's message in a conversation",
          lambda s: wire.DeleteMessage(message_id=s.messages["other"]),
          "6004 4002 4002 4002 3000 4002 4002 4002", wire.MessageDeleted),
    _case("count what is unread",
          lambda s: wire.GetUnreadCounts(since_timestamp=0, targets=(wire.UnreadTarget(channel_id=s.direct),)),
          "ok", wire.UnreadCounts),
    _case("say what was read", lambda s: wire.UpdateReadState(channel_id=GENERAL, timestamp=1), "-"),
    _case("say what was read of a conversation", lambda s: wire.UpdateReadState(channel_id=s.direct, timestamp=1),
          "- - 4001 4001 - 4001 4001 4001"),
    # Subscriptions
    _case("subscribe to a channel", lambda s: wire.SubscribeChannel(channel_id=GENERAL), "ok", wire.SubscribeOk),
    _case("subscribe to a conversation", lambda s: wire.SubscribeChannel(channel_id=s.direct),
          "4001 4001 4001 4001 ok 4001 4001 4001", wire.SubscribeOk),
    _case("subscribe to a thread", lambda s: wire.SubscribeThread(thread_id=s.messages["author"]),
          "ok", wire.SubscribeOk),
    _case("subscribe to a thread of a conversation", lambda s: wire.SubscribeThread(thread_id=s.messages["other"]),
          "4003 4003 4003 4003 ok 4003 4003 4003", wire.SubscribeOk),
    _case("subscribe to a shadowbanned thread",
          lambda s: wire.SubscribeThread(thread_id=s.messages["shadowbanned"]),
          "4003 4003 4003 4003 4003 ok ok ok", wire.SubscribeOk),
    _case("unsubscribe from a channel", lambda s: wire.UnsubscribeChannel(channel_id=s.direct),
          "ok", wire.SubscribeOk),
    _case("unsubscribe from a thread", lambda s: wire.UnsubscribeThread(thread_id=s.messages["other"]),
          "ok", wire.SubscribeOk),
    # Direct messages
    _case("ask for a conversation",
          lambda s: wire.StartDM(target_type=0, target_id=s.accounts["victim"].id, allow_unencrypted=True),
          "2000 4000 ok ok ok ok ok ok", wire.DMPending),  # the anonymous only reach who is online
    _case("ask for a conversation with nobody",
          lambda s: wire.StartDM(target_type=0, target_id=UNKNOWN, allow_unencrypted=True),
          "2000 4000 4000 4000 4000 4000 4000 4000"),
    _case("provide a key to keep", lambda s: wire.ProvidePublicKey(key_type=1, public_key=X25519, label=""),
          "3000 3000 - - - - - -"),
    _case("provide a key of the session", lambda s: wire.ProvidePublicKey(key_type=2, public_key=X25519, label=""),
          "-"),
    _case("accept the participant's invite",
          lambda s: wire.AllowUnencrypted(dm_channel_id=s.invite, permanent=False),
          "3000 3000 3000 3000 ok 3000 3000 3000", wire.DMReady),
    _case("accept no invite", lambda s: wire.AllowUnencrypted(dm_channel_id=UNKNOWN, permanent=False), "4000"),
    _case("decline the participant's invite", lambda s: wire.DeclineDM(dm_channel_id=s.invite),
          "3000 3000 3000 3000 - 3000 3000 3000"),
    # The directory is a later release's
    _case("list servers", lambda s: wire.ListServers(limit=0), "1001"),
    _case("register a server",
          lambda s: wire.RegisterServer(hostname="chat.example", port=6465, name="", description="", max_users=0,
                                        is_public=True, channel_count=0), "1001"),
    _case("send a heartbeat",
          lambda s: wire.Heartbeat(hostname="chat.example", port=6465, user_count=0, uptime_seconds=0,
                                   channel_count=0), "1001"),
    _case("answer a challenge", lambda s: wire.VerifyResponse(challenge=1), "1001"),
    _case("challenge", lambda s: wire.VerifyRegistration(challenge=1), "1001"),
    # Moderation
    _case("ban a user", lambda s: wire.BanUser(user_id=s.accounts["victim"].id, reason="noise", shadowban=False),
          "! ! ! ! ! ! ok ok", wire.UserBanned),
    _case("ban an admin", lambda s: wire.BanUser(nickname="root", reason="noise", shadowban=False), "!"),
    _case("ban an address", lambda s: wire.BanIP(ip_cidr="203.0.113.0/24", reason="noise"),
          "! ! ! ! ! ! ! ok", wire.IPBanned),
    _case("unban a user", lambda s: wire.UnbanUser(nickname="banned"), "! ! ! ! ! ! ok ok", wire.UserUnbanned),
    _case("unban an address", lambda s: wire.UnbanIP(ip_cidr="203.0.113.0/24"), "!"),
    _case("list bans", lambda s: wire.ListBans(include_expired=True),
          "3000 3000 3000 3000 3000 3000 ok ok", wire.BanList),
    _case("delete an account", lambda s: wire.DeleteUser(user_id=s.accounts["victim"].id),
          "! ! ! ! ! ! ! ok", wire.UserDeleted),
)  # fmt: skip
