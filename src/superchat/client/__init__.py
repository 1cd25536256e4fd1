"""A small Twisted client: for the command line, the load tester, the health canary and the tests.

``protocol.ChatClient`` is one connection, ``connect`` opens one, ``reconnect.Reconnecting`` keeps one open.
``passwords`` makes of a password what is sent in its place, ``encryption`` keeps direct messages from the server.
"""

from superchat.client.connect import connect, connect_endpoint
from superchat.client.errors import ClientError, ConnectionClosed, NoReply, ProtocolViolation, ServerRefused
from superchat.client.protocol import ChatClient
from superchat.client.reconnect import Places, Reconnecting

__all__ = [
    "ChatClient",
    "ClientError",
    "ConnectionClosed",
    "NoReply",
    "Places",
    "ProtocolViolation",
    "Reconnecting",
    "ServerRefused",
    "connect",
    "connect_endpoint",
]
