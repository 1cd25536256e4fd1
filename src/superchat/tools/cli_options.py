"""What can be asked of superchat-cli, as a value; the command line itself is understood in ``cli_arguments``."""

from __future__ import annotations

from pathlib import Path

import attrs

from superchat.tools.cli_secrets import Secrets

NO_SECRETS = Secrets()


@attrs.frozen(kw_only=True)
class Options:
    """What was asked for; which of the fields after ``command`` count depends on the command."""

    host: str
    port: int
    nickname: str | None
    system_user: str
    """Who runs this, for the operating system; empty if it does not know."""
    json: bool
    timeout_seconds: float
    reconnect: bool
    command: str
    login: bool = False
    """Whether to act as the account ``nickname``."""
    password_file: str | None = None
    new_password_file: str | None = None
    key_file: Path = Path()
    secrets: Secrets = attrs.field(default=NO_SECRETS, repr=False)
    """Found after the command line was understood."""

    channels: tuple[str, ...] = ()
    text: str = ""
    message_id: int | None = None
    limit: int = 0

    user: str = ""
    ip_cidr: str = ""
    reason: str = ""
    duration_seconds: int | None = None
    shadow: bool = False
    include_expired: bool = False

    display_name: str = ""
    description: str = ""
    parent: str = ""
    is_forum: bool = True
    retention_hours: int = 0

    since_ms: int | None = None
    mark_read: bool = False

    unencrypted: bool = False
    permanent: bool = False
    wait_seconds: float | None = None

    @property
    def channel(self) -> str:
        """The only channel of a command that has one."""
        return self.channels[0]
