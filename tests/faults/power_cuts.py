"""Cuts the power at places of a journal, and looks at what is left."""

from __future__ import annotations

import random
import shutil
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Final

import attrs

from superchat.storage.backup import examine
from superchat.storage.connections import connect
from superchat.storage.errors import StorageError
from superchat.storage.migrations import prepare, schema_version, shipped
from tests.faults.judge import Judge
from tests.faults.ledger import Claim, Ledger, Post
from tests.faults.power_disk import Disk, Image, Variant, write
from tests.faults.power_journal import Kind, Record
from tests.faults.power_run import DATA, Backup, Chapter
from tests.faults.stored import Stored, read

DATABASE: Final = f"{DATA}/superchat/superchat.db"
SEEDS: Final = frozenset({"chat", "general", "tech", "random", "feedback"})
"""The channels of a configuration that names none."""
NEWEST: Final = max(migration.version for migration in shipped())
"""The version of the schema that servers bring a database to."""


@attrs.frozen(order=True)
class Cut:
    """The end of the power at a position of the journal, and what had reached the disk by then; chance has a seed."""

    position: int
    data: Variant = attrs.field(order=False)
    names: Variant = attrs.field(order=False)
    seed: int

    def __str__(self) -> str:
        return f"cut at {self.position}, of the data {self.data.value}, of the names {self.names.value}, {self.seed=}"


def choose(records: Sequence[Record], before: Disk, number: int, rng: random.Random) -> list[Cut]:
    """Places to cut: a third anywhere, a third where names change, and the rest evenly among the kinds of what is done
    to each file, most of which are rare: a log that is cut off, a database that is synced."""
    anywhere = [record.end for record in records]
    at_names = [record.end for record in records if record.kind not in _OF_BYTES] or anywhere
    rare = _by_what_is_done(records, before)
    cuts = []
    for count in range(number):
        ends = (anywhere, at_names, rng.choice(rare))[count % 3]
        cuts.append(Cut(rng.choice(ends), rng.choice(_DATA), rng.choice(_NAMES), rng.getrandbits(32)))
    return sorted(cuts)


def _by_what_is_done(records: Sequence[Record], before: Disk) -> list[list[int]]:
    """Where records end, those of the same kind and the same file together."""
    names = before.inodes()
    groups: defaultdict[tuple[Kind, str], list[int]] = defaultdict(list)
    for record in records:
        path = names.get(record.inode, "") if record.kind in _OF_BYTES else record.path
        groups[record.kind, path].append(record.end)
        if record.kind in (Kind.CREATE, Kind.RENAME, Kind.LINK):
            names[record.inode] = record.other or record.path
    return [*groups.values()]


_OF_BYTES: Final = frozenset({Kind.WRITE, Kind.TRUNCATE, Kind.SYNC})
_DATA: Final = (Variant.NOTHING, *Variant)
_NAMES: Final = (Variant.NOTHING, *(each for each in Variant if each is not Variant.TORN))


def images(before: Disk, records: Sequence[Record], cuts: Sequence[Cut]) -> Iterator[tuple[Cut, Image]]:
    """What is on the disk after each cut; the cuts must be in order. In the end *before* is the disk after it all."""
    done = 0
    for cut in cuts:
        while done < len(records) and records[done].end <= cut.position:
            before.apply(records[done])
            done += 1
        yield cut, before.image(cut.data, cut.names, random.Random(cut.seed))
    for record in records[done:]:
        before.apply(record)


class Memory:
    """What the clients of a ledger knew at one moment after another."""

    def __init__(self, ledger: Ledger) -> None:
        self.known = ledger.as_of(-1)
        """What they knew when the last moment had come that was asked for; at first nothing."""
        self._telling: list[tuple[float, Claim | Post]] = [
            (post.told_at, copy) for post, copy in zip(ledger.posts, self.known.posts, strict=True) if post.is_told
        ]
        for subject, claims in ledger.claims.items():
            copies = self.known.claims[subject]
            pairs = zip(claims, copies, strict=True)
            self._telling += [(claim.told_at, copy) for claim, copy in pairs if claim.is_told]
        self._telling.sort(key=lambda each: -each[0])
        self._hearing = deque(ledger.heard)

    def recall(self, moment: float) -> Ledger:
        """What they knew at a moment, which must not be before the last one."""
        while self._telling and self._telling[-1][0] <= moment:
            told_at, what = self._telling.pop()
            what.told_at = told_at
        while self._hearing and self._hearing[0].at <= moment:
            self.known.heard.append(self._hearing.popleft())
        return self.known


