"""What very many idle sessions cost: memory for each, and the processor while all they do is to PING now and then.

Each session has taken a nickname, joined a channel and subscribed to it, and has read everything that it was sent.
Its memory is by how much the server's own resident memory has grown; the kernel's buffers of its socket are not part
of that. The processor's time has a scrape of /metrics in it every 15 s. The yardstick, measured in the same run, is
a bare Twisted protocol with as many connections, which gives the same PINGs back.

    python -m benchmarks.sessions [--sessions 10000] [--seconds 60] [--quick] [--check]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import urlopen

import attrs

from benchmarks.bare import GREETING, running_bare
from benchmarks.crowd import Crowd
from benchmarks.server import Server, cpu_seconds, free_port, raise_descriptor_limit, resident_bytes, running_server
from superchat.wire import frames, messages

TARGET_BYTES = 4096
TARGET_CPU = 0.05
CHANNEL = 2
PING_EVERY_SECONDS = 30.0
SCRAPE_EVERY_SECONDS = 15.0
QUICK_SESSIONS = 500
WARM = 100
"""Sessions that come before memory is looked at first: what the first ones cost, the later ones do not."""
PING = messages.Ping(timestamp=1)




def settle(crowd: Crowd, number: int) -> None:
    """So many more: they connect, take a nickname, subscribe, and everybody reads all that comes of it."""
    crowd.connect(number, GREETING_START)
    newcomers = range(len(crowd) - number, len(crowd))
    crowd.ask(
        lambda number: messages.SetNickname(nickname=f"user{number:05}"),
        lambda number: messages.NicknameResponse(success=True, message=f"Nickname set to user{number:05}"),
        newcomers,
    )
    crowd.ask(
        lambda number: messages.JoinChannel(channel_id=CHANNEL),
        lambda number: messages.JoinResponse(success=True, channel_id=CHANNEL, message="x"),
        newcomers,
    )
    crowd.ask(
        lambda number: messages.SubscribeChannel(channel_id=CHANNEL),
        lambda number: messages.SubscribeOk(type=2, id=CHANNEL),
        newcomers,
    )
    crowd.read_until_quiet(0.15)
