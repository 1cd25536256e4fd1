"""Does what a server would do when none runs: on the database itself, with the same rules."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, LogPublisher, formatEvent, globalLogBeginner
from twisted.python.failure import Failure
from zope.interface import implementer

from superchat.chat.service import Chat
from superchat.clocks import wall_ms
from superchat.config import Config
from superchat.ops.control.commands import Commands, operator
from superchat.ops.control.messages import Answer, Request
from superchat.storage.errors import StorageError
from superchat.storage.interface import IStorage
from superchat.storage.lock import DatabaseLock
from superchat.storage.sqlite import SQLiteStorage
from superchat.tools.admin_output import Output

Action = Callable[..., Coroutine[Any, Any, None]]

_STORAGE: Final = "superchat.storage"


@implementer(ILogObserver)
class Notices:
    """Tells the operator what the storage logs, as that it migrates the database, and whatever is wrong."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level", LogLevel.info)
        from_storage = event.get("log_namespace", "").startswith(_STORAGE)
        if level >= LogLevel.warn or (level >= LogLevel.info and from_storage):
            self._output.notice(formatEvent(event) or "")


class Local:
    """A chat that nobody can connect to, on the database of *config*, whose lock is held."""

    def __init__(self, config: Config, reactor: Any) -> None:
        # Whoever administers does not start the server: what that does with this password it does then.
        config = attrs.evolve(config, server=attrs.evolve(config.server, admin_password=""))
        self._who = operator(os.getuid())
        self._storage: IStorage = SQLiteStorage(config.database_path, reactor)
        self._chat = Chat(config, self._storage, reactor, wall_ms, Logger(observer=LogPublisher()))
        self._commands = Commands(self._chat, self._storage, reactor, config.database_path, is_server=False)

    async def ask(self, command: str, **arguments: object) -> Answer:
        """Have something done. Raises `ControlError` when a rule says no."""
        return await self._commands.perform(self._who, Request(command, arguments))

    async def run(self, action: Action) -> None:
        """Run *action*, which asks, on the open database. Raises StorageError, and what *action* does."""
        await self._storage.open()
        try:
            await self._chat.start()
            await action(self.ask)
        finally:
            self._chat.stop()
            await self._chat.passwords.stop()
            await self._storage.close()


def run(action: Action, config: Config, output: Output) -> None:
    """Run *action* while no server can start.

    Raises `DatabaseInUse` when one runs, other StorageErrors, KeyboardInterrupt, and what *action* does.
    """
    from twisted.internet import reactor as the_reactor

    local = Local(config, the_reactor)  # what it has to load, it loads with all the rights there are
    act_as_owner_of(config.database_path.parent)
    folder = config.database_path.parent
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make directory {folder}: {error.strerror}") from None
    lock = DatabaseLock(config.database_path)
    lock.acquire()
    try:
        _run(local, action, output, the_reactor)
    finally:
        lock.release()


def act_as_owner_of(folder: Path) -> None:
    """Give up the superuser's rights for those of the folder's owner: the server could not open what root makes."""
    if os.geteuid() != 0:
        return
    while not folder.exists():
        folder = folder.parent
    owner = folder.stat()
    if owner.st_uid != 0:
        os.setgroups([owner.st_gid])
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)


def _run(local: Local, action: Action, output: Output, reactor: Any) -> None:
    globalLogBeginner.beginLoggingTo([Notices(output)], discardBuffer=True, redirectStandardIO=False)
    outcomes: list[Failure | None] = []

    def start() -> None:
        work = Deferred.fromCoroutine(local.run(action))
        work.addBoth(outcomes.append)
        work.addBoth(lambda _: reactor.callLater(0, reactor.stop))

    reactor.callWhenRunning(start)
    reactor.run()
    if not outcomes:
        raise KeyboardInterrupt
    if outcomes[0] is not None:
        outcomes[0].raiseException()
