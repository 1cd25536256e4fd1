"""Who writes to a server while it breaks: accounts that are there from the beginning, and a company that uses them."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Final

import bcrypt
from twisted.internet.defer import Deferred, gatherResults

from superchat.model import NewAccount, UserFlags
from superchat.storage.accounts.writes import create_account
from superchat.storage.connections import connect
from superchat.storage.migrations import prepare, shipped
from tests.e2e.server import UNLIMITED
from tests.faults.authors import SECRET, Actor, Author
from tests.faults.ledger import Ledger
from tests.faults.residents import HERMIT, RESIDENTS, Newcomer, Resident, Warden
from tests.faults.subjects import Password

CONFIG: Final = f"""{UNLIMITED}
max_channel_creates = 0
max_auth_attempts_per_minute = 0
"""
"""The configuration of a server that lets everybody work as fast as they can."""

ADMIN: Final = "warden"
MODERATOR: Final = "keeper"
_FLAGS: Final = {ADMIN: UserFlags.ADMIN, MODERATOR: UserFlags.MODERATOR}
_EVERYBODY: Final = (*RESIDENTS, HERMIT, ADMIN, MODERATOR)
_CHEAPEST: Final = 4
"""bcrypt's cost. Logging in to these accounts takes no time, so that it can be done in every round."""


@cache
def _hashed() -> str:
    return bcrypt.hashpw(SECRET.encode(), bcrypt.gensalt(_CHEAPEST)).decode()


def admit(database: Path, ledger: Ledger) -> None:
    """Make the accounts of the cast, in a new database if there is none yet, and note them as told.

    No server may run.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    prepare(database, time.time(), shipped())
    with closing(connect(database)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for name in _EVERYBODY:
            _admit(name, connection)
        connection.execute("COMMIT")
    for name in _EVERYBODY:
        ledger.tell(ledger.ask(Password(name), SECRET))


def _admit(name: str, connection: sqlite3.Connection) -> None:
    new = NewAccount(name, _hashed(), _FLAGS.get(name, UserFlags.NONE), int(time.time() * 1000))
    create_account(new, None, None, connection)


class Company:
    """Actors who work at the same time."""

    def __init__(self, actors: Sequence[Actor]) -> None:
        self._actors = actors

    def start(self, port: int) -> Deferred[Any]:
        """Let them connect and work. The result fires when all have ended, because the server is gone or they were
        told to; it fails with what none of them may meet."""
        working = [Deferred.fromCoroutine(actor.run(port)) for actor in self._actors]
        return gatherResults(working, consumeErrors=True)

    def entered(self) -> Deferred[Any]:
        """Fires once all of them work, or have given up."""
        return gatherResults([actor.entered for actor in self._actors])

    def finish(self) -> None:
        """Let them take their last answers and leave."""
        for actor in self._actors:
            actor.finish()


def company(reactor: Any, ledger: Ledger, rng: random.Random) -> Company:
    """Somebody of each kind, and now and then more; each has its own random numbers."""

    def own() -> random.Random:
        return random.Random(rng.getrandbits(64))

    actors: list[Actor] = [Author(reactor, ledger, own()) for _ in range(rng.randint(1, 3))]
    actors += [Resident(reactor, ledger, own(), name) for name in rng.sample(RESIDENTS, rng.randint(1, 3))]
    actors += [Newcomer(reactor, ledger, own()) for _ in range(rng.randint(0, 1))]
    actors.append(Warden(reactor, ledger, own(), ADMIN, is_admin=True))
    if rng.random() < 0.5:
        actors.append(Warden(reactor, ledger, own(), MODERATOR, is_admin=False))
    return Company(actors)
