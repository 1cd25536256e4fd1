"""Signals in every state: a server ends within its time, with everything acknowledged stored, and reloads without loss.

`python -m tests.faults.signals` brings servers into one state after the other, by chance, and tells them to stop, to
reload, or to pause.
"""

from __future__ import annotations

import argparse
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from twisted.trial.unittest import SynchronousTestCase

from superchat.wire import messages as wire
from tests.e2e.peers import Peer, Stream, TCPStream, WebSocketStream, connect
from tests.e2e.phrases import CHAT, posting
from tests.e2e.server import PATIENCE_SECONDS, UNLIMITED, RunningServer, end, free_port, new_place, spawn
from tests.faults.history import make_history, make_interrupted, messages_in
from tests.faults.outside import outside, seed_of, tell
from tests.faults.talkers import Talkers, integrity
from tests.faults.wall_clock import WallClock

Scene: TypeAlias = Callable[[SynchronousTestCase, random.Random], None]

TIMEOUT_SECONDS: Final = 1
"""The `shutdown_timeout_seconds` of all servers here."""
MARGIN_SECONDS: Final = 20.0
"""For what comes before and after that on a machine that is busy with other things; less than a profile takes."""
SHUTDOWN: Final = "Server shutting down for maintenance"
STOPPING: Final = (signal.SIGTERM, signal.SIGINT)

