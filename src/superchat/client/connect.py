"""Opens one connection."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from superchat.client.protocol import KEEPALIVE_SECONDS, ChatClient, EventListener, fork, ignore
from superchat.wire.messages import ServerConfig

CONNECT_SECONDS = 10.0
DEFAULT_PORT = 6465


def connect(
    reactor: Any,
    host: str,
    port: int = DEFAULT_PORT,
    *,
    timeout_seconds: float = CONNECT_SECONDS,
    keepalive_seconds: float = KEEPALIVE_SECONDS,
    on_event: EventListener = ignore,
) -> Deferred[ChatClient]:
    """Connect over TCP to a name or address; see ``connect_endpoint``."""
    endpoint = HostnameEndpoint(reactor, host, port, timeout_seconds)
    return connect_endpoint(
        endpoint,
        reactor,
        timeout_seconds=timeout_seconds,
        keepalive_seconds=keepalive_seconds,
        on_event=on_event,
    )


def connect_endpoint(
    endpoint: IStreamClientEndpoint,
    clock: IReactorTime,
    *,
    timeout_seconds: float = CONNECT_SECONDS,
    keepalive_seconds: float = KEEPALIVE_SECONDS,
    on_event: EventListener = ignore,
) -> Deferred[ChatClient]:
    """Connect and wait for SERVER_CONFIG; the Deferred fires with a client whose ``config`` is set.

    It fails with what the endpoint fails with (``ConnectError`` and ``DNSLookupError`` of
    ``twisted.internet.error``), or with ConnectionClosed, also when SERVER_CONFIG does not come within
    ``timeout_seconds``. Cancelling it drops the connection.
    """
    factory = Factory.forProtocol(
        lambda: ChatClient(clock, on_event=on_event, keepalive_seconds=keepalive_seconds)
    )
    factory.noisy = False
    # The interface cannot say whose protocol it connects.
    connecting: Deferred[ChatClient] = endpoint.connect(factory)  # type: ignore[assignment]
    return connecting.addCallback(_greeted, clock, timeout_seconds)


def _greeted(client: ChatClient, clock: IReactorTime, timeout_seconds: float) -> Deferred[ChatClient]:
    """Return a Deferred that fires once the server has introduced itself."""
    late = clock.callLater(timeout_seconds, client.abort, f"no SERVER_CONFIG within {timeout_seconds:g} s")

    def in_time(config: ServerConfig | Failure) -> ServerConfig | Failure:
        if late.active():
            late.cancel()
        return config

    greeted = fork(client.ready, lambda: client.abort("given up by this side")).addBoth(in_time)
    return greeted.addCallback(lambda config: client)
