"""How much is unread, and how far somebody has read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from superchat.chat.channels import ChannelDirectory
from superchat.chat.session import Session
from superchat.chat.visibility import Visibility
from superchat.clocks import NowMs
from superchat.errors import Refused
from superchat.model import Backlog
from superchat.storage.errors import UnknownAccount, UnknownChannel
from superchat.storage.interface import IStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import GetUnreadCounts, UnreadCount, UnreadCounts, UnreadTarget, UpdateReadState

MOST_TARGETS: Final = 500
_MOST: Final = 2**32 - 1
"""The greatest count that the answer has room for."""

_Place = tuple[int, int | None]
"""A channel, and a thread in it or none."""


@attrs.frozen
class Unread:
    """GET_UNREAD_COUNTS and UPDATE_READ_STATE; times are Unix milliseconds (decisions 4.12)."""

    storage: IStorage
    directory: ChannelDirectory
    visibility: Visibility
    now_ms: NowMs

    async def get_counts(self, session: Session, message: GetUnreadCounts) -> None:
        """wire 0x18: since the given time, else since what the account has read; all 0 for the anonymous without a
        time (reference 2.1).

        A target that does not exist for the session counts 0, as one without messages does. A thread is counted
        wherever it is, whichever channel is named with it. Raises `Refused`: 6000 for more than `MOST_TARGETS`.
        """
        if len(message.targets) > MOST_TARGETS:
            raise Refused(ErrorCode.INVALID_INPUT, f"Too many targets (max {MOST_TARGETS})")
        counts: dict[_Place, int] = {}
        places: dict[UnreadTarget, _Place] = {}
        if message.since_timestamp is not None or session.account is not None:
            places = await self._places(session, message.targets)
            backlogs = await self._backlogs(session, message.since_timestamp, dict.fromkeys(places.values()))
            numbers = await self.storage.counts_since(backlogs, self.visibility.bans.view(session))
            counts = {(each.channel_id, each.root_id): number for each, number in zip(backlogs, numbers, strict=True)}
        answers = ((target, counts.get(places[target], 0) if target in places else 0) for target in message.targets)
        session.reply(UnreadCounts(counts=tuple(_count(target, number) for target, number in answers)))

    async def update(self, session: Session, message: UpdateReadState) -> None:
        """wire 0x1D: kept for an account, ignored without a word for the anonymous, never answered.

        Raises `Refused`: 4001 for a channel that does not exist for the session, 4004.
        """
        if session.account is None:
            return
        place = self.directory.find(session, message.channel_id, message.subchannel_id)
        try:
            await self.storage.set_read(session.account.id, place.id, message.timestamp, self.now_ms())
        except UnknownChannel as error:
            raise Refused(ErrorCode.CHANNEL_NOT_FOUND, "Channel does not exist") from error
        except UnknownAccount:
            return  # deleted meanwhile, and nobody reads as it any more

    async def _places(self, session: Session, targets: Iterable[UnreadTarget]) -> dict[UnreadTarget, _Place]:
        """Where each of *targets* is, of those that exist for *session*; all threads are looked up at once."""
        roots = {target.thread_id for target in targets if target.thread_id is not None}
        homes: dict[int, int] = await self.storage.channels_of([*roots]) if roots else {}
        places: dict[UnreadTarget, _Place] = {}
        for target in targets:
            place_id = self._channel_id(session, target) if target.thread_id is None else homes.get(target.thread_id)
            channel = None if place_id is None else self.directory.get(place_id)
            if channel is not None and self.directory.admits(session, channel):
                places[target] = channel.id, target.thread_id
        return places

    def _channel_id(self, session: Session, target: UnreadTarget) -> int | None:
        try:
            return self.directory.find(session, target.channel_id, target.subchannel_id).id
        except Refused:
            return None

    async def _backlogs(self, session: Session, since: int | None, places: Iterable[_Place]) -> list[Backlog]:
        if since is not None or session.account is None:
            return [Backlog(channel_id, since or 0, root_id) for channel_id, root_id in places]
        channels = dict.fromkeys(channel_id for channel_id, _ in places)
        read: dict[int, int] = await self.storage.read_positions(session.account.id, [*channels])
        return [Backlog(channel_id, read.get(channel_id, 0), root_id) for channel_id, root_id in places]


def _count(target: UnreadTarget, number: int) -> UnreadCount:
    return UnreadCount(
        channel_id=target.channel_id,
        subchannel_id=target.subchannel_id,
        thread_id=target.thread_id,
        unread_count=min(number, _MOST),
    )
