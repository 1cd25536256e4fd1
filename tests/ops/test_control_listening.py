"""Opening and closing the control socket."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.control.addresses import LONGEST_ADDRESS_BYTES, Whereabouts, address_of, socket_path
from superchat.ops.control.listening import Control, ControlUnavailable
from superchat.storage.lock import DatabaseLock, note_of_holder


class Port:
    """A socket that is bound and listened on, as by Twisted's."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(address)
        self.mode_when_bound = stat.S_IMODE(os.stat(address).st_mode)
        self._socket.listen()

    def stopListening(self) -> Deferred[None]:
        """Close, and remove the file."""
        self._socket.close()
        os.unlink(self._address)
        return succeed(None)

    def die(self) -> None:
        """Leave the file behind, as a killed process does."""
        self._socket.close()


class Reactor(Clock):
    """Listens with real sockets."""

    def __init__(self) -> None:
        super().__init__()
        self.ports: list[Port] = []

    def listenUNIX(self, address: str, factory: object, *, mode: int) -> Port:
        """See IReactorUNIX."""
        try:
            port = Port(address)
        except OSError as error:
            raise CannotListenError(None, address, error) from None
        os.chmod(address, mode)
        self.ports.append(port)
        return port


class ListeningTests(SynchronousTestCase):
    """``Control``."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.path = self.folder / "control.sock"
        self.lock = DatabaseLock(self.folder / "superchat.db")
        self.lock.acquire()
        self.addCleanup(self.lock.release)
        self.reactor = Reactor()

    def control(self, path: Path | None = None) -> Control:
        """A control socket that is not open yet."""
        commands: Any = None
        control = Control(self.reactor, self.path if path is None else path, commands, self.lock)
        self.addCleanup(self.stop, control)
        return control

    def stop(self, control: Control) -> None:
        """Close it."""
        self.successResultOf(Deferred.fromCoroutine(control.stop()))

    def refused(self) -> str:
        """Why it cannot be opened."""
        return str(self.assertRaises(ControlUnavailable, self.control().start)).removeprefix(
            f"cannot listen on {self.path}: "
        )

    def test_private_from_the_start(self) -> None:
        """At no moment anybody else can connect, and the mode of other files is as it was."""
        before = os.umask(0o002)
        try:
            self.control().start()
            self.assertEqual(os.umask(0o002), 0o002)
        finally:
            os.umask(before)
        (port,) = self.reactor.ports
        self.assertEqual(port.mode_when_bound & 0o077, 0)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_note(self) -> None:
        """The lock of the database tells where the server can be asked."""
        self.control().start()
        note = note_of_holder(self.folder / "superchat.db")
        self.assertEqual(Whereabouts.read(note), Whereabouts(os.getpid(), self.path))

    def test_closed(self) -> None:
        """The socket is gone in the end, also when somebody has removed it already; so it can be opened again."""
        control = self.control()
        control.start()
        self.stop(control)
        self.assertFalse(self.path.exists())
        control.start()
        self.path.unlink()
        self.stop(control)

    def test_left_behind(self) -> None:
        """The socket that a killed server left is replaced."""
        self.control().start()
        self.reactor.ports[0].die()
        self.control().start()
        self.assertEqual(len(self.reactor.ports), 2)
        with socket.socket(socket.AF_UNIX) as client, address_of(self.path) as address:
            client.connect(address)

    def test_alive(self) -> None:
        """A socket that somebody listens on is not touched; that is one clear sentence."""
        self.control().start()
        self.assertEqual(self.refused(), "another server listens there")
        self.assertTrue(self.path.is_socket())

    def test_other_file(self) -> None:
        """A file that is no socket is not removed."""
        self.path.write_text("precious")
        self.assertEqual(self.refused(), "there is a file that is no socket")
        self.assertEqual(self.path.read_text(), "precious")

    def test_no_folder(self) -> None:
        """Where the socket cannot be made, the reason is the system's."""
        self.path = self.folder / "missing" / "control.sock"
        self.assertEqual(self.refused(), "No such file or directory")

    def test_deep_folder(self) -> None:
        """A data directory may be deeper than the address of a socket is long."""
        deep = self.folder / ("d" * 100) / ("e" * 100)
        deep.mkdir(parents=True)
        path = deep / "control.sock"
        self.assertGreater(len(str(path)), LONGEST_ADDRESS_BYTES)
        control = self.control(path)
        descriptors = len(os.listdir("/proc/self/fd"))
        control.start()
        with socket.socket(socket.AF_UNIX) as client, address_of(path) as address:
            self.assertLessEqual(len(address), LONGEST_ADDRESS_BYTES)
            client.connect(address)
        self.stop(control)
        self.assertEqual(len(os.listdir("/proc/self/fd")), descriptors)
        self.assertFalse(path.exists())


class AddressTests(SynchronousTestCase):
    """Where the socket is."""

    def test_place(self) -> None:
        """In the data directory, or in the runtime directory that systemd gives."""
        data = Path("/srv/superchat")
        for runtime, expected in {
            None: "/srv/superchat/control.sock",
            "": "/srv/superchat/control.sock",
            "relative": "/srv/superchat/control.sock",
            "/run/superchat": "/run/superchat/control.sock",
            "/run/superchat:/run/other": "/run/superchat/control.sock",
        }.items():
            environ = {} if runtime is None else {"RUNTIME_DIRECTORY": runtime}
            self.assertEqual(str(socket_path(data, environ)), expected)

    def test_note(self) -> None:
        """What is left in the lock can be read again; anything else is no such note."""
        there = Whereabouts(77, Path("/run/superchat/control.sock"))
        self.assertEqual(Whereabouts.read(there.note()), there)
        for note in ("", "77", "{}", '{"pid": "77", "socket": "/a"}', "{", "[]"):
            self.assertIsNone(Whereabouts.read(note))
