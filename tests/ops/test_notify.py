"""What systemd is told (sd_notify(3))."""

import errno
import os
import re
import socket
import time
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.notify import Silence, Systemd, notifier


class NotifyTests(SynchronousTestCase):
    """The messages that arrive at a socket in systemd's place."""

    def setUp(self) -> None:
        """The socket, and a clock."""
        self.clock = Clock()
        self.address = str(Path(self.mktemp()).absolute())[-100:]
        directory = os.open(".", os.O_RDONLY)
        self.addCleanup(os.close, directory)
        # The path of a Unix socket has 107 bytes at most.
        self.address = f"/proc/{os.getpid()}/fd/{directory}/notify"
        Path(self.address).unlink(missing_ok=True)
        self.systemd = self.bound(self.address)

    def bound(self, address: str) -> socket.socket:
        """A socket that takes in what is said."""
        receiving = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        receiving.bind(address)
        receiving.setblocking(False)
        self.addCleanup(receiving.close)
        return receiving

    def said(self) -> list[str]:
        """The messages since the last call."""
        messages = []
        try:
            while True:
                messages.append(self.systemd.recv(4096).decode())
        except BlockingIOError:
            return messages

    def test_null_object(self) -> None:
        """Without systemd nothing is said, and nothing has to ask whether there is one."""
        for environ in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}):
            nobody = notifier(environ, self.clock)
            self.assertIs(type(nobody), Silence)
            nobody.ready(lambda: "")
            nobody.reloading()
            nobody.reloaded()
            nobody.stopping()
            nobody.stopped()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_descriptor_left(self) -> None:
        """A server that has run out of descriptors goes on giving signs of life, or systemd would end it."""
        systemd = notifier({"NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": "2000000"}, self.clock)
        systemd.ready(str)
        self.said()

        def refuse(*arguments: object) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        self.patch(socket, "socket", refuse)
        self.clock.advance(1)
        self.assertEqual(self.said(), ["WATCHDOG=1\nSTATUS="])
        systemd.stopped()

    def test_life(self) -> None:
        """Ready, reloading with the time it began, ready again, stopping: the order of Type=notify-reload."""
        systemd = notifier({"NOTIFY_SOCKET": self.address}, self.clock)
        systemd.ready(lambda: "3 sessions")
        self.assertEqual(self.said(), ["READY=1\nSTATUS=3 sessions"])
        before = time.monotonic_ns() // 1000
        systemd.reloading()
        (reloading,) = self.said()
        match = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)\nSTATUS=Reloading", reloading)
        assert match is not None, reloading
        self.assertTrue(before <= int(match[1]) <= time.monotonic_ns() // 1000)
        systemd.reloaded()
        self.assertEqual(self.said(), ["READY=1\nSTATUS=3 sessions"])
        systemd.stopping()
        self.assertEqual(self.said(), ["STOPPING=1\nSTATUS=Stopping"])
        systemd.stopped()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_watchdog(self) -> None:
        """The reactor gives a sign of life after every half of the time systemd allows, until the very end."""
        systemd = notifier(
            {"NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, self.clock
        )
        systemd.ready(lambda: "fine")
        self.said()
        self.clock.advance(14.9)
        self.assertEqual(self.said(), [])
        self.clock.advance(0.1)
        self.assertEqual(self.said(), ["WATCHDOG=1\nSTATUS=fine"])
        systemd.stopping()
        self.clock.advance(15)
        self.assertEqual(self.said()[1:], ["WATCHDOG=1\nSTATUS=Stopping"])
        systemd.stopped()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_watchdog_of_others(self) -> None:
        """A watchdog that was set up for another process, or makes no sense, is none."""
        for more in ({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}, {}):
            systemd = notifier({"NOTIFY_SOCKET": self.address, **more}, self.clock)
            systemd.ready(str)
            self.addCleanup(systemd.stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_abstract(self) -> None:
        """An address with @ is in the abstract namespace."""
        name = f"superchat-test-{os.getpid()}"
        self.systemd = self.bound(f"\0{name}")
        systemd = notifier({"NOTIFY_SOCKET": f"@{name}"}, self.clock)
        systemd.ready(str)
        self.addCleanup(systemd.stopped)
        self.assertEqual(self.said(), ["READY=1\nSTATUS="])

    def test_nobody_there(self) -> None:
        """A service manager that is gone harms nothing; the log says it once."""
        Path(self.address).unlink()
        systemd = Systemd(self.address, self.clock)
        self.addCleanup(systemd.stopped)
        warnings: list[object] = []
        self.patch(Systemd, "_log", _Warnings(warnings))
        systemd.ready(str)
        systemd.stopping()
        self.assertEqual(len(warnings), 1)

    def test_reader_that_does_not_read(self) -> None:
        """Signs of life do not wait for a service manager that has stopped reading."""
        systemd = notifier({"NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": "2000000"}, self.clock)
        self.patch(Systemd, "_log", _Warnings([]))
        systemd.ready(str)
        for _ in range(1000):
            self.clock.advance(1)
        self.assertLess(len(self.said()), 1000)
        systemd.stopped()


class _Warnings:
    """A log that keeps warnings."""

    def __init__(self, kept: list[object]) -> None:
        self._kept = kept

    def warn(self, text: str, **values: object) -> None:
        """Keep one."""
        self._kept.append(text.format(**values))
