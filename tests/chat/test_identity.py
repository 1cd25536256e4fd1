"""Tests for `superchat.chat.identity`: nicknames of anonymous users, and who is who."""

from __future__ import annotations

from superchat.config import Server
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    GetUserInfo,
    ListUsers,
    NicknameResponse,
    SetNickname,
    UserInfo,
    UserList,
    UserListEntry,
)
from tests.chat.talk import TalkTestCase

INVALID = NicknameResponse(
    success=False, message="Invalid nickname. Must be 3-20 characters, alphanumeric plus - and _"
)


class NicknameTests(TalkTestCase):
    """SET_NICKNAME."""

    server = Server(admin_users=("Root",))

    def test_invalid(self) -> None:
        """Wrong length or alphabet is success=false with the reference's text, never an ERROR (decisions 2.1)."""
        client = self.connect()
        for nickname in ("", "ab", "x" * 21, "has space", "ünïcode", "new\nline", "alice\n", "~alice", "$root"):
            self.assertEqual(client.ask(SetNickname(nickname=nickname)), [INVALID])
        self.assertIsNone(client.session and client.session.nickname)

    def test_limits_of_length(self) -> None:
        """3 and 20 characters are fine."""
        client = self.connect()
        for nickname in ("a-_", "x" * 20):
            self.assertTrue(client.one(NicknameResponse, SetNickname(nickname=nickname)).success)

    def test_reserved(self) -> None:
        """Names of administrators are reserved, whatever their case (decisions 2.3)."""
        client = self.connect()
        for nickname in ("Root", "root", "ROOT"):
            self.assertFalse(client.one(NicknameResponse, SetNickname(nickname=nickname)).success)

    def test_shared(self) -> None:
        """Anonymous users may share a nickname, and case matters (reference 2.1)."""
        self.connect("alice")
        for nickname in ("alice", "Alice"):
            self.assertTrue(self.connect().one(NicknameResponse, SetNickname(nickname=nickname)).success)

    def test_failure_keeps_the_old(self) -> None:
        """A refused nickname changes nothing."""
        alice = self.connect("alice")
        alice.send(SetNickname(nickname="a"))
        self.assertTrue(alice.one(UserInfo, GetUserInfo(nickname="alice")).online)

    def test_log_line(self) -> None:
        """The line of the monitoring guide."""
        self.connect("alice")
        self.assertIn("Session 1 set nickname: alice", self.log_lines())


class UserInfoTests(TalkTestCase):
    """GET_USER_INFO."""

    def test_online(self) -> None:
        """Online means that some session has exactly that nickname; nobody is registered yet (reference 2.1)."""
        alice = self.connect("alice")
        for nickname, online in (("alice", True), ("Alice", False), ("bob", False), ("", False)):
            self.assertEqual(
                alice.ask(GetUserInfo(nickname=nickname)),
                [UserInfo(nickname=nickname, is_registered=False, user_id=None, online=online)],
            )

    def test_namesakes(self) -> None:
        """A nickname is online until the last of its bearers has gone."""
        first, second, watcher = self.connect("alice"), self.connect("alice"), self.connect()
        first.leave()
        self.assertTrue(watcher.one(UserInfo, GetUserInfo(nickname="alice")).online)
        second.send(SetNickname(nickname="other"))
        self.assertFalse(watcher.one(UserInfo, GetUserInfo(nickname="alice")).online)


class UserListTests(TalkTestCase):
    """LIST_USERS."""

    def names(self, limit: int) -> list[str]:
        client = self.connect()
        answer = client.one(UserList, ListUsers(limit=limit))
        for user in answer.users:
            expected = UserListEntry(nickname=user.nickname, is_registered=False, user_id=None, online=True)
            self.assertEqual(user, expected)
        return [user.nickname for user in answer.users]

    def test_one_entry_per_nickname(self) -> None:
        """Newest session first, each nickname once, nobody without one (decisions 5.2)."""
        for nickname in ("alice", "bob", "alice", "carol"):
            self.connect(nickname)
        self.connect()
        self.assertEqual(self.names(0), ["carol", "alice", "bob"])

    def test_limit(self) -> None:
        """0 means 100, and there are never more than 500 (reference 2.1)."""
        for number in range(510):
            self.connect(f"user{number}")
        self.assertEqual([len(self.names(limit)) for limit in (0, 1, 501, 65535)], [100, 1, 500, 500])

    def test_offline(self) -> None:
        """Asking for those who are offline takes rights."""
        self.assertEqual(
            self.connect("alice").refusal(ListUsers(limit=0, include_offline=True)),
            (ErrorCode.PERMISSION_DENIED, "Admin permission required for include_offline"),
        )
