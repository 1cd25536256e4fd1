"""The bans in force, at hand without asking the storage."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from heapq import heapify, heappop, heappush
from typing import Final, TypeVar

import attrs

from superchat.chat.networks import Networks, address_of, network_of
from superchat.chat.session import Session
from superchat.clocks import NowMs
from superchat.model import Account, Ban, Message, NewBan, View, name_key
from superchat.storage.interface import IStorage

K = TypeVar("K", int, str)

LAST_MOMENT_MS: Final = 253_402_300_799_999
"""The end of the year 9999, after which no calendar goes; a ban beyond it is for ever."""


class Bans:
    """Whom the server turns away, and what it withholds from whom; each ban until its very moment (decisions 7).

    A ban of an account or a nickname matches the account, and anonymous sessions with the nickname, ignoring case.
    What a shadowbanned author wrote is withheld: an account's while the account is shadowbanned, an anonymous message
    while the nickname it was posted under is; never from moderators and admins, nor from the author: the account, or
    the very session that posted it.
    """

    def __init__(self, now_ms: NowMs) -> None:
        self._now_ms = now_ms
        self._by_id: dict[int, Ban] = {}
        self._by_account: defaultdict[int, dict[int, Ban]] = defaultdict(dict)
        self._by_name: defaultdict[str, dict[int, Ban]] = defaultdict(dict)
        self._networks: Networks[int] = Networks()
        self._shadows: dict[int, Ban] = {}
        self._ends: list[tuple[int, int]] = []
        self._count: Counter[str] = Counter()
        self._hidden: tuple[frozenset[int], frozenset[str]] | None = None

    async def load(self, storage: IStorage) -> None:
        """Take in all bans that are in force."""
        for ban in await storage.bans(self._now_ms(), include_expired=False):
            self.add(ban)

    # Keeping them

    def add(self, ban: Ban) -> None:
        """Let a ban take effect, as it is stored now; it ends by itself."""
        self.remove(ban)
        self._by_id[ban.id] = ban
        self._count[ban.ban_type] += 1
        if ban.account_id is not None:
            self._by_account[ban.account_id][ban.id] = ban
        if ban.nickname is not None:
            self._by_name[name_key(ban.nickname)][ban.id] = ban
        if ban.ip_cidr is not None:
            self._networks.add(network_of(ban.ip_cidr), ban.id)
        if ban.banned_until is not None:
            heappush(self._ends, (ban.banned_until, ban.id))
        if ban.shadowban:
            self._shadows[ban.id] = ban
            self._hidden = None

    def remove(self, ban: Ban) -> None:
        """Lift a ban; nothing happens when it is not in force."""
        known = self._by_id.pop(ban.id, None)
        if known is None:
            return
        self._count[known.ban_type] -= 1
        if known.account_id is not None:
            _forget(self._by_account, known.account_id, known)
        if known.nickname is not None:
            _forget(self._by_name, name_key(known.nickname), known)
        if known.ip_cidr is not None:
            self._networks.discard(network_of(known.ip_cidr), known.id)
        if self._shadows.pop(ban.id, None) is not None:
            self._hidden = None
        self._forget_ends()

    def adopt(self, account: Account) -> None:
        """Make the bans of a nickname that was nobody's bans of the account that has it now, as the storage does.

        Call it whenever an account gets a nickname.
        """
        self._end()
        for ban in [*self._by_name.get(name_key(account.nickname), {}).values()]:
            if ban.account_id is None:
                self.add(attrs.evolve(ban, account_id=account.id))

    def count(self, ban_type: str) -> int:
        """How many bans of a type, "user" or "ip", are in force."""
        self._end()
        return self._count[ban_type]

    # Turning away

    def address_refusal(self, address: str) -> str | None:
        """Why nobody may connect from *address*, if so (decisions 1.4)."""
        self._end()
        ip = address_of(address)
        if ip is None:
            return None
        return _refusal("Address", (self._by_id[ban_id] for ban_id in self._networks.of(ip)))

    def nickname_refusal(self, nickname: str) -> str | None:
        """Why nobody may take *nickname*, if so (decisions 7.1)."""
        self._end()
        return _refusal("Nickname", self._by_name.get(name_key(nickname), {}).values())

    def login_refusal(self, account: Account) -> str | None:
        """Why nobody may log in to *account*, if so, as AUTH_RESPONSE says it (reference 2.1)."""
        self._end()
        named = self._by_name.get(name_key(account.nickname), {}).values()
        nobodys = [ban for ban in named if ban.account_id is None]
        return _refusal("Account", [*self._by_account.get(account.id, {}).values(), *nobodys])

    # Withholding

    @property
    def hidden_accounts(self) -> frozenset[int]:
        """The accounts that are shadowbanned."""
        return self._shadowbanned()[0]

    @property
    def hidden_names(self) -> frozenset[str]:
        """The nicknames that are shadowbanned, as ``name_key`` has them."""
        return self._shadowbanned()[1]

    def view(self, session: Session) -> View:
        """Through whose eyes *session* reads."""
        if session.moderates:
            return View(session.account_id, session.key)
        hidden, names = self._shadowbanned()
        if session.account_id in hidden:
            hidden = hidden - {session.account_id}
        return View(session.account_id, session.key, hidden, names)

    def withholds(self, message: Message) -> bool:
        """Whether strangers may not see *message*."""
        accounts, names = self._shadowbanned()
        if message.author_id is not None:
            return message.author_id in accounts
        return bool(names) and name_key(message.author_nickname) in names

    def _shadowbanned(self) -> tuple[frozenset[int], frozenset[str]]:
        self._end()
        if self._hidden is None:
            shadows = self._shadows.values()
            accounts = frozenset(ban.account_id for ban in shadows if ban.account_id is not None)
            names = frozenset(name_key(ban.nickname) for ban in shadows if ban.nickname is not None)
            self._hidden = accounts, names
        return self._hidden

    # Ending

    def _end(self) -> None:
        """Lift what has ended: a ban is in force before its end, and no more at it."""
        if not self._ends or self._ends[0][0] > self._now_ms():
            return
        now = self._now_ms()
        while self._ends and self._ends[0][0] <= now:
            _, ban_id = heappop(self._ends)
            ban = self._by_id.get(ban_id)
            if ban is not None and ban.banned_until is not None and ban.banned_until <= now:
                self.remove(ban)

    def _forget_ends(self) -> None:
        """Keep no more ends than there may be bans, however often somebody is banned and freed again."""
        if len(self._ends) > 2 * len(self._by_id) + 1000:
            bans = self._by_id.values()
            self._ends = [(ban.banned_until, ban.id) for ban in bans if ban.banned_until is not None]
            heapify(self._ends)


def matching(ban: Ban, sessions: Iterable[Session]) -> list[Session]:
    """Those whom a ban is one of: by account, by nickname, or by address (decisions 7.1)."""
    if ban.ip_cidr is None:
        return [session for session in sessions if _is_of_user(ban, session)]
    network = network_of(ban.ip_cidr)
    addresses = ((session, address_of(session.address)) for session in sessions)
    return [session for session, address in addresses if address is not None and address in network]


def ends(ban: NewBan) -> str:
    """When a ban ends: "permanently", or "until" and a time (RFC 3339, UTC)."""
    if ban.banned_until is None or ban.banned_until > LAST_MOMENT_MS:
        return "permanently"
    moment = datetime.fromtimestamp(ban.banned_until // 1000, UTC)
    return f"until {moment:%Y-%m-%dT%H:%M:%SZ}"


def _is_of_user(ban: Ban, session: Session) -> bool:
    if ban.account_id is not None and ban.account_id == session.account_id:
        return True
    if ban.nickname is None or session.nickname is None or name_key(ban.nickname) != name_key(session.nickname):
        return False
    return session.account is None or ban.account_id is None


def _refusal(what: str, bans: Iterable[Ban]) -> str | None:
    """The refusal of *what* by the plain one among *bans* that lasts longest: a shadowban refuses nothing."""
    plain = [ban for ban in bans if not ban.shadowban]
    if not plain:
        return None
    longest = max(plain, key=lambda ban: (ban.banned_until is None, ban.banned_until or 0, ban.id))
    text = f"{what} banned {ends(longest)}"
    return f"{text}. Reason: {longest.reason}" if longest.reason else text


def _forget(index: dict[K, dict[int, Ban]], key: K, ban: Ban) -> None:
    del index[key][ban.id]
    if not index[key]:
        del index[key]
