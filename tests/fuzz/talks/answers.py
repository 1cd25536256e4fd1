"""What answers what (wire.md, sections 6 and 7; decisions where they differ): the table that talks are judged by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from superchat.wire import messages as wire
from superchat.wire.errors import ErrorCode, Malformed, Unsupported
from superchat.wire.messages import FROM_CLIENT
from superchat.wire.records import Message

Request = Message | Malformed | Unsupported

FLOOD_TEXT: Final = "Too many frames, slow down"
"""Of the one ERROR that answers nothing (decisions 1.9)."""


def _any(request: Any, answer: Any) -> bool:
    return True


@attrs.frozen
class Answer:
    """What may answer a request: one message of *kinds*, or an ERROR with one of *codes*; nothing at all if *silent*.

    *fits* tells whether the message belongs to this very request. *follows* are kinds of which one may come on top.
    """

    kinds: tuple[type[Message], ...] = ()
    codes: tuple[int, ...] = ()
    silent: bool = False
    fits: Callable[[Any, Any], bool] = _any
    follows: tuple[type[Message], ...] = ()


def _same(*fields: str) -> Callable[[Any, Any], bool]:
    """Whether these fields are the same in the request and its answer."""
    return lambda request, answer: all(getattr(request, name) == getattr(answer, name) for name in fields)


def _targets(request: wire.GetUnreadCounts, answer: wire.UnreadCounts) -> bool:
    asked = [(one.channel_id, one.subchannel_id, one.thread_id) for one in request.targets]
    return asked == [(one.channel_id, one.subchannel_id, one.thread_id) for one in answer.counts]


def _thread(request: Any, answer: wire.SubscribeOk) -> bool:
    return (answer.type, answer.id) == (1, request.thread_id)


def _channel(request: Any, answer: wire.SubscribeOk) -> bool:
    return (answer.type, answer.id, answer.subchannel_id) == (2, request.channel_id, request.subchannel_id)


def _pong(request: wire.Ping, answer: wire.Pong) -> bool:
    return request.timestamp == answer.client_timestamp


def _joined(request: wire.JoinChannel, answer: wire.JoinResponse) -> bool:
    return request.channel_id == answer.channel_id


def _deleted(request: wire.DeleteChannel, answer: wire.ChannelDeleted) -> bool:
    return answer.channel_id in (request.channel_id, *(() if answer.success else (0,)))


def _subcreated(request: wire.CreateSubchannel, answer: wire.SubchannelCreated) -> bool:
    return not answer.success or request.name == answer.name


def _created(request: wire.CreateChannel, answer: wire.ChannelCreated) -> bool:
    return not answer.success or request.name == answer.name


_ACCOUNT = (ErrorCode.AUTH_REQUIRED,)
_PLACE = (ErrorCode.CHANNEL_NOT_FOUND, ErrorCode.SUBCHANNEL_NOT_FOUND)
_INPUT = ErrorCode.INVALID_INPUT

ANSWERS: Final[Mapping[type[Message], Answer]] = {
    wire.AuthRequest: Answer((wire.AuthResponse,)),
    wire.SetNickname: Answer((wire.NicknameResponse,), follows=(wire.UserInfo,)),
    wire.RegisterUser: Answer((wire.RegisterResponse,)),
    wire.ListChannels: Answer((wire.ChannelList,)),
    wire.JoinChannel: Answer((wire.JoinResponse,), fits=_joined),
    wire.LeaveChannel: Answer((wire.LeaveResponse,)),
    wire.CreateChannel: Answer((wire.ChannelCreated,), fits=_created),
    wire.CreateSubchannel: Answer((wire.SubchannelCreated,), fits=_subcreated),
    wire.ListMessages: Answer(
        (wire.MessageList,),
        (*_PLACE, ErrorCode.MESSAGE_NOT_FOUND, _INPUT),
        fits=_same("channel_id", "subchannel_id", "parent_id"),
    ),
    wire.PostMessage: Answer(
        (wire.MessagePosted,),
        (
            *_ACCOUNT,
            *_PLACE,
            _INPUT,
            ErrorCode.MESSAGE_NOT_FOUND,
            ErrorCode.MESSAGE_TOO_LONG,
            ErrorCode.MESSAGE_RATE_LIMIT,
        ),
    ),
    wire.EditMessage: Answer(
        (wire.MessageEdited,),
        (
            *_ACCOUNT,
            *_PLACE,
            _INPUT,
            ErrorCode.MESSAGE_NOT_FOUND,
            ErrorCode.MESSAGE_TOO_LONG,
            ErrorCode.PERMISSION_DENIED,
        ),
        fits=_same("message_id"),
    ),
    wire.DeleteMessage: Answer(
        (wire.MessageDeleted,),
        (ErrorCode.NICKNAME_REQUIRED, ErrorCode.MESSAGE_NOT_FOUND, ErrorCode.PERMISSION_DENIED, _INPUT),
        fits=_same("message_id"),
    ),
    wire.AddSSHKey: Answer((wire.SSHKeyAdded,), _ACCOUNT),
    wire.ChangePassword: Answer((wire.PasswordChanged,), _ACCOUNT),
    wire.GetUserInfo: Answer((wire.UserInfo,), fits=_same("nickname")),
    wire.Ping: Answer((wire.Pong,), fits=_pong),
    wire.Disconnect: Answer(silent=True),
    wire.UpdateSSHKeyLabel: Answer((wire.SSHKeyLabelUpdated,), _ACCOUNT),
    wire.DeleteSSHKey: Answer((wire.SSHKeyDeleted,), _ACCOUNT),
    wire.ListSSHKeys: Answer((wire.SSHKeyList,), _ACCOUNT),
    wire.GetSubchannels: Answer((wire.SubchannelList,), _PLACE, fits=_same("channel_id")),
    wire.ListUsers: Answer((wire.UserList,), (ErrorCode.PERMISSION_DENIED,)),
    wire.ListChannelUsers: Answer((wire.ChannelUserList,), _PLACE, fits=_same("channel_id", "subchannel_id")),
    wire.GetUnreadCounts: Answer((wire.UnreadCounts,), (_INPUT,), fits=_targets),
    wire.StartDM: Answer(
        (wire.DMReady, wire.DMPending, wire.KeyRequired),
        (*_ACCOUNT, ErrorCode.INVALID_FORMAT, ErrorCode.NOT_FOUND, ErrorCode.RATE_LIMIT_EXCEEDED, _INPUT),
    ),
    wire.ProvidePublicKey: Answer(
        codes=(ErrorCode.PERMISSION_DENIED, ErrorCode.NOT_FOUND, ErrorCode.RATE_LIMIT_EXCEEDED, _INPUT), silent=True
    ),
    wire.AllowUnencrypted: Answer(
        (wire.DMReady,),
        (ErrorCode.NOT_FOUND, ErrorCode.PERMISSION_DENIED, ErrorCode.RATE_LIMIT_EXCEEDED),
        follows=(wire.KeyRequired,),
    ),
    wire.Logout: Answer(silent=True),
    wire.UpdateReadState: Answer(codes=_PLACE, silent=True),
    wire.DeclineDM: Answer(codes=(ErrorCode.PERMISSION_DENIED,), silent=True),
    wire.SubscribeThread: Answer(
        (wire.SubscribeOk,),
        (ErrorCode.CHANNEL_NOT_FOUND, ErrorCode.THREAD_NOT_FOUND, ErrorCode.THREAD_SUBSCRIPTION_LIMIT),
        fits=_thread,
    ),
    wire.UnsubscribeThread: Answer((wire.SubscribeOk,), fits=_thread),
    wire.SubscribeChannel: Answer((wire.SubscribeOk,), (*_PLACE, ErrorCode.CHANNEL_SUBSCRIPTION_LIMIT), fits=_channel),
    wire.UnsubscribeChannel: Answer((wire.SubscribeOk,), fits=_channel),
    # Directory mode is off.
    wire.ListServers: Answer(codes=(ErrorCode.UNSUPPORTED_VERSION,)),
    wire.RegisterServer: Answer(codes=(ErrorCode.UNSUPPORTED_VERSION,)),
    wire.Heartbeat: Answer(codes=(ErrorCode.UNSUPPORTED_VERSION,)),
    wire.VerifyRegistration: Answer(codes=(ErrorCode.UNSUPPORTED_VERSION,)),
    wire.VerifyResponse: Answer(codes=(ErrorCode.UNSUPPORTED_VERSION,)),
    wire.BanUser: Answer((wire.UserBanned,)),
    wire.BanIP: Answer((wire.IPBanned,)),
    wire.UnbanUser: Answer((wire.UserUnbanned,)),
    wire.UnbanIP: Answer((wire.IPUnbanned,)),
    wire.ListBans: Answer((wire.BanList,), (ErrorCode.PERMISSION_DENIED,)),
    wire.DeleteUser: Answer((wire.UserDeleted,)),
    wire.DeleteChannel: Answer((wire.ChannelDeleted,), fits=_deleted),
}

_BY_NAME = {kind.NAME: kind for kind in FROM_CLIENT.values()}
_NO_RIGHTS = (ErrorCode.AUTH_REQUIRED, ErrorCode.NICKNAME_REQUIRED, ErrorCode.PERMISSION_DENIED)
_UNKNOWN: Final = Answer(codes=(ErrorCode.UNSUPPORTED_VERSION,))

NEWS: Final = (
    wire.NewMessage,
    wire.ServerPresence,
    wire.ChannelPresence,
    wire.DMReady,
    wire.DMRequest,
    wire.DMDeclined,
    wire.DMParticipantLeft,
)
"""What comes without being asked for."""

ANSWERS_AND_NEWS: Final = (
    wire.ChannelCreated,
    wire.SubchannelCreated,
    wire.MessageEdited,
    wire.MessageDeleted,
    wire.UserDeleted,
    wire.ChannelDeleted,
)
"""What is the answer to one and news to everybody else; a refusal is never news."""


def answer_to(request: Request) -> Answer:
    """What must come of *request*."""
    if isinstance(request, Unsupported):
        return _UNKNOWN
    if isinstance(request, Malformed):
        known = ANSWERS[_BY_NAME[request.name]]
        if known.codes == _UNKNOWN.codes:
            return _UNKNOWN
        # What it lacks is said first; some have an answer of their own for what cannot be read (wire 1, "Errors").
        return attrs.evolve(known, codes=(ErrorCode.INVALID_FORMAT, *_NO_RIGHTS), silent=False, fits=_refuses)
    return ANSWERS[type(request)]


def is_certain_refusal(request: Request) -> bool:
    """Whether a request cannot succeed, whoever asks and whatever there is."""
    if isinstance(request, wire.PostMessage):
        return not request.content or request.channel_id >= 1 << 63
    return not isinstance(request, Message)


def _refuses(request: Any, answer: Any) -> bool:
    return getattr(answer, "success", None) is False


def is_news(message: Message) -> bool:
    """Whether *message* may come without having been asked for."""
    if isinstance(message, wire.Error):
        return message.error_code == ErrorCode.RATE_LIMIT_EXCEEDED and message.message == FLOOD_TEXT
    return isinstance(message, NEWS) or (isinstance(message, ANSWERS_AND_NEWS) and message.success)
