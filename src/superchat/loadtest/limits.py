"""What stands against a load before it begins: limits that the server announces, and those of this machine."""

from __future__ import annotations

import math
import resource
from typing import Final

from superchat.loadtest.options import Options
from superchat.loadtest.plan import THREADS_EACH, Share
from superchat.wire.messages import ServerConfig

SPARE_DESCRIPTORS: Final = 64


def announced(options: Options, config: ServerConfig) -> list[str]:
    """A sentence for each limit in SERVER_CONFIG that makes the load impossible; 0 announces none."""
    sentences = [
        _connections(options, config.max_connections_per_ip),
        _rate(options, config.max_message_rate),
        _thread_roots(options, config.max_message_rate),
        _length(options, config.max_message_length),
        _subscriptions(options, config.max_thread_subscriptions),
    ]
    return [each for each in sentences if each]


def of_this_machine(every: list[Share]) -> list[str]:
    """A sentence for each limit of this machine that makes the load impossible."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(each.connections for each in every)
    if hard == resource.RLIM_INFINITY or most + SPARE_DESCRIPTORS <= hard:
        return []
    return [
        f"{most} connections in one process need more than the {hard} file descriptors that this machine allows it; "
        "raise that limit (ulimit -n) or use more --processes"
    ]


def raise_descriptor_limit() -> None:
    """Ask for as many descriptors as this process may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _connections(options: Options, limit: int) -> str | None:
    wanted = options.connections
    if not 0 < limit < wanted:
        return None
    return (
        f"the server allows {limit} connections from one address (max_connections_per_ip), and this load "
        f"needs {wanted}"
    )


def _rate(options: Options, limit: int) -> str | None:
    if not limit or not options.posters:
        return None
    if not options.rate:
        return (
            f"the server allows each user {limit} messages a minute (message_rate_limit), which posters that saturate "
            "it exceed at once; give a --rate"
        )
    allowed_each = limit + limit * options.duration_seconds / 60  # it may begin with a minute's worth
    wanted = options.rate * options.duration_seconds
    if wanted <= options.posters * allowed_each:
        return None
    needed = math.ceil(wanted / allowed_each)
    return (
        f"the server allows each user {limit} messages a minute (message_rate_limit), and {options.posters} posters "
        f"would need {options.rate * 60 / options.posters:g} each; {needed} posters could do it"
    )


def _thread_roots(options: Options, limit: int) -> str | None:
    if not 0 < limit < options.threads:
        return None
    return f"the server allows {limit} messages at once (message_rate_limit), too few for {options.threads} threads"


def _length(options: Options, limit: int) -> str | None:
    if options.size_bytes <= limit:
        return None
    return f"the server takes messages of up to {limit} bytes (max_message_length), and --size is {options.size_bytes}"


def _subscriptions(options: Options, limit: int) -> str | None:
    wanted = min(options.threads, THREADS_EACH)
    if not 0 < limit < wanted:
        return None
    return (
        f"the server allows {limit} thread subscriptions (max_thread_subscriptions), and each subscriber would "
        f"need {wanted}"
    )
