"""The commands about one's account: register, login, passwd."""

from __future__ import annotations

from typing import Final

from superchat.tools.cli_ask import Questions
from superchat.tools.cli_identity import introduce, log_in
from superchat.tools.cli_options import Options
from superchat.tools.cli_output import Account, Output
from superchat.wire import messages as wire

ADMIN: Final = 1
MODERATOR: Final = 2


async def register(questions: Questions, options: Options, output: Output) -> None:
    """Make an account of a nickname."""
    credentials = options.secrets.credentials
    assert credentials is not None
    await questions.granted(wire.SetNickname(nickname=credentials.nickname))
    output.account(await found(questions, credentials))


async def found(questions: Questions, credentials: wire.AuthRequest) -> Account:
    """Register the nickname that the session has, which must be that of the credentials. Raises Declined."""
    request = wire.RegisterUser(password_hash=credentials.password_hash)
    reply: wire.RegisterResponse = await questions.granted(request)
    assert reply.user_id is not None
    # What else it may do is told with the next login.
    return Account(credentials.nickname, reply.user_id, False, False, reply.message)


async def login(questions: Questions, options: Options, output: Output) -> None:
    """Log in, and tell who one is."""
    assert options.secrets.credentials is not None
    output.account(account(await log_in(questions, options.secrets.credentials)))


def account(reply: wire.AuthResponse) -> Account:
    """Return what a successful AUTH_RESPONSE says."""
    flags = reply.user_flags or 0
    return Account(
        reply.nickname or "", reply.user_id or 0, bool(flags & ADMIN), bool(flags & MODERATOR), reply.message
    )


async def passwd(questions: Questions, options: Options, output: Output) -> None:
    """Change the password."""
    credentials = options.secrets.credentials
    assert credentials is not None
    nickname = await introduce(questions, options)
    # The new hash is made with the name that the account has now, which may be another than one logged in with.
    new = await options.secrets.hash(nickname, options.secrets.new_password)
    request = wire.ChangePassword(old_password_hash=credentials.password_hash, new_password_hash=new)
    await questions.granted(request)
    output.done(f"the password of {nickname} is changed")
