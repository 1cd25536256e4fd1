"""ban, unban, bans."""

from __future__ import annotations

from superchat.client import ServerRefused
from superchat.wire import messages as wire
from superchat.wire.records import Message
from tests.tools.once import CommandTestCase, account_options


class BanTests(CommandTestCase):
    """What moderators do."""

    def replies(self, reply: Message) -> None:
        """Let the server answer whatever follows the login with this."""
        self.server.endpoint.answer = lambda message: (
            self.server.answer(message) if isinstance(message, wire.AuthRequest) else [reply]
        )

    def test_ban(self) -> None:
        """An account is banned by its name, however it is shown before messages."""
        self.replies(wire.UserBanned(success=True, ban_id=4, message="User bob banned successfully"))
        given = account_options("ban", user="~bob", reason="spam", duration_seconds=60, shadow=True)
        self.assertEqual(self.do(given), ["User bob banned successfully (ban 4)"])
        expected = wire.BanUser(nickname="bob", reason="spam", shadowban=True, duration_seconds=60)
        self.assertEqual(self.server.heard(wire.BanUser), [expected])

    def test_ban_address(self) -> None:
        """A range of addresses is passed on as it is; the server checks it."""
        self.replies(wire.IPBanned(success=False, message="Invalid IP or CIDR format"))
        given = account_options("ban", ip_cidr="junk", reason="")
        self.assertEqual(self.declined(given), "Invalid IP or CIDR format")
        expected = wire.BanIP(ip_cidr="junk", reason="", duration_seconds=None)
        self.assertEqual(self.server.heard(wire.BanIP), [expected])

    def test_without_rights(self) -> None:
        """Who may not is told so."""
        self.replies(wire.UserBanned(success=False, message="Permission denied: admin access required"))
        self.assertIn("Permission denied", self.declined(account_options("ban", user="bob")))

    def test_unban(self) -> None:
        """Bans of accounts and addresses are ended."""
        self.replies(wire.UserUnbanned(success=True, message="User bob unbanned"))
        self.assertEqual(self.do(account_options("unban", user="bob")), ["User bob unbanned"])
        self.assertEqual(self.server.heard(wire.UnbanUser), [wire.UnbanUser(nickname="bob")])
        self.replies(wire.IPUnbanned(success=True, message="IP unbanned"))
        self.do(account_options("unban", ip_cidr="192.0.2.0/24"))
        self.assertEqual(self.server.heard(wire.UnbanIP), [wire.UnbanIP(ip_cidr="192.0.2.0/24")])

    def test_bans(self) -> None:
        """Each ban is a row: whom, until when, by whom, why."""
        bans = (
            wire.BanEntry(
                ban_id=2,
                ban_type="ip",
                ip_cidr="192.0.2.0/24",
                reason="",
                shadowban=False,
                banned_at=0,
                banned_until=3_600_000,
                banned_by="admin",
            ),
            wire.BanEntry(
                ban_id=1, ban_type="user", user_id=8, reason="spam", shadowban=True, banned_at=0, banned_by="admin"
            ),
        )
        self.replies(wire.BanList(bans=bans))
        self.assertEqual(
            self.do(account_options("bans", include_expired=True)),
            ["2  192.0.2.0/24  until 01:00  by admin", "1  account 8  for ever  by admin  shadow  spam"],
        )
        self.assertEqual(self.server.heard(wire.ListBans), [wire.ListBans(include_expired=True)])

    def test_bans_without_rights(self) -> None:
        """The list is refused with ERROR."""
        self.replies(wire.Error(error_code=3000, message="Permission denied: admin access required"))
        self.failureResultOf(self.begin(account_options("bans")), ServerRefused)
