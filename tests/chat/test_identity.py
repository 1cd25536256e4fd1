"""Tests for `superchat.chat.identity`: nicknames of anonymous users and of accounts, and who is who."""

from __future__ import annotations

from typing import Any

from superchat.config import Limits, Server
from superchat.model import NewAct, NewBan, UserFlags
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    AuthResponse,
    ChannelPresence,
    ChannelUserList,
    GetUserInfo,
    JoinChannel,
    ListChannelUsers,
    ListUsers,
    Logout,
    NicknameResponse,
    ServerPresence,
    SetNickname,
    UserInfo,
    UserList,
    UserListEntry,
)
from tests.chat.registered import RegisteredTestCase, auth, session_of
from tests.chat.talk import GENERAL, Client, TalkTestCase

INVALID = NicknameResponse(
    success=False, message="Invalid nickname. Must be 3-20 characters, alphanumeric plus - and _"
)


class NicknameTests(TalkTestCase):
    """SET_NICKNAME."""

    server = Server(admin_users=("Root",), moderator_users=("Mod",))

    def test_invalid(self) -> None:
        """Wrong length or alphabet is success=false with the reference's text, never an ERROR (decisions 2.1)."""
        client = self.connect()
        for nickname in ("", "ab", "x" * 21, "has space", "ünïcode", "new\nline", "alice\n", "~alice", "$root"):
            self.assertEqual(client.ask(SetNickname(nickname=nickname)), [INVALID])
        self.assertIsNone(client.session and client.session.nickname)
        self.assertEqual(self.chat.counters.errors, {ErrorCode.INVALID_NICKNAME: 9})

    def test_limits_of_length(self) -> None:
        """3 and 20 characters are fine."""
        client = self.connect()
        for nickname in ("a-_", "x" * 20):
            self.assertTrue(client.one(NicknameResponse, SetNickname(nickname=nickname)).success)

    def test_reserved(self) -> None:
        """Names of administrators and moderators are reserved, whatever their case (decisions 2.3)."""
        client = self.connect()
        for nickname in ("Root", "root", "ROOT", "Mod", "mOD"):
            answer = NicknameResponse(success=False, message="This nickname is reserved")
            self.assertEqual(client.ask(SetNickname(nickname=nickname)), [answer])

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


class RegisteredNameTests(RegisteredTestCase):
    """Anonymous users with names that belong to accounts."""

    def test_shared_with_an_account(self) -> None:
        """An anonymous session may carry a registered name, and is told whose it is (decisions 2.2)."""
        anna = self.account("Anna")
        client = self.connect()
        for nickname in ("Anna", "anna"):
            answer, own, info = client.ask(SetNickname(nickname=nickname))
            assert isinstance(answer, NicknameResponse)
            assert isinstance(own, ServerPresence)
            self.assertTrue(answer.success)
            self.assertEqual((own.nickname, own.is_registered, own.user_id), (nickname, False, None))
            self.assertEqual(info, UserInfo(nickname=nickname, is_registered=True, user_id=anna.id, online=True))

    def test_login_name(self) -> None:
        """The name that a renamed account logs in with is still known as registered (decisions 2.5)."""
        anna = self.account("anna")
        self.now(self.storage.rename_account(anna.id, "zoe"))
        for nickname in ("anna", "zoe"):
            info = self.connect().ask(SetNickname(nickname=nickname))[-1]
            self.assertEqual(info, UserInfo(nickname=nickname, is_registered=True, user_id=anna.id, online=True))

    def test_order(self) -> None:
        """USER_INFO comes last (wire 0x02)."""
        self.account("anna")
        client = self.connect("guest")
        client.send(JoinChannel(channel_id=GENERAL))
        kinds = [type(message) for message in client.ask(SetNickname(nickname="anna"))]
        self.assertEqual(kinds, [NicknameResponse, ServerPresence, ChannelPresence, UserInfo])

    def test_database_trouble(self) -> None:
        """Without the database one gets one's nickname all the same, and no ERROR on top of it."""
        client = self.connect()
        self.storage.close()
        kinds = [type(message) for message in client.ask(SetNickname(nickname="anna"))]
        self.assertEqual(kinds, [NicknameResponse, ServerPresence])
        self.now(self.storage.open())
        self.assertEqual(len(self.flushLoggedErrors()), 0)


