"""A real Prometheus with the configuration that we ship, and questions to it."""

from __future__ import annotations

import json
import math
import re
import subprocess
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import urlopen

import attrs

from tests.e2e.server import PATIENCE_SECONDS, free_port
from tests.monitoring.documents import ETC
from tests.monitoring.tools import ending_with_us

_SCRAPE_SECONDS: Final = 1
_ATTEMPTS: Final = 3
_EVERY = re.compile(r"((?:scrape_|evaluation_)?interval): \d+s")


@attrs.frozen
class Prometheus:
    """A running Prometheus on *port*."""

    port: int
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, directory: Path, metrics_port: int) -> Prometheus:
        """Start one that scrapes *metrics_port* every second and evaluates our alerts as often."""
        directory.mkdir()
        for file in (ETC / "prometheus").iterdir():
            text = _EVERY.sub(rf"\1: {_SCRAPE_SECONDS}s", file.read_text())
            (directory / file.name).write_text(text.replace("'localhost:9090'", f"'127.0.0.1:{metrics_port}'"))
        for _ in range(_ATTEMPTS):
            prometheus = cls(port := free_port(), _spawn(directory, port))
            if prometheus.is_ready():
                return prometheus
            prometheus.stop()
        raise AssertionError(f"Prometheus does not start: {(directory / 'output').read_text()}")

    def is_ready(self) -> bool:
        """Whether it answers, in time and without having ended."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                with urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=10):
                    return True
            except OSError:
                time.sleep(0.1)
        return False

    def get(self, path: str, **parameters: str) -> Any:
        """The `data` of an answer of the HTTP API."""
        address = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urlencode(parameters)}"
        with urlopen(address, timeout=10) as response:
            return json.load(response)["data"]

    def ask(self, query: str) -> list[Any]:
        """The series of an answer that have a number; raises OSError for a query that is wrong."""
        result = self.get("query", query=query)["result"]
        return [series for series in result if not math.isnan(float(series["value"][1]))]

    def ask_until_answered(self, query: str, deadline: float) -> list[Any]:
        """The same, once there are any, but not after *deadline* on the monotonic clock."""
        while True:
            answer = self.ask(query)
            if answer or time.monotonic() > deadline:
                return answer
            time.sleep(0.25)

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


def _spawn(directory: Path, port: int) -> subprocess.Popen[bytes]:
    command = ending_with_us(
        "prometheus",
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with (directory / "output").open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=output)
