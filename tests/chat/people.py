"""A chat with people in it: accounts, those with rights, the shadowbanned, and direct conversations."""

from __future__ import annotations

from superchat.chat.session import Session
from superchat.config import Limits
from superchat.model import Account, Act, Ban, NewAccount, Participant, UserFlags
from superchat.storage.memory import MemoryStorage
from tests.chat.talk import Client, TalkTestCase


def session_of(client: Client) -> Session:
    """The session, which is there."""
    assert client.session is not None
    return client.session


def account_of(client: Client) -> Account:
    """The account, which is logged in to."""
    account = session_of(client).account
    assert account is not None
    return account


class PeopleTestCase(TalkTestCase):
    """Brings people in; how they log in and are banned is tested elsewhere."""

    limits = Limits(max_connections_per_ip=0, message_rate_limit=0)
    storage: MemoryStorage

    def person(self, nickname: str, user_flags: int = 0) -> Client:
        """Somebody who has just registered and logged in."""
        new = NewAccount(nickname, "hash", user_flags, self.now_ms())
        return self.session(self.now(self.storage.create_account(new)))

    def session(self, account: Account) -> Client:
        """A new session of an account."""
        client = self.connect()
        self.chat.sessions.log_in(session_of(client), account)
        self.settle()
        client.received()
        return client

    def moderator(self, nickname: str = "mod") -> Client:
        """Somebody with a moderator's rights."""
        return self.person(nickname, UserFlags.MODERATOR)

    def shadowban(self, *, account_id: int | None = None, nickname: str | None = None) -> Ban:
        """Let a shadowban take effect."""
        self.bans_made = getattr(self, "bans_made", 0) + 1
        ban = Ban("user", account_id, nickname, None, "spam", True, self.now_ms(), None, "mod", id=self.bans_made)
        self.chat.bans.add(ban)
        return ban

    def conversation(self, *sides: Client) -> int:
        """A direct conversation of accounts; its channel's id."""
        participants = []
        for side in sides:
            account = account_of(side)
            participants.append(Participant(account.id, None, account.nickname))
        channel = self.now(self.storage.open_direct(participants, self.now_ms()))
        self.chat.directory.add([channel])
        self.chat.directory.membership.add([(channel.id, each) for each in participants])
        return channel.id

    def acts(self) -> list[Act]:
        """The audit log, newest first."""
        return self.now(self.storage.acts(100))
