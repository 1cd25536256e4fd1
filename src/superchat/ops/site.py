"""The HTTP site of the operators' pages: a few peers, none of which can hold anything up."""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource

from superchat.net.http import QuietSite

READ_TIMEOUT_SECONDS: Final = 60
"""How long a peer may take to read an answer, before its connection is cut: profiles are large."""
MAX_CONNECTIONS: Final = 32
GRACE_SECONDS: Final = 0.1
"""Peers are near, and ask as soon as they are connected: those that do not are the first to make room."""
REST: Final = 4.0
"""Scrapes are dear and never urgent: however many there are, they get a fifth of the reactor's time."""


class OperatorsSite(QuietSite):
    """A site for a few peers at a time."""

    def __init__(self, resource: IResource, reactor: IReactorTime) -> None:
        super().__init__(
            resource,
            reactor,
            max_connections=MAX_CONNECTIONS,
            read_timeout_seconds=READ_TIMEOUT_SECONDS,
            grace_seconds=GRACE_SECONDS,
            rest=REST,
        )
