"""Deleting channels with everything in them, and who hears of it."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.logger import Logger

from superchat.chat.ban_terms import checked_reason
from superchat.chat.channels import ChannelDirectory
from superchat.chat.moderation_requests import ADMINS
from superchat.chat.registry import ChannelRegistry
from superchat.chat.session import Session
from superchat.chat.sessions import Sessions
from superchat.clocks import NowMs
from superchat.errors import Declined
from superchat.model import Channel, NewAct
from superchat.storage.errors import UnknownChannel
from superchat.storage.interface import IStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import ChannelDeleted, DeleteChannel


@attrs.frozen
class Deleting:
    """DELETE_CHANNEL (decisions 4.13). *sweep_soon* has the rows removed that are left in the storage."""

    storage: IStorage
    directory: ChannelDirectory
    registry: ChannelRegistry
    sessions: Sessions
    now_ms: NowMs
    sweep_soon: Callable[[], None]
    activity: Logger

    async def delete_channel(self, session: Session, message: DeleteChannel) -> None:
        """wire 0x5F: the subchannels go too; a direct conversation ends when its participants have left, not before."""
        channel = self.directory.get(message.channel_id)
        if channel is None or channel.is_direct:
            raise _not_found()
        reason = checked_reason(message.reason)
        act = self._act(session, channel, reason)
        try:
            gone: list[int] = await self.storage.delete_channel(channel.id, act.performed_at, act)
        except UnknownChannel as error:
            raise _not_found() from error
        self._forget(channel.id, gone)
        self.activity.info(
            "Admin {actor} deleted channel {name} (channel={channel}, subchannels={subchannels}, reason={reason!r})",
            actor=act.actor,
            name=channel.name,
            channel=channel.id,
            subchannels=len(gone) - 1,
            reason=reason,
        )
        answer = ChannelDeleted(
            success=True, channel_id=channel.id, message=f"Channel '{channel.name}' deleted successfully"
        )
        session.reply(answer)
        self.registry.publish([each for each in self.sessions.everyone() if each is not session], answer)
        self.sweep_soon()

    def _forget(self, channel_id: int, gone: list[int]) -> None:
        """Nobody is in it any more, and nobody finds it."""
        for place_id in sorted(gone, key=lambda place_id: place_id == channel_id):
            self.registry.forget_channel(place_id)
            if place_id in self.directory:
                self.directory.remove(place_id)

    def _act(self, session: Session, channel: Channel, reason: str) -> NewAct:
        return NewAct(
            actor=session.nickname or "",
            actor_id=session.account_id,
            address=session.address,
            action="delete_channel",
            target_type="channel",
            target_id=channel.id,
            target=channel.name,
            details=f"reason={reason!r}",
            performed_at=self.now_ms(),
        )


def channel_not_deleted(message: DeleteChannel | None, text: str) -> ChannelDeleted:
    """How DELETE_CHANNEL is declined; without the right to it, nothing is said of any channel (wire 0x5F)."""
    is_told = message is not None and text != ADMINS.refusal.text
    return ChannelDeleted(success=False, channel_id=message.channel_id if message and is_told else 0, message=text)


def _not_found() -> Declined:
    return Declined(ErrorCode.CHANNEL_NOT_FOUND, "Channel not found")
