"""Tests for `superchat.auth.passwords`: bcrypt off the reactor's thread."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, current_thread
from typing import Any

import bcrypt
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase

from superchat.auth.passwords import (
    COST,
    Computation,
    Passwords,
    PasswordsAtOnce,
    PasswordThreads,
    TooBusy,
    acceptable,
)
from tests.auth.quick import LOWEST_COST, quick_passwords, secret_of
from tests.storage.reactor import SteppedReactor

SECRET, OTHER = secret_of("anna", "correct horse"), secret_of("anna", "wrong horse")


class SecretTests(SynchronousTestCase):
    """What may stand for a password."""

    def test_acceptable(self) -> None:
        """40 to 50 bytes, not characters (reference 2.1); so bcrypt never meets more than it takes."""
        sizes = (0, 39, 40, 43, 50, 51, 72, 73, 65535)
        self.assertEqual([acceptable("x" * size) for size in sizes], [40 <= size <= 50 for size in sizes])
        self.assertTrue(acceptable("\u00e4" * 25))
        self.assertFalse(acceptable("\u00e4" * 26))

    def test_any_bytes(self) -> None:
        """Bytes that are no UTF-8, and NULs, are as good as others."""
        computation = Computation(LOWEST_COST)
        for secret in ("\udcff" * 43, "\0" * 43, "a\0" * 20):
            self.assertTrue(computation.verify(secret, computation.hash(secret)))
            self.assertFalse(computation.verify(secret[:-1] + "b", computation.hash(secret)))


class ComputationTests(SynchronousTestCase):
    """bcrypt itself."""

    def test_stored_form(self) -> None:
        """Hashes are salted, and of the reference's cost (reference 2.1)."""
        hashed = Computation().hash(SECRET)
        self.assertRegex(hashed, r"^\$2b\$10\$[./A-Za-z0-9]{53}$")
        self.assertEqual(COST, 10)
        self.assertNotEqual(Computation(LOWEST_COST).hash(SECRET), Computation(LOWEST_COST).hash(SECRET))

    def test_reference_hashes(self) -> None:
        """What the reference has stored is understood: it marks its hashes 2a."""
        hashed = Computation(LOWEST_COST).hash(SECRET).replace("$2b$", "$2a$", 1)
        self.assertTrue(Computation().verify(SECRET, hashed))
        self.assertFalse(Computation().verify(OTHER, hashed))

    def test_nobody_takes_as_long(self) -> None:
        """For an unknown name the same is computed as for a known one: one bcrypt of the same cost (decisions 2.6)."""
        computed: list[bytes] = []

        def counting(compute: Callable[[bytes, bytes], Any]) -> Callable[[bytes, bytes], Any]:
            def count(secret: bytes, salt: bytes) -> Any:
                computed.append(salt[:7])
                return compute(secret, salt)

            return count

        computation = Computation(LOWEST_COST)
        stored = computation.hash(SECRET)
        self.patch(bcrypt, "checkpw", counting(bcrypt.checkpw))
        self.patch(bcrypt, "hashpw", counting(bcrypt.hashpw))
        self.assertTrue(computation.verify(SECRET, stored))
        self.assertFalse(computation.verify_nobody(SECRET))
        self.assertEqual(computed, [b"$2b$04$"] * 2)


class AtOnceTests(SynchronousTestCase):
    """`PasswordsAtOnce`."""

    def test_answers(self) -> None:
        """Every question has its answer when it is asked."""
        passwords: Passwords = quick_passwords()
        stored = self.successResultOf(passwords.hash(SECRET))
        self.assertIs(self.successResultOf(passwords.verify(SECRET, stored)), True)
        self.assertIs(self.successResultOf(passwords.verify(OTHER, stored)), False)
        self.assertIs(self.successResultOf(passwords.verify_nobody(SECRET)), False)
        self.assertEqual(self.successResultOf(passwords.derive("anna", "correct horse")), SECRET)
        self.assertIsNone(self.successResultOf(passwords.stop()))
        self.assertEqual(passwords.work.seconds.snapshot().count, 5)

    def test_no_derivation(self) -> None:
        """Who was not told how clients derive passwords says so."""
        self.failureResultOf(PasswordsAtOnce().derive("anna", "correct horse"), NotImplementedError)


