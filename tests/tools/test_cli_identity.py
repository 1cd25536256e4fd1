"""Who one is to the server."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred

from superchat.tools.cli_ask import Declined
from superchat.tools.cli_identity import guest, identify, introduce, nickname_of
from superchat.tools.cli_options import Options
from superchat.wire import messages as wire
from tests.tools.following import options
from tests.tools.once import CommandTestCase, account_options
from tests.tools.people_in_memory import CREDENTIALS


class IdentityTests(CommandTestCase):
    """A nickname, or an account."""

    def name(self, given: Options) -> str:
        return self.successResultOf(Deferred.fromCoroutine(introduce(self.questions, given)))

    def refusal(self, given: Options) -> str:
        failed = Deferred.fromCoroutine(introduce(self.questions, given))
        return str(self.failureResultOf(failed, Declined).value)

    def test_chosen_nickname(self) -> None:
        """A nickname that was asked for is taken, or the command fails with the server's words."""
        self.assertEqual(self.name(options("post", nickname="alice")), "alice")
        self.server.names_taken = {"alice"}
        self.assertEqual(self.refusal(options("post", nickname="alice")), "taken")

    def test_derived_nickname(self) -> None:
        """The login name gives way to a guest's if it is refused."""
        given = attrs.evolve(options("post"), system_user="root")
        self.assertEqual(self.name(given), "root")
        self.server.names_taken = {"root"}
        self.assertRegex(self.name(given), "^guest-")

    def test_login(self) -> None:
        """Who logs in takes no nickname beside: the account has one."""
        self.assertEqual(self.name(account_options("post")), "alice")
        self.assertEqual(self.server.heard(wire.AuthRequest), [CREDENTIALS])
        self.assertEqual(self.server.heard(wire.SetNickname), [])

    def test_wrong_password(self) -> None:
        """A login that is refused ends the command with the server's words; nothing is done anonymously instead."""
        self.server.accounts = {"alice": "other"}
        self.assertEqual(self.refusal(account_options("post")), "Invalid credentials")
        self.assertEqual(self.server.heard(wire.SetNickname), [])

    def test_reading(self) -> None:
        """Reading needs no name, but takes the one that was asked for."""
        for given in (options("channels"), options("channels", nickname="bob"), account_options("channels")):
            self.successResultOf(Deferred.fromCoroutine(identify(self.questions, given)))
        self.assertEqual(self.server.heard(wire.SetNickname), [wire.SetNickname(nickname="bob")])
        self.assertEqual(self.server.heard(wire.AuthRequest), [CREDENTIALS])


class NicknameTests(CommandTestCase):
    """A nickname for those who did not choose one."""

    def test_login_names(self) -> None:
        """Login names become valid nicknames (decisions 2.1), if enough is left of them."""
        self.assertEqual(nickname_of("alice"), "alice")
        self.assertEqual(nickname_of("EXAMPLE\\jörg.müller"), "EXAMPLE-j-rg-m-ller")
        self.assertEqual(nickname_of("a-very-long-login-name-indeed"), "a-very-long-login-na")
        self.assertIsNone(nickname_of("a"))
        self.assertIsNone(nickname_of("世界"))

    def test_guest(self) -> None:
        """A made-up one is valid."""
        self.assertRegex(guest(), r"^guest-[0-9a-f]{4}$")
