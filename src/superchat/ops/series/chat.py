"""The metrics of the chat: sessions, messages, subscriptions and broadcasts.

Names, labels and buckets of the first ones are those of the monitoring guide; the others go beyond it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, get_args

import attrs

from superchat.chat.audiences import Audiences
from superchat.chat.broadcasts import Broadcasts
from superchat.chat.counters import OTHER_TYPE, CloseCause, Counters, Transport
from superchat.chat.deliveries import Deliveries
from superchat.chat.retention import Removed
from superchat.chat.service import Chat
from superchat.net.outbox import Flusher
from superchat.ops.series.families import (
    Family,
    Labels,
    counter,
    counters,
    gauge,
    gauges,
    histograms,
)
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import BY_CODE, FROM_CLIENT
from superchat.wire.records import Sender

SERIES: Final = 100
"""How many channels, and threads, have series of their own (decisions 9.4)."""
OTHER: Final = "other"
"""Where all the others are summed."""

_RECEIVED: Final = (*sorted(each.NAME for each in FROM_CLIENT.values()), OTHER_TYPE)
_SENT: Final = tuple(sorted(each.NAME for each in BY_CODE.values() if each.SENDER is not Sender.CLIENT))
_REASONS: Final = get_args(CloseCause)
_TRANSPORTS: Final = get_args(Transport)
_CODES: Final = tuple(int(code) for code in ErrorCode)
_DOOR_CODES: Final = (ErrorCode.CONNECTION_LIMIT, ErrorCode.SERVER_FULL, ErrorCode.PERMISSION_DENIED)


def families(chat: Chat, flusher: Flusher) -> Iterator[Family]:
    """Everything about one chat and the outboxes of its sessions."""
    yield from _sessions(chat)
    yield from _messages(chat.counters)
    yield from _removed(chat.retention.removed)
    yield from _subscriptions(chat)
    yield from _broadcasts(chat.broadcasts)
    yield from _refusals(chat.counters)
    yield from _outboxes(flusher)
    yield gauges(
        "superchat_limit",
        "Configured limits by their key in the section [limits]; 0 is unlimited.",
        "limit",
        attrs.asdict(chat.config.limits),
    )


def _sessions(chat: Chat) -> Iterator[Family]:
    counted = chat.counters
    yield gauge("superchat_active_sessions", "Sessions there are now.", len(chat.sessions))
    yield counter("superchat_sessions_created_total", "Sessions since the start.", counted.sessions_created)
    yield counter(
        "superchat_sessions_disconnected_total",
        "Sessions that have ended since the start, for whatever reason.",
        sum(counted.sessions_disconnected.values()),
    )
    yield gauges(
        "superchat_sessions_by_transport",
        "Sessions there are now, by what carries them.",
        "transport",
        _filled(_TRANSPORTS, counted.sessions),
    )
    yield counters(
        "superchat_disconnects_total",
        "Sessions that have ended since the start, by the reason.",
        "reason",
        _filled(_REASONS, counted.sessions_disconnected),
    )
    yield gauges(
        "superchat_bans",
        "Bans in force, shadowbans included, by what they are of: a user, or an address or network (ip).",
        "type",
        {ban_type: chat.bans.count(ban_type) for ban_type in ("user", "ip")},
    )


def _messages(counted: Counters) -> Iterator[Family]:
    yield counters(
        "superchat_messages_received_total",
        f"Frames received from clients by type; types that do not exist are all {OTHER_TYPE}.",
        "type",
        _filled(_RECEIVED, counted.received),
    )
    yield counters(
        "superchat_messages_sent_total",
        "Frames queued for clients by type, one for each recipient; a slow client may be cut off before it has them.",
        "type",
        _filled(_SENT, counted.sent),
    )
    yield counter(
        "superchat_messages_broadcast_total",
        "Messages that were broadcast, each once whatever the number of its recipients.",
        counted.broadcasts,
    )
    yield Family(
        "superchat_messages_delivered_total",
        "counter",
        "Deliveries of broadcast messages, one for each recipient: roots by channel_id with an empty thread_id, "
        f"replies by channel_id and thread_id. The busiest {SERIES} of each have series, the rest is {OTHER}.",
        ("channel_id", "thread_id"),
        [*_delivered(counted.channel_deliveries, ""), *_delivered(counted.thread_deliveries, OTHER)],
    )


def _removed(removed: Removed) -> Iterator[Family]:
    yield counter(
        "superchat_threads_expired_total", "Threads that were older than their channel keeps them.", removed.threads
    )
    yield counter(
        "superchat_messages_removed_total",
        "Messages whose rows were removed: of expired threads and of deleted channels.",
        removed.messages,
    )
    yield counter("superchat_disk_freed_bytes_total", "Disk space that the database gave back.", removed.freed_bytes)


def _delivered(deliveries: Deliveries, other_thread: str) -> Iterator[tuple[Labels, float]]:
    rest = deliveries.total
    for flow in deliveries.busiest(SERIES):
        rest -= flow.shown
        yield (str(flow.channel_id), "" if flow.thread_id is None else str(flow.thread_id)), flow.shown
    yield (OTHER, other_thread), rest


def _subscriptions(chat: Chat) -> Iterator[Family]:
    for place, audiences in (
        ("channel", chat.registry.channel_audiences),
        ("thread", chat.registry.thread_audiences),
    ):
        yield gauges(
            f"superchat_{place}_subscribers",
            f"Sessions subscribed to a {place}; the largest {SERIES} have series, the rest is {OTHER}.",
            f"{place}_id",
            _largest(audiences),
        )
        yield gauge(
            f"superchat_live_{place}s", f"How many {place}s have any subscribers at the moment.", len(audiences)
        )
    yield gauge("superchat_channels", "Channels and subchannels there are.", len(chat.directory))


def _largest(audiences: Audiences) -> dict[str, float]:
    sizes: dict[str, float] = {str(place_id): size for place_id, size in audiences.largest(SERIES)}
    sizes[OTHER] = audiences.listeners - sum(sizes.values())
    return sizes


def _broadcasts(broadcasts: Broadcasts) -> Iterator[Family]:
    kinds = broadcasts.kinds
    yield histograms(
        "superchat_broadcast_fanout",
        "Recipients of a broadcast message.",
        "type",
        {kind: measures.fanout.snapshot() for kind, measures in kinds.items()},
    )
    yield histograms(
        "superchat_broadcast_duration_seconds",
        "Time from the first recipient of a broadcast until the last byte of it was handed to the kernel.",
        "type",
        {kind: measures.duration.snapshot() for kind, measures in kinds.items()},
    )
    yield histograms(
        "superchat_delivery_latency_seconds",
        "Time from the receipt of a post, its commit included, until the last byte of its broadcast was handed over.",
        "type",
        {kind: measures.latency.snapshot() for kind, measures in kinds.items()},
    )
    yield gauge("superchat_pending_broadcasts", "Broadcasts on their way to the kernel.", broadcasts.pending)
    yield gauge(
        "superchat_oldest_pending_broadcast_age_seconds",
        "For how long the oldest of these has been on its way; 0 without any.",
        broadcasts.oldest_age_seconds(),
    )


def _refusals(counted: Counters) -> Iterator[Family]:
    yield counters(
        "superchat_refusals_total",
        "Requests answered with ERROR, by its code.",
        "code",
        _by_code(_CODES, counted.errors),
    )
    yield counters(
        "superchat_connections_refused_total",
        "Connections turned away at the door, by the code of the ERROR they got.",
        "code",
        _by_code(_DOOR_CODES, counted.connections_refused),
    )
    yield counter(
        "superchat_accept_failures_total",
        "Connections that could not be accepted for want of file descriptors or memory.",
        counted.accept_failures,
    )
    yield counters(
        "superchat_rate_limits_hit_total",
        "How often a session was over a limit: messages per minute, or frames per second.",
        "limit",
        {"messages": counted.rate_limited, "frames": counted.floods},
    )


def _outboxes(flusher: Flusher) -> Iterator[Family]:
    yield gauge(
        "superchat_outbox_bytes",
        "Bytes written to sessions that the kernel has not taken yet.",
        flusher.pending_bytes(),
    )
    yield gauge(
        "superchat_slow_consumers",
        "Sessions that are behind with reading; those that were cut off for it are disconnects with reason slow.",
        len(flusher.waiting),
    )


def _filled(names: tuple[str, ...], counted: Mapping[str, int]) -> dict[str, float]:
    """Every series from the start, so that its first event is seen as an increase."""
    return {**dict.fromkeys(names, 0), **counted}


def _by_code(codes: tuple[int, ...], counted: Mapping[int, int]) -> dict[str, float]:
    return {str(int(code)): number for code, number in {**dict.fromkeys(codes, 0), **counted}.items()}