class RenameTests(RegisteredTestCase):
    """SET_NICKNAME of those who are logged in."""

    server = Server(admin_users=("Root",), moderator_users=("Mod",))

    def rename(self, client: Client, nickname: str) -> NicknameResponse:
        """The answer to SET_NICKNAME."""
        return client.one(NicknameResponse, SetNickname(nickname=nickname))

    def test_renamed(self) -> None:
        """The account has another nickname, and one is told how to log in from now on (decisions 2.5)."""
        self.account("anna")
        client = self.log_in("anna")
        text = "Nickname changed to zoe. Your login name remains anna, reserved for you until you change your password"
        self.assertEqual(self.rename(client, "zoe"), NicknameResponse(success=True, message=text))
        self.assertEqual((self.stored("zoe").nickname, session_of(client).nickname), ("zoe", "zoe"))
        self.assertEqual(session_of(client).account, self.stored("zoe"))
        self.assertIn("Session 1 set nickname: zoe", self.log_lines())

    def test_renamed_back(self) -> None:
        """The name one logs in with can be taken back, and then there is nothing to say about it."""
        self.account("anna")
        client = self.log_in("anna")
        self.rename(client, "zoe")
        self.assertEqual(self.rename(client, "anna").message, "Nickname changed to anna")
        self.assertRegex(self.rename(client, "ANNA").message, "^Nickname changed to ANNA. Your login name remains anna")

    def test_without_password(self) -> None:
        """An account without a password has no name to log in with."""
        anna = self.account("anna", "", keys=1)
        client = self.connect()
        self.chat.sessions.log_in(session_of(client), anna)
        self.assertEqual(self.rename(client, "zoe").message, "Nickname changed to zoe")

    def test_unchanged(self) -> None:
        """The same nickname again is fine, as clients do after connecting, and announced (reference 2.1)."""
        anna = self.account("anna")
        client = self.log_in("anna")
        answer, own = client.ask(SetNickname(nickname="anna"))
        self.assertEqual(answer, NicknameResponse(success=True, message="Nickname set to anna"))
        self.assertIsInstance(own, ServerPresence)
        self.assertEqual(self.stored("anna").nickname, anna.nickname)

    def test_all_sessions(self) -> None:
        """Every session of the account goes by the new nickname, and everybody hears of each; the answer comes first
        (decisions 2.3)."""
        anna = self.account("anna")
        first, second, bob = self.log_in("anna"), self.log_in("anna"), self.connect("bob")
        second.send(JoinChannel(channel_id=GENERAL))
        self.settle()
        for client in (first, second, bob):
            client.received()
        told = first.ask(SetNickname(nickname="zoe"))
        self.assertIsInstance(told[0], NicknameResponse)
        self.settle()
        heard = bob.received()
        present = [
            (event.session_id, event.nickname, event.user_id) for event in heard if isinstance(event, ServerPresence)
        ]
        self.assertEqual(present, [(first.id, "zoe", anna.id), (second.id, "zoe", anna.id)])
        own = [event for event in second.received() if isinstance(event, (ServerPresence, ChannelPresence))]
        self.assertEqual({event.nickname for event in own}, {"zoe"})
        self.assertEqual(list(self.chat.sessions.named("anna")), [])
        self.assertEqual(set(self.chat.sessions.named("zoe")), {first.session, second.session})

    def test_taken(self) -> None:
        """Neither a nickname nor a login name of another account can be taken, whatever its case (decisions 2.3)."""
        self.account("anna")
        self.account("bob")
        self.now(self.storage.rename_account(self.stored("bob").id, "rob"))
        client = self.log_in("anna")
        for nickname in ("bob", "ROB"):
            answer = NicknameResponse(success=False, message="Nickname already in use")
            self.assertEqual(client.ask(SetNickname(nickname=nickname)), [answer])
        self.assertEqual(session_of(client).nickname, "anna")

    def test_reserved(self) -> None:
        """A registered user does not get a reserved name either (decisions 2.3, reference W5)."""
        self.account("anna")
        client = self.log_in("anna")
        for nickname in ("root", "Root", "mod"):
            self.assertEqual(self.rename(client, nickname).message, "This nickname is reserved")
        self.assertIsNone(self.now(self.storage.account_named("root")))

    def test_own_reserved_name(self) -> None:
        """Who has a reserved name may leave it and come back, as long as it is reserved for them."""
        self.account("Root", flags=UserFlags.ADMIN)
        client = self.log_in("Root")
        for nickname in ("boss", "root", "Root"):
            self.assertTrue(self.rename(client, nickname).success)

    def test_rights_stay(self) -> None:
        """Rights hang on the account, not on its nickname (decisions 2.4)."""
        self.account("Root", flags=UserFlags.ADMIN)
        client = self.log_in("Root")
        self.rename(client, "boss")
        self.assertTrue(session_of(client).is_admin)

    def test_deleted_meanwhile(self) -> None:
        """An account that is gone has no nickname."""
        anna = self.account("anna")
        client = self.log_in("anna")
        self.now(self.storage.delete_account(anna.id, self.now_ms()))
        self.assertEqual(self.rename(client, "zoe"), NicknameResponse(success=False, message="User not found"))

    def ban(self, nickname: str, **more: Any) -> None:
        """Ban a name, in the database and here."""
        values: dict[str, Any] = {"shadowban": False} | more
        ban = NewBan("user", None, nickname, None, "spam", values["shadowban"], self.now_ms(), None, "Root")
        act = NewAct("Root", None, "local", "ban_user", "user", None, nickname, "", self.now_ms())
        self.chat.bans.add(self.now(self.storage.add_ban(ban, act)))

    def test_banned(self) -> None:
        """Nobody takes a banned name, anonymous or not (decisions 7.1)."""
        self.account("anna")
        self.ban("Evil")
        refusal = NicknameResponse(success=False, message="Nickname banned permanently. Reason: spam")
        for client in (self.connect(), self.log_in("anna")):
            self.assertEqual(client.ask(SetNickname(nickname="eVIL")), [refusal])
        self.assertEqual(self.chat.counters.errors, {ErrorCode.PERMISSION_DENIED: 2})

    def test_shadowbanned(self) -> None:
        """Who takes a shadowbanned name is shadowbanned, without noticing (decisions 7.2)."""
        anna = self.account("anna")
        self.ban("evil", shadowban=True)
        self.assertTrue(self.rename(self.log_in("anna"), "evil").success)
        self.assertIn(anna.id, self.chat.bans.hidden_accounts)

    def test_ban_that_comes_meanwhile(self) -> None:
        """A ban of the new name that comes while it is written down ends all sessions (decisions 7.1)."""
        self.account("anna")
        client, other = self.log_in("anna"), self.log_in("anna")
        rename = self.storage.rename_account

        def and_ban(account_id: int, nickname: str) -> Any:
            renamed = rename(account_id, nickname)
            self.ban(nickname)
            return renamed

        self.patch(self.storage, "rename_account", and_ban)
        client.send(SetNickname(nickname="evil"))
        for each in (client, other):
            self.assertEqual(each.ended, ("Account banned permanently. Reason: spam", "banned"))


