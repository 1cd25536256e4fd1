"""Which message answers which request.

The protocol has no request ids. Replies of one connection come in the order of its requests, but what
others cause may come in between, sometimes as a message of the very same type (wire 10). So a message is
the oldest request's reply if its type stands in ``REPLIES`` and, where others cause such messages too, if
its contents fit the request.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred

from superchat.client.errors import ClientError, NoReply, ServerRefused
from superchat.wire import messages as wire
from superchat.wire.errors import ErrorCode
from superchat.wire.records import Message

Fits = Callable[[Any, Any], bool]

REPLIES: Final[Mapping[type[Message], tuple[type[Message], ...]]] = MappingProxyType(
    {
        wire.AuthRequest: (wire.AuthResponse,),
        wire.SetNickname: (wire.NicknameResponse,),
        wire.RegisterUser: (wire.RegisterResponse,),
        wire.ListChannels: (wire.ChannelList,),
        wire.JoinChannel: (wire.JoinResponse,),
        wire.LeaveChannel: (wire.LeaveResponse,),
        wire.CreateChannel: (wire.ChannelCreated,),
        wire.CreateSubchannel: (wire.SubchannelCreated,),
        wire.ListMessages: (wire.MessageList,),
        wire.PostMessage: (wire.MessagePosted,),
        wire.EditMessage: (wire.MessageEdited,),
        wire.DeleteMessage: (wire.MessageDeleted,),
        wire.AddSSHKey: (wire.SSHKeyAdded,),
        wire.ChangePassword: (wire.PasswordChanged,),
        wire.GetUserInfo: (wire.UserInfo,),
        wire.Ping: (wire.Pong,),
        wire.UpdateSSHKeyLabel: (wire.SSHKeyLabelUpdated,),
        wire.DeleteSSHKey: (wire.SSHKeyDeleted,),
        wire.ListSSHKeys: (wire.SSHKeyList,),
        wire.GetSubchannels: (wire.SubchannelList,),
        wire.ListUsers: (wire.UserList,),
        wire.ListChannelUsers: (wire.ChannelUserList,),
        wire.GetUnreadCounts: (wire.UnreadCounts,),
        wire.StartDM: (wire.DMReady, wire.DMPending, wire.KeyRequired),
        wire.AllowUnencrypted: (wire.DMReady,),
        wire.SubscribeThread: (wire.SubscribeOk,),
        wire.UnsubscribeThread: (wire.SubscribeOk,),
        wire.SubscribeChannel: (wire.SubscribeOk,),
        wire.UnsubscribeChannel: (wire.SubscribeOk,),
        wire.ListServers: (wire.ServerList,),
        wire.RegisterServer: (wire.RegisterAck,),
        wire.Heartbeat: (wire.HeartbeatAck,),
        wire.BanUser: (wire.UserBanned,),
        wire.BanIP: (wire.IPBanned,),
        wire.UnbanUser: (wire.UserUnbanned,),
        wire.UnbanIP: (wire.IPUnbanned,),
        wire.ListBans: (wire.BanList,),
        wire.DeleteUser: (wire.UserDeleted,),
        wire.DeleteChannel: (wire.ChannelDeleted,),
        wire.VerifyRegistration: (wire.VerifyResponse,),
    }
)
"""The "Replies" of every request in wire 6. ERROR answers all of them but PING, which no server refuses.

