"""The commands of moderators: ban, unban, bans."""

from __future__ import annotations

from superchat.tools.cli_ask import Questions
from superchat.tools.cli_identity import introduce
from superchat.tools.cli_options import Options
from superchat.tools.cli_output import Output
from superchat.wire import messages as wire
from superchat.wire.records import Message

DISPLAY_PREFIXES = "~$@"


async def ban(questions: Questions, options: Options, output: Output) -> None:
    """Keep somebody out, or an address."""
    await introduce(questions, options)
    reply: wire.UserBanned | wire.IPBanned = await questions.granted(_ban(options))
    assert reply.ban_id is not None
    output.banned(reply.ban_id, reply.message)


def _ban(options: Options) -> Message:
    if options.ip_cidr:
        return wire.BanIP(
            ip_cidr=options.ip_cidr, reason=options.reason, duration_seconds=options.duration_seconds
        )
    return wire.BanUser(
        nickname=bare(options.user),
        reason=options.reason,
        shadowban=options.shadow,
        duration_seconds=options.duration_seconds,
    )


async def unban(questions: Questions, options: Options, output: Output) -> None:
    """End the bans of somebody, or of an address."""
    await introduce(questions, options)
    request: Message = wire.UnbanUser(nickname=bare(options.user))
    if options.ip_cidr:
        request = wire.UnbanIP(ip_cidr=options.ip_cidr)
    reply: wire.UserUnbanned | wire.IPUnbanned = await questions.granted(request)
    output.done(reply.message)


async def bans(questions: Questions, options: Options, output: Output) -> None:
    """List the bans."""
    await introduce(questions, options)
    reply: wire.BanList = await questions.ask(wire.ListBans(include_expired=options.include_expired))
    output.bans(reply.bans)


def bare(nickname: str) -> str:
    """Return a nickname as it is, however it is shown before a message."""
    return nickname.lstrip(DISPLAY_PREFIXES)
