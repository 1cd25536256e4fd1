"""CPU profiles."""

import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.profiling import sampler as sampler_module
from superchat.ops.profiling.pprof import encode
from superchat.ops.profiling.profile import OTHERS
from superchat.ops.profiling.sampler import CpuSampler, SamplerUnavailable
from superchat.ops.profiling.stacks import CUT, MAX_DEPTH
from tests.ops.profiling.pprof_reader import ReadProfile, read
from tests.ops.profiling.work import busy_function, compute

NANOSECONDS = 1_000_000_000


class SamplerTests(SynchronousTestCase):
    """A CPU profile tells what the process computes."""

    def sampled(self, work: Callable[[], Any]) -> ReadProfile:
        """The profile of some work."""
        sampler = CpuSampler()
        sampler.start()
        try:
            work()
        finally:
            sampler.stop()
        return read(encode(sampler.profile()))

    def test_busy_function(self) -> None:
        """The function that was kept busy stands in the profile with nearly all of its time, and with its callers."""
        found = self.sampled(busy_function)
        self.assertGreater(found.total("cpu", "work.busy_function"), 0.25 * NANOSECONDS)
        busiest = max(found.samples, key=lambda sample: sample.values["cpu"])
        self.assertEqual(
            busiest.functions[:2], [f"{compute.__module__}.{name}" for name in ("compute", "busy_function")]
        )
        self.assertIn(f"{__name__}.SamplerTests.test_busy_function", busiest.functions)
        self.assertEqual(busiest.labels, {"thread": "MainThread"})

    def test_short_turns(self) -> None:
        """Work in turns shorter than a thread has to wait for the GIL is seen, and not only where the turns end."""

        def short_turn(cpu_seconds: float) -> None:
            compute(cpu_seconds)

        def reactor() -> None:
            for turn in range(400):
                short_turn(0.0005 + turn % 37 / 37_000)
                # What a system call does: it lets other threads have the GIL.
                time.sleep(0)

        found = self.sampled(reactor)
        self.assertGreater(found.total("cpu", ".short_turn"), found.total("cpu") / 2)
        self.assertGreater(found.total("cpu", ".short_turn"), 0.2 * NANOSECONDS)

    def test_other_thread(self) -> None:
        """A thread that computes is seen, under its name, and the thread that waits for it is not."""
        thread = threading.Thread(target=busy_function, name="worker")

        def wait() -> None:
            compute(0.1)
            thread.start()
            while thread.is_alive():
                # A signal wakes the reactor up, but not who waits for a lock.
                thread.join(0.005)

        found = self.sampled(wait)
        by_thread = {sample.labels["thread"] for sample in found.samples if "busy_function" in str(sample.functions)}
        self.assertEqual(by_thread, {"worker"})
        self.assertGreater(found.total("cpu", "work.busy_function"), 0.25 * NANOSECONDS)
        waiting = ("Condition.wait", "Thread.join", "Thread._wait_for_tstate_lock")
        self.assertEqual([each for each in found.samples if each.functions[0].endswith(waiting)], [])

    def test_idle(self) -> None:
        """A process that does nothing has an empty profile: waiting is no work."""
        found = self.sampled(lambda: threading.Event().wait(0.05))
        self.assertLess(found.total("cpu"), 0.05 * NANOSECONDS)

    def test_deep(self) -> None:
        """Of a very deep stack the inner frames are kept."""

        def deeper(times: int) -> None:
            if times:
                deeper(times - 1)
            else:
                compute(0.1)

        found = self.sampled(lambda: deeper(MAX_DEPTH + 50))
        deepest = max(found.samples, key=lambda sample: len(sample.stack))
        self.assertEqual(len(deepest.stack), MAX_DEPTH + 1)
        self.assertEqual(deepest.functions[-1], CUT.function)

    def test_too_many_stacks(self) -> None:
        """When there is no room for another stack its time is still counted."""
        self.patch(sampler_module, "MAX_RAW_STACKS", 0)
        found = self.sampled(lambda: compute(0.1))
        self.assertGreater(found.total("cpu", OTHERS[0].function), 0.05 * NANOSECONDS)

    def test_period(self) -> None:
        """The profile says that there are a hundred samples per second of CPU time."""
        self.assertEqual(self.sampled(lambda: None).period, ("cpu", 10_000_000))


class SignalTests(SynchronousTestCase):
    """The sampler leaves no trace, and disturbs nobody."""

    def test_after(self) -> None:
        """When it is over no signal comes, and one that is late does no harm."""
        sampler = CpuSampler()
        sampler.start()
        sampler.stop()
        self.assertEqual(signal.getitimer(signal.ITIMER_PROF), (0.0, 0.0))
        self.assertEqual(signal.getsignal(signal.SIGPROF), signal.SIG_IGN)
        signal.raise_signal(signal.SIGPROF)

    def test_somebody_elses(self) -> None:
        """The SIGPROF of another profiler is left alone."""
        before = signal.signal(signal.SIGPROF, lambda number, frame: None)
        self.addCleanup(signal.signal, signal.SIGPROF, before)
        self.assertRaises(SamplerUnavailable, CpuSampler().start)

    def test_not_main_thread(self) -> None:
        """Where there are no signals there is no profile, and the reason is told."""
        errors: list[str] = []

        def start() -> None:
            try:
                CpuSampler().start()
            except SamplerUnavailable as error:
                errors.append(str(error))

        thread = threading.Thread(target=start)
        thread.start()
        thread.join()
        self.assertEqual(errors, ["the reactor does not run in the main thread"])

    def test_failure(self) -> None:
        """What goes wrong in the signal handler does not come out of the code that it interrupts."""

        def broken() -> dict[int, Any]:
            raise ZeroDivisionError

        sampler = CpuSampler()
        sampler.start()
        self.addCleanup(sampler.stop)
        patch = self.patch(sys, "_current_frames", broken)
        signal.raise_signal(signal.SIGPROF)
        patch.restore()
        self.assertIn(OTHERS, [sample.stack for sample in sampler.profile().samples])
