"""Direct messages, as the rest of the server sees them: who wants to talk to whom, and with which key."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from superchat.chat.channels import ChannelDirectory
from superchat.chat.conversations import Conversations, pair, ready
from superchat.chat.dispatch import Refusal
from superchat.chat.invites import Invites
from superchat.chat.parties import Parties
from superchat.chat.presence import Presence
from superchat.chat.registry import ChannelRegistry
from superchat.chat.session import Session
from superchat.chat.sessions import Sessions
from superchat.clocks import NowMs
from superchat.errors import Refused
from superchat.model import Account, Participant
from superchat.storage.errors import StorageError, UnknownAccount
from superchat.storage.interface import IStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import KeyRequired, ProvidePublicKey, StartDM

EXPIRE_SECONDS: Final = 3600.0
"""How often expired invites are looked for."""

UNREADABLE_START: Final = Refusal(ErrorCode.INVALID_FORMAT, "Invalid START_DM format")
UNREADABLE_KEY: Final = Refusal(ErrorCode.INVALID_FORMAT, "Invalid PROVIDE_PUBLIC_KEY format")
UNREADABLE_CONSENT: Final = Refusal(ErrorCode.INVALID_FORMAT, "Invalid ALLOW_UNENCRYPTED format")
UNREADABLE_REFUSAL: Final = Refusal(ErrorCode.INVALID_FORMAT, "Invalid DECLINE_DM format")

_EPHEMERAL: Final = 2  # key type
_KEY_REQUIRED: Final = "You need to set up an encryption key before starting encrypted DMs"

# Points of low order on curve 25519 (RFC 7748, section 6.1): whatever the other's key, the secret shared with them
# is known to everybody, and clients refuse them (wire 9).
_PRIME: Final = 2**255 - 19
_LOW_ORDER: Final = frozenset(
    (
        0,
        1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
        _PRIME - 1,
    )
)


class Direct:
    """START_DM and PROVIDE_PUBLIC_KEY; and what begins and ends with the server, a session, or an account."""

    _log = Logger()

    def __init__(
        self,
        storage: IStorage,
        directory: ChannelDirectory,
        registry: ChannelRegistry,
        sessions: Sessions,
        presence: Presence,
        clock: IReactorTime,
        now_ms: NowMs,
        activity: Logger,
    ) -> None:
        self._storage = storage
        self._sessions = sessions
        self._parties = Parties(storage, sessions)
        self.conversations = Conversations(storage, directory, registry, presence, self._parties, now_ms, activity)
        self.invites = Invites(storage, sessions, self._parties, self.conversations)
        self._expiry = LoopingCall(self._expire)
        self._expiry.clock = clock
        self._stopped = False

    async def start(self) -> None:
        """Load who talks with whom; those without an account ended with the server's last run (decisions 6.1).

        Call it before the channels are loaded: some are gone with them.
        """
        await self._storage.forget_sessions(self.conversations.now_ms())
        self.conversations.membership.add(await self._storage.participants())
        await self.invites.expire()
        self._expiry.start(EXPIRE_SECONDS, now=False)

    def stop(self) -> None:
        """Do nothing more for sessions that end: the next `start` does it for all of them."""
        self._stopped = True
        if self._expiry.running:
            self._expiry.stop()

    async def start_dm(self, session: Session, message: StartDM) -> None:
        """wire 0x19: DM_READY, DM_PENDING or KEY_REQUIRED (reference 6.1, decisions 6)."""
        initiator = self._parties.of(session)
        whom = await self._parties.wanted(session, message)
        async with self.conversations.turns.of(pair(initiator.participant, whom)):
            initiator, target = self._parties.of(session), await self._parties.current(whom)
            if target is None:
                raise Refused(ErrorCode.NOT_FOUND, "User not found")
            channel = self.conversations.between(session, whom)
            if channel is not None:
                session.reply(ready(channel, initiator, target))
                return
            if initiator.public_key is None and not message.allow_unencrypted:
                session.reply(KeyRequired(reason=_KEY_REQUIRED, dm_channel_id=None))
                return
            if initiator.account is None and not self._parties.sessions(whom):
                raise Refused(ErrorCode.NOT_FOUND, "Target user must be online for anonymous DMs")
            insists = initiator.public_key is not None and not message.allow_unencrypted
            await self.invites.ask(session, initiator, target, insists=insists)

    async def provide_public_key(self, session: Session, message: ProvidePublicKey) -> None:
        """wire 0x1A: silence, but for the conversations that waited for this key (reference 6.2).

        An account has one key, whatever its type; a session without one keeps it until it ends (decisions 6.3).
        """
        key = message.public_key
        if session.account_id is None and message.key_type != _EPHEMERAL:
            raise Refused(ErrorCode.PERMISSION_DENIED, "Anonymous users can only use ephemeral keys")
        if _is_of_low_order(key):
            raise Refused(ErrorCode.INVALID_INPUT, "This public key is not safe to use")
        whose = self._parties.of(session).participant
        if whose.account_id is None:
            session.public_key = key
        else:
            await self._keep(whose.account_id, key)
        await self.invites.key_provided(session, whose)

    def changed_hands(self, session: Session) -> None:
        """Call it when a session acts for somebody else now, or for nobody any more: the conversations of before are
        no longer its own (decisions 2.4)."""
        self.conversations.withdraw(session)

    async def logged_in(self, session: Session) -> None:
        """Call it after a session has logged in and everybody was told: who waits for its account (decisions 6.1)."""
        await self.invites.logged_in(session)

    def disconnected(self, session: Session) -> None:
        """Call it after a session has ended: without an account it has left its conversations (decisions 6.4)."""
        gone = self._parties.forget(session)
        if gone is not None and not self._stopped:
            self._background(self._leave_everything(gone))

    async def account_deleted(self, account: Account) -> None:
        """Call it after the storage has deleted an account, and its sessions have ended."""
        self.conversations.account_deleted(account)

    async def _keep(self, account_id: int, key: bytes) -> None:
        try:
            account: Account = await self._storage.set_encryption_key(account_id, key)
        except UnknownAccount:
            raise Refused(ErrorCode.NOT_FOUND, "User not found") from None
        self._sessions.refresh(account)

    async def _leave_everything(self, gone: Participant) -> None:
        await self.invites.session_ended(gone)
        await self.conversations.session_ended(gone)

    def _expire(self) -> None:
        self._background(self.invites.expire())

    def _background(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        """Nobody waits for this; what the storage could not do now, the next `start` does."""
        Deferred.fromCoroutine(work).addErrback(self._report)

    def _report(self, failure: Failure) -> None:
        if failure.check(StorageError):
            self._log.error("database error in direct messages: {error}", error=failure.getErrorMessage())
        else:
            self._log.failure("Internal error in direct messages", failure)


def _is_of_low_order(key: bytes) -> bool:
    """Whether the shared secret would be no secret; the highest bit of a key does not count."""
    return int.from_bytes(key, "little") % 2**255 % _PRIME in _LOW_ORDER
