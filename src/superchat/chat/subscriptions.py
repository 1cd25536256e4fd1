"""Subscribing to channels and threads, within the limits."""

from __future__ import annotations

from contextlib import suppress

import attrs

from superchat.chat.channels import ChannelDirectory
from superchat.chat.presence import Presence
from superchat.chat.registry import ChannelRegistry
from superchat.chat.session import Session
from superchat.chat.visibility import Visibility
from superchat.config import Limits
from superchat.errors import Refused
from superchat.model import Message
from superchat.storage.interface import IStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    SubscribeChannel,
    SubscribeOk,
    SubscribeThread,
    UnsubscribeChannel,
    UnsubscribeThread,
)

_THREAD = 1
_CHANNEL = 2


@attrs.frozen
class Subscriptions:
    """SUBSCRIBE_* and UNSUBSCRIBE_*, all answered with SUBSCRIBE_OK (decisions 4.9)."""

    storage: IStorage
    directory: ChannelDirectory
    visibility: Visibility
    registry: ChannelRegistry
    presence: Presence
    limits: Limits

    def subscribe_channel(self, session: Session, message: SubscribeChannel) -> None:
        """wire 0x53: 4001, 4004, or 5005 at the limit; subscribing again costs nothing."""
        place = self.directory.find(session, message.channel_id, message.subchannel_id)
        if place.id not in session.channels:
            limit = self.limits.max_channel_subscriptions
            if 0 < limit <= len(session.channels):
                raise Refused(
                    ErrorCode.CHANNEL_SUBSCRIPTION_LIMIT,
                    f"Channel subscription limit exceeded (max {limit} per session)",
                )
            self.presence.entering(session, place.id)
            self.registry.subscribe_channel(session, place.id)
        session.reply(SubscribeOk(type=_CHANNEL, id=message.channel_id, subchannel_id=message.subchannel_id))

    def unsubscribe_channel(self, session: Session, message: UnsubscribeChannel) -> None:
        """wire 0x54: never refused, whatever the ids; those that name no place change nothing."""
        with suppress(Refused):
            place = self.directory.find(session, message.channel_id, message.subchannel_id)
            self.presence.leaving(session)
            self.registry.unsubscribe_channel(session, place.id)
        session.reply(SubscribeOk(type=_CHANNEL, id=message.channel_id, subchannel_id=message.subchannel_id))

    async def subscribe_thread(self, session: Session, message: SubscribeThread) -> None:
        """wire 0x51: a reply stands for its root; 4003, or 5004 at the limit. The answer names the subchannel that the
        thread is in, if it is in one (wire 11)."""
        stored = await self.visibility.find(session, message.thread_id)
        if stored is None or (stored.deleted_at is not None and not stored.reply_count):
            raise Refused(ErrorCode.THREAD_NOT_FOUND, "Thread does not exist")
        if stored.root_id not in session.threads:
            limit = self.limits.max_thread_subscriptions
            if 0 < limit <= len(session.threads):
                raise Refused(
                    ErrorCode.THREAD_SUBSCRIPTION_LIMIT,
                    f"Thread subscription limit exceeded (max {limit} per session)",
                )
            self.registry.subscribe_thread(session, stored.root_id, stored.channel_id)
        place = self.directory.find(session, stored.channel_id)
        subchannel_id = None if place.parent_id is None else place.id
        session.reply(SubscribeOk(type=_THREAD, id=message.thread_id, subchannel_id=subchannel_id))

    async def unsubscribe_thread(self, session: Session, message: UnsubscribeThread) -> None:
        """wire 0x52: never refused; a reply stands for its root here as well."""
        root_id = message.thread_id
        if root_id not in session.threads and session.threads:
            stored: Message | None = await self.storage.message(root_id)
            root_id = root_id if stored is None else stored.root_id
        self.registry.unsubscribe_thread(session, root_id)
        session.reply(SubscribeOk(type=_THREAD, id=message.thread_id, subchannel_id=None))
