"""register, login, passwd."""

from __future__ import annotations

import attrs

from superchat.client import ServerRefused
from superchat.wire import messages as wire
from tests.tools.once import CommandTestCase, account_options
from tests.tools.people_in_memory import CREDENTIALS


class AccountTests(CommandTestCase):
    """One's own account."""

    def test_register(self) -> None:
        """The nickname is taken first, then registered with the hash; the server's words are printed."""
        self.server.accounts = {}
        self.assertEqual(self.do(account_options("register")), ["Successfully registered alice!"])
        self.assertEqual(self.server.heard(wire.SetNickname), [wire.SetNickname(nickname="alice")])
        self.assertEqual(self.server.accounts, {"alice": CREDENTIALS.password_hash})
        self.assertEqual(self.server.heard(wire.AuthRequest), [])

    def test_registered_already(self) -> None:
        """A name that has an account is refused."""
        self.assertEqual(self.declined(account_options("register")), "Nickname already registered")

    def test_nickname_is_refused(self) -> None:
        """Nothing is registered under another name than the one that was asked for."""
        self.server.names_taken = {"alice"}
        self.assertEqual(self.declined(account_options("register")), "taken")
        self.assertEqual(self.server.heard(wire.RegisterUser), [])

    def test_login(self) -> None:
        """A right password is welcomed, and the account's role told."""
        self.assertEqual(self.do(account_options("login")), ["Welcome back, alice!"])
        for flags, role in ((1, " (admin)"), (2, " (moderator)"), (3, " (admin)")):
            self.server.flags = flags
            self.assertEqual(self.do(account_options("login"))[-1], f"Welcome back, alice!{role}")

    def test_wrong_password(self) -> None:
        """A wrong one is refused with the server's words."""
        wrong = attrs.evolve(CREDENTIALS, password_hash="b" * 43)  # type: ignore[misc]
        self.assertEqual(self.declined(account_options("login", credentials=wrong)), "Invalid credentials")

    def test_passwd(self) -> None:
        """The old hash is sent along, and the new one is made with the account's name."""
        printed = self.do(account_options("passwd", new_password="new secret"))
        self.assertEqual(printed, ["the password of alice is changed"])
        self.assertEqual(self.server.accounts["alice"], "alice:new secret".ljust(43, "."))
        self.assertEqual(self.server.heard(wire.ChangePassword)[0].old_password_hash, CREDENTIALS.password_hash)

    def test_passwd_after_a_rename(self) -> None:
        """Who logs in with an old nickname gets a password for the new one (decisions 2.5)."""
        renamed = wire.AuthResponse(success=True, user_id=7, nickname="queen", message="", user_flags=0)
        changed = wire.PasswordChanged(success=True, error_message="")
        self.server.endpoint.answer = lambda message: (
            [renamed] if isinstance(message, wire.AuthRequest) else [changed]
        )
        self.do(account_options("passwd", new_password="new secret"))
        [asked] = self.server.heard(wire.ChangePassword)
        self.assertEqual(asked.new_password_hash, "queen:new secret".ljust(43, "."))

    def test_refused_passwd(self) -> None:
        """A change that is refused says why."""
        no = wire.PasswordChanged(success=False, error_message="Incorrect current password")
        self.server.endpoint.answer = lambda message: (
            [no] if isinstance(message, wire.ChangePassword) else self.server.answer(message)
        )
        self.assertEqual(self.declined(account_options("passwd")), "Incorrect current password")

    def test_error(self) -> None:
        """So does an ERROR."""
        self.server.refusals = {wire.RegisterUser: wire.Error(error_code=9001, message="Database error")}
        failed = self.failureResultOf(self.begin(account_options("register")), ServerRefused)
        self.assertEqual(failed.value.text, "Database error")
