"""All commands that do one thing and end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from superchat.tools.cli_accounts import login, passwd, register
from superchat.tools.cli_ask import Questions
from superchat.tools.cli_bans import ban, bans, unban
from superchat.tools.cli_changes import create, delete, edit
from superchat.tools.cli_once import channels, post, read, threads, users
from superchat.tools.cli_options import Options
from superchat.tools.cli_output import Output
from superchat.tools.cli_private import accept, decline, dm, dms
from superchat.tools.cli_unread import unread

Command = Callable[[Questions, Options, Output], Awaitable[None]]

COMMANDS: Final[Mapping[str, Command]] = {
    each.__name__: each
    for each in (
        *(post, threads, read, channels, users, unread),
        *(edit, delete, create),
        *(register, login, passwd),
        *(dm, dms, accept, decline),
        *(ban, unban, bans),
    )
}
"""By the name on the command line. ``dm`` only if it has a text; ``tail`` and ``chat`` go on."""
