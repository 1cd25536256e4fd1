"""Tests for `superchat.chat.accounts`: changing passwords, and how often one may try."""

from __future__ import annotations

from superchat.config import Limits
from superchat.wire.errors import ErrorCode, Malformed
from superchat.wire.messages import (
    AuthResponse,
    ChangePassword,
    PasswordChanged,
    RegisterResponse,
    RegisterUser,
    SetNickname,
)
from tests.auth.quick import secret_of
from tests.chat.registered import RegisteredTestCase, auth, change, session_of

INVALID = AuthResponse(success=False, message="Invalid credentials")
TOO_MANY = AuthResponse(success=False, message="Too many attempts")


class PasswordTests(RegisteredTestCase):
    """CHANGE_PASSWORD."""

    def test_change(self) -> None:
        """The new password logs in, the old one no more."""
        self.account("anna")
        client = self.log_in("anna")
        changed = PasswordChanged(success=True, error_message="")
        self.assertEqual(client.ask(change("anna", "secret", "new secret")), [changed])
        self.assertTrue(self.can_log_in("anna", "new secret"))
        self.assertFalse(self.can_log_in("anna"))
        self.assertEqual(session_of(client).account, self.stored("anna"))
        self.assertIn("Session 1 changed password of anna", self.log_lines())

    def test_old_one_is_verified(self) -> None:
        """Neither a wrong nor an empty old password does (decisions 2.6, reference W7)."""
        self.account("anna", keys=1)
        client = self.log_in("anna")
        old = secret_of("anna", "secret")
        for request in (
            change("anna", "wrong", "new secret"),
            change("anna", None, "new secret"),
            change("anna", None, None),
            ChangePassword(old_password_hash=f"{old}{'x' * 60_000}", new_password_hash=old),
            ChangePassword(old_password_hash="\udcff" * 43, new_password_hash=old),
        ):
            self.assertEqual(self.changed(client, request), "Incorrect current password")
        self.assertTrue(self.can_log_in("anna"))
        self.assertIn(
            "Session 1 authentication failed for anna from 192.0.2.1: incorrect current password", self.log_lines()
        )

    def test_first_one(self) -> None:
        """An account without a password needs none to set one."""
        self.account("anna", "", keys=1)
        client = self.connect()
        self.chat.sessions.log_in(session_of(client), self.stored("anna"))
        self.assertEqual(self.changed(client, change("anna", None, "secret")), "")
        self.assertTrue(self.can_log_in("anna"))

    def test_remove(self) -> None:
        """A password can be removed when there is a key to log in with."""
        self.account("anna")
        client = self.log_in("anna")
        text = "Cannot remove password without SSH keys. Add an SSH key first."
        self.assertEqual(self.changed(client, change("anna", "secret", None)), text)
        self.assertTrue(self.can_log_in("anna"))
        self.account("bob", keys=1)
        self.assertEqual(self.changed(self.log_in("bob"), change("bob", "secret", None)), "")
        self.assertEqual(self.stored("bob").password_hash, "")
        self.assertFalse(self.can_log_in("bob"))

    def test_no_hash(self) -> None:
        """What cannot be a hash is refused, after the old one was verified (reference 2.1)."""
        self.account("anna")
        client = self.log_in("anna")
        for size in (1, 39, 51, 60_000):
            request = ChangePassword(old_password_hash=secret_of("anna", "secret"), new_password_hash="x" * size)
            self.assertEqual(self.changed(client, request), "Invalid password hash format")
        self.assertTrue(self.can_log_in("anna"))

    def test_anonymous(self) -> None:
        """Without an account it is ERROR 2000, whatever the payload; with one, an unreadable payload is ERROR 1000."""
        self.account("anna")
        malformed = Malformed(14, "CHANGE_PASSWORD", "short")
        for client in (self.connect(), self.connect("anna")):
            for event in (change("anna", "secret", "new secret"), malformed):
                expected = (ErrorCode.AUTH_REQUIRED, "Must be authenticated to change password")
                self.assertEqual(client.refusal(event), expected)
        self.assertEqual(
            self.log_in("anna").refusal(malformed), (ErrorCode.INVALID_FORMAT, "Invalid change password request")
        )

    def test_after_a_rename(self) -> None:
        """Nobody is locked out by renaming (decisions 2.5, reference W31): first the old name logs in, with a new
        password the new one, and the old name is free."""
        self.account("anna")
        client = self.log_in("anna")
        client.send(SetNickname(nickname="zoe"))
        self.assertTrue(self.can_log_in("anna"))
        self.assertFalse(self.can_log_in("zoe"))
        old = secret_of("anna", "secret")
        new = secret_of("zoe", "new secret")
        self.assertEqual(self.changed(client, ChangePassword(old_password_hash=old, new_password_hash=new)), "")
        self.assertTrue(self.can_log_in("zoe", "new secret"))
        self.assertFalse(self.can_log_in("anna"))
        answer = self.connect("anna").one(RegisterResponse, RegisterUser(password_hash=old))
        self.assertTrue(answer.success)

    def test_deleted_meanwhile(self) -> None:
        """An account that is gone has no password."""
        anna = self.account("anna")
        client = self.log_in("anna")
        self.now(self.storage.delete_account(anna.id, self.now_ms()))
        self.assertEqual(self.changed(client, change("anna", "secret", "new secret")), "User not found")


