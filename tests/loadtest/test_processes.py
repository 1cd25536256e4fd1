"""The server's process is found and measured, where the system tells."""

from __future__ import annotations

import os
import socket
import sys

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from superchat.loadtest import processes
from superchat.loadtest.processes import ServerProcess

NOBODY = 2**22 + 1
"""Above every process id there can be."""


class ProcessesTests(SynchronousTestCase):
    """This process stands for a server."""

    def setUp(self) -> None:
        if sys.platform != "linux":
            raise SkipTest("only Linux has /proc")

    def test_found(self) -> None:
        """The one process that listens on a port is found, and nobody where nobody listens."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            self.assertEqual(processes.listening_pid(port), os.getpid())
        self.assertIsNone(processes.listening_pid(port))

    def test_measured(self) -> None:
        """CPU counts from when it is asked for; memory is the most that was seen."""
        server = ServerProcess(os.getpid())
        server.begin()
        server.look()
        assert server.cpu_seconds is not None
        self.assertGreaterEqual(server.cpu_seconds, 0.0)
        self.assertLess(server.cpu_seconds, sum(os.times()[:2]))
        assert server.most_memory_mib is not None
        self.assertGreater(server.most_memory_mib, 1.0)

    def test_gone(self) -> None:
        """A process that is not there has no figures, and that is no error."""
        server = ServerProcess(NOBODY)
        server.begin()
        server.look()
        self.assertEqual((server.cpu_seconds, server.waited_seconds, server.most_memory_mib), (None, None, None))
