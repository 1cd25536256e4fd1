"""Who one is to the server: a nickname anybody may take, or an account."""

from __future__ import annotations

import re
import secrets

from superchat.tools.cli_ask import Declined, Questions
from superchat.tools.cli_options import Options
from superchat.wire import messages as wire


async def introduce(questions: Questions, options: Options) -> str:
    """Log in if that was asked for; else take the nickname of the options, or one made of the user's login name.

    Return the name one has then. Raises Declined if it is refused; a nickname that nobody asked for gives way to
    ``guest-XXXX``.
    """
    if options.secrets.credentials is not None:
        account = await log_in(questions, options.secrets.credentials)
        return account.nickname or options.secrets.credentials.nickname
    nickname = options.nickname or nickname_of(options.system_user) or guest()
    reply = await _take(questions, nickname)
    if not reply.success and options.nickname is None:
        nickname = guest()
        reply = await _take(questions, nickname)
    if not reply.success:
        raise Declined(reply.message)
    return nickname


async def identify(questions: Questions, options: Options) -> None:
    """Take a name or log in if that was asked for; reading needs neither."""
    if options.nickname is not None or options.secrets.credentials is not None:
        await introduce(questions, options)


async def log_in(questions: Questions, credentials: wire.AuthRequest) -> wire.AuthResponse:
    """Become an account. Raises Declined with the server's words if it does not believe it."""
    reply: wire.AuthResponse = await questions.granted(credentials)
    return reply


async def _take(questions: Questions, nickname: str) -> wire.NicknameResponse:
    reply: wire.NicknameResponse = await questions.ask(wire.SetNickname(nickname=nickname))
    return reply


def nickname_of(login: str) -> str | None:
    """Make a login name a valid nickname (decisions 2.1); None if too little of it is left."""
    cleaned = re.sub(r"[^a-zA-Z0-9_-]+", "-", login).strip("-")[:20]
    return cleaned if len(cleaned) >= 3 else None


def guest() -> str:
    """Make a nickname up."""
    return f"guest-{secrets.token_hex(2)}"
