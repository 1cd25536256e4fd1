"""Tests for `superchat.chat.admin_password`: the first administrator's account, as the configuration has it."""

from __future__ import annotations

from superchat.config import Server
from superchat.model import Act, UserFlags
from superchat.wire.messages import NicknameResponse, SetNickname
from tests.auth.quick import secret_of
from tests.chat.registered import RegisteredTestCase, session_of


class AdminPasswordTests(RegisteredTestCase):
    """Each start of the chat is one of the server."""

    def start(self, password: str = "secret of root", *names: str) -> None:
        """Start a server that is told this."""
        self.server = Server(admin_users=names or ("Root", "other"), admin_password=password)
        self.run_now(self.start_chat())

    def acts(self) -> list[Act]:
        """The audit log, oldest first."""
        return self.now(self.storage.acts(50))[::-1]

    def test_created(self) -> None:
        """The account is made, with an administrator's rights, and logs in as clients do (decisions 2.3)."""
        self.start()
        self.assertEqual(self.stored("root").user_flags, UserFlags.ADMIN)
        client = self.log_in("Root", "secret of root")
        self.assertTrue(session_of(client).is_admin)
        self.assertIsNone(self.now(self.storage.account_named("other")))

    def test_nothing_to_do(self) -> None:
        """At the next start with the same password nothing is written, not even to the audit log."""
        self.start()
        before = self.stored("root")
        self.start()
        self.assertEqual(self.stored("root"), before)
        self.assertEqual([act.action for act in self.acts()], ["create_user"])

    def test_reset(self) -> None:
        """With another one, the account has that, and what else it is stays (decisions 2.3)."""
        self.account("Root", flags=UserFlags.MODERATOR, keys=1)
        self.start("another secret")
        self.assertEqual(self.stored("root").user_flags, UserFlags.ADMIN | UserFlags.MODERATOR)
        self.assertTrue(self.can_log_in("Root", "another secret"))
        self.assertFalse(self.can_log_in("Root"))
        self.assertEqual(len(self.now(self.storage.ssh_keys(self.stored("root").id))), 1)

    def test_without_a_password(self) -> None:
        """An account that had only keys gets a password."""
        self.account("Root", "", UserFlags.ADMIN, keys=1)
        self.start()
        self.assertTrue(self.can_log_in("Root", "secret of root"))

    def test_renamed(self) -> None:
        """An administrator who goes by another nickname keeps it, and logs in with that (decisions 2.5)."""
        self.start()
        client = self.log_in("Root", "secret of root")
        self.assertTrue(client.one(NicknameResponse, SetNickname(nickname="boss")).success)
        self.start()
        self.assertTrue(self.can_log_in("boss", "secret of root"))
        self.assertEqual(self.stored("boss").password_name, "boss")

    def test_recorded(self) -> None:
        """What takes power is in the audit log (decisions 7.3), and no secret is in there or in any other log."""
        self.account("Root")
        self.start()
        acts = self.acts()
        self.assertEqual([act.action for act in acts], ["reset_password", "grant"])
        self.assertEqual({(act.actor, act.address) for act in acts}, {("server.admin_password", "local")})
        self.assertEqual({(act.target_id, act.target) for act in acts}, {(self.stored("root").id, "Root")})
        self.assertIn("Reset password for admin user Root", self.log_lines())
        for text in ("secret of root", secret_of("Root", "secret of root"), self.stored("root").password_hash):
            self.assertNotIn(text, repr((acts, self.log, self.chat.config)))

    def test_not_asked_for(self) -> None:
        """Without a password no account is made or touched, whatever names are reserved (decisions 2.3)."""
        anna = self.account("anna")
        self.start("", "Root", "anna")
        self.assertIsNone(self.now(self.storage.account_named("root")))
        self.assertEqual(self.stored("anna"), anna)
        self.assertEqual(self.acts(), [])
