"""What a server begins with: its first frame to every client, and the channels of a new database."""

from __future__ import annotations

from typing import Final

from superchat.config import Config
from superchat.model import NewChannel, name_key
from superchat.wire import frames
from superchat.wire.messages import ServerConfig

INACTIVE_CLEANUP_DAYS: Final = 90


def announcement(config: Config) -> ServerConfig:
    """What every client is told first: the limits that it will be held to (decisions 1.1)."""
    limits = config.limits
    return ServerConfig(
        protocol_version=frames.VERSION,
        max_message_rate=limits.message_rate_limit,
        max_channel_creates=limits.max_channel_creates,
        inactive_cleanup_days=INACTIVE_CLEANUP_DAYS,
        max_connections_per_ip=limits.max_connections_per_ip,
        max_message_length=limits.max_message_length,
        max_thread_subscriptions=limits.max_thread_subscriptions,
        max_channel_subscriptions=limits.max_channel_subscriptions,
        directory_enabled=False,
    )


def seeds(config: Config) -> list[NewChannel]:
    """The seed channels; a new database numbers them from 1, so a parent's id is known from its place."""
    ids = {name_key(seed.name): number for number, seed in enumerate(config.channels, 1) if not seed.parent}
    return [
        NewChannel(
            name=seed.name,
            display_name=seed.display_name,
            description=seed.description,
            channel_type=seed.channel_type,
            retention_hours=seed.retention_hours,
            parent_id=ids[name_key(seed.parent)] if seed.parent else None,
        )
        for seed in config.channels
    ]