_ENVIRONMENT: Final = {"SUPERCHAT_SERVER_SHUTDOWN_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS)}
_POSTED: Final = re.compile(r" POST_MESSAGE channel=\d+ message=(\d+) ")


def start(case: SynchronousTestCase, config: str = UNLIMITED, **more: object) -> RunningServer:
    """A server with this time to stop."""
    environment = {**_ENVIRONMENT, **dict(more.pop("environment", {}))}  # type: ignore[call-overload]
    return RunningServer(case, config, environment=environment, **more)  # type: ignore[arg-type]


def stop(case: SynchronousTestCase, server: RunningServer, *numbers: signal.Signals) -> None:
    """Send these signals; the server ends in time and as it should, and its database is whole."""
    began = time.monotonic()
    for number in numbers:
        if server.is_running:
            server.send_signal(number)
    code = server.wait()
    took = time.monotonic() - began
    case.assertEqual((code, server.errors), (0, ""), server.output)
    case.assertLess(took, TIMEOUT_SECONDS + MARGIN_SECONDS, server.output)
    case.assertIn("Server stopped", server.output)
    case.assertEqual((server.data_directory / "errors.log").read_text(), "")
    case.assertEqual(integrity(server.place.database), "ok")


# States


def talking(case: SynchronousTestCase, chance: random.Random, people: int = 200) -> None:
    """Many people have posts on their way; SIGTERM comes once or several times."""
    server = start(case)
    talkers = Talkers(server.port, people, 3)
    case.addCleanup(talkers.close)
    talkers.start()
    talkers.goes_on(chance.randrange(people, 3 * people))
    stop(case, server, *[signal.SIGTERM] * chance.choice((1, 2, 3)))
    check_ended(case, server, talkers)


def paused(case: SynchronousTestCase, chance: random.Random, people: int = 20) -> None:
    """The process stands still for a moment, as under a debugger, then goes on; it stops with Ctrl-C."""
    server = start(case)
    talkers = Talkers(server.port, people, 3)
    case.addCleanup(talkers.close)
    talkers.start()
    talkers.goes_on(people)
    server.send_signal(signal.SIGSTOP)
    time.sleep(chance.uniform(0.5, 1.5))
    server.send_signal(signal.SIGCONT)
    talkers.goes_on(5 * people)
    case.assertEqual(talkers.mistakes(unfinished=True), [])
    stop(case, server, signal.SIGINT)
    check_ended(case, server, talkers)


def stalled(case: SynchronousTestCase, chance: random.Random) -> None:
    """Readers that have stalled hold megabytes."""
    config = UNLIMITED + "max_message_length = 65000\noutbox_budget_bytes = 67108864\n"
    server = start(case, config, websocket=True)
    for stream in (
        TCPStream(server.port, receive_buffer_bytes=4096),
        WebSocketStream(server.http_port, receive_buffer_bytes=4096),
    ):
        reader = kept(case, stream)
        reader.expect(wire.ServerConfig)
        reader.ask(wire.SubscribeChannel(channel_id=CHAT), wire.SubscribeOk)
    publisher = connect(case, server).named("publisher")
    noise = chance.randbytes(24_000).hex().encode()
    for _ in range(chance.randrange(150, 300)):
        publisher.ask(posting(CHAT, noise), wire.MessagePosted)
    stop(case, server, chance.choice(STOPPING))


def half_sent(case: SynchronousTestCase, chance: random.Random) -> None:
    """Frames, requests and handshakes are half sent, and a profile of half a minute is being taken."""
    ports = {"metrics": free_port(), "profiling": free_port()}
    environment = {f"SUPERCHAT_MONITORING_{name.upper()}_PORT": str(port) for name, port in ports.items()}
    server = start(case, websocket=True, environment=environment)
    handshake = b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    for port, whole in (
        (server.port, b"\x00\x00\x00\x20\x02\x00\x05"),
        (server.http_port, handshake),
        (server.http_port, b"POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf of it"),
        (ports["metrics"], b"GET /metrics HTTP/1.1\r\nHost: x\r\n"),
    ):
        stream = TCPStream(port)
        case.addCleanup(stream.close)
        stream.send(whole[: chance.randrange(1, len(whole) + 1)])
    half_frame = WebSocketStream(server.http_port)
    case.addCleanup(half_frame.close)
    half_frame.stream.send(b"\x82\xfe\x10")
    profile = b"GET /debug/pprof/profile?seconds=30 HTTP/1.1\r\nHost: x\r\n\r\n"
    waiting, refused = TCPStream(ports["profiling"]), TCPStream(ports["profiling"])
    for stream in (waiting, refused):
        case.addCleanup(stream.close)
        stream.send(profile)
    case.assertNotIn(b" 200 ", refused.receive())  # so the first one is under way
    stop(case, server, chance.choice(STOPPING))


def logging_in(case: SynchronousTestCase, chance: random.Random, people: int = 60) -> None:
    """More people log in than the password threads can serve; whoever waits is told that the server stops."""
    server = start(case, UNLIMITED + "max_auth_attempts_per_minute = 0\n")
    peers = [connect(case, server) for _ in range(people)]
    for index, peer in enumerate(peers):
        peer.send(wire.AuthRequest(nickname=f"person{index}", password_hash="a" * 43))
    time.sleep(chance.uniform(0, 0.3))
    stop(case, server, signal.SIGTERM)
    for peer in peers:
        last = peer.rest()[-1]
        case.assertEqual(last, wire.Disconnect(reason=SHUTDOWN))


def removing(case: SynchronousTestCase, chance: random.Random, messages: int = 20_000) -> None:
    """Retention removes what is old, while an operator makes a backup."""
    place = new_place(case)
    make_history(place.database, messages, retention_hours=1)
    clock = WallClock(Path(case.mktemp()))
    case.addCleanup(clock.close)
    server = start(case, place=place, environment=clock.environment)
    somebody = connect(case, server)
    backup = place.root / "backup.db"
    command = (sys.executable, "-m", "superchat.tools.admin", "--config", str(place.config), "backup", str(backup))
    process = subprocess.Popen(
        command,
        env=place.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    case.addCleanup(end, process)
    wait_until(lambda: process.poll() is not None or any(place.root.glob("*backup.db*")))
    clock.pass_time(31)
    somebody.caught_up()
    wait_until(lambda: messages_in(place.database) < messages)
    stop(case, server, signal.SIGTERM)
    said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    if process.returncode == 0:
        case.assertEqual(integrity(backup), "ok")
    else:
        case.assertNotIn("Traceback", said)


def starting(case: SynchronousTestCase, chance: random.Random) -> None:
    """The database is being made, migrated, or recovered after a kill; the next start has everything, and may be told
    to stop at once."""
    messages = 20_000
    for make, expected in (
        (lambda database: None, 0),
        (lambda database: make_history(database, messages, version=1), messages),
        (lambda database: make_interrupted(database, messages), messages),
    ):
        place = new_place(case, UNLIMITED)
        place.data_directory.mkdir(parents=True)
        make(place.database)
        process = spawn(case, place, place.environment(**_ENVIRONMENT))
        wait_until((place.data_directory / "server.log").exists)
        delay = chance.uniform(0, 0.5)
        time.sleep(delay)
        process.terminate()
        said, _ = process.communicate(timeout=TIMEOUT_SECONDS + MARGIN_SECONDS)
        # Until the reactor runs, the signal does what it does to every process.
        found = (process.returncode, place.stderr.read_text())
        case.assertIn(found, ((0, ""), (-signal.SIGTERM, "")), f"stopped after {delay:.3f} s: {said}")
        stop(case, start(case, place=place), signal.SIGTERM)
        case.assertEqual(messages_in(place.database), expected)


def reloading(case: SynchronousTestCase, chance: random.Random, people: int = 30, reloads: int = 12) -> None:
    """Logs are rotated and the configuration changes under load: nothing is lost, of messages, connections or lines.
    The last SIGHUP comes together with SIGTERM."""
    server = start(case)
    talkers = Talkers(server.port, people, 3)
    case.addCleanup(talkers.close)
    talkers.start()
    log = server.data_directory / "server.log"
    for number in range(reloads):
        log.rename(log.with_name(f"server.log.rotated{number}"))
        changed = server.place.config.with_name("changed.toml")
        changed.write_text(f"{UNLIMITED}\n[retention]\ncleanup_interval_minutes = {number + 1}\n")
        changed.rename(server.place.config)
        for _ in range(chance.choice((1, 1, 2))):
            server.send_signal(signal.SIGHUP)
        wait_until(log.exists)
        talkers.goes_on(chance.randrange(1, 3 * people))
    talkers.finish()
    case.assertEqual(talkers.mistakes(), [])
    stop(case, server, *chance.choice(((signal.SIGHUP, signal.SIGTERM), (signal.SIGTERM, signal.SIGHUP))))
    case.assertEqual(talkers.not_stored(server.place.database)[:10], [])
    logged = Counter(
        int(key) for path in log.parent.glob("server.log*") for key in _POSTED.findall(path.read_text("utf-8"))
    )
    case.assertEqual(logged, Counter(dict.fromkeys(talkers.confirmed, 1)))


SCENES: Final[Mapping[str, Scene]] = {
    scene.__name__: scene
    for scene in (talking, paused, stalled, half_sent, logging_in, removing, starting, reloading)
}


# What they have in common


def check_ended(case: SynchronousTestCase, server: RunningServer, talkers: Talkers) -> None:
    """Everybody was told why, and everything that was confirmed or heard is stored."""
    talkers.wait(lambda: all(one.end is not None for one in talkers.people))
    case.assertEqual(talkers.mistakes(may_end=True), [])
    case.assertEqual({one.end for one in talkers.people}, {SHUTDOWN})
    case.assertEqual(talkers.not_stored(server.place.database)[:10], [])


def kept(case: SynchronousTestCase, stream: Stream) -> Peer:
    """A client that is closed in the end."""
    case.addCleanup(stream.close)
    return Peer(stream)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.002)


# The long form


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.signals", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each state is met (default: %(default)s)")
    parser.add_argument("--only", choices=sorted(SCENES), action="append", help="this state; may be given again")
    parser.add_argument("--seed", type=int, help="what chance does; default: another one each time")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Play, and say how it went."""
    arguments = _arguments(argv)
    seed = seed_of(arguments.seed)
    tell(f"--seed {seed}")
    chance, number = random.Random(seed), 0
    names = arguments.only or [*SCENES]
    for round_number in range(1, arguments.rounds + 1):
        for name in chance.sample(names, len(names)):
            number += 1
            began = time.monotonic()
            try:
                with outside() as case:
                    SCENES[name](case, random.Random(chance.getrandbits(64)))
            except (AssertionError, EOFError, OSError, subprocess.TimeoutExpired) as error:
                print(f"FAILED, --seed {seed}, round {round_number}, {name}: {error}")
                return 1
            tell(f"round {round_number}/{arguments.rounds} {name}: ended well, {time.monotonic() - began:.1f} s")
    print(f"passed: {number} servers in {len(names)} states, seed {seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
