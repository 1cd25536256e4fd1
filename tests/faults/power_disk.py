"""What may be on a disk after its power went away: the model that all verdicts of `power` rest on.

A file has for certain what was written before the last fsync or fdatasync of it began that has returned. Of what came
after, each write may have reached the disk or not, in any order, whole or in part: a sector of 512 bytes is the least
that a disk writes. A file that was made longer by a write that was lost may have zeros there. That is what SQLite
asks of a disk, too ("powersafe overwrite": bytes beside those written are safe).

A name that was made, changed or removed is certain once its directory was synced. File systems keep more: ext4, XFS
and btrfs make the name of a new file certain together with the file, and never keep a later change of a directory
without the earlier ones. POSIX promises neither, so here any of them may be lost, and now and then an earlier one while
a later one is kept. A rename is never half done.
"""

from __future__ import annotations

import random
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Final

import attrs

from tests.faults.power_journal import Kind, Record

SECTOR_BYTES: Final = 512

Image = dict[str, bytes | None]
"""What is on a disk, by path; None stands for a directory."""


def matters(path: str) -> bool:
    """Whether power.c writes down what happens to a file of that name."""
    name = PurePosixPath(path).name
    return ".log" not in name and not name.endswith("-shm")


class Variant(Enum):
    """How much of what is uncertain has reached the disk."""

    NOTHING = "nothing"
    EVERYTHING = "everything"
    FIRST = "first"
    """What came first, up to somewhere within a write."""
    SOME = "some"
    """Some of it, each write whole or not at all."""
    TORN = "torn"
    """Some of it, each write whole, not at all, or some of its sectors."""


@attrs.define(eq=False)
class File:
    """The bytes of a file, whatever it is called."""

    certain: bytearray = attrs.field(factory=bytearray)
    uncertain: list[Record] = attrs.field(factory=list)
    """Writes and changes of the size since, in their order."""

    def sync(self, begun: int) -> None:
        """Everything up to this position of the journal is certain."""
        while self.uncertain and self.uncertain[0].end <= begun:
            _change(self.certain, self.uncertain.pop(0))


FOLDER: Final = File()
"""Stands for any directory."""


@attrs.frozen
class Change:
    """What one call did to names; None is for a name that is no more."""

    end: int
    names: dict[str, File | None]


@attrs.define(eq=False)
class Disk:
    """A disk by the records of a journal up to some position; at first it is empty."""

    names: dict[str, File] = attrs.field(factory=dict)
    """Certain ones, by path."""
    uncertain: dict[str, list[Change]] = attrs.field(factory=dict)
    """Changes of names since, by directory."""
    _files: dict[int, File] = attrs.field(factory=dict)
    """The latest by inode, whose number the next one may get when it is gone."""

    @classmethod
    def of(cls, folder: Path) -> Disk:
        """A disk with what is in a folder, all of it certain."""
        disk = cls()
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            if path.is_dir():
                disk.names[name] = FOLDER
            elif path.is_file() and matters(name):
                file = disk._files.setdefault(path.stat().st_ino, File(bytearray(path.read_bytes())))
                disk.names[name] = file
        return disk

    def inodes(self) -> dict[int, str]:
        """What files are called, by inode."""
        return {inode: path for inode, file in self._files.items() for path in self.names if self.names[path] is file}

    def apply(self, record: Record) -> None:
        """Go one record on."""
        match record.kind:
            case Kind.WRITE | Kind.TRUNCATE:
                self._file(record).uncertain.append(record)
            case Kind.SYNC:
                self._file(record).sync(record.offset)
            case Kind.SYNC_DIRECTORY:
                self._sync_directory(record.path, record.offset)
            case Kind.CREATE:
                self._files[record.inode] = File()
                self._name(record, record.path, {record.path: self._files[record.inode]})
            case Kind.RENAME if self._file(record) is not self._current(record.other):
                self._name(record, record.other, {record.path: None, record.other: self._file(record)})
            case Kind.LINK:
                self._name(record, record.other, {record.other: self._file(record)})
            case Kind.UNLINK:
                self._name(record, record.path, {record.path: None})
            case Kind.MKDIR:
                self._name(record, record.path, {record.path: FOLDER})

    def image(self, data: Variant, names: Variant, rng: random.Random) -> Image:
        """What is on the disk by path when the power goes away now."""
        found = self._names(names, rng)
        image: Image = {}
        for path, file in sorted(found.items()):
            if all(str(folder) in found for folder in list(PurePosixPath(path).parents)[:-1]):
                image[path] = None if file is FOLDER else _content(file, data, rng)
        return image

    def _file(self, record: Record) -> File:
        return self._files.setdefault(record.inode, File())

    def _current(self, path: str) -> File | None:
        return self._names(Variant.EVERYTHING, random.Random()).get(path)

    def _name(self, record: Record, path: str, names: dict[str, File | None]) -> None:
        self.uncertain.setdefault(_directory(path), []).append(Change(record.end, names))

    def _sync_directory(self, path: str, begun: int) -> None:
        changes = self.uncertain.get(path, [])
        while changes and changes[0].end <= begun:
            _rename(self.names, changes.pop(0))

    def _names(self, variant: Variant, rng: random.Random) -> dict[str, File]:
        found = dict(self.names)
        for changes in self.uncertain.values():
            for change in _survivors(changes, variant, rng):
                _rename(found, change)
        return found


