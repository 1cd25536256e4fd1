"""Scenes of a storage whose file system fails, and what must be true of the database afterwards.

Each scene is played in a process of its own, which may be killed; the judge opens the database after that, as the
next server would.
"""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from superchat.model import Backlog, NewAccount, NewChannel, NewMessage
from superchat.storage.backup import back_up
from superchat.storage.errors import StorageError
from superchat.storage.migrations import prepare, shipped
from superchat.storage.restore import restore
from superchat.storage.sqlite import SQLiteStorage
from tests.faults.syscalls_calls import Faults
from tests.faults.syscalls_judge import Told, judge_copy, judge_rows, messages_in
from tests.storage.reactor import SteppedReactor

T = TypeVar("T")

NOON_MS: Final = 1_750_000_000_000
LATER_MS: Final = NOON_MS + 1_000_000
NOW: Final = datetime(2025, 6, 15, tzinfo=UTC)
PATIENCE_SECONDS: Final = 60
FEW_PAGES: Final = 12
"""After so many pages the log is copied into the database, instead of 1000: little talk makes it happen."""

_GENERAL: Final = NewChannel("general", "General", "", 1, 168)
_ATTIC: Final = NewChannel("attic", "Attic", "", 1, 168)


class Ending(Enum):
    """How a scene ends."""

    KILL = "kill"  # kill -9, as soon as something was refused
    CLOSE = "close"  # the storage is closed while calls may still fail
    GO_ON = "go on"  # the fault is over, and all must be well without a restart


class _Killed(Exception):
    """The process ends here."""


class Player:
    """Asks the storage at *path* for one thing after the other, and keeps what it is told."""

    def __init__(self, path: Path, ending: Ending, reads_go_on: bool) -> None:
        self.path = path
        self.told = Told()
        self.reactor = SteppedReactor()
        self.storage = SQLiteStorage(path, self.reactor)
        self._ending = ending
        self._reads_go_on = reads_go_on
        self._number = 0

    def open(self) -> bool:
        """Whether it could be opened."""
        opened: list[Any] = []
        self.storage.open().addBoth(opened.append)
        if isinstance(opened[0], Failure):
            self._check_refusal(opened[0])
            return False
        return True

    def close(self) -> None:
        """Close it; that must come to an end, whatever fails."""
        self.reactor.run_until_fired(self.storage.close())

    def ask(self, question: Deferred[T]) -> T | None:
        """The answer, or None when it was refused."""
        self.reactor.run_until_fired(question)
        answers: list[Any] = []
        question.addBoth(answers.append)
        (answer,) = answers
        if not isinstance(answer, Failure):
            found: T = answer
            return found
        self._check_refusal(answer)
        return None

    def read(self, question: Deferred[T]) -> T | None:
        """The same for what only reads, which goes on while only writing fails."""
        answer = self.ask(question)
        if answer is None and self._reads_go_on:
            self.told.errors.append("reading was refused")
        return answer

    def post(self, count: int = 1, parent_id: int | None = None, size: int = 0) -> int | None:
        """Post messages at once; the id of the last one."""
        asked = [self._append(parent_id, size) for _ in range(count)]
        last, is_refused = None, False
        for content, question in asked:
            message = self.ask(question)
            if message is None:
                self.told.refused.append((0, content))
                is_refused = True
            else:
                last = message.id
                self.told.posted[last] = content
        self._die(is_refused)
        return last

    def edit(self, message_id: int | None) -> None:
        """Change what a message says."""
        if message_id is None:
            return
        content = b"edited"
        if self.ask(self.storage.edit_message(message_id, content, NOON_MS, "~anna")) is None:
            self.told.refused.append((message_id, content))
            self._die(True)
        else:
            self.told.posted[message_id] = content

    def delete(self, message_id: int | None) -> None:
        """Delete a message."""
        if message_id is None:
            return
        if self.ask(self.storage.delete_message(message_id, b"[deleted]", NOON_MS, "~anna")) is None:
            self.told.undeleted.add(message_id)
            self._die(True)
        else:
            self.told.deleted.add(message_id)

    def write(self, question: Deferred[Any]) -> None:
        """Ask for something whose answer is not kept."""
        self._die(self.ask(question.addCallback(lambda _: True)) is None)

    def attempt(self, action: Callable[[], object]) -> bool:
        """Whether something that is done outside of the storage's threads could be."""
        try:
            action()
        except StorageError:
            return False
        return True

    def recover(self) -> None:
        """Now that nothing fails any more, everything must work."""
        if self.post(2) is None or self.ask(self.storage.root_page(1, 10, None, None)) is None:
            self.told.errors.append("it does not go on when the fault is over")

    def _append(self, parent_id: int | None, size: int) -> tuple[bytes, Deferred[Any]]:
        self._number += 1
        content = b"message %d of %d " % (self._number, os.getpid()) + b"x" * size
        new = NewMessage(1, parent_id, "anna", 7, content, NOON_MS + self._number)
        return content, self.storage.append_message(new)

    def _check_refusal(self, failure: Failure) -> None:
        if not failure.check(StorageError):
            self.told.errors.append(f"this is no refusal: {failure.getTraceback()}")

    def _die(self, is_refused: bool) -> None:
        if is_refused and self._ending is Ending.KILL:
            raise _Killed


