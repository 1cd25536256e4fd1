"""Sockets that are bound before anything is served, so that a taken port ends the start in one line."""

from __future__ import annotations

import os
import socket
from typing import Final

BACKLOG: Final = 4096


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
    return listening
