"""The first administrator's account, as the configuration has it."""

from __future__ import annotations

import attrs
from twisted.logger import Logger

from superchat.auth.passwords import Passwords
from superchat.clocks import NowMs
from superchat.model import Account, NewAccount, NewAct, UserFlags
from superchat.storage.interface import IStorage


@attrs.frozen
class AdminPassword:
    """Creates or resets that account at start (decisions 2.3); when it is as it should be, nothing is written."""

    storage: IStorage
    passwords: Passwords
    now_ms: NowMs
    activity: Logger

    async def apply(self, admin: str, password: str) -> None:
        """Let *admin* log in with *password*, with an administrator's rights.

        An account that goes by another nickname meanwhile keeps that, and logs in with it. Fails as the storage does.
        """
        account: Account | None = await self.storage.account_named(admin)
        nickname = admin if account is None else account.nickname
        secret = await self.passwords.derive(nickname, password)
        if account is None:
            await self._create(nickname, await self.passwords.hash(secret))
            return
        if not account.password_hash or not await self.passwords.verify(secret, account.password_hash):
            hashed = await self.passwords.hash(secret)
            await self.storage.set_password(account.id, hashed, self._act("reset_password", account))
            self.activity.info("Reset password for admin user {nickname}", nickname=nickname)
        if not account.user_flags & UserFlags.ADMIN:
            flags = account.user_flags | UserFlags.ADMIN
            await self.storage.set_flags(account.id, flags, self._act("grant", account, "admin"))
            self.activity.info("Granted admin to {nickname}", nickname=nickname)

    async def _create(self, nickname: str, hashed: str) -> None:
        new = NewAccount(nickname, hashed, UserFlags.ADMIN, self.now_ms())
        act = self._act("create_user", None, "admin", nickname)
        await self.storage.create_account(new, None, act)
        self.activity.info("Created admin user {nickname}", nickname=nickname)

    def _act(self, action: str, account: Account | None, details: str = "", nickname: str = "") -> NewAct:
        return NewAct(
            actor="server.admin_password",
            actor_id=None,
            address="local",
            action=action,
            target_type="user",
            target_id=None if account is None else account.id,
            target=nickname if account is None else account.nickname,
            details=details,
            performed_at=self.now_ms(),
        )
