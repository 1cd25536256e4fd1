"""Opens the control socket, and closes it."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from superchat.ops.control.addresses import Whereabouts, address_of
from superchat.ops.control.commands import Commands
from superchat.ops.control.protocol import ControlFactory
from superchat.storage.lock import DatabaseLock

OWNER_ONLY: Final = 0o600
_PATIENCE_SECONDS: Final = 1.0


class ControlUnavailable(Exception):
    """The control socket cannot be opened; the text says why."""


class Control:
    """Has operators ask *commands* at the socket *path*, and leaves word of that in the *lock* of the database."""

    _log = Logger()

    def __init__(self, reactor: Any, path: Path, commands: Commands, lock: DatabaseLock) -> None:
        self._reactor = reactor
        self._path = path
        self._factory = ControlFactory(commands, reactor)
        self._lock = lock
        self._port: Any = None
        self._open = ExitStack()

    @property
    def ports(self) -> Sequence[Any]:
        """What listens, while it does."""
        return () if self._port is None else (self._port,)

    def start(self) -> None:
        """Listen; nobody but the server's user and the superuser can connect. Raises `ControlUnavailable`."""
        try:
            address = self._open.enter_context(address_of(self._path))
            self._clear(address)
            self._port = self._listen(address)
            self._lock.write_note(Whereabouts(os.getpid(), self._path).note())
        except (OSError, CannotListenError) as error:
            self._open.close()
            reason = error.socketError if isinstance(error, CannotListenError) else error
            raise ControlUnavailable(f"cannot listen on {self._path}: {_why(reason)}") from None
        self._log.info("Control socket listening at {path}", path=str(self._path))

    async def stop(self) -> None:
        """Listen no more, and remove the socket."""
        port, self._port = self._port, None
        if port is not None:
            with suppress(FileNotFoundError):  # somebody has removed it already
                await port.stopListening()
        self._open.close()

    def _listen(self, address: str) -> Any:
        # The mode must be right from the first moment on.
        before = os.umask(0o777 & ~OWNER_ONLY)
        try:
            return self._reactor.listenUNIX(address, self._factory, mode=OWNER_ONLY)
        finally:
            os.umask(before)

    def _clear(self, address: str) -> None:
        """Remove what a killed server left; never a socket that somebody listens on, or any other file."""
        try:
            mode = os.lstat(address).st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise ControlUnavailable(f"cannot listen on {self._path}: there is a file that is no socket")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_PATIENCE_SECONDS)
            try:
                probe.connect(address)
            except ConnectionRefusedError:
                os.unlink(address)
                return
            except TimeoutError:
                pass  # somebody listens who is busy
        raise ControlUnavailable(f"cannot listen on {self._path}: another server listens there")


def _why(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
