"""The monitoring guide's health check, run for real against a healthy server and against each broken one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from superchat.wire import messages as wire
from tests.e2e.peers import connect
from tests.e2e.server import PATIENCE_SECONDS, UNLIMITED, Place, RunningServer, free_port, new_place

SCRIPT = Path(__file__).parents[2] / "etc" / "healthcheck.sh"
TOOLS = ("bash", "nc", "curl", "jq")


class HealthTestCase(SynchronousTestCase):
    """Servers with a metrics port."""

    def setUp(self) -> None:
        missing = [tool for tool in TOOLS if shutil.which(tool) is None]
        if missing:
            raise SkipTest(f"not installed: {', '.join(missing)}")
        self.metrics_port = free_port()

    def start(self, config: str = "", place: Place | None = None) -> RunningServer:
        """A server that answers on `self.metrics_port`."""
        environment = {"SUPERCHAT_MONITORING_METRICS_PORT": str(self.metrics_port)}
        return RunningServer(self, UNLIMITED + config, place=place, environment=environment)

    def check(self, port: int) -> tuple[int, str]:
        """Exit code and line of the script."""
        command = [str(SCRIPT), str(port), str(self.metrics_port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        return done.returncode, done.stdout.strip()

    def get(self, page: str) -> tuple[int, str]:
        """Status and body of a page."""
        try:
            with urlopen(f"http://127.0.0.1:{self.metrics_port}{page}", timeout=PATIENCE_SECONDS) as response:
                return response.status, response.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def wait_for(self, port: int, word: str) -> str:
        """Run the script until its line has *word* in it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            code, line = self.check(port)
            if word in line:
                self.assertEqual(code, 1, line)
                return line
            self.assertLess(time.monotonic(), deadline, line)


class HealthTests(HealthTestCase):
    """etc/healthcheck.sh, /health, /readyz and /livez."""

    def test_healthy(self) -> None:
        """A healthy server is healthy, in the words of the guide."""
        server = self.start()
        self.assertEqual(self.check(server.port), (0, "OK: SuperChat server is healthy"))
        status, body = self.get("/health")
        report: dict[str, Any] = json.loads(body)
        self.assertEqual(status, 200)
        self.assertEqual(list(report), ["status", "uptime", "sessions", "database", "directory_enabled"])
        self.assertEqual((report["status"], report["database"], report["sessions"]), ("ok", "ok", 0))
        self.assertEqual((self.get("/readyz"), self.get("/livez")), ((200, "ok\n"), (200, "ok\n")))

    def test_port_closed(self) -> None:
        """A port that nobody listens on is named."""
        self.start()
        closed = free_port()
        self.assertEqual(self.check(closed), (1, f"ERROR: Server not listening on port {closed}"))

    def test_stopped(self) -> None:
        """A server that is not there at all is not healthy."""
        server = self.start()
        server.stop()
        self.assertEqual(self.check(server.port)[0], 1)

    def test_database_gone(self) -> None:
        """A database whose file was removed is noticed, and the server lives on."""
        server = self.start()
        for file in server.data_directory.glob("superchat.db*"):
            file.unlink()
        line = self.wait_for(server.port, "Database status")
        self.assertIn("superchat.db", line)
        self.assertEqual((self.get("/health")[0], self.get("/readyz")[0], self.get("/livez")[0]), (503, 503, 200))

    def test_stalled(self) -> None:
        """A server that accepts connections but does not turn is not healthy."""
        server = self.start()
        server.send_signal(signal.SIGSTOP)
        try:
            self.assertEqual(self.check(server.port), (1, "ERROR: Health endpoint not responding"))
        finally:
            server.send_signal(signal.SIGCONT)

    def test_draining(self) -> None:
        """A server that has begun to stop is not ready, and says so until it has stopped."""
        server = self.start("[server]\nshutdown_timeout_seconds = 30\n")
        stalled = connect(self, server)
        stalled.send(wire.SetNickname(nickname="stalled"))
        server.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                status, body = self.get("/readyz")
            except OSError:
                self.fail("the server ended without having said that it drains")
            if status == 503:
                break
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(body, "server: draining\n")
        self.assertEqual(self.check(server.port), (1, f"ERROR: Server not listening on port {server.port}"))

    def test_disk_full(self) -> None:
        """A full disk is noticed, and it is noticed when there is space again."""
        place = new_place(self)
        disk = place.root / "data"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], capture_output=True)
        if mounted.returncode:
            raise SkipTest("a small file system cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", "--lazy", str(disk)], check=True)
        server = self.start("[monitoring]\nmin_free_disk_bytes = 0\n", place)
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(os.urandom(4096))
            except OSError:
                pass
        line = self.wait_for(server.port, "Database status")
        self.assertIn("full", line)
        filler.unlink()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.check(server.port)[0]:
            self.assertLess(time.monotonic(), deadline)