def write(image: Image, folder: Path) -> None:
    """Make real files of an image, in a folder that is not there yet."""
    folder.mkdir(parents=True)
    for path, content in image.items():
        if content is None:
            (folder / path).mkdir(mode=0o750)
        else:
            (folder / path).write_bytes(content)
            (folder / path).chmod(0o600)


def _survivors(changes: list[Change], variant: Variant, rng: random.Random) -> list[Change]:
    """The changes of a directory that are on the disk."""
    match variant:
        case Variant.NOTHING:
            return []
        case Variant.EVERYTHING:
            return changes
        case Variant.FIRST:
            return changes[: rng.randint(0, len(changes))]
        case _:
            return [change for change in changes if rng.random() < 0.5]


def _content(file: File, variant: Variant, rng: random.Random) -> bytes:
    """The bytes of a file that are on the disk."""
    content = bytearray(file.certain)
    if variant is Variant.NOTHING:
        return bytes(content)
    share = rng.choice((0.1, 0.5, 0.9))
    last = rng.randint(0, len(file.uncertain)) if variant is Variant.FIRST else len(file.uncertain)
    for number, record in enumerate(file.uncertain[: last + 1]):
        if variant is Variant.EVERYTHING or (variant is Variant.FIRST and number < last):
            _change(content, record)
        elif variant is Variant.FIRST:
            _tear(content, record, rng)
        elif rng.random() < share:
            _change(content, record)
        elif variant is Variant.TORN and rng.random() < 0.5:
            _tear(content, record, rng)
    return bytes(content)


def _change(content: bytearray, record: Record) -> None:
    """Do to the bytes of a file what was done."""
    if record.kind is Kind.TRUNCATE:
        del content[record.offset :]
        content.extend(bytes(record.offset - len(content)))
    else:
        content.extend(bytes(max(record.offset - len(content), 0)))
        content[record.offset : record.offset + len(record.data)] = record.data


def _tear(content: bytearray, record: Record, rng: random.Random) -> None:
    """Do some of a write: the size that comes of it, and some of its sectors. A change of size has no parts."""
    if record.kind is Kind.TRUNCATE:
        return
    end = record.offset + len(record.data)
    content.extend(bytes(max(end - len(content), 0)))
    start = record.offset
    while start < end:
        stop = min(end, (start // SECTOR_BYTES + 1) * SECTOR_BYTES)
        if rng.random() < 0.5:
            content[start:stop] = record.data[start - record.offset : stop - record.offset]
        start = stop


def _rename(names: dict[str, File], change: Change) -> None:
    for path, file in change.names.items():
        if file is None:
            names.pop(path, None)
        else:
            names[path] = file


def _directory(path: str) -> str:
    parent = str(PurePosixPath(path).parent)
    return "" if parent == "." else parent
