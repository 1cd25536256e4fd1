"""Sockets that are bound before anything is served, so that a taken port ends the start in one line."""

from __future__ import annotations

import os
import socket
from typing import Final

from twisted.internet.tcp import Server

BACKLOG: Final = 4096

_LATE_ATTRIBUTES: Final = ("dataBuffer", "offset", "producer", "streamingProducer")
"""What a transport has from the first write on that the kernel does not take at once."""


class PortUnavailable(Exception):
    """A port cannot be listened on; the text names it and says why."""


def bind(interface: str, port: int) -> socket.socket:
    """A listening socket on *interface* ("" = every address, IPv4 and IPv6) and *port* (0 = any free one).

    Raises `PortUnavailable` (decisions 9.3).
    """
    try:
        if not interface and socket.has_dualstack_ipv6():
            return _server(("", port), socket.AF_INET6, dualstack=True)
        family = socket.getaddrinfo(interface or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return _server((interface, port), family)
    except OSError as error:
        where = f"{interface}:{port}" if interface else f"port {port}"
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise PortUnavailable(f"cannot listen on {where}: {reason}") from error


def _server(address: tuple[str, int], family: int, *, dualstack: bool = False) -> socket.socket:
    listening = socket.create_server(address, family=family, backlog=BACKLOG, dualstack_ipv6=dualstack)
    listening.setblocking(False)
    # Accepted connections inherit these, which saves two system calls for each of them.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, True)
    return listening


def _know_late_attributes() -> None:
    """CPython lets the objects of a class share the names of their attributes if the first few of them have them.

    For a name that comes later each object gets a table of its own: 0.8 kB for every client that was ever slow.
    """
    transport = Server.__new__(Server)
    for name in _LATE_ATTRIBUTES:
        setattr(transport, name, getattr(Server, name))


_know_late_attributes()
