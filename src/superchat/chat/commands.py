"""Which message is answered by what, with what it needs: the table of everything that a client can ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from superchat.chat.accounts import (
    TO_CHANGE_PASSWORD,
    TO_REGISTER,
    UNREADABLE_CHANGE,
    Accounts,
    not_authenticated,
    not_changed,
    not_registered,
)
from superchat.chat.channels import Channels, not_joined, not_left
from superchat.chat.creating import (
    CREATORS,
    SUBCREATORS,
    UNREADABLE,
    Creating,
    channel_not_created,
    subchannel_not_created,
)
from superchat.chat.deleting import Deleting, channel_not_deleted
from superchat.chat.direct import UNREADABLE_CONSENT, UNREADABLE_KEY, UNREADABLE_REFUSAL, UNREADABLE_START, Direct
from superchat.chat.dispatch import UNREADABLE_REQUEST, Command, Need, Refusal, Role
from superchat.chat.editing import Editing
from superchat.chat.identity import Identity, not_named
from superchat.chat.moderation_requests import (
    ADMINS,
    MODERATORS,
    MODERATORS_TO_LIST,
    ModerationRequests,
    ip_not_banned,
    ip_not_unbanned,
    user_not_banned,
    user_not_deleted,
    user_not_unbanned,
)
from superchat.chat.posting import Posting
from superchat.chat.reading import Reading
from superchat.chat.session import Session
from superchat.chat.ssh_keys import (
    TO_ADD,
    TO_DELETE,
    TO_LABEL,
    TO_LIST,
    SSHKeys,
    not_added,
    not_deleted,
    not_labelled,
)
from superchat.chat.subscriptions import Subscriptions
from superchat.chat.unread import Unread
from superchat.wire import messages
from superchat.wire.errors import ErrorCode
from superchat.wire.records import Message

NICKNAME_REQUIRED: Final = "Nickname required. Use SET_NICKNAME first."
NAMED: Final = Need(Role.NAMED, Refusal(ErrorCode.AUTH_REQUIRED, NICKNAME_REQUIRED))
NAMED_TO_DELETE: Final = Need(Role.NAMED, Refusal(ErrorCode.NICKNAME_REQUIRED, NICKNAME_REQUIRED))
REGISTERED_TO_EDIT: Final = Need(
    Role.REGISTERED, Refusal(ErrorCode.AUTH_REQUIRED, "Authentication required. Register to edit messages.")
)
BAD_REQUEST: Final = Refusal(ErrorCode.INVALID_FORMAT, UNREADABLE_REQUEST)


@attrs.frozen
class Services:
    """What answers requests, each service a few kinds of them."""

    accounts: Accounts
    identity: Identity
    ssh_keys: SSHKeys
    channels: Channels
    creating: Creating
    deleting: Deleting
    posting: Posting
    editing: Editing
    reading: Reading
    subscriptions: Subscriptions
    unread: Unread
    direct: Direct
    moderation: ModerationRequests


def commands(services: Services) -> Mapping[type[Message], Command]:
    """The command for each message that is served; all others are answered as unsupported."""
    return {
        messages.AuthRequest: Command(services.accounts.authenticate, decline=not_authenticated),
        messages.SetNickname: Command(services.identity.set_nickname, decline=not_named),
        messages.RegisterUser: Command(services.accounts.register, TO_REGISTER, decline=not_registered),
        messages.Logout: Command(services.accounts.log_out),
        messages.ChangePassword: Command(
            services.accounts.change_password, TO_CHANGE_PASSWORD, decline=not_changed, unreadable=UNREADABLE_CHANGE
        ),
        messages.AddSSHKey: Command(services.ssh_keys.add, TO_ADD, decline=not_added, unreadable=BAD_REQUEST),
        messages.ListSSHKeys: Command(services.ssh_keys.list, TO_LIST, unreadable=BAD_REQUEST),
        messages.UpdateSSHKeyLabel: Command(
            services.ssh_keys.update_label, TO_LABEL, decline=not_labelled, unreadable=BAD_REQUEST
        ),
        messages.DeleteSSHKey: Command(
            services.ssh_keys.delete, TO_DELETE, decline=not_deleted, unreadable=BAD_REQUEST
        ),
        messages.GetUserInfo: Command(services.identity.get_user_info),
        messages.ListUsers: Command(services.identity.list_users),
        messages.Ping: Command(_pong),
        messages.Disconnect: Command(_hang_up),
        messages.ListChannels: Command(services.channels.list_channels),
        messages.GetSubchannels: Command(services.channels.get_subchannels, unreadable=BAD_REQUEST),
        messages.JoinChannel: Command(services.channels.join, decline=not_joined),
        messages.LeaveChannel: Command(services.channels.leave, decline=not_left),
        messages.ListChannelUsers: Command(services.channels.list_users),
        messages.CreateChannel: Command(
            services.creating.create_channel,
            CREATORS,
            decline=channel_not_created,
            unreadable=UNREADABLE,
            comes_first=True,
        ),
        messages.CreateSubchannel: Command(
            services.creating.create_subchannel,
            SUBCREATORS,
            decline=subchannel_not_created,
            unreadable=UNREADABLE,
            comes_first=True,
        ),
        messages.DeleteChannel: Command(services.deleting.delete_channel, ADMINS, decline=channel_not_deleted),
        messages.PostMessage: Command(services.posting.post, NAMED, rated=True, overlaps=True),
        messages.EditMessage: Command(services.editing.edit, REGISTERED_TO_EDIT),
        messages.DeleteMessage: Command(services.editing.delete, NAMED_TO_DELETE),
        messages.ListMessages: Command(services.reading.list_messages),
        messages.SubscribeChannel: Command(services.subscriptions.subscribe_channel),
        messages.UnsubscribeChannel: Command(services.subscriptions.unsubscribe_channel),
        messages.SubscribeThread: Command(services.subscriptions.subscribe_thread),
        messages.UnsubscribeThread: Command(services.subscriptions.unsubscribe_thread),
        messages.GetUnreadCounts: Command(services.unread.get_counts),
        messages.UpdateReadState: Command(services.unread.update),
        messages.StartDM: Command(services.direct.start_dm, NAMED, unreadable=UNREADABLE_START),
        messages.ProvidePublicKey: Command(services.direct.provide_public_key, unreadable=UNREADABLE_KEY),
        messages.AllowUnencrypted: Command(services.direct.invites.allow, unreadable=UNREADABLE_CONSENT),
        messages.DeclineDM: Command(services.direct.invites.decline, unreadable=UNREADABLE_REFUSAL),
        messages.BanUser: Command(services.moderation.ban_user, MODERATORS, decline=user_not_banned),
        messages.BanIP: Command(services.moderation.ban_ip, ADMINS, decline=ip_not_banned),
        messages.UnbanUser: Command(services.moderation.unban_user, MODERATORS, decline=user_not_unbanned),
        messages.UnbanIP: Command(services.moderation.unban_ip, ADMINS, decline=ip_not_unbanned),
        messages.ListBans: Command(services.moderation.list_bans, MODERATORS_TO_LIST),
        messages.DeleteUser: Command(services.moderation.delete_user, ADMINS, decline=user_not_deleted),
    }


def _pong(session: Session, message: messages.Ping) -> None:
    session.reply(messages.Pong(client_timestamp=message.timestamp))


def _hang_up(session: Session, message: messages.Disconnect) -> None:
    session.peer.disconnect(None, "client")
