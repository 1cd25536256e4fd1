"""superchat-loadtest: from a command line to an exit status."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Final

from superchat.loadtest.arguments import parse
from superchat.loadtest.coordinator import Coordinator, Crash
from superchat.loadtest.limits import of_this_machine
from superchat.loadtest.metrics import compute
from superchat.loadtest.options import Options
from superchat.loadtest.plan import shares
from superchat.loadtest.preflight import CannotConnect, Found, Impossible, explore
from superchat.loadtest.processes import ServerProcess, cpu_seconds, listening_pid
from superchat.loadtest.progress import Progress
from superchat.loadtest.report import Result, as_json, as_text

GOOD: Final = 0
FAILED: Final = 1
WRONG_USAGE: Final = 2
NO_CONNECTION: Final = 3
SOFTWARE_ERROR: Final = 70  # EX_SOFTWARE of sysexits.h
INTERRUPTED: Final = 128 + signal.SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run superchat-loadtest; return its exit status. Raises SystemExit for --help and wrong usage."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        found = explore(options)
        obstacles = of_this_machine(shares(found.plan))
        if obstacles:
            raise Impossible(*obstacles)
        result = _run(options, found)
    except Impossible as impossible:
        for reason in impossible.reasons:
            _complain(reason)
        return WRONG_USAGE
    except CannotConnect as error:
        _complain(f"cannot connect to {options.host}, port {options.port}: {error}")
        return NO_CONNECTION
    except Crash as crash:
        _complain(str(crash))
        return SOFTWARE_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    if result.metrics["duration_seconds"] is None:
        return INTERRUPTED  # before there was any load
    print(as_json(result) if options.json else as_text(result), flush=True)
    return GOOD if result.is_good else FAILED


def _run(options: Options, found: Found) -> Result:
    progress = Progress(sys.stderr, options.duration_seconds, options.quiet)
    coordinator = Coordinator(found.plan, _server(options, found), progress.show)

    def interrupted(number: int, frame: FrameType | None) -> None:
        if coordinator.is_interrupted:
            raise KeyboardInterrupt  # asked twice: no report
        coordinator.stop()

    before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        coordinator.run()
    finally:
        progress.clear()
        for number, disposition in before.items():
            signal.signal(number, disposition)
    measured = coordinator.measured
    return Result(
        options=options,
        metrics=compute(measured, coordinator.figures()),
        errors=measured.errors,
        examples=tuple(measured.examples),
        is_interrupted=coordinator.is_interrupted,
    )


def _server(options: Options, found: Found) -> ServerProcess | None:
    """The server's process, if it can be looked at. Raises Impossible if the one named is not there."""
    if options.pid is not None:
        if cpu_seconds(options.pid) is None:
            raise Impossible(f"there is no process {options.pid} whose CPU could be measured")
        return ServerProcess(options.pid)
    pid = listening_pid(options.port) if found.is_local else None
    return None if pid is None else ServerProcess(pid)


def _complain(text: str) -> None:
    print(f"superchat-loadtest: {text}", file=sys.stderr)