# The scenes: what a storage does in its life


def first_start(player: Player) -> None:
    """A new database."""
    if player.open():
        player.write(player.storage.seed_channels([_GENERAL, _ATTIC], NOON_MS))
        player.read(player.storage.channels())


def talk(player: Player) -> None:
    """What clients do most, on a database with some messages."""
    if not player.open():
        return
    root = player.post()
    player.post(3)
    reply = player.post(parent_id=root)
    player.edit(reply)
    player.read(player.storage.root_page(1, 50, None, None))
    if root is not None:
        player.read(player.storage.thread_page(root, 50, None, None))
    player.read(player.storage.counts_since([Backlog(1, 0)]))
    player.delete(reply)
    player.write(player.storage.probe(NOON_MS))
    player.write(player.storage.create_account(NewAccount("anna", "", 0, NOON_MS)))
    player.post(size=3000)


def copying(player: Player) -> None:
    """The log is copied into the database again and again."""
    if not player.open():
        return
    few = f"PRAGMA wal_autocheckpoint = {FEW_PAGES}"
    player.write(player.storage._alone(lambda connection: connection.execute(few).fetchall()))
    for number in range(8):
        player.post(2, size=3000)
        if number % 3 == 0:
            player.read(player.storage.root_page(1, 50, None, None))


def upgrade(player: Player) -> None:
    """A database of an earlier release."""
    if player.open():
        player.post(2)


def removal(player: Player) -> None:
    """Old threads are removed, and their space is given back."""
    if not player.open():
        return
    player.told.removed = True
    player.write(player.storage.expire(1, LATER_MS))
    for _ in range(30):
        swept = player.ask(player.storage.sweep())
        if swept is None or not swept.more:
            break
    player.write(player.storage.delete_channel(2, LATER_MS))
    player.write(player.storage.sweep())


def copies(player: Player) -> None:
    """Backups are made while others post."""
    if not player.open():
        return
    target = player.path.with_name("copy.db")
    for replace in (False, True):
        player.post(2)
        posted = {*player.told.posted}
        if player.attempt(partial(back_up, player.path, target, replace=replace)):
            player.told.copied = posted


def restored(player: Player) -> None:
    """A backup takes the place of the database; until then that is as it was."""
    if player.attempt(partial(restore, player.path.with_name("old.db"), player.path, NOW)):
        player.told.removed = True
    if player.open():
        player.post()


SCENES: Final[Mapping[str, Callable[[Player], None]]] = {
    scene.__name__: scene for scene in (first_start, talk, copying, upgrade, removal, copies, restored)
}