class LimitTests(RegisteredTestCase):
    """How often one may try (decisions 2.6, reference W10)."""

    limits = Limits(max_connections_per_ip=0, max_auth_attempts_per_minute=3)

    def computed(self) -> int:
        """How many passwords were computed."""
        return self.chat.passwords.work.seconds.snapshot().count

    def test_per_address(self) -> None:
        """One address may not try more, whatever names it gives and however often it connects, and nothing is
        computed for it then."""
        self.account("anna")
        for number in range(3):
            self.assertEqual(self.connect().ask(auth(f"nobody{number}")), [INVALID])
        before = self.computed()
        client = self.connect("guest")
        self.assertEqual(client.ask(auth("anna")), [TOO_MANY])
        answer = client.one(RegisterResponse, RegisterUser(password_hash=secret_of("guest", "secret")))
        self.assertEqual((answer.success, answer.message), (False, "Too many attempts"))
        self.assertEqual(self.computed(), before)
        self.assertTrue(self.connect(address="192.0.2.2").one(AuthResponse, auth("anna")).success)

    def test_per_account(self) -> None:
        """One account cannot be tried more, from however many addresses, by either of its names."""
        self.account("anna")
        self.now(self.storage.rename_account(self.stored("anna").id, "zoe"))
        for number, name in enumerate(("anna", "ZOE", "zoe")):
            self.assertEqual(self.connect(address=f"192.0.2.{number}").ask(auth(name, "wrong")), [INVALID])
        before = self.computed()
        self.assertEqual(self.connect(address="192.0.2.9").ask(auth("anna")), [TOO_MANY])
        self.assertEqual(self.computed(), before)

    def test_unknown_names_are_limited_alike(self) -> None:
        """That a name is limited does not tell whether it is anybody's."""
        answers = [self.connect(address=f"192.0.2.{n}").one(AuthResponse, auth("nobody")) for n in range(4)]
        self.assertEqual(answers, [INVALID] * 3 + [TOO_MANY])

    def test_time_passes(self) -> None:
        """After a while one may try again."""
        self.account("anna")
        client = self.connect()
        for _ in range(3):
            client.send(auth("anna", "wrong"))
        self.assertEqual(client.ask(auth("anna")), [TOO_MANY])
        self.clock.advance(20)
        self.assertTrue(client.one(AuthResponse, auth("anna")).success)

    def test_changing_passwords(self) -> None:
        """Guessing the old password is limited, too; changes do not use up the logins."""
        self.account("anna")
        client = self.log_in("anna")
        for _ in range(3):
            self.changed(client, change("anna", "wrong", "new secret"))
        self.assertEqual(self.changed(client, change("anna", "secret", "new secret")), "Too many attempts")
        self.assertTrue(self.can_log_in("anna"))

    def test_log_line(self) -> None:
        """Both of the monitoring guide's searches find it, and who looks for failed authentication does."""
        client = self.connect(address="192.0.2.66")
        for _ in range(4):
            client.send(auth("nobody"))
        (line,) = [line for line in self.log_lines() if line.startswith("Rate limit exceeded for session 1: ")]
        for searched in ("rate limit exceeded", "authentication failed", "192.0.2.66"):
            self.assertIn(searched, line)

    def test_reload(self) -> None:
        """Another limit holds at once, and the same one does not begin anew (decisions 9.5)."""
        client = self.connect()
        for _ in range(4):
            client.send(auth("nobody"))
        self.chat.reconfigure(self.chat.config)
        self.assertEqual(client.ask(auth("nobody")), [TOO_MANY])
        self.limits = Limits(max_auth_attempts_per_minute=0)
        config = self.chat.config
        self.chat.reconfigure(type(config)(limits=self.limits))
        self.assertEqual(client.ask(auth("nobody")), [INVALID])