class ThreadTests(SynchronousTestCase):
    """`PasswordThreads`, on threads that are real and a reactor that turns when it is told to."""

    def setUp(self) -> None:
        self.reactor = SteppedReactor()
        self.may_go_on = Event()
        self.ran_in: list[str] = []
        self.passwords = self.make()

    def make(self, **settings: Any) -> PasswordThreads:
        passwords = PasswordThreads(self.reactor, self.derive, **({"cost": LOWEST_COST} | settings))

        def end() -> None:
            self.may_go_on.set()
            self.result(passwords.stop())

        self.addCleanup(end)
        return passwords

    def derive(self, nickname: str, password: str) -> str:
        """Wait until the test allows it."""
        self.ran_in.append(current_thread().name)
        self.may_go_on.wait()
        if nickname == "bad":
            raise ValueError("no such thing")
        return f"{nickname}:{password}"

    def result(self, deferred: Deferred[Any]) -> Any:
        self.reactor.run_until_fired(deferred)
        return self.successResultOf(deferred)

    def test_answers(self) -> None:
        """Every question is answered in a later turn of the reactor, by a thread of its own name."""
        self.may_go_on.set()
        hashing = self.passwords.hash(SECRET)
        self.assertNoResult(hashing)
        stored = self.result(hashing)
        self.assertIs(self.result(self.passwords.verify(SECRET, stored)), True)
        self.assertIs(self.result(self.passwords.verify(OTHER, stored)), False)
        self.assertIs(self.result(self.passwords.verify_nobody(SECRET)), False)
        self.assertEqual(self.result(self.passwords.derive("anna", "x")), "anna:x")
        self.assertTrue(self.ran_in[0].startswith("superchat-password-"))

    def test_not_before_it_is_asked(self) -> None:
        """No thread starts before the first password: the server may still have to become a daemon."""
        self.assertEqual({thread.is_alive() for thread in self.passwords._threads}, {False})

    def test_bounded(self) -> None:
        """Beyond *max_waiting* a password is refused at once, and those that wait are answered all the same."""
        passwords = self.make(threads=1, max_waiting=3)
        waiting = [passwords.derive("anna", str(number)) for number in range(3)]
        self.failureResultOf(passwords.hash(SECRET), TooBusy)
        self.failureResultOf(passwords.verify_nobody(SECRET), TooBusy)
        self.assertEqual(passwords.work.refused, 2)
        self.may_go_on.set()
        self.assertEqual(self.result(gatherResults(waiting)), ["anna:0", "anna:1", "anna:2"])
        self.result(passwords.hash(SECRET))

    def test_measured(self) -> None:
        """What waits, runs, was done and refused can be read at any moment, as plain numbers."""
        passwords = self.make(threads=1)
        waiting = [passwords.derive("anna", str(number)) for number in range(3)]
        while not passwords.work.running:
            self.reactor.turn()
        self.assertEqual((passwords.work.running, passwords.work.waiting), (1, 2))
        self.may_go_on.set()
        self.result(gatherResults(waiting))
        self.assertEqual((passwords.work.running, passwords.work.waiting, passwords.work.refused), (0, 0, 0))
        self.assertEqual(passwords.work.seconds.snapshot().count, 3)

    def test_failure(self) -> None:
        """What goes wrong with one password is told to who asked, and the next is computed."""
        self.may_go_on.set()
        failing = self.passwords.derive("bad", "x")
        self.reactor.run_until_fired(failing)
        self.failureResultOf(failing, ValueError)
        broken = self.passwords.verify(SECRET, "not a hash")
        self.reactor.run_until_fired(broken)
        self.failureResultOf(broken, ValueError)
        self.assertEqual(self.result(self.passwords.derive("anna", "x")), "anna:x")

    def test_stop(self) -> None:
        """At the end what runs is finished, what waits is refused, and no thread is left (decisions 1.8)."""
        passwords = self.make(threads=1)
        running, waiting = passwords.derive("anna", "x"), passwords.derive("anna", "y")
        while not passwords.work.running:
            self.reactor.turn()
        stopping = passwords.stop()
        self.failureResultOf(waiting, TooBusy)
        self.failureResultOf(passwords.hash(SECRET), TooBusy)
        self.assertNoResult(stopping)
        self.may_go_on.set()
        self.result(stopping)
        self.assertEqual(self.successResultOf(running), "anna:x")
        self.assertFalse(passwords._threads[0].is_alive())
        self.assertEqual((passwords.work.running, passwords.work.waiting), (0, 0))

    def test_stop_unused(self) -> None:
        """Without any password there is nothing to wait for."""
        self.successResultOf(self.passwords.stop())
