"""The profiles of a real process, over real sockets."""

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import superchat
from tests.ops.profiling import served
from tests.ops.profiling.pprof_reader import ReadProfile, read

PATIENCE_SECONDS = 60
MILLISECONDS = 1_000_000


class ServedTests(SynchronousTestCase):
    """What an operator gets from a server that is busy."""

    def setUp(self) -> None:
        roots = [str(Path(file).resolve().parents[levels]) for file, levels in ((superchat.__file__, 1), (__file__, 3))]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(roots)}
        command = [sys.executable, "-m", served.__name__]
        self.server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        self.addCleanup(self.server.wait, PATIENCE_SECONDS)
        self.addCleanup(self.server.kill)
        assert self.server.stdout is not None
        self.addCleanup(self.server.stdout.close)
        self.port = int(self.server.stdout.readline())

    def url(self, name: str) -> str:
        """The address of a profile."""
        return f"http://127.0.0.1:{self.port}/debug/pprof/{name}"

    def fetch(self, name: str) -> ReadProfile:
        """A profile."""
        with urllib.request.urlopen(self.url(name), timeout=PATIENCE_SECONDS) as response:
            return read(response.read())

    def test_busy(self) -> None:
        """The busy function leads the CPU profile, and the reactor's poll is not in its way."""
        found = self.fetch("profile?seconds=1")
        busy = found.total("cpu", ".busy_function")
        self.assertGreater(busy, found.total("cpu") / 2)
        leaves = {sample.functions[0] for sample in found.samples if sample.values["cpu"] > found.total("cpu") / 2}
        self.assertEqual(leaves, {"tests.ops.profiling.work.compute"})

    def test_all_at_once(self) -> None:
        """Stalls with their stack, threads, and memory can be asked for while the reactor works."""
        with socket.create_connection(("127.0.0.1", self.port)) as waiting:
            waiting.sendall(b"GET /debug/pprof/block?seconds=2 HTTP/1.0\r\n\r\n")
            tasks = self.fetch("goroutine")
            self.assertEqual(tasks.total("goroutine", ".ReactorWatch._keep_looking"), 1)
            self.assertGreaterEqual(self.fetch("heap?seconds=1").total("inuse_space"), 1)
            answer = b"".join(iter(lambda: waiting.recv(65536), b""))
        read(answer.partition(b"\r\n\r\n")[2])
        stalls = self.fetch("block")
        self.assertEqual(stalls.total("contentions", ".stalling_function"), 1)
        self.assertGreater(stalls.total("delay", ".stalling_function"), 50 * MILLISECONDS)

    def test_stop(self) -> None:
        """Neither a profile that is being taken nor peers that read nothing keep the server from stopping."""
        self.leave_waiting("block", "1.0")
        self.leave_waiting("heap?seconds=300", "1.1")
        while self.status("profile?seconds=1") != 409:
            self.leave_waiting("profile?seconds=300", "1.1")
        self.server.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(PATIENCE_SECONDS), 0)

    def leave_waiting(self, name: str, version: str) -> None:
        """Ask for a profile, and read nothing."""
        peer = socket.create_connection(("127.0.0.1", self.port))
        self.addCleanup(peer.close)
        peer.sendall(f"GET /debug/pprof/{name} HTTP/{version}\r\nHost: x\r\n\r\n".encode())

    def status(self, name: str) -> int:
        """The status of an answer."""
        try:
            with urllib.request.urlopen(self.url(name), timeout=PATIENCE_SECONDS) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
