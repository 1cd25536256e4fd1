"""The live sessions: numbering, look-up by nickname, and the limits at the door."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from secrets import randbits
from typing import Final, TypeAlias

import attrs

from superchat.chat.counters import Counters
from superchat.chat.limits import TokenBucket
from superchat.chat.session import Peer, Session
from superchat.config import Limits
from superchat.errors import Refused
from superchat.model import Account
from superchat.wire.errors import ErrorCode

Namesakes: TypeAlias = Session | dict[Session, None]
"""Who has a nickname: a table only where it is more than one, for that is more than all else about a name."""

_SITE_PREFIX_BITS: Final = 64
_KEY_BITS: Final = 63
_ADDRESSES_KEPT: Final = 4096
"""Addresses whose network is remembered; who connects disconnects, and often comes again."""


@lru_cache(maxsize=_ADDRESSES_KEPT)
def network_of(address: str) -> str:
    """What counts as one address for the limits: IPv4-mapped IPv6 as IPv4, IPv6 by its /64 (decisions 1.4).

    Anything that is no IP address, such as the path of a Unix socket, counts as itself.
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(ip, IPv6Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    site = int(ip) >> (128 - _SITE_PREFIX_BITS) << (128 - _SITE_PREFIX_BITS)
    return f"{IPv6Address(site)}/{_SITE_PREFIX_BITS}"


def posting_rate(limits: Limits) -> TokenBucket:
    """What a session may post from now on (decisions 4.10)."""
    per_minute = limits.message_rate_limit
    return TokenBucket(rate=per_minute / 60, burst=per_minute)


@attrs.define
class Sessions:
    """Every live session by id, ascending; ids start at 1 and are never used twice in one run."""

    limits: Limits
    _counters: Counters
    _last_id: int = 0
    _by_id: dict[int, Session] = attrs.field(factory=dict)
    _by_nickname: dict[str, Namesakes] = attrs.field(factory=dict)
    _by_account: dict[int, dict[Session, None]] = attrs.field(factory=dict)
    _per_network: dict[str, int] = attrs.field(factory=dict)

    def __len__(self) -> int:
        return len(self._by_id)

    def everyone(self) -> Iterable[Session]:
        """All live sessions, oldest first."""
        return self._by_id.values()

    def newest_first(self) -> Iterator[Session]:
        """All live sessions, newest first."""
        return reversed(self._by_id.values())

    def find(self, session_id: int) -> Session | None:
        """The live session with this id."""
        return self._by_id.get(session_id)

    def of_account(self, account_id: int) -> Collection[Session]:
        """The sessions that are logged in to an account, in the order they did."""
        return tuple(self._by_account.get(account_id, ()))

    def named(self, nickname: str) -> Iterable[Session]:
        """The sessions with exactly this nickname."""
        namesakes = self._by_nickname.get(nickname, {})
        return (namesakes,) if isinstance(namesakes, Session) else namesakes.keys()

    def open(self, address: str, peer: Peer) -> Session:
        """Admit a connection from *address*.

        Raises `Refused`: 5003 when its address has too many connections, 9002 when the server is full
        (decisions 1.4, in this order).
        """
        network = network_of(address)
        here = self._per_network.get(network, 0)
        if 0 < self.limits.max_connections_per_ip <= here:
            raise Refused(ErrorCode.CONNECTION_LIMIT, "Too many connections from your address")
        if 0 < self.limits.max_users <= len(self._by_id):
            raise Refused(ErrorCode.SERVER_FULL, "Server is full")
        self._last_id += 1
        session = Session(
            id=self._last_id,
            key=randbits(_KEY_BITS),
            address=address,
            peer=peer,
            counters=self._counters,
            posts=posting_rate(self.limits),
        )
        self._by_id[session.id] = session
        self._per_network[network] = here + 1
        self._counters.sessions_created += 1
        return session

    def rename(self, session: Session, nickname: str) -> None:
        """Give *session* a nickname that has been found good."""
        self._unname(session)
        session.nickname = nickname
        namesakes = self._by_nickname.setdefault(nickname, session)
        if isinstance(namesakes, dict):
            namesakes[session] = None
        elif namesakes is not session:
            self._by_nickname[nickname] = {namesakes: None, session: None}

    def log_in(self, session: Session, account: Account) -> None:
        """Let *session* act for *account*, under its nickname (decisions 2.4)."""
        self.log_out(session)
        session.account = account
        self._by_account.setdefault(account.id, {})[session] = None
        self.rename(session, account.nickname)

    def log_out(self, session: Session) -> None:
        """Make *session* anonymous; it keeps its nickname."""
        if session.account is not None:
            others = self._by_account[session.account.id]
            del others[session]
            if not others:
                del self._by_account[session.account.id]
            session.account = None

    def refresh(self, account: Account) -> Collection[Session]:
        """Tell the sessions of an account what it is like now, nickname included, and return them."""
        sessions = self.of_account(account.id)
        for session in sessions:
            session.account = account
            if session.nickname != account.nickname:
                self.rename(session, account.nickname)
        return sessions

    def close(self, session: Session) -> None:
        """Forget a session that has left; it keeps its account and nickname, for whoever reports that."""
        del self._by_id[session.id]
        self._unname(session)
        account = session.account
        self.log_out(session)
        session.account = account
        network = network_of(session.address)
        self._per_network[network] -= 1
        if not self._per_network[network]:
            del self._per_network[network]

    def _unname(self, session: Session) -> None:
        if session.nickname is not None:
            namesakes = self._by_nickname[session.nickname]
            if isinstance(namesakes, dict):
                del namesakes[session]
            if not namesakes or namesakes is session:
                del self._by_nickname[session.nickname]
