"""The commands that a server carries out, or the tool in its place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from superchat.ops.control.messages import Answer
from superchat.tools.admin_options import Options
from superchat.tools.admin_output import Output


class Ask(Protocol):
    """Has something done, by whomever."""

    def __call__(self, command: str, **arguments: object) -> Awaitable[Answer]:
        """The answer; raises `ControlError` when it was not done."""


async def _act(ask: Ask, options: Options, output: Output, password: str) -> None:
    answer = await ask(options.command, **options.arguments)
    output.result("done", answer.text, answer.fields)


async def _list(ask: Ask, options: Options, output: Output, password: str) -> None:
    answer = await ask(options.command, **options.arguments)
    output.rows(answer.rows, answer.text)


async def _stats(ask: Ask, options: Options, output: Output, password: str) -> None:
    answer = await ask(options.command)
    output.result("stats", answer.text, answer.fields)


async def _create_user(ask: Ask, options: Options, output: Output, password: str) -> None:
    nickname = str(options.arguments["nickname"])
    answer = await ask("create-user", **options.arguments, secret=_secret(nickname, password, output))
    output.result("done", answer.text, answer.fields)


async def _reset_password(ask: Ask, options: Options, output: Output, password: str) -> None:
    """The password goes with the nickname as it is written today, which only the server knows."""
    account = (await ask("account", nickname=options.arguments["nickname"])).fields
    nickname = str(account["nickname"])
    secret = _secret(nickname, password, output)
    user_id = int(str(account["user_id"]))
    answer = await ask("reset-password", user_id=user_id, nickname=nickname, secret=secret)
    output.result("done", answer.text, answer.fields)


def _secret(nickname: str, password: str, output: Output) -> str:
    # Only here: it brings more along than all other commands need.
    from superchat.client.passwords import password_hash, takes_long

    if takes_long(nickname):
        output.notice("for so short a nickname it takes a minute to prepare the password")
    return password_hash(nickname, password)


Carry = Callable[[Ask, Options, Output, str], Awaitable[None]]

REQUESTS: Final[Mapping[str, Carry]] = {
    "create-user": _create_user,
    "reset-password": _reset_password,
    "grant": _act,
    "revoke": _act,
    "delete-user": _act,
    "users": _list,
    "ban": _act,
    "unban": _act,
    "bans": _list,
    "audit": _list,
    "stats": _stats,
}

WITH_PASSWORD: Final = frozenset({"create-user", "reset-password"})
MAKES_DATABASE: Final = frozenset({"create-user"})
