"""What can be configured: the one table of sections and keys with their defaults, ranges and meaning.

Environment names, the command line's defaults, the check of etc/superchat.toml and the manual derive from it.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

import attrs

from superchat.config.keys import Key, declared, flag, integer, password, text, words
from superchat.config.seeds import SeedChannel, default_channels


def _is_network(word: str) -> bool:
    try:
        ip_network(word, strict=False)
    except ValueError:
        return False
    return "%" not in word


_NICKNAME = re.compile(r"[a-zA-Z0-9_-]{3,20}")


@attrs.frozen
class Server:
    """[server]: where it listens and keeps its data."""

    tcp_port: int = integer(6465, 0, 65535, "Port of the plain TCP transport. 0 = any free port, named in the log.")
    http_port: int = integer(8080, 0, 65535, "Port of the HTTP server with the WebSocket transport (/ws). 0 = off.")
    interface: str = text("", 0, 255, 'Address to listen on, for every port. "" = all addresses.')
    data_directory: str = text(
        "",
        0,
        4096,
        'Directory of logs and database. "" = $XDG_DATA_HOME/superchat, else ~/.local/share/superchat.',
    )
    database_path: str = text("", 0, 4096, 'The database file. "" = superchat.db in the data directory.')
    admin_users: tuple[str, ...] = words(
        (),
        lambda word: _NICKNAME.fullmatch(word) is not None,
        "nicknames (3 to 20 of a-z A-Z 0-9 - _)",
        "Nicknames nobody can take: they are reserved for the administrators' accounts.",
    )
    moderator_users: tuple[str, ...] = words(
        (),
        lambda word: _NICKNAME.fullmatch(word) is not None,
        "nicknames (3 to 20 of a-z A-Z 0-9 - _)",
        "Nicknames nobody can take: they are reserved for the moderators' accounts.",
    )
    admin_password: str = password(
        8,
        128,
        'Password of the first of admin_users, whose account is made or reset at the start. "" = left as it is.',
    )
    trusted_proxies: tuple[str, ...] = words(
        (),
        _is_network,
        "addresses and networks (192.0.2.1, 10.0.0.0/8, 2001:db8::/32)",
        "Proxies that say whose connections they pass on: PROXY protocol on tcp_port, X-Forwarded-For on http_port.",
    )
    shutdown_timeout_seconds: int = integer(
        5,
        1,
        300,
        "Seconds a stopping server waits for its clients to take what was sent before it cuts them off.",
    )


@attrs.frozen
class Limits:
    """[limits]: what one peer may do; 0 means unlimited.

    The upper bounds of what SERVER_CONFIG announces are those of its fields (wire 0x98).
    """

    max_connections_per_ip: int = integer(10, 0, 255, "Connections from one address (IPv6: one /64). 0 = unlimited.")
    max_users: int = integer(0, 0, 1_000_000, "Connections to the server in all. 0 = unlimited.")
    message_rate_limit: int = integer(10, 0, 65535, "Messages a user may post per minute. 0 = unlimited.")
    max_channel_creates: int = integer(5, 0, 65535, "Channels a user may create per hour. 0 = unlimited.")
    max_auth_attempts_per_minute: int = integer(
        10,
        0,
        65535,
        "Logins and registrations tried per minute, from one address and for one account. 0 = unlimited.",
    )
    max_message_length: int = integer(4096, 1, 65000, "Longest message, in bytes.")
    max_nickname_length: int = integer(20, 3, 20, "Longest nickname, in characters.")
    session_timeout_seconds: int = integer(
        120, 0, 604_800, "Seconds without any frame after which a session is closed. 0 = never."
    )
    max_thread_subscriptions: int = integer(50, 0, 65535, "Threads a session may subscribe to. 0 = unlimited.")
    max_channel_subscriptions: int = integer(10, 0, 65535, "Channels a session may subscribe to. 0 = unlimited.")
    max_frames_per_second: int = integer(
        100,
        0,
        1_000_000,
        "Frames per second a session may send for long; beyond, its reading pauses. 0 = unlimited.",
    )
    frame_burst: int = integer(
        200, 1, 1_000_000, "Frames a session may send at once before max_frames_per_second counts."
    )
    outbox_budget_bytes: int = integer(
        1_048_576, 65_536, 1_073_741_824, "Bytes waiting for one slow reader at which it is disconnected."
    )


@attrs.frozen
class Retention:
    """[retention]: how long messages live."""

    default_retention_hours: int = integer(
        168, 0, 8760, "Hours a message lives in a [[channels]] entry that names no hours. 0 = for ever."
    )
    cleanup_interval_minutes: int = integer(
        60, 1, 1440, "Minutes from one removal of what is older than its channel keeps it to the next."
    )


@attrs.frozen
class Logging:
    """[logging]: what is written down."""

    debug: bool = flag(False, "Write debug.log, with a line for every frame; it may hold sensitive information.")
    json: bool = flag(False, "Write server.json.log as well: what server.log has, one JSON object per line.")


@attrs.frozen
class Monitoring:
    """[monitoring]: what operators see, on this machine only unless told otherwise."""

    metrics_port: int = integer(9090, 0, 65535, "Port of /metrics, /health, /livez and /readyz. 0 = off.")
    profiling_port: int = integer(6060, 0, 65535, "Port of the profiles at /debug/pprof/. 0 = off.")
    interface: str = text("127.0.0.1", 1, 255, "Address these two listen on; another one than loopback is warned of.")
    canary_interval_seconds: int = integer(
        30, 0, 86_400, "Seconds between two messages that the server posts to itself, to see that it can. 0 = never."
    )
    min_free_disk_bytes: int = integer(
        67_108_864, 0, 1 << 50, "Free space on the database's disk below which the server is not healthy."
    )


@attrs.frozen
class Discovery:
    """[discovery]: how the server presents itself."""

    server_name: str = text("SuperChat Server", 1, 100, "Name of the server, in the log's start line.")
    server_description: str = text(
        "A SuperChat community server", 0, 500, "One sentence about the server, in the log's start line."
    )


@attrs.frozen
class Config:
    """What the server was told. `load` makes its paths absolute; `file` is the file it came from, if any."""

    server: Server = attrs.field(factory=Server)
    limits: Limits = attrs.field(factory=Limits)
    retention: Retention = attrs.field(factory=Retention)
    logging: Logging = attrs.field(factory=Logging)
    monitoring: Monitoring = attrs.field(factory=Monitoring)
    discovery: Discovery = attrs.field(factory=Discovery)
    channels: tuple[SeedChannel, ...] = attrs.field(factory=default_channels)
    file: Path | None = None

    @property
    def data_directory(self) -> Path:
        return Path(self.server.data_directory)

    @property
    def database_path(self) -> Path:
        return Path(self.server.database_path)


SECTIONS: Mapping[str, type] = {
    "server": Server,
    "limits": Limits,
    "retention": Retention,
    "logging": Logging,
    "monitoring": Monitoring,
    "discovery": Discovery,
}
KEYS: Mapping[str, Key] = {
    f"{section}.{name}": key for section, cls in SECTIONS.items() for name, key in declared(cls).items()
}
