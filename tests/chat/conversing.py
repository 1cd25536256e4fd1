"""People who talk with each other directly, and what they ask."""

from __future__ import annotations

from typing import Any, Final

from superchat.chat.dispatch import Event
from superchat.model import Account, Invite, Participant
from superchat.wire.messages import (
    AllowUnencrypted,
    DeclineDM,
    DMPending,
    DMReady,
    DMRequest,
    LeaveChannel,
    ProvidePublicKey,
    StartDM,
)
from superchat.wire.records import Message
from tests.chat.people import PeopleTestCase, account_of, session_of
from tests.chat.talk import Client

GENERATED, EPHEMERAL = 1, 2
IMPOSSIBLE, REQUIRED, OPTIONAL = 0, 1, 2
WEEK_SECONDS: Final = 7 * 24 * 3600
ANNAS, BOBS, GUESTS = b"a" * 32, b"b" * 32, b"g" * 32


def to_account(account_id: int, *, unencrypted: bool = True) -> StartDM:
    """Ask an account for a conversation."""
    return StartDM(target_type=0, target_id=account_id, allow_unencrypted=unencrypted)


def to_name(nickname: str, *, unencrypted: bool = True) -> StartDM:
    """Ask whoever has this name for a conversation."""
    return StartDM(target_type=1, target_nickname=nickname, allow_unencrypted=unencrypted)


def to_session(session_id: int, *, unencrypted: bool = True) -> StartDM:
    """Ask a session for a conversation."""
    return StartDM(target_type=2, target_id=session_id, allow_unencrypted=unencrypted)


def provide(key: bytes, key_type: int = GENERATED) -> ProvidePublicKey:
    """Give the server a key."""
    return ProvidePublicKey(key_type=key_type, public_key=key, label="")


def allow(invite_id: int, *, permanent: bool = False) -> AllowUnencrypted:
    """Accept an invite."""
    return AllowUnencrypted(dm_channel_id=invite_id, permanent=permanent)


def decline(invite_id: int) -> DeclineDM:
    """Refuse an invite."""
    return DeclineDM(dm_channel_id=invite_id)


def leave_for_good(channel_id: int) -> LeaveChannel:
    """End one's part in a conversation."""
    return LeaveChannel(channel_id=channel_id, permanent=True)


def heard(client: Client) -> list[Any]:
    """Everything a client was sent since it last looked."""
    return client.received()


def answers(client: Client, event: Event) -> list[Any]:
    """What comes at once for one event."""
    return client.ask(event)


def only(kind: type[Message], client: Client) -> list[Any]:
    """What a client was sent of one kind since it last looked."""
    return [message for message in client.received() if isinstance(message, kind)]


class ConversingTestCase(PeopleTestCase):
    """Anna and Bob have accounts, a guest has none."""

    def setUp(self) -> None:
        super().setUp()
        self.anna, self.bob = self.person("anna"), self.person("bob")
        self.anna_id, self.bob_id = account_of(self.anna).id, account_of(self.bob).id
        self.guest = self.connect("guest")
        self.forget_all()

    def forget_all(self) -> None:
        """Let everybody have seen everything so far."""
        self.settle()
        for client in (self.anna, self.bob, self.guest):
            client.received()

    def give_key(self, client: Client, key: bytes) -> None:
        """Give somebody a key; nothing comes of it."""
        key_type = EPHEMERAL if session_of(client).account is None else GENERATED
        self.assertEqual(client.ask(provide(key, key_type)), [])

    def invite(self, client: Client, asked: StartDM) -> int:
        """Ask for a conversation; the id of the invite."""
        pending = client.one(DMPending, asked)
        return pending.dm_channel_id

    def opened(self, client: Client, asked: StartDM) -> int:
        """Ask for a conversation that opens at once; its channel."""
        ready = client.one(DMReady, asked)
        return ready.channel_id

    def talk(self, one: Client, other: Client) -> int:
        """A conversation without encryption; its channel."""
        invite_id = self.invite(one, to_session(other.id))
        channel_id = other.one(DMReady, allow(invite_id)).channel_id
        self.forget_all()
        return channel_id

    def watch(self) -> list[Client]:
        """Who is written to from now on, in order."""
        order: list[Client] = []
        write = Client.write

        def note(client: Client, frames: bytes) -> None:
            order.append(client)
            write(client, frames)

        self.patch(Client, "write", note)
        return order

    def account(self, account_id: int) -> Account:
        """An account as it is stored."""
        account = self.now(self.storage.account(account_id))
        assert account is not None
        return account

    def log_in(self, account_id: int) -> list[Any]:
        """What a new session of an account is told by the direct messages."""
        client = self.session(self.account(account_id))
        self.run_now(self.chat.direct.logged_in(session_of(client)))
        return only(DMRequest, client)

    def side(self, client: Client) -> Participant:
        """Somebody as a participant."""
        session = session_of(client)
        if session.account is not None:
            return Participant(session.account.id, None, session.account.nickname)
        return Participant(None, session.key, session.nickname or "")

    def invites(self, client: Client) -> list[Invite]:
        """The invites that somebody has made and got, as they are stored."""
        return self.now(self.storage.invites(self.side(client)))

    def conversations(self, client: Client) -> list[int]:
        """The conversations that somebody takes part in: the same in memory as stored."""
        side = self.side(client)
        known = sorted(self.chat.directory.membership.channels(side))
        whose = (side.account_id, side.session_key)
        stored = [
            channel_id
            for channel_id, each in self.now(self.storage.participants())
            if (each.account_id, each.session_key) == whose
        ]
        self.assertEqual(known, stored)
        channels = {channel.id for channel in self.now(self.storage.channels()) if channel.is_direct}
        self.assertLessEqual(set(known), channels)
        self.assertTrue(all(channel_id in self.chat.directory for channel_id in known))
        return known
