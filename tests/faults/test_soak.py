"""A minute of mixed load, after which a server is as it was before; `python -m tests.faults.soak` is the long form."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from tests.faults.samples import Rest, Sample
from tests.faults.soak import soak, table
from tests.faults.verdicts import LOG_BYTES, Load, Soak, judge

SEED = random.SystemRandom().randrange(1 << 32)
MINUTES = 0.8
MOST_RATE = 150.0
"""Posts per second: other tests run beside this one."""


class SoakTests(SynchronousTestCase):
    """A real server, half loaded."""

    def test_a_minute(self) -> None:
        """Everything acknowledged is delivered and stored, nothing is logged as an error, and when all have gone no
        object, descriptor, thread or timer is left of them."""
        lines: list[str] = []
        soaked = soak(self, MINUTES, None, SEED, lines.append, MOST_RATE)
        verdicts = [*judge(soaked)]
        broken = [each.promise for each in verdicts if not each.is_kept]
        self.assertEqual(broken, [], f"seed {SEED}\n" + "\n".join(lines) + table(soaked, verdicts))


def loaded(**metrics: float) -> Load:
    """A load without trouble."""
    usual = {"posts_acked": 990, "deliveries": 5000, "ack_p99_ms": 10.0, "delivery_p99_ms": 20.0}
    usual |= {"server_wait_percent": 10.0, "generator_wait_percent": 5.0}
    outcome: Mapping[str, Any] = {
        "ok": True,
        "faults": {},
        "errors": {"slow reader disconnected: Connection too slow": 2},
        "options": {"threads": 10},
        "metrics": usual | metrics,
    }
    return Load(outcome, 1000)


def sampled(second: int, **more: Any) -> Sample:
    """A second like all others."""
    usual = Sample(
        at=float(second),
        resident_kb=70_000.0 + second % 7 * 40,
        descriptors=190,
        threads=6,
        database_bytes=8 << 20,
        log_bytes=4 << 20,
        lag_seconds=0.0,
        sessions=160,
    )
    return attrs.evolve(usual, **more)


def rested(number: int, **more: Any) -> Rest:
    """A rest like all others; there are 100 seconds, 5,000 connections and 20,000 posts between two."""
    usual = Rest(
        at=number * 100.0,
        resident_kb=70_000.0,
        descriptors=25,
        threads=6,
        database_bytes=1 << 20,
        delayed_calls=7,
        sessions_created=number * 5000,
        posts=number * 20_000,
        census={"blocks": 300_000 + number % 3 * 900, "kinds": {"builtins.dict": 1000}},
    )
    return attrs.evolve(usual, **more)


SOUND = Soak(
    minutes=17,
    rate=200,
    loads=[loaded() for _ in range(10)],
    samples=[sampled(second) for second in range(1000)],
    rests=[rested(number) for number in range(11)],
    complaints=[],
    troubles=[],
    removed_messages=100,
    is_short=False,
)


class VerdictTests(SynchronousTestCase):
    """The judge is believed only because it also condemns."""

    def broken(self, soaked: Soak) -> list[str]:
        """What the judge finds."""
        return [each.promise for each in judge(soaked) if not each.is_kept]

    def rests(self, grown: Mapping[str, int]) -> Soak:
        """A soak in which figures grow by so much from rest to rest."""
        rests = []
        for number, rest in enumerate(SOUND.rests):
            more = {name: getattr(rest, name) + number * step for name, step in grown.items()}
            rests.append(attrs.evolve(rest, **more))
        return attrs.evolve(SOUND, rests=rests)

    def test_sound(self) -> None:
        """A soak in which figures only jump to and fro is sound."""
        self.assertEqual(self.broken(SOUND), [])

    def test_one_object_of_each_connection(self) -> None:
        """One object of each connection is enough, and its kind is told."""
        rests = [
            attrs.evolve(
                rest,
                census={
                    "blocks": rest.census["blocks"] + rest.sessions_created,
                    "kinds": {"builtins.dict": 1000, "a.Leak": rest.sessions_created},
                },
            )
            for rest in SOUND.rests
        ]
        (verdict,) = [each for each in judge(attrs.evolve(SOUND, rests=rests)) if not each.is_kept]
        self.assertEqual(verdict.promise, "no object is left behind")
        self.assertIn("a.Leak", verdict.figures)

    def test_a_hundred_bytes(self) -> None:
        """A hundred bytes of each connection show as a slope of the memory; the same at the start only do not."""
        for until, expected in ((1000, ["memory is flat"]), (400, [])):
            samples = [
                sampled(second, resident_kb=70_000 + second % 7 * 40 + min(second, until) / 100 * 5000 * 0.1)
                for second in range(1000)
            ]
            self.assertEqual(self.broken(attrs.evolve(SOUND, samples=samples)), expected, until)

    def test_left_behind(self) -> None:
        """One descriptor, thread or timer more after each load."""
        for name, promise in (
            ("descriptors", "descriptors at rest are flat"),
            ("threads", "threads at rest are flat"),
            ("delayed_calls", "timers at rest are flat"),
        ):
            self.assertEqual(self.broken(self.rests({name: 1})), [promise])

    def test_database(self) -> None:
        """A log without bounds, and a database that only grows."""
        log = [*SOUND.samples[:-1], sampled(999, log_bytes=LOG_BYTES + 1)]
        self.assertEqual(self.broken(attrs.evolve(SOUND, samples=log)), ["write-ahead log is bounded"])
        grown = [sampled(second, database_bytes=second << 18) for second in range(1000)]
        self.assertEqual(self.broken(attrs.evolve(SOUND, samples=grown)), ["history does not only grow"])

    def test_load(self) -> None:
        """What the load test finds, what is acknowledged and not stored, and what takes ever longer."""
        good = loaded()
        for load, promise in (
            (Load({**good.outcome, "faults": {"lost": 3}}, good.stored), "delivered once and in order"),
            (Load({**good.outcome, "errors": {"ERROR 9001": 1}}, good.stored), "delivered once and in order"),
            (Load(good.outcome, good.stored - 1), "acknowledged is stored"),
        ):
            self.assertEqual(self.broken(attrs.evolve(SOUND, loads=[*SOUND.loads[1:], load])), [promise])
        slower = [loaded(ack_p99_ms=10.0 + number * 30) for number in range(10)]
        self.assertEqual(self.broken(attrs.evolve(SOUND, loads=slower)), ["p99 of ack stays"])

    def test_words(self) -> None:
        """Lines in the logs, and troubles of guests."""
        self.assertEqual(self.broken(attrs.evolve(SOUND, complaints=["[ERROR] x"])), ["logs are clean"])
        self.assertEqual(self.broken(attrs.evolve(SOUND, troubles=["x"])), ["nobody was troubled"])
