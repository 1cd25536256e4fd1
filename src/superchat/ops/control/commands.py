"""What operators may ask for, by name; the same whether they ask a running server or there is none."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from superchat import __version__
from superchat.auth.passwords import TooBusy
from superchat.chat.dispatch import Role
from superchat.chat.moderation import Actor, Outcome
from superchat.chat.service import Chat
from superchat.errors import Refused
from superchat.model import Account, Act, NewAct
from superchat.ops.control.accounts import AccountAdministration, Change
from superchat.ops.control.arguments import Arguments
from superchat.ops.control.messages import Answer, ControlError, ErrorKind, Request
from superchat.ops.control.rows import act_row, ban_row, user_row
from superchat.storage.errors import StorageError
from superchat.storage.interface import IStorage, Size

LONGEST_LIST: Final = 10_000
LOCAL: Final = "local"
"""The address in acts of operators: they are on the server's own machine."""

Carry: TypeAlias = Callable[[Actor, Arguments], Awaitable[Answer]]


def operator(uid: int) -> str:
    """How an operator is called in bans and in the audit log."""
    return f"operator uid {uid}"


class Commands:
    """Carries requests out, one after the other. *is_server* tells that clients are served meanwhile."""

    _log = Logger()

    def __init__(self, chat: Chat, storage: IStorage, clock: IReactorTime, database: Path, *, is_server: bool) -> None:
        self._chat = chat
        self._storage = storage
        self._clock = clock
        self._database = database.resolve()
        self._is_server = is_server
        self._started_at = clock.seconds()
        self._accounts = AccountAdministration(chat, storage)
        self._turns = DeferredLock()
        self._by_name: Mapping[str, Carry] = {
            "account": self._account,
            "create-user": self._create_user,
            "grant": self._grant,
            "revoke": self._revoke,
            "reset-password": self._reset_password,
            "users": self._users,
            "delete-user": self._delete_user,
            "ban": self._ban,
            "unban": self._unban,
            "bans": self._bans,
            "audit": self._audit,
            "stats": self._stats,
            "note-backup": self._note_backup,
        }

    async def perform(self, who: str, request: Request) -> Answer:
        """Do what the operator *who* asks for. Raises `ControlError`, and has changed nothing then."""
        if request.database and Path(request.database) != self._database:
            text = f"this server's database is {self._database}, not {request.database}"
            raise ControlError(ErrorKind.WRONG_DATABASE, text)
        carry = self._by_name.get(request.command)
        if carry is None:
            raise ControlError(ErrorKind.USAGE, "there is no such command; is the server older than this tool?")
        await self._turns.acquire()
        try:
            return await carry(Actor(who, None, LOCAL, Role.ADMIN), Arguments(request.arguments))
        except Refused as refused:
            raise ControlError(ErrorKind.REFUSED, refused.text) from None
        except TooBusy as busy:
            raise ControlError(ErrorKind.FAILED, str(busy)) from None
        except StorageError as error:
            self._log.error("database error in {command}: {error}", command=request.command, error=error)
            raise ControlError(ErrorKind.FAILED, str(error)) from None
        finally:
            self._turns.release()

    # Accounts

    async def _account(self, actor: Actor, given: Arguments) -> Answer:
        name = given.text("nickname")
        given.end()
        return self._about(await self._accounts.find(name))

    async def _create_user(self, actor: Actor, given: Arguments) -> Answer:
        nickname, secret, role = given.text("nickname"), given.text("secret"), given.text_or_none("role")
        given.end()
        return self._changed(await self._accounts.create(actor, nickname, secret, role))

    async def _grant(self, actor: Actor, given: Arguments) -> Answer:
        nickname, role = given.text("nickname"), given.text("role")
        given.end()
        return self._changed(await self._accounts.grant(actor, nickname, role))

    async def _revoke(self, actor: Actor, given: Arguments) -> Answer:
        nickname, role = given.text("nickname"), given.text("role")
        given.end()
        return self._changed(await self._accounts.revoke(actor, nickname, role))

    async def _reset_password(self, actor: Actor, given: Arguments) -> Answer:
        account_id, nickname, secret = given.number("user_id"), given.text("nickname"), given.text("secret")
        given.end()
        return self._changed(await self._accounts.reset_password(actor, account_id, nickname, secret))

    async def _users(self, actor: Actor, given: Arguments) -> Answer:
        limit, after = given.number("limit", maximum=LONGEST_LIST), given.text_or_none("after")
        given.end()
        found: list[Account] = await self._storage.accounts(limit, after or "")
        rows = [user_row(account, self._accounts.sessions_of(account)) for account in found]
        return Answer(_counted(len(rows), "account"), rows=rows)

    async def _delete_user(self, actor: Actor, given: Arguments) -> Answer:
        nickname = given.text("nickname")
        given.end()
        account = await self._accounts.find(nickname)
        outcome = await self._chat.moderation.delete_user(actor, account.id)
        return Answer(outcome.text, {"user_id": str(account.id), "nickname": account.nickname})

    # Bans

    async def _ban(self, actor: Actor, given: Arguments) -> Answer:
        user, nickname, ip_cidr = self._target(given)
        reason, duration = given.text_or_none("reason") or "", given.number_or_none("duration_seconds")
        shadow = given.flag("shadow")
        given.end()
        moderation = self._chat.moderation
        if ip_cidr is not None:
            if shadow:
                raise ControlError(ErrorKind.USAGE, "an address cannot be shadowbanned")
            return self._banned(await moderation.ban_ip(actor, ip_cidr, reason, duration_seconds=duration))
        account = None if user is None else await self._accounts.find(user)
        return self._banned(
            await moderation.ban_user(
                actor,
                None if account is None else account.id,
                nickname if account is None else account.nickname,
                reason,
                shadowban=shadow,
                duration_seconds=duration,
            )
        )

    async def _unban(self, actor: Actor, given: Arguments) -> Answer:
        user, nickname, ip_cidr = self._target(given)
        given.end()
        moderation = self._chat.moderation
        if ip_cidr is not None:
            return self._banned(await moderation.unban_ip(actor, ip_cidr))
        if user is not None:
            account = await self._accounts.find(user)
            return self._banned(await moderation.unban_user(actor, account.id, account.nickname))
        return self._banned(await moderation.unban_user(actor, None, nickname))

    async def _bans(self, actor: Actor, given: Arguments) -> Answer:
        limit, everything = given.number("limit", maximum=LONGEST_LIST), given.flag("include_expired")
        given.end()
        found = await self._chat.moderation.list_bans(include_expired=everything, limit=limit)
        rows = [ban_row(ban, self._chat.now_ms()) for ban in found]
        return Answer(_counted(len(rows), "ban"), rows=rows)

    # Looking on

    async def _audit(self, actor: Actor, given: Arguments) -> Answer:
        limit, before = given.number("limit", maximum=LONGEST_LIST), given.number_or_none("before_id")
        given.end()
        found: list[Act] = await self._storage.acts(limit, before)
        return Answer(_counted(len(found), "act"), rows=[*map(act_row, found)])

    async def _stats(self, actor: Actor, given: Arguments) -> Answer:
        given.end()
        size: Size = await self._storage.measure()
        bans = self._chat.bans
        uptime = int(self._clock.seconds() - self._started_at)
        return Answer(
            "",
            {
                "version": __version__,
                "running": self._is_server,
                "pid": os.getpid() if self._is_server else None,
                "uptime_seconds": uptime if self._is_server else None,
                "sessions": len(self._chat.sessions),
                "accounts": size.accounts,
                "channels": size.channels,
                "messages": size.messages,
                "user_bans": bans.count("user"),
                "ip_bans": bans.count("ip"),
                "database": str(self._database),
                "database_bytes": size.file_bytes,
            },
        )

    async def _note_backup(self, actor: Actor, given: Arguments) -> Answer:
        """The tool has read the whole database, which is an act of power too (decisions 7.3)."""
        path, size_bytes = given.text("path"), given.number("size_bytes")
        given.end()
        act = NewAct(
            actor=actor.name,
            actor_id=None,
            address=actor.address,
            action="backup",
            target_type="database",
            target_id=None,
            target=path,
            details=f"{size_bytes} bytes",
            performed_at=self._chat.now_ms(),
        )
        await self._storage.record(act)
        self._chat.activity.info("{actor} backed up the database to {path}", actor=actor.name, path=path)
        return Answer("")

    # Saying what was done

    def _about(self, account: Account) -> Answer:
        row = user_row(account, self._accounts.sessions_of(account))
        return Answer("", {name: value for name, value in row.items() if name != "type"})

    def _changed(self, change: Change) -> Answer:
        fields = {"user_id": str(change.account.id), "nickname": change.account.nickname, "changed": change.changed}
        return Answer(change.text, {**fields, "sessions": change.sessions})

    def _banned(self, outcome: Outcome) -> Answer:
        return Answer(outcome.text, {"ban_ids": [str(ban.id) for ban in outcome.bans]})

    def _target(self, given: Arguments) -> tuple[str | None, str | None, str | None]:
        user, nickname, ip_cidr = (given.text_or_none(name) for name in ("user", "nickname", "ip_cidr"))
        if sum(target is not None for target in (user, nickname, ip_cidr)) != 1:
            raise ControlError(ErrorKind.USAGE, "name a user, a nickname or an address, and only one of them")
        return user, nickname, ip_cidr


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