What is not a key has no reply and cannot be requested.
"""


def _channel_created(request: wire.CreateChannel, reply: wire.ChannelCreated) -> bool:
    # Somebody else may win the race for the same name; the text is then the only difference (reference 2.2).
    return not reply.success or (
        reply.name == request.name and not reply.message.startswith("New channel ")
    )


def _subchannel_created(request: wire.CreateSubchannel, reply: wire.SubchannelCreated) -> bool:
    return not reply.success or (reply.channel_id, reply.name) == (request.channel_id, request.name)


def _same_message(request: wire.EditMessage | wire.DeleteMessage, reply: wire.MessageEdited) -> bool:
    return not reply.success or reply.message_id == request.message_id


def _channel_deleted(request: wire.DeleteChannel, reply: wire.ChannelDeleted) -> bool:
    return not reply.success or reply.channel_id == request.channel_id


def _user_info(request: wire.GetUserInfo, reply: wire.UserInfo) -> bool:
    return reply.nickname == request.nickname


def _pong(request: wire.Ping, reply: wire.Pong) -> bool:
    return reply.client_timestamp == request.timestamp


def _direct_message(request: wire.StartDM, reply: Message) -> bool:
    if not isinstance(reply, wire.DMReady):
        return True
    if request.target_type == 0:
        return reply.other_user_id == request.target_id
    if request.target_nickname is not None:
        wanted = request.target_nickname.removeprefix("~")
        return reply.other_nickname.removeprefix("~").lower() == wanted.lower()
    return True


FITS: Final[Mapping[type[Message], Fits]] = MappingProxyType(
    {
        wire.CreateChannel: _channel_created,
        wire.CreateSubchannel: _subchannel_created,
        wire.EditMessage: _same_message,
        wire.DeleteMessage: _same_message,
        wire.DeleteChannel: _channel_deleted,
        wire.GetUserInfo: _user_info,
        wire.Ping: _pong,
        wire.StartDM: _direct_message,
    }
)
"""How to tell a reply from a message of the same type that others caused."""


def answers(request: Message, message: Message) -> bool:
    """Whether ``message`` is the reply to ``request``, given that no older request waits for one."""
    kind = type(request)
    if isinstance(message, wire.Error):
        # A frame flood earns ERROR 5000 beside the replies, which still come (decisions 1.9).
        return kind is not wire.Ping and message.error_code != ErrorCode.RATE_LIMIT_EXCEEDED
    if not isinstance(message, REPLIES[kind]):
        return False
    fits = FITS.get(kind)
    return fits is None or fits(request, message)


@attrs.define(eq=False)
class Exchange:
    """A request under way.

    Once given up, it stays in line: its reply may still come and belongs to nobody else.
    """

    request: Message
    reply: Deferred[Message]
    given_up: bool = False

    def give_up(self) -> None:
        """Stop waiting; whoever holds ``reply`` fires it."""
        self.given_up = True

    def settle(self, message: Message) -> None:
        """Hand over the reply, ERROR as ServerRefused."""
        if self.given_up:
            return
        self.given_up = True
        if isinstance(message, wire.Error):
            self.reply.errback(ServerRefused(message.error_code, message.message))
        else:
            self.reply.callback(message)

    def fail(self, error: ClientError) -> None:
        """Tell whoever waits that there will be no reply."""
        if not self.given_up:
            self.given_up = True
            self.reply.errback(error)

    def expire(self, timeout_seconds: float) -> None:
        """The time for this request is over."""
        self.fail(NoReply(f"no answer to {self.request.NAME} within {timeout_seconds:g} s"))


class Exchanges:
    """The requests of one connection that wait for their replies, oldest first."""

    def __init__(self) -> None:
        self._waiting: deque[Exchange] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def open(self, request: Message) -> Exchange:
        """Put a request in line. Raises TypeError if the protocol has no reply to it."""
        if type(request) not in REPLIES:
            raise TypeError(f"{request.NAME} has no reply: use send()")
        reply: Deferred[Message] = Deferred(lambda _: exchange.give_up())
        exchange = Exchange(request, reply)
        self._waiting.append(exchange)
        return exchange

    def settle(self, message: Message) -> bool:
        """Give ``message`` to the request it answers; False if it is no reply at all.

        Only the oldest request can be answered, except that those given up may have been left without any
        reply.
        """
        for position, exchange in enumerate(self._waiting):
            if answers(exchange.request, message):
                for _ in range(position + 1):
                    self._waiting.popleft()
                exchange.settle(message)
                return True
            if not exchange.given_up:
                return False
        return False

    def fail(self, error: ClientError) -> None:
        """No reply will come any more, to anything."""
        waiting, self._waiting = self._waiting, deque()
        for exchange in waiting:
            exchange.fail(error)
