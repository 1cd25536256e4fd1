"""A server with peers that behave and peers that do not, each crowd in a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.trial.unittest import SynchronousTestCase

import superchat
from tests.e2e.server import RunningServer, end, free_port
from tests.faults.bad_kinds import KINDS
from tests.faults.bad_peers import Order
from tests.faults.good_peers import Found, Task

LIMITS: Final = """
[limits]
message_rate_limit = 0
"""
"""All other limits are as they come; the posters that behave are few, and say more than people do."""

_ROOT = Path(__file__).parent.parent.parent
_SAMPLE = re.compile(r"^(\w\S*) (\S+)$", re.M)


class Child:
    """A Python module that answers each line of JSON with another; it ends with the test."""

    def __init__(self, case: SynchronousTestCase, module: str, *arguments: str) -> None:
        paths = [str(_ROOT), str(Path(superchat.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        for cleanup in (self._stdin.close, self._stdout.close):
            case.addCleanup(cleanup)
        case.addCleanup(end, self._process)

    def tell(self, value: object) -> None:
        """Send a line."""
        self._stdin.write(json.dumps(value) + "\n")
        self._stdin.flush()

    def answer(self) -> Any:
        """Wait for a line."""
        line = self._stdout.readline()
        assert line, f"{self._process.args!r} has ended"
        return json.loads(line)

    def ask(self, value: object) -> Any:
        """Send a line and wait for the answer."""
        self.tell(value)
        return self.answer()


@attrs.frozen
class Attack:
    """A kind of bad peers, and the way they come in."""

    kind: str
    way: str

    def __str__(self) -> str:
        return f"{self.kind} over {self.way}"


ATTACKS: Final = tuple(Attack(name, way) for name, kind in KINDS.items() for way in kind.ways)


class Besieged:
    """The server, and both crowds."""

    def __init__(self, case: SynchronousTestCase, config: str = LIMITS, seed: int = 0) -> None:
        self._metrics_port = free_port()
        environment = {"SUPERCHAT_MONITORING_METRICS_PORT": str(self._metrics_port)}
        self.server = RunningServer(case, config, websocket=True, environment=environment)
        ports = {"tcp": self.server.port, "http": self.server.http_port, "metrics": self._metrics_port}
        self._bad = Child(case, "tests.faults.bad_peers", json.dumps(ports), str(seed))
        self._good = Child(case, "tests.faults.good_peers", str(self.server.port))
        self._good.answer()

    def talk(self, seconds: float, rate: float, size: int = 200) -> Found:
        """Have those who behave talk for a while."""
        return Found(**self._good.ask(attrs.asdict(Task(seconds, rate, size))))

    def let_loose(self, attacks: Sequence[Attack], peers: int) -> None:
        """Begin attacks, each with so many peers and from an address of its own."""
        orders = [
            Order(attack.kind, attack.way, peers, f"127.0.1.{number + 1}") for number, attack in enumerate(attacks)
        ]
        self._bad.ask([attrs.asdict(order) for order in orders])

    def call_off(self) -> Mapping[str, int]:
        """End all attacks; returns what the bad peers have done since they exist."""
        done: Mapping[str, int] = self._bad.ask([])
        return done

    def metrics(self) -> Mapping[str, float]:
        """The server's metrics, by name and labels as they are written."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics_port}/metrics") as answer:
            text = answer.read().decode()
        return {name: float(value) for name, value in _SAMPLE.findall(text)}

    def cpu_seconds(self) -> float:
        """CPU used by the server so far."""
        fields = Path(f"/proc/{self.server.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        """The memory that the server has in use."""
        return int(Path(f"/proc/{self.server.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
