"""What the server counted: plain integers on the hot path, read by whoever reports them."""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal

import attrs

from superchat.chat.deliveries import Deliveries

CloseCause = Literal["client", "shutdown", "timeout", "protocol", "slow", "refused", "banned", "deleted", "password"]
"""Why a session ended: the peer left, or the server said why (decisions 1.7)."""

Transport = Literal["tcp", "websocket"]
"""What carries a session."""

OTHER_TYPE: Final = "UNKNOWN"
"""The one name under which all message types that do not exist are counted."""


@attrs.define
class Counters:
    """Events since the server started; every key set is closed, so nothing a peer sends can grow them."""

    sessions_created: int = 0
    sessions_disconnected: Counter[str] = attrs.field(factory=Counter)
    connections_refused: Counter[int] = attrs.field(factory=Counter)
    received: Counter[str] = attrs.field(factory=Counter)
    sent: Counter[str] = attrs.field(factory=Counter)
    errors: Counter[int] = attrs.field(factory=Counter)
    broadcasts: int = 0
    deliveries: int = 0
    channel_deliveries: Deliveries = attrs.field(factory=Deliveries)
    thread_deliveries: Deliveries = attrs.field(factory=Deliveries)
    under_way: int = 0
    """Requests that wait for something, the database say; a number of now, not a sum."""
    sessions: Counter[str] = attrs.field(factory=Counter)
    """Sessions there are now, by `Transport`; kept by the transports."""
    floods: int = 0
    rate_limited: int = 0
    accept_failures: int = 0
    """Connections that could not be accepted for want of file descriptors or memory."""
