"""Without a free descriptor who is there goes on talking, the log stays quiet, and accepting recovers by itself."""

from __future__ import annotations

import random
import re
import subprocess
from urllib.request import urlopen

from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.descriptors import LEAST, RESERVED
from superchat.wire import messages as wire
from superchat.wire.errors import ErrorCode
from tests.e2e.peers import Peer, TCPStream
from tests.e2e.server import UNLIMITED, end, free_port, new_place
from tests.faults.descriptors import BELOW, below, beyond, check_logs
from tests.faults.scarce import ScarceServer

SEED = random.SystemRandom().randrange(1 << 32)


class ExhaustedTests(SynchronousTestCase):
    """A server that runs out of descriptors, and gets some again (decisions 9.2; monitoring guide)."""

    def test_exhausted(self) -> None:
        """Neither a crowd nor a lowered limit takes anything from those who talk; each port opens again in seconds, and
        what was acknowledged is there after a stop without a single descriptor left."""
        scarce = ScarceServer(self)
        chance = random.Random(SEED)
        for play, seconds in ((below, 3.0), (beyond, 1.5)):
            try:
                play(self, scarce, chance, seconds)
            except AssertionError as error:
                raise self.failureException(f"{play.__name__}, seed {SEED}: {error}") from error
        check_logs(self, scarce)
        scarce.limit(BELOW)
        scarce.talk(0.2)
        scarce.running.stop()
        self.assertEqual(set(scarce.acknowledged) - scarce.kept(), set())


class LimitTests(SynchronousTestCase):
    """What a server makes of the limit that it is started with."""

    def start(self, descriptors: int, metrics_port: int = 0) -> subprocess.Popen[str]:
        """A server that may have so many descriptors, and no more."""
        place = new_place(self, UNLIMITED)
        command = place.twistd("-n", "--pidfile=", "--logger=superchat.ops.logs.stdout_observer")
        process = subprocess.Popen(
            ["sh", "-c", 'ulimit -n "$0" && exec "$@"', str(descriptors), *command, "--port", "0"],
            cwd=place.root,
            env=place.environment(SUPERCHAT_MONITORING_METRICS_PORT=str(metrics_port)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        self.addCleanup(process.stdout.close)
        self.addCleanup(end, process)
        return process

    def test_too_few(self) -> None:
        """With fewer than it needs it says so in one line, and does not begin to start."""
        process = self.start(LEAST - 1)
        output, _ = process.communicate()
        last = output.splitlines()[-1]
        self.assertRegex(last, f"^superchat: this process may open {LEAST - 1} files and connections, and .* {LEAST} ")
        self.assertEqual((process.returncode, "Traceback" in output), (1, False), output)

    def test_just_enough(self) -> None:
        """With the fewest possible it keeps some for itself: whoever is too many is told so, and operators get in."""
        metrics_port = free_port()
        process = self.start(LEAST, metrics_port)
        assert process.stdout is not None
        found = None
        while found is None and (line := process.stdout.readline()):
            found = re.search(r"Server started on port (\d+)", line)
        assert found is not None
        room = LEAST - min(RESERVED, LEAST // 2)
        everybody = [self.connect(int(found[1])) for _ in range(room + 5)]
        for peer in everybody[:room]:
            self.assertEqual(peer.caught_up(), [])
        for peer in everybody[room:]:
            self.assertEqual(peer.expect(wire.Error).error_code, ErrorCode.SERVER_FULL)
        with urlopen(f"http://127.0.0.1:{metrics_port}/metrics") as response:
            page = response.read().decode()
        self.assertIn(f'superchat_limit{{limit="max_users"}} {room}.0\n', page)
        self.assertIn("superchat_accept_failures_total 0.0\n", page)

    def connect(self, port: int) -> Peer:
        """A client that has been greeted."""
        peer = Peer(TCPStream(port))
        self.addCleanup(peer.close)
        peer.expect(wire.ServerConfig)
        return peer
