"""Logging in and out, registering, and changing one's password."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Final, TypeVar

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from superchat.auth.passwords import Passwords, TooBusy, acceptable
from superchat.chat.attempts import Attempts
from superchat.chat.dispatch import Need, Refusal, Role
from superchat.chat.identity import RESERVED, Identity, find_account
from superchat.chat.nicknames import is_nickname
from superchat.chat.session import Session
from superchat.chat.sessions import network_of
from superchat.clocks import NowMs
from superchat.errors import Declined
from superchat.model import Account, NewAccount, UserFlags, name_key
from superchat.storage.errors import LastKey, NameTaken, Renamed, StorageError, UnknownAccount
from superchat.storage.interface import IStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    AuthRequest,
    AuthResponse,
    ChangePassword,
    Logout,
    PasswordChanged,
    RegisterResponse,
    RegisterUser,
)

T = TypeVar("T")

TOO_MANY_ATTEMPTS: Final = "Too many attempts"
BUSY: Final = "Too many people are logging in at the moment. Try again later."

TO_REGISTER: Final = Need(
    Role.NAMED, Refusal(ErrorCode.NICKNAME_REQUIRED, "Must set nickname before registering", Declined)
)
TO_CHANGE_PASSWORD: Final = Need(
    Role.REGISTERED, Refusal(ErrorCode.AUTH_REQUIRED, "Must be authenticated to change password")
)
UNREADABLE_CHANGE: Final = Refusal(ErrorCode.INVALID_FORMAT, "Invalid change password request")

_INVALID: Final = "Invalid credentials"
_NO_PASSWORD: Final = "This account requires SSH authentication. Please connect via SSH."
_BAD_HASH: Final = "Invalid password hash format"
_NO_KEYS: Final = "Cannot remove password without SSH keys. Add an SSH key first."
_NO_USER: Final = "User not found"


def _nothing(session: Session) -> None:
    """Nobody else has to know."""


@attrs.frozen
class Accounts:
    """AUTH_REQUEST, REGISTER_USER, LOGOUT and CHANGE_PASSWORD.

    While a password is compared or something is stored, the session may end, and the account change or be gone: what
    was found before is looked at again after.
    """

    storage: IStorage
    identity: Identity
    passwords: Passwords
    attempts: Attempts
    clock: IReactorTime
    now_ms: NowMs
    activity: Logger
    changed_hands: Callable[[Session], object] = _nothing
    """Told of a session that acts for somebody else now, or for nobody any more."""
    logged_in: Callable[[Session], Awaitable[None] | None] = _nothing
    """Told of a session that has logged in, once it knows."""
    _log = Logger()

    async def authenticate(self, session: Session, message: AuthRequest) -> None:
        """wire 0x01: log in, also from another account (reference 2.1)."""
        name = message.nickname
        self._attempt(session, "address", network_of(session.address))
        account = await find_account(self.storage, name)
        # Whoever guesses learns nothing from when it is enough: unknown names are counted, too.
        self._attempt(session, "account", name_key(name)[:32] if account is None else account.id)
        if account is not None and not account.password_hash:
            raise self._failed(session, name, ErrorCode.AUTH_REQUIRED, _NO_PASSWORD)
        if not await self._is_password(account, message.password_hash) or account is None:
            raise self._failed(session, name, ErrorCode.AUTH_REQUIRED, _INVALID)
        self._check_ban(session, account)
        if session.closed:
            return
        await self._log_in(session, account)

    async def register(self, session: Session, message: RegisterUser) -> None:
        """wire 0x03: make an account of the nickname; presence goes before the answer (reference 2.1)."""
        nickname = session.nickname or ""
        self._attempt(session, "address", network_of(session.address))
        self._attempt(session, "account", name_key(nickname))
        if not acceptable(message.password_hash):
            raise Declined(ErrorCode.INVALID_INPUT, _BAD_HASH)
        self._check_name(nickname)
        if await find_account(self.storage, nickname) is not None:
            raise _taken()
        hashed = await _computed(self.passwords.hash(message.password_hash))
        if not session.closed:
            await self._register(session, nickname, hashed)

    def log_out(self, session: Session, message: Logout) -> None:
        """wire 0x1C: no answer; everybody hears that it is anonymous now (decisions 2.4)."""
        account = session.account
        if account is None:
            return
        self.identity.sessions.log_out(session)
        self.activity.info("Session {id} logged out of {nickname}", id=session.id, nickname=account.nickname)
        self.changed_hands(session)
        self.identity.presence.online(session)

    async def change_password(self, session: Session, message: ChangePassword) -> None:
        """wire 0x0E: the old one is always verified when there is one (decisions 2.6), and the new one goes with the
        nickname of today (decisions 2.5)."""
        account = await self._own(session)
        self._attempt(session, "change", account.id)
        if account.password_hash and not await self._is_password(account, message.old_password_hash):
            self._note_failure(session, account.nickname, "incorrect current password")
            raise Declined(ErrorCode.AUTH_REQUIRED, "Incorrect current password")
        hashed = await self._new_hash(message.new_password_hash)
        if session.account_id != account.id or session.closed:
            return
        try:
            changed: Account = await self.storage.set_password(account.id, hashed, named=account.nickname)
        except LastKey:
            raise Declined(ErrorCode.INVALID_INPUT, _NO_KEYS) from None
        except UnknownAccount:
            raise Declined(ErrorCode.NOT_FOUND, _NO_USER) from None
        except Renamed:
            raise Declined(ErrorCode.INVALID_INPUT, "The nickname has changed meanwhile. Try again.") from None
        self.identity.sessions.refresh(changed)
        did = "changed" if hashed else "removed"
        self.activity.info("Session {id} {did} password of {name}", id=session.id, did=did, name=changed.nickname)
        session.reply(PasswordChanged(success=True, error_message=""))

    # Logging in

    async def _log_in(self, session: Session, verified: Account) -> None:
        try:
            account: Account = await self.storage.seen(verified.id, self.now_ms())
        except UnknownAccount:
            raise self._failed(session, verified.nickname, ErrorCode.AUTH_REQUIRED, _INVALID) from None
        if account.password_hash != verified.password_hash:
            raise self._failed(session, account.nickname, ErrorCode.AUTH_REQUIRED, _INVALID)
        self._check_ban(session, account)
        if session.closed:
            return
        self._become(session, account, announce=False)
        self.activity.info("Session {id} logged in as {name}", id=session.id, name=account.nickname)
        session.reply(
            AuthResponse(
                success=True,
                user_id=account.id,
                nickname=account.nickname,
                message=f"Welcome back, {account.nickname}!",
                user_flags=account.user_flags,
            )
        )
        self.identity.presence.online(session)
        await self._welcome(session)

    async def _register(self, session: Session, nickname: str, hashed: str) -> None:
        new = NewAccount(nickname, hashed, UserFlags.NONE, self.now_ms())
        try:
            account: Account = await self.storage.create_account(new)
        except NameTaken:
            raise _taken() from None
        self.identity.bans.adopt(account)
        self.activity.info("Session {id} registered {nickname}", id=session.id, nickname=nickname)
        if session.closed:
            return
        self._become(session, account)
        text = f"Successfully registered {nickname}!"
        session.reply(RegisterResponse(success=True, user_id=account.id, message=text))
        await self._welcome(session)

    def _become(self, session: Session, account: Account, *, announce: bool = True) -> None:
        self.identity.sessions.refresh(account)
        self.identity.sessions.log_in(session, account)
        self.changed_hands(session)
        if announce:
            self.identity.presence.online(session)

    async def _welcome(self, session: Session) -> None:
        try:
            waiting = self.logged_in(session)
            if waiting is not None:
                await waiting
        except StorageError as error:
            # It is answered already, and one request has one answer: who waits for the account waits on.
            self._log.error("database error after a login: {error}", error=error)

    def _check_ban(self, session: Session, account: Account) -> None:
        refusal = self.identity.bans.login_refusal(account)
        if refusal is not None:
            raise self._failed(session, account.nickname, ErrorCode.PERMISSION_DENIED, refusal)

    # Names and passwords

    def _check_name(self, nickname: str) -> None:
        """The name was fine when it was taken; the configuration and the bans may have changed since."""
        if name_key(nickname) in self.identity.reserved:
            raise Declined(ErrorCode.INVALID_NICKNAME, RESERVED)
        refusal = self.identity.bans.nickname_refusal(nickname)
        if refusal is not None:
            raise Declined(ErrorCode.PERMISSION_DENIED, refusal)

    async def _own(self, session: Session) -> Account:
        account: Account | None = None
        if session.account_id is not None:
            account = await self.storage.account(session.account_id)
        if account is None:
            raise Declined(ErrorCode.NOT_FOUND, _NO_USER)
        return account

    async def _is_password(self, account: Account | None, secret: str) -> bool:
        """Takes the same time whether there is such an account or not (decisions 2.6)."""
        if not acceptable(secret):
            return False
        if account is None:
            return await _computed(self.passwords.verify_nobody(secret))
        return await _computed(self.passwords.verify(secret, account.password_hash))

    async def _new_hash(self, secret: str) -> str:
        if not secret:
            return ""
        if not acceptable(secret):
            raise Declined(ErrorCode.INVALID_INPUT, _BAD_HASH)
        return await _computed(self.passwords.hash(secret))

    # Saying no

    def _attempt(self, session: Session, kind: str, whose: Hashable) -> None:
        """Count an attempt; the monitoring guide's searches for broken limits find the line of a refused one."""
        if self.attempts.take((kind, whose), self.clock.seconds()):
            return
        self.activity.warn(
            "Rate limit exceeded for session {id}: authentication failed from {address}, "
            "login rate limit exceeded ({rate} attempts per minute for one {kind})",
            id=session.id,
            address=session.address,
            rate=self.attempts.per_minute,
            kind="address" if kind == "address" else "account",
        )
        raise Declined(ErrorCode.RATE_LIMIT_EXCEEDED, TOO_MANY_ATTEMPTS)

    def _failed(self, session: Session, name: str, code: ErrorCode, text: str) -> Declined:
        self._note_failure(session, name, text)
        return Declined(code, text)

    def _note_failure(self, session: Session, name: str, why: str) -> None:
        self.activity.warn(
            "Session {id} authentication failed for {name} from {address}: {why}",
            id=session.id,
            name=name if is_nickname(name) else "no nickname",
            address=session.address,
            why=why,
        )


def not_authenticated(message: AuthRequest | None, text: str) -> AuthResponse:
    """How AUTH_REQUEST is declined."""
    return AuthResponse(success=False, message=text)


def not_registered(message: RegisterUser | None, text: str) -> RegisterResponse:
    """How REGISTER_USER is declined."""
    return RegisterResponse(success=False, message=text)


def not_changed(message: ChangePassword | None, text: str) -> PasswordChanged:
    """How CHANGE_PASSWORD is declined."""
    return PasswordChanged(success=False, error_message=text)


def _taken() -> Declined:
    return Declined(ErrorCode.INVALID_NICKNAME, "Nickname already registered")


async def _computed(result: Awaitable[T]) -> T:
    try:
        return await result
    except TooBusy:
        raise Declined(ErrorCode.RATE_LIMIT_EXCEEDED, BUSY) from None
