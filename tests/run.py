"""Runs the tests with trial and coverage; the last line says `N passed, N failed`.

Usage: python tests/run.py [test ...]. Without names all tests run, and the coverage of the packages that are
pure logic must not fall below its floor; each that does counts as a failure.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
COVERED_PERCENT = 95.0
DEADLINE_SECONDS = 1620.0
"""A run that takes longer hangs: it is ended, and shows where it was."""
GRACE_SECONDS = 5.0
COVERED_PACKAGES = ("superchat/wire/", "superchat/chat/")

_SUMMARY = re.compile(r"(?:PASSED|FAILED)(?: \((.*)\))?")
_COUNT = re.compile(r"(\w+)=(\d+)")


class Outcome(NamedTuple):
    """How many tests passed, failed and were skipped."""

    passed: int
    failed: int
    skipped: int = 0

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def outcome(lines: Iterable[str], exit_code: int) -> Outcome:
    """Read trial's last summary line; a run without one, or without any test, has failed."""
    found = None
    for line in lines:
        found = _SUMMARY.fullmatch(line.strip()) or found
    counts = {name: int(count) for name, count in _COUNT.findall(found[1] or "")} if found else {}
    failed = counts.get("failures", 0) + counts.get("errors", 0) + counts.get("unexpectedSuccesses", 0)
    passed = counts.get("successes", 0) + counts.get("expectedFailures", 0)
    if not failed and (exit_code or not passed):
        failed = 1
    return Outcome(passed, failed, counts.get("skips", 0))


def shortfalls(files: Mapping[str, Any]) -> list[str]:
    """A sentence for each package whose branches or statements are covered too little.

    `files` is that part of coverage's JSON report.
    """
    sentences = []
    for package in COVERED_PACKAGES:
        totals = [report["summary"] for path, report in files.items() if package in path]
        for kind, covered, of in (
            ("statements", "covered_lines", "num_statements"),
            ("branches", "covered_branches", "num_branches"),
        ):
            count = sum(summary[of] for summary in totals)
            percent = 100.0 * sum(summary[covered] for summary in totals) / count if count else 100.0
            print(f"{package} {kind} covered: {percent:.1f} %")
            if percent < COVERED_PERCENT or not totals:
                sentences.append(f"{package} {kind}: {percent:.1f} % covered, {COVERED_PERCENT} % are needed")
    return sentences


def run_trial(names: Sequence[str], data_file: Path | None) -> Outcome:
    """Run the tests, under coverage when there is a file for its data, showing trial's output as it comes."""
    measured = ["coverage", "run", f"--data-file={data_file}", "-m"] if data_file else []
    command = [*measured, "twisted.trial", *names]
    trial = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-m", *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    deadline = threading.Timer(DEADLINE_SECONDS, abort, [trial])
    deadline.daemon = True
    deadline.start()
    lines = []
    try:
        assert trial.stdout is not None
        for line in trial.stdout:
            print(line, end="", flush=True)
            lines.append(line)
        trial.wait()
    finally:
        deadline.cancel()
        end_group(trial.pid)
    return outcome(lines, trial.returncode)


def abort(trial: "subprocess.Popen[str]") -> None:
    """End a run that hangs. With faulthandler the signal prints every thread's traceback before it kills."""
    trial.send_signal(signal.SIGABRT)
    time.sleep(GRACE_SECONDS)
    end_group(trial.pid)


def end_group(leader: int) -> None:
    """End what a broken run left behind: the servers its tests started hold its output open."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def coverage_failures(data_file: Path) -> list[str]:
    """What `shortfalls` says about a finished run."""
    report = data_file.with_suffix(".json")
    base = [sys.executable, "-m", "coverage"]
    subprocess.run([*base, "combine", "--quiet", f"--data-file={data_file}"], cwd=ROOT, check=True)
    subprocess.run([*base, "json", "--quiet", f"--data-file={data_file}", "-o", str(report)], cwd=ROOT, check=True)
    return shortfalls(json.loads(report.read_text())["files"])


def main(names: Sequence[str]) -> int:
    """Run, print the count and return the exit code."""
    with tempfile.TemporaryDirectory() as directory:
        data_file = Path(directory, "coverage")
        result = run_trial(names or ["tests"], None if names else data_file)
        sentences = [] if names else coverage_failures(data_file)
    for sentence in sentences:
        print(f"FAILED: {sentence}")
    result = result._replace(failed=result.failed + len(sentences))
    print(result, flush=True)
    return 1 if result.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
