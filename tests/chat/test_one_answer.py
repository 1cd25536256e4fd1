"""One request has one answer, and in its turn, also when the storage fails after the one or before the other."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail

from superchat.storage.errors import Unavailable
from superchat.storage.memory import MemoryStorage
from superchat.wire.messages import AuthResponse, DMPending, DMReady, Error, MessagePosted, PostMessage
from tests.chat.conversing import EPHEMERAL, GUESTS, ConversingTestCase, provide, to_session
from tests.chat.registered import RegisteredTestCase, auth
from tests.chat.talk import GENERAL, TalkTestCase


class TiredStorage(MemoryStorage):
    """Fails in the operation *fails*, once one that is named *after* has been done."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = ""
        self.after = ""
        self.is_tired = False
        self.opened: Deferred[None] | None = None

    def invites(self, *arguments: Any) -> Deferred[Any]:
        return self._done("invites", super().invites(*arguments))

    def account(self, *arguments: Any) -> Deferred[Any]:
        return self._done("account", super().account(*arguments))

    def create_invite(self, *arguments: Any, **more: Any) -> Deferred[Any]:
        return self._done("create_invite", super().create_invite(*arguments, **more))

    def open_direct(self, *arguments: Any) -> Deferred[Any]:
        opened = super().open_direct(*arguments)
        return opened if self.opened is None else self.opened.addCallback(lambda _: opened)

    def leave_direct(self, *arguments: Any) -> Deferred[Any]:
        return self._done("leave_direct", super().leave_direct(*arguments))

    def _done(self, name: str, result: Deferred[Any]) -> Deferred[Any]:
        if self.is_tired and name == self.fails:
            return fail(Unavailable("disk full"))
        self.is_tired = self.is_tired or name == self.after
        return result


class LoginTests(RegisteredTestCase):
    """AUTH_REQUEST."""

    def make_storage(self) -> MemoryStorage:
        return TiredStorage()

    def test_welcome(self) -> None:
        """Who has logged in is in, although nobody can tell who waits for a conversation (wire 0x01)."""
        self.account("anna")
        assert isinstance(self.storage, TiredStorage)
        self.storage.fails, self.storage.is_tired = "invites", True
        client = self.connect()
        client.send(auth("anna"))
        answers = [each for each in client.received() if isinstance(each, AuthResponse | Error)]
        self.assertEqual([each.success for each in answers if isinstance(each, AuthResponse)], [True])
        self.assertEqual(len(answers), 1)


class FullStorage(MemoryStorage):
    """Takes one message, says when the test says so that it is stored, and refuses all others at once."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: Deferred[Any] | None = None

    def append_message(self, *arguments: Any) -> Deferred[Any]:
        if self.taken is not None:
            return fail(Unavailable("too many wait"))
        self.taken = Deferred()
        append = super().append_message
        return self.taken.addCallback(lambda _: append(*arguments))


class PostingTests(TalkTestCase):
    """POST_MESSAGE."""

    storage: FullStorage

    def make_storage(self) -> FullStorage:
        return FullStorage()

    def test_refused_at_once(self) -> None:
        """A message that is refused at once is answered after those before it that are still on their way."""
        anna = self.connect("anna")
        for _ in range(3):
            anna.send(PostMessage(channel_id=GENERAL, content=b"hello"))
        self.assertEqual(anna.received(), [])
        assert self.storage.taken is not None
        self.storage.taken.callback(None)
        self.assertEqual([type(each) for each in anna.received()], [MessagePosted, Error, Error])
        self.assertEqual(self.chat.counters.under_way, 0)


class DirectTests(ConversingTestCase):
    """START_DM."""

    storage: TiredStorage

    def make_storage(self) -> TiredStorage:
        return TiredStorage()

    def test_invite(self) -> None:
        """Who was told to wait is told nothing else when it cannot be found out whether that is so (wire 0x19)."""
        self.storage.after, self.storage.fails = "create_invite", "account"
        heard = self.anna.ask(to_session(self.bob.id))
        self.assertEqual([type(each) for each in heard], [DMPending])

    def test_beginning(self) -> None:
        """Who was told that a conversation begins is told nothing else when it has ended meanwhile (decisions 6.4)."""
        self.give_key(self.anna, GUESTS)
        self.guest.send(provide(GUESTS, EPHEMERAL))
        self.storage.fails, self.storage.is_tired = "leave_direct", True
        self.storage.opened = Deferred()
        self.anna.received()
        self.anna.send(to_session(self.guest.id))
        self.guest.leave()
        self.storage.opened.callback(None)
        self.assertEqual([type(each) for each in only_direct(self.anna.received())], [DMReady])


def only_direct(heard: list[Any]) -> list[Any]:
    """Without presence."""
    return [each for each in heard if isinstance(each, DMReady | DMPending | Error)]
