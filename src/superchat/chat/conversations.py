"""Direct conversations: how they begin, and how somebody leaves one for good."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Final

import attrs
from twisted.logger import Logger

from superchat.chat.channels import ChannelDirectory
from superchat.chat.membership import Identity, Membership, identity
from superchat.chat.parties import Parties, Party
from superchat.chat.presence import Presence
from superchat.chat.registry import ChannelRegistry
from superchat.chat.session import Session
from superchat.chat.turns import Turns
from superchat.clocks import NowMs
from superchat.errors import Declined, Refused
from superchat.model import Account, Channel, Participant
from superchat.storage.errors import StorageError
from superchat.storage.interface import IStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import DMParticipantLeft, DMReady, LeaveResponse

MOST_CONVERSATIONS: Final = 10_000
"""How many direct conversations somebody takes part in at most: nobody fills the database with them."""


@attrs.frozen
class Conversations:
    """Opens direct conversations, and ends people's part in them."""

    storage: IStorage
    directory: ChannelDirectory
    registry: ChannelRegistry
    presence: Presence
    parties: Parties
    now_ms: NowMs
    activity: Logger
    turns: Turns = attrs.field(factory=Turns)
    """Two people's affairs are settled one after the other, by `pair`."""
    _deleted: set[int] = attrs.field(factory=set)
    """Accounts that were deleted, perhaps while a conversation of theirs was on its way; their ids never return."""
    _log = Logger()

    @property
    def membership(self) -> Membership:
        """Who takes part in what."""
        return self.directory.membership

    def between(self, session: Session, other: Participant) -> Channel | None:
        """The conversation of *session* with somebody, also one that it began before it logged in."""
        for who in (self.parties.of(session).participant, Participant(None, session.key, "")):
            channel_id = self.membership.between(who, other)
            if channel_id is not None:
                return self.directory.get(channel_id)
        return None

    async def open(
        self, first: Party, second: Party, invite_id: int | None = None, asking: Session | None = None
    ) -> None:
        """Begin a conversation; *first* hears of it before *second*, its session *asking* before its others.

        Nothing happens for a session that has ended, and whoever ends meanwhile has left at once (decisions 6.4).
        Raises `Refused` 5000 for somebody with too many conversations, and what the storage raises.
        """
        sides = (first.participant, second.participant)
        if first.gone or second.gone:
            return
        if any(len(self.membership.channels(each)) >= MOST_CONVERSATIONS for each in sides):
            raise Refused(ErrorCode.RATE_LIMIT_EXCEEDED, "Too many direct conversations")
        channel: Channel = await self.storage.open_direct(sides, self.now_ms(), invite_id)
        self.directory.add([channel])
        self.membership.add((channel.id, each) for each in sides)
        self.activity.info("Direct conversation {channel} begins", channel=channel.id)
        self.parties.tell(first.participant, ready(channel, first, second), asking)
        self.parties.tell(second.participant, ready(channel, second, first))
        for party in (first, second):
            if party.gone or party.participant.account_id in self._deleted:
                await self._depart_meanwhile(channel.id, party.participant)

    def leaving(self, session: Session, channel_id: int) -> Awaitable[None] | None:
        """Leave for good, joined or not; None when that is no conversation of *session* (reference 6.5)."""
        channel = self.directory.get(channel_id)
        if channel is None or not channel.is_direct or not self.directory.admits(session, channel):
            return None
        return self._leave(session, channel_id)

    async def session_ended(self, gone: Participant) -> None:
        """Take one without an account out of all conversations (decisions 6.4)."""
        for channel_id in self.membership.channels(gone):
            async with self.turns.of(self._pair_in(channel_id)):
                if channel_id in self.membership.channels(gone):
                    await self._depart(channel_id, gone)

    def account_deleted(self, account: Account) -> None:
        """Tell those who talked with an account; the storage has taken it out of everything already."""
        self._deleted.add(account.id)
        gone = Participant(account.id, None, account.nickname)
        for channel_id in self.membership.channels(gone):
            others = len(self.membership.of(channel_id)) - 1
            self._forget(channel_id, gone, anybody=others > 0)
            self._tell_left(channel_id, gone)

    def withdraw(self, session: Session) -> None:
        """Let *session* hear nothing more of conversations that are not its own."""
        for channel_id in self.registry.places(session):
            channel = self.directory.get(channel_id)
            if channel is not None and not self.directory.admits(session, channel):
                self._announce(self._silence([session], channel_id), channel_id)

    async def _leave(self, session: Session, channel_id: int) -> None:
        async with self.turns.of(self._pair_in(channel_id)):
            role = self.membership.role(session, channel_id)
            if role is None:
                raise Declined(ErrorCode.INVALID_INPUT, "Session is not joined to the requested channel")
            await self._depart(channel_id, attrs.evolve(role, nickname=session.nickname or role.nickname), session)

    async def _depart_meanwhile(self, channel_id: int, gone: Participant) -> None:
        """Both have been told that the conversation began: what the storage cannot do now is no answer to anybody."""
        try:
            await self._depart(channel_id, gone)
        except StorageError as error:
            self._log.error("database error after a conversation began: {error}", error=error)

    async def _depart(self, channel_id: int, gone: Participant, asking: Session | None = None) -> None:
        """The order is the reference's (section 6.5): the note, the others, the answer, presence."""
        anybody: bool = await self.storage.leave_direct(channel_id, gone, self.now_ms())
        had_joined = self._forget(channel_id, gone, anybody=anybody)
        self._tell_left(channel_id, gone)
        if asking is not None:
            asking.reply(LeaveResponse(success=True, channel_id=channel_id, message="Left channel"))
        self._announce(had_joined, channel_id)

    def _forget(self, channel_id: int, gone: Participant, *, anybody: bool) -> list[Session]:
        """Make true in memory what is stored already; the sessions that had joined."""
        self.membership.remove(channel_id, gone)
        had_joined = self._silence(
            [one for one in self.parties.sessions(gone) if self.membership.role(one, channel_id) is None], channel_id
        )
        if not anybody and channel_id in self.directory:
            self.directory.remove(channel_id)
        self.activity.info("{name} has left direct conversation {channel}", name=gone.nickname, channel=channel_id)
        return had_joined

    def _silence(self, sessions: Iterable[Session], channel_id: int) -> list[Session]:
        """Let sessions hear nothing more of a channel; those that had joined it."""
        had_joined = []
        for session in sessions:
            self.presence.leaving(session)
            if self.registry.withdraw(session, channel_id):
                had_joined.append(session)
        return had_joined

    def _announce(self, had_joined: Iterable[Session], channel_id: int) -> None:
        for session in had_joined:
            self.presence.left(session, channel_id)

    def _tell_left(self, channel_id: int, gone: Participant) -> None:
        notice = DMParticipantLeft(dm_channel_id=channel_id, user_id=gone.account_id, nickname=gone.nickname)
        for other in self.membership.of(channel_id):
            for session in self.parties.sessions(other):
                # Who is gone is offline first (reference section 14): what presence still collects goes before.
                self.presence.leaving(session)
            self.parties.tell(other, notice)

    def _pair_in(self, channel_id: int) -> frozenset[Identity]:
        return frozenset(map(identity, self.membership.of(channel_id)))


def pair(one: Participant, other: Participant) -> frozenset[Identity]:
    """What two people's turns are kept by, whoever of them comes first."""
    return frozenset((identity(one), identity(other)))


def encrypted(one: Party, other: Party) -> bool:
    """Whether two can talk so that nobody else can read it: both have keys (decisions 6.3)."""
    return one.public_key is not None and other.public_key is not None


def ready(channel: Channel, whose: Party, other: Party) -> DMReady:
    """What *whose* is told of its conversation with *other*: encrypted if both have keys now (reference 6.1)."""
    can = encrypted(whose, other)
    return DMReady(
        channel_id=channel.id,
        other_user_id=other.participant.account_id,
        other_nickname=other.participant.nickname,
        is_encrypted=can,
        other_public_key=other.public_key if can else None,
    )