class UserInfoTests(TalkTestCase):
    """GET_USER_INFO."""

    def test_online(self) -> None:
        """Online means that some session has exactly that nickname (reference 2.1)."""
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


class RegisteredInfoTests(RegisteredTestCase):
    """GET_USER_INFO of accounts."""

    def test_registered(self) -> None:
        """An account is found by any case of its names; whether somebody is online goes by the exact nickname."""
        anna = self.account("anna")
        client = self.log_in("anna")
        client.send(SetNickname(nickname="zoe"))
        for name, online in (("zoe", True), ("ZOE", False), ("anna", False)):
            expected = UserInfo(nickname=name, is_registered=True, user_id=anna.id, online=online)
            self.assertEqual(self.connect().ask(GetUserInfo(nickname=name)), [expected])

    def test_any_text(self) -> None:
        """Whatever is asked for, there is an answer (reference 2.1)."""
        for name in ("", "\udcff" * 5, "\0", "x" * 60_000, "ann\na"):
            answer = UserInfo(nickname=name, is_registered=False, user_id=None, online=False)
            self.assertEqual(self.connect().ask(GetUserInfo(nickname=name)), [answer])


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


class AccountListTests(RegisteredTestCase):
    """LIST_USERS and rosters with accounts in them."""

    def users(self, client: Client, limit: int = 0, *, include_offline: bool = False) -> list[tuple[str, bool, Any]]:
        """Nickname, whether registered, and the account's id of each entry."""
        answer = client.one(UserList, ListUsers(limit=limit, include_offline=include_offline))
        return [(user.nickname, user.is_registered, user.user_id) for user in answer.users]

    def test_entry_per_nickname_and_account(self) -> None:
        """An account and an anonymous user of its name are two entries; sessions of one account are one
        (decisions 5.2)."""
        anna = self.account("anna")
        self.log_in("anna")
        self.connect("anna")
        client = self.log_in("anna")
        self.connect("anna")
        expected = [("anna", False, None), ("anna", True, anna.id)]
        self.assertEqual(self.users(client), expected)
        self.assertEqual(self.users(client, 1), expected[:1])

    def test_all_accounts(self) -> None:
        """Admins may ask for all accounts, by nickname, with who of them is online (reference 2.1)."""
        for name in ("carl", "Bob", "anna"):
            self.account(name)
        self.account("root", flags=UserFlags.ADMIN)
        root = self.log_in("root")
        self.log_in("carl")
        self.connect("anna")
        answer = root.one(UserList, ListUsers(limit=0, include_offline=True))
        self.assertEqual(
            [(user.nickname, user.online) for user in answer.users],
            [("anna", False), ("Bob", False), ("carl", True), ("root", True)],
        )
        self.assertEqual([user.user_id for user in answer.users], [self.stored(u.nickname).id for u in answer.users])
        self.assertEqual(len(self.users(root, 2, include_offline=True)), 2)

    def test_rights(self) -> None:
        """Only admins may, not moderators, nor who has logged out (decisions 2.4, 3.4)."""
        for name, flags in (("anna", 0), ("mod", UserFlags.MODERATOR), ("root", UserFlags.ADMIN)):
            self.account(name, flags=flags)
            client = self.log_in(name)
            if name == "root":
                client.send(Logout())
            expected = (ErrorCode.PERMISSION_DENIED, "Admin permission required for include_offline")
            self.assertEqual(client.refusal(ListUsers(limit=0, include_offline=True)), expected)

    def test_rosters(self) -> None:
        """Rosters say who is registered, and with which rights."""
        anna = self.account("anna", flags=UserFlags.MODERATOR)
        client = self.log_in("anna")
        client.send(JoinChannel(channel_id=GENERAL))
        (entry,) = client.one(ChannelUserList, ListChannelUsers(channel_id=GENERAL)).users
        shown = (entry.nickname, entry.is_registered, entry.user_id, entry.user_flags)
        self.assertEqual(shown, ("anna", True, anna.id, UserFlags.MODERATOR))

    def test_flags_change(self) -> None:
        """Sessions have an account's new rights at once, and everybody hears of it."""
        anna = self.account("anna")
        client, bob = self.log_in("anna"), self.connect("bob")
        self.chat.identity.changed(self.now(self.storage.set_flags(anna.id, UserFlags.ADMIN)))
        self.settle()
        self.assertTrue(session_of(client).is_admin)
        self.assertEqual([event.user_flags for event in bob.received() if isinstance(event, ServerPresence)], [1])


class ShortNamesTests(RegisteredTestCase):
    """A server that allows shorter nicknames than it did."""

    limits = Limits(max_connections_per_ip=0, max_nickname_length=5)

    def test_long_names_log_in(self) -> None:
        """An account with a longer nickname still logs in, and keeps it; nobody takes such a one."""
        self.account("annabella")
        client = self.connect()
        self.assertTrue(client.one(AuthResponse, auth("annabella")).success)
        answer = client.one(NicknameResponse, SetNickname(nickname="annabellas"))
        self.assertEqual(answer.message, "Invalid nickname. Must be 3-5 characters, alphanumeric plus - and _")