class Inquest:
    """Says what is wrong with what one cut after another has left of a chapter's disk; `final` is the database at the
    end of the chapter, and `version` its schema's at the beginning."""

    def __init__(self, chapter: Chapter, ledger: Ledger, final: Stored, version: int = NEWEST) -> None:
        self._chapter = chapter
        self._ledger = ledger
        self._final = final
        self._version = version
        self._memory = Memory(ledger)
        self._judge = Judge()
        self._copies: dict[tuple[str, bytes], list[str]] = {}

    def complaints(self, cut: Cut, root: Path) -> list[str]:
        """What clients and operators were promised by then, and is not so in the files below *root*."""
        database = root / DATABASE
        was_served = cut.position >= self._chapter.served_at
        found = [*self._copies_wrong(cut, root), *self._ways_back_wrong(database)]
        if was_served and not database.exists():
            return [*found, "the database is lost"]
        if not database.parent.exists():
            return found
        try:
            prepare(database, time.time(), shipped())  # as a server does that starts
        except StorageError as error:
            return [*found, f"no server would start: {error}"]
        stored = read(database)
        found += self._judge.complaints_about(stored, self._memory.recall(cut.position))
        return [*found, *_gaps(stored, self._final), *_seeds_wrong(stored, was_served)]

    def _copies_wrong(self, cut: Cut, root: Path) -> Iterator[str]:
        """A backup that was reported is there; one that is there is whole."""
        for backup in self._chapter.backups:
            path = root / backup.path
            if path.exists():
                yield from self._copy_wrong(backup, path)
            elif backup.told_at <= cut.position:
                yield f"the backup {backup.path} is lost"

    def _ways_back_wrong(self, database: Path) -> Iterator[str]:
        """Before a migration has changed anything, the database is copied to a name of its own."""
        if self._version == NEWEST:
            return
        copies = [path for path in database.parent.glob("*.backup-v*") if ".part" not in path.name]
        for path in copies:
            yield from self._copy_wrong(Backup(path.name, self._chapter.began_at, 0), path)
        if not copies and database.exists() and _version(database) > self._version:
            yield "the database was migrated, and there is no copy of what it was before"

    def _copy_wrong(self, backup: Backup, path: Path) -> list[str]:
        """A backup has all that was acknowledged before it was asked for. Most cuts find the same one."""
        key = (backup.path, sha256(path.read_bytes()).digest())
        if key not in self._copies:
            self._copies[key] = self._look_at_copy(backup, path)
        return self._copies[key]

    def _look_at_copy(self, backup: Backup, path: Path) -> list[str]:
        restored = path.with_name("restored.db")
        try:
            examine(path)
            shutil.copy(path, restored)
            prepare(restored, time.time(), shipped())  # it may be of an earlier release
        except StorageError as error:
            return [f"the backup is not whole: {error}"]
        wrong = self._judge.complaints(restored, self._ledger.as_of(backup.asked_at))
        restored.unlink()
        return [f"{backup.path}: {text}" for text in wrong]


def _seeds_wrong(stored: Stored, was_served: bool) -> Iterator[str]:
    """The first channels are there together, and before anybody is served."""
    names = {channel.name for channel in stored.channels.values()}
    if not names >= SEEDS and (names or was_served):
        yield f"of the first channels there are only {sorted(names)}"


def _version(database: Path) -> int:
    """The version of a database's schema, which counts what is in its log."""
    with closing(connect(database)) as connection:
        return schema_version(database, connection)


def _gaps(stored: Stored, final: Stored) -> Iterator[str]:
    """Commits are kept in their order: when a message is there, all that were committed before it are."""
    last = max(stored.rows, default=0)
    for message_id in final.rows:
        if message_id < last and message_id not in stored.rows:
            yield f"message {message_id} is lost, and {last}, which came after it, is there"


def differences(disk: Disk, real: Disk) -> Iterator[str]:
    """What the journal has missed: its disk with everything on it, against the real one."""
    by_journal, by_folder = _whole(disk), _whole(real)
    for path in sorted({*by_journal, *by_folder}):
        if path not in by_journal or path not in by_folder:
            yield f"{path} is {'there' if path in by_folder else 'gone'}"
        elif by_journal[path] != by_folder[path]:
            yield f"{path} is not what was written to it"


def _whole(disk: Disk) -> Image:
    return _ours(disk.image(Variant.EVERYTHING, Variant.EVERYTHING, random.Random()))


def _ours(image: Image) -> Image:
    """The server's part of an image."""
    return {path: content for path, content in image.items() if path == DATA or path.startswith(f"{DATA}/")}


def expose(image: Image, root: Path) -> None:
    """Make the files of an image below *root*, those of the server."""
    write(_ours(image), root)
