"""A process that posts, replies and deletes until it is killed, and prints what was confirmed to it.

    python -m tests.storage.appender DATABASE

Each line is ``posted ID`` or ``deleted ID``, written only once the storage has said so.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from superchat.model import Channel, Message, NewChannel, NewMessage
from superchat.storage.sqlite import SQLiteStorage
from tests.storage.reactor import SteppedReactor

NOON_MS = 1_750_000_000_000
AT_ONCE = 20


def confirm(what: str, message: Message) -> Message:
    os.write(1, b"%s %d\n" % (what.encode(), message.id))
    return message


def channel(storage: SQLiteStorage, reactor: SteppedReactor) -> Channel:
    """The one channel, made at the first start."""
    reactor.run_until_fired(storage.seed_channels([NewChannel("general", "", "", 1, 0)], NOON_MS))
    found: list[Channel] = []
    reactor.run_until_fired(storage.channels().addCallback(found.extend))
    return found[0]


def actions(storage: SQLiteStorage, place: Channel) -> Iterator[None]:
    """Ask for one thing after the other; each answers what was confirmed by then."""
    known: list[Message] = []
    for number in count():
        parent = known[-1 - number % 7].id if len(known) > 7 and number % 3 else None
        new = NewMessage(place.id, parent, "anna", os.getpid(), b"message %d" % number, NOON_MS + number)
        storage.append_message(new).addCallback(lambda m: known.append(confirm("posted", m)))
        if len(known) > 50 and number % 5 == 0:
            gone = known.pop(0)
            deleted = storage.delete_message(gone.id, b"[deleted]", NOON_MS + number, "~anna")
            deleted.addCallback(lambda m: confirm("deleted", m))
        yield


def main(path: Path) -> None:
    reactor = SteppedReactor()
    storage = SQLiteStorage(path, reactor)
    storage.open()
    for _ in actions(storage, channel(storage, reactor)):
        while storage.statistics().pending > AT_ONCE:
            reactor.turn()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