class Stage:
    """The folder in which scenes are played, and how each finds it when it begins."""

    def __init__(self, directory: Path) -> None:
        self.faults = Faults.here()
        self.folder = directory / "played"
        self._templates = directory / "templates"
        for name in SCENES:
            template = self._templates / name
            template.mkdir(parents=True)
            if name == "upgrade":
                _make_earlier(template / "chat.db")
            elif name != "first_start":
                threads = 40 if name == "removal" else 3
                _make(template / "chat.db", threads, is_killed=name in ("talk", "restored"))
            if name == "restored":
                _make(template / "old.db", 2)

    def play(self, name: str, ending: Ending, arm: Callable[[], None], reads_go_on: bool) -> Told:
        """Play a scene in another process after *arm*, and return what it was told."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self._templates / name, self.folder)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            signal.alarm(PATIENCE_SECONDS)
            told = self._perform(name, ending, arm, reads_go_on)
            with open(writing, "wb") as pipe:
                pickle.dump(told, pipe)
            os._exit(0)
        os.close(writing)
        with open(reading, "rb") as pipe:
            data = pipe.read()
        _, status = os.waitpid(child, 0)
        self.faults.rest()
        if status or not data:
            return Told(errors=[f"the process ended with status {status}"])
        found: Told = pickle.loads(data)
        return found

    def judge(self, told: Told, is_undecided: bool) -> Iterator[str]:
        """What is wrong with what is left, after a start at which nothing fails.

        What was refused may be there when *is_undecided*.
        """
        yield from told.errors
        player = Player(self.folder / "chat.db", Ending.GO_ON, False)
        if not player.open():
            yield "it cannot be opened any more"
            return
        player.close()
        yield from player.told.errors
        leftovers = [*self.folder.glob("chat.db.new*"), *self.folder.glob("chat.db.*.part")]
        yield from (f"left over: {each.name}" for each in leftovers)
        try:
            yield from judge_rows(self.folder / "chat.db", told, is_undecided)
            yield from judge_copy(self.folder / "copy.db", told.copied)
        except sqlite3.Error as error:
            yield f"the database says: {error}"

    def _perform(self, name: str, ending: Ending, arm: Callable[[], None], reads_go_on: bool) -> Told:
        player = Player(self.folder / "chat.db", ending, reads_go_on)
        if player.path.exists():
            player.told.posted |= {each: content for each, (content, _) in messages_in(player.path).items()}
        try:
            arm()
            SCENES[name](player)
            if ending is Ending.KILL:
                raise _Killed
            if ending is Ending.GO_ON:
                self._go_on(player, name)
            player.close()
        except _Killed:
            pass
        except BaseException:  # noqa: BLE001 (what is wrong is said by the judge)
            player.told.errors.append(f"it raised {Failure().getTraceback()}")
        return player.told

    def _go_on(self, player: Player, name: str) -> None:
        self.faults.rest()
        if not player.storage._is_open and not player.open():
            player.told.errors.append("it cannot be opened when the fault is over")
            return
        if name == "first_start":
            player.write(player.storage.seed_channels([_GENERAL, _ATTIC], NOON_MS))
        player.recover()


def _make(path: Path, threads: int, *, is_killed: bool = False) -> None:
    """A database, as a server left it that was stopped or killed."""
    player = Player(path, Ending.GO_ON, False)
    assert player.open()
    player.write(player.storage.seed_channels([_GENERAL, _ATTIC], NOON_MS))
    for _ in range(threads):
        player.post(2, parent_id=player.post(size=500), size=500)
    if is_killed:
        shutil.copytree(path.parent, path.with_name("killed"), ignore=shutil.ignore_patterns("old.db"))
    player.close()
    if is_killed:
        for left in path.with_name("killed").iterdir():
            left.replace(path.with_name(left.name))
        path.with_name("killed").rmdir()


def _make_earlier(path: Path) -> None:
    """A database of the first release, which never gave disk space back."""
    prepare(path, 0, shipped()[:1])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO channel VALUES (1, 'general', 'general', 'General', '', 1, 168, NULL, 0)")
        for number in range(1, 4):
            row = (number, number, NOON_MS, b"from before")
            connection.execute("INSERT INTO message VALUES (?, 1, NULL, ?, 'anna', 7, ?, NULL, NULL, 0, ?)", row)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in ("PRAGMA journal_mode = DELETE", "PRAGMA auto_vacuum = NONE", "VACUUM"):
            connection.execute(statement).fetchall()
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
