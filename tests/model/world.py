"""The real chat beside its model: each act is done to both, and what every client is sent is compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred

from superchat.config import Limits, Server
from superchat.model import NewAccount, UserFlags
from superchat.storage.sqlite import SQLiteStorage
from superchat.wire import messages as wire
from superchat.wire.records import Message as WireMessage
from tests.chat.talk import Client, TalkTestCase
from tests.model.model import CHAT_TYPE, Model, Note, Person, Place, Sentence, Visitor
from tests.rights.stage import HASH, SECRET
from tests.storage.reactor import SteppedReactor

T = TypeVar("T")

NAMES: Final = ("alice", "bob", "carol", "dave")
ADMIN: Final = "root"
PAGE: Final = 200


class World(TalkTestCase):
    """What a machine, or a simulation with a seed, plays with."""

    limits = Limits(
        max_connections_per_ip=0,
        message_rate_limit=0,
        max_channel_creates=0,
        max_channel_subscriptions=0,
        max_thread_subscriptions=0,
    )
    server = Server(admin_users=(ADMIN,))
    on_disk = False

    def runTest(self) -> None:
        """Nothing by itself."""

    def setUp(self) -> None:
        self.reactor = SteppedReactor()
        super().setUp()
        self.model = Model()
        self.clients: dict[Visitor, Client] = {}
        for channel in self.now(self.storage.channels()):
            place = Place(channel.id, channel.name, channel.channel_type)
            self.model.places[channel.id] = place
        self._add_person(ADMIN, UserFlags.ADMIN)
        self._add_person("mod", UserFlags.MODERATOR)
        for name in NAMES[:2]:
            self._add_person(name, UserFlags.NONE)
        self.return_all()

    def tearDown(self) -> None:
        self.chat.stop()
        self.now(self.storage.close())

    def make_storage(self) -> Any:
        if self.on_disk:
            return SQLiteStorage(Path(self.mktemp()), self.reactor, 1)
        return super().make_storage()

    def now(self, deferred: Deferred[T]) -> T:
        if self.on_disk:
            self.reactor.run_until_fired(deferred)
        return super().now(deferred)

    # Sessions

    def enter(self) -> Visitor:
        """A client connects."""
        self.tick()
        client = Client(self.chat).connect()
        assert client.session is not None
        visitor = Visitor(client.session.key)
        self.model.visitors.append(visitor)
        self.clients[visitor] = client
        self.hear()
        return visitor

    def return_all(self) -> None:
        """Everybody with an account is back, and listens to the first places."""
        for person in self.model.people:
            if not person.deleted and not self.model.is_banned(person):
                visitor = self.enter()
                self.log_in(visitor, person.login_name)
                for place in list(self.model.places.values())[:2]:
                    self.subscribe(visitor, place)

    def go(self, visitor: Visitor) -> None:
        """A client loses its connection."""
        self.clients[visitor].leave()
        self._gone(visitor)
        self.hear()

    def name(self, visitor: Visitor, nickname: str) -> None:
        """SET_NICKNAME: by somebody with an account, who renames it."""
        answer = self.ask(visitor, wire.SetNickname(nickname=nickname), wire.NicknameResponse)
        self.assertEqual(answer.success, self._may_be_called(visitor, nickname))
        if not answer.success:
            return
        visitor.nickname = nickname
        if visitor.person is not None:
            self.model.takes(visitor.person, nickname)
            for other in self.model.visitors:
                if other.person is visitor.person:
                    other.nickname = nickname

    def register(self, visitor: Visitor) -> None:
        """REGISTER_USER."""
        answer = self.ask(visitor, wire.RegisterUser(password_hash=SECRET), wire.RegisterResponse)
        name = visitor.nickname
        free = name is not None and self.model.named(name) is None and not self.model.is_name_banned(name)
        self.assertEqual(answer.success, free and visitor.person is None)
        if answer.success and name is not None:
            visitor.person = Person(answer.user_id, name, login_name=name)
            self.model.people.append(visitor.person)
            self.model.takes(visitor.person, name)

    def log_in(self, visitor: Visitor, name: str) -> None:
        """AUTH_REQUEST with the right password."""
        self.clock.advance(60)
        person = self.model.named(name)
        answer = self.ask(visitor, wire.AuthRequest(nickname=name, password_hash=SECRET), wire.AuthResponse)
        self.assertEqual(answer.success, person is not None and not self.model.is_banned(person))
        if person is not None and answer.success:
            visitor.person, visitor.nickname = person, person.nickname
            self.model.withdraw(visitor)

    def log_out(self, visitor: Visitor) -> None:
        """LOGOUT: the rights are gone, the nickname stays."""
        self.say(visitor, wire.Logout())
        self.hear()
        visitor.person = None
        self.model.withdraw(visitor)

    # Places

    def join(self, visitor: Visitor, place: Place) -> None:
        """JOIN_CHANNEL."""
        answer = self.ask(visitor, wire.JoinChannel(channel_id=place.id), wire.JoinResponse)
        self.assertEqual(answer.success, self.model.enters(visitor, place))
        if answer.success:
            visitor.joined = place.id

    def subscribe(self, visitor: Visitor, place: Place) -> None:
        """SUBSCRIBE_CHANNEL."""
        message = wire.SubscribeChannel(channel_id=place.id)
        if self.expect(visitor, message, wire.SubscribeOk, 0 if self.model.enters(visitor, place) else 4001):
            visitor.channels.add(place.id)

    def follow(self, visitor: Visitor, note: Note) -> None:
        """SUBSCRIBE_THREAD, to whichever message of the thread."""
        known = self.model.sees(visitor, note) and (not note.deleted or self.model.replies(visitor, note) > 0)
        if self.expect(visitor, wire.SubscribeThread(thread_id=note.id), wire.SubscribeOk, 0 if known else 4003):
            visitor.threads.add(note.root.id)

    def create(self, visitor: Visitor, name: str) -> None:
        """CREATE_CHANNEL."""
        message = wire.CreateChannel(name=name, display_name=name, channel_type=1, retention_hours=24)
        answer = self.ask(visitor, message, wire.ChannelCreated)
        free = all(place.name != name or place.members for place in self.model.places.values())
        self.assertEqual(answer.success, visitor.person is not None and free)
        if answer.success:
            self.model.places[answer.channel_id] = Place(answer.channel_id, name, 1, owner=visitor.person)

    def demolish(self, visitor: Visitor, place: Place) -> None:
        """DELETE_CHANNEL."""
        answer = self.ask(visitor, wire.DeleteChannel(channel_id=place.id, reason=""), wire.ChannelDeleted)
        is_admin = visitor.person is not None and visitor.person.is_admin
        self.assertEqual(answer.success, is_admin and not place.members)
        if not answer.success:
            return
        del self.model.places[place.id]
        self._forget(place)
        for other in self.model.visitors:
            other.channels.discard(place.id)
            other.joined = None if other.joined == place.id else other.joined

    # Messages

    def say_in(self, visitor: Visitor, place: Place, parent: Note | None, text: bytes) -> None:
        """POST_MESSAGE, and who hears of it."""
        message = wire.PostMessage(channel_id=place.id, parent_id=parent.id if parent else None, content=text)
        self.tick()
        posted = self.expect(visitor, message, wire.MessagePosted, self._may_post(visitor, place, parent))
        if not posted:
            return
        note = Note(
            posted.message_id, place, parent, visitor.person, visitor.nickname or "", visitor.key, text, self.now_ms()
        )
        self.model.notes[note.id] = note
        self.told(wire.NewMessage, note.id, self.model.listeners(note))

    def edit(self, visitor: Visitor, note: Note, text: bytes) -> None:
        """EDIT_MESSAGE, and who hears of it."""
        code = 0
        if visitor.person is None:
            code = 2000
        elif not self.model.sees(visitor, note):
            code = 4002
        elif note.person is not visitor.person and not visitor.moderates:
            code = 3000
        elif note.deleted:
            code = 6000
        if self.expect(visitor, wire.EditMessage(message_id=note.id, new_content=text), wire.MessageEdited, code):
            note.text = text
            self.told(wire.MessageEdited, note.id, {visitor, *self.model.onlookers(note, visitor)})

    def delete(self, visitor: Visitor, note: Note) -> None:
        """DELETE_MESSAGE, and who hears of it."""
        code = 0
        if visitor.nickname is None:
            code = 6004
        elif not self.model.sees(visitor, note):
            code = 4002
        elif not self.model.wrote(visitor, note) and not visitor.moderates:
            code = 3000
        elif note.deleted:
            code = 6000
        answer = self.expect(visitor, wire.DeleteMessage(message_id=note.id), wire.MessageDeleted, code)
        if answer:
            note.deleted, note.text = True, answer.message
            self.assertTrue(answer.message.startswith(b"[deleted by "))
            self.told(wire.MessageDeleted, note.id, {visitor, *self.model.onlookers(note, visitor)})

    def read(self, visitor: Visitor, place: Place) -> None:
        """LIST_MESSAGES of a place: exactly the model's page."""
        code = 0 if self.model.enters(visitor, place) else 4001
        page = self.expect(visitor, wire.ListMessages(channel_id=place.id, limit=PAGE), wire.MessageList, code)
        if page:
            expected = [self._entry(visitor, note) for note in self.model.roots(visitor, place)]
            self.assertEqual([_seen(entry) for entry in page.messages], expected)

    def read_thread(self, visitor: Visitor, note: Note) -> None:
        """LIST_MESSAGES below a message: exactly what the model has there."""
        code = 0
        if not self.model.enters(visitor, note.place):
            code = 4001
        elif not self.model.sees(visitor, note):
            code = 4002
        message = wire.ListMessages(channel_id=note.place.id, limit=PAGE, parent_id=note.id)
        page = self.expect(visitor, message, wire.MessageList, code)
        if page:
            expected = {self._entry(visitor, other) for other in self.model.thread(visitor, note)}
            self.assertEqual(len(page.messages), len(expected))
            self.assertEqual({_seen(entry) for entry in page.messages}, expected)

    def count(self, visitor: Visitor, place: Place) -> None:
        """GET_UNREAD_COUNTS since the beginning."""
        message = wire.GetUnreadCounts(since_timestamp=0, targets=(wire.UnreadTarget(channel_id=place.id),))
        answer = self.ask(visitor, message, wire.UnreadCounts)
        expected = self.model.unread(visitor, place, 0) if self.model.enters(visitor, place) else 0
        self.assertEqual([one.unread_count for one in answer.counts], [expected])

    # Power

    def ban(self, visitor: Visitor, name: str, *, shadow: bool) -> None:
        """BAN_USER by nickname."""
        answer = self.ask(visitor, wire.BanUser(nickname=name, reason="x", shadowban=shadow), wire.UserBanned)
        person = self.model.named(name)
        spared = name in (ADMIN, visitor.nickname)
        if person is not None:
            spared = spared or person.is_admin or person is visitor.person
        self.assertEqual(answer.success, visitor.moderates and not spared)
        if answer.success:
            ban = Sentence(name, person, shadow)
            self.model.bans.append(ban)
            if not shadow:
                self._expel(lambda other: _is_meant(ban, other))

    def unban(self, visitor: Visitor, name: str) -> None:
        """UNBAN_USER by nickname."""
        answer = self.ask(visitor, wire.UnbanUser(nickname=name), wire.UserUnbanned)
        person = self.model.named(name)
        lifted = [ban for ban in self.model.bans if ban.name == name or (person and ban.person is person)]
        self.assertEqual(answer.success, visitor.moderates and bool(lifted))
        if answer.success:
            self.model.bans = [ban for ban in self.model.bans if ban not in lifted]

    def erase(self, visitor: Visitor, name: str) -> None:
        """DELETE_USER: the messages stay, as somebody anonymous's."""
        person = self.model.named(name)
        message = wire.DeleteUser(user_id=person.id if person is not None else 999_999)
        answer = self.ask(visitor, message, wire.UserDeleted)
        is_admin = visitor.person is not None and visitor.person.is_admin
        self.assertEqual(answer.success, is_admin and person is not None and person is not visitor.person)
        if not answer.success or person is None:
            return
        person.deleted = True
        self._expel(lambda other: other.person is person)
        for place in list(self.model.places.values()):
            self._take_out(person, place)

    # Conversations

    def converse(self, visitor: Visitor, other: Visitor) -> None:
        """START_DM without encryption, accepted at once by the other side."""
        mine, theirs = visitor.person, other.person
        if mine is None or theirs is None or mine is theirs:
            return
        message = wire.StartDM(target_type=0, target_id=theirs.id, allow_unencrypted=True)
        (answer,) = [one for one in self.say(visitor, message) if isinstance(one, wire.DMPending | wire.DMReady)]
        self.hear()
        if isinstance(answer, wire.DMPending):
            accept = wire.AllowUnencrypted(dm_channel_id=answer.dm_channel_id, permanent=False)
            ready = self.ask(other, accept, wire.DMReady)
            channel_id = ready.channel_id
            self.assertNotIn(channel_id, self.model.places)
            self.model.places[channel_id] = Place(channel_id, "", CHAT_TYPE, members=(mine, theirs))
        else:
            self.assertEqual(set(self.model.places[answer.channel_id].members), {mine, theirs})

    def part(self, visitor: Visitor, place: Place) -> None:
        """LEAVE_CHANNEL for good, of a conversation: who leaves is a stranger from then on."""
        if visitor.person is None or visitor.person not in place.members:
            return
        message = wire.LeaveChannel(channel_id=place.id, permanent=True)
        self.assertTrue(self.ask(visitor, message, wire.LeaveResponse).success)
        self._take_out(visitor.person, place)

    # The passing of time

    def restart(self) -> None:
        """The server stops and starts on what was stored; everybody is gone."""
        for visitor in list(self.model.visitors):
            self.clients[visitor].leave()
            self._gone(visitor)
        self.chat.stop()
        self.now(self.storage.close())
        self.now(self.storage.open())
        self.run_now(self.start_chat())
        self.return_all()

    def check(self) -> None:
        """Everything that anybody may read is what the model says."""
        for visitor in self.model.visitors:
            for place in list(self.model.places.values()):
                self.read(visitor, place)

    # How it is done

    def tick(self) -> None:
        """A millisecond passes."""
        self.clock.advance(0.001)

    def say(self, visitor: Visitor, message: WireMessage) -> list[Any]:
        """Send, and return what comes back at once; everybody else's news stay where they are."""
        client = self.clients[visitor]
        deferred = client.complete(message)
        if deferred is not None:
            self.now(deferred)
        return client.received()

    def ask(self, visitor: Visitor, message: WireMessage, kind: type[Any]) -> Any:
        """The one answer of a kind; what others were told is forgotten."""
        (answer,) = [one for one in self.say(visitor, message) if isinstance(one, kind)]
        self.hear()
        return answer

    def expect(self, visitor: Visitor, message: WireMessage, kind: type[Any], code: int) -> Any:
        """The one answer of a kind, or None after the ERROR *code* that must come instead."""
        self._last = visitor, self.say(visitor, message)
        heard = self._last[1]
        errors = [one.error_code for one in heard if isinstance(one, wire.Error)]
        self.assertEqual(errors, [code] if code else [], message)
        if code:
            return None
        return next(one for one in heard if isinstance(one, kind))

    def told(self, kind: type[Any], message_id: int, expected: set[Visitor]) -> None:
        """Exactly these visitors were told of a message, each once (decisions 4.8)."""
        actor, heard = self._last
        actual: dict[Visitor, int] = {}
        for visitor in self.model.visitors:
            news = [*self.clients[visitor].received(), *(heard if visitor is actor else ())]
            number = sum(isinstance(one, kind) and one.message_id == message_id for one in news)
            if number:
                actual[visitor] = number
        self.assertEqual(actual, dict.fromkeys(expected, 1))

    def hear(self) -> None:
        """Let collected events go out, and forget what everybody was sent."""
        self.settle()
        for client in self.clients.values():
            client.received()

    def _may_post(self, visitor: Visitor, place: Place, parent: Note | None) -> int:
        if visitor.nickname is None:
            return 2000
        if not self.model.enters(visitor, place):
            return 4001
        if parent is None:
            return 0
        if place.type == CHAT_TYPE:
            return 6000
        if not self.model.sees(visitor, parent):
            return 4002
        return 0 if parent.place is place else 6000

    def _may_be_called(self, visitor: Visitor, nickname: str) -> bool:
        owner = self.model.named(nickname)
        if owner is not None and owner is visitor.person:
            return True
        if nickname == ADMIN or self.model.is_name_banned(nickname):
            return False
        return visitor.person is None or owner is None

    def _take_out(self, person: Person, place: Place) -> None:
        """Nobody is in a conversation for *person* any more; without anybody it is gone."""
        if person not in place.members:
            return
        place.members = tuple(member for member in place.members if member is not person)
        farewell = self.now(self.storage.root_page(place.id, 1, None, None)) if place.members else []
        for other in self.model.visitors:
            if other.person is person or not place.members:
                other.channels.discard(place.id)
                other.joined = None if other.joined == place.id else other.joined
        if not place.members:
            del self.model.places[place.id]
            self._forget(place)
        for message in farewell:
            note = Note(message.id, place, None, None, "", 0, message.content, message.created_at)
            self.model.notes[note.id] = note

    def _forget(self, place: Place) -> None:
        for note in [note for note in self.model.notes.values() if note.place is place]:
            del self.model.notes[note.id]
            for other in self.model.visitors:
                other.threads.discard(note.id)

    def _entry(self, visitor: Visitor, note: Note) -> tuple[int, str, bytes, int]:
        return note.id, note.shown, note.text, self.model.replies(visitor, note)

    def _expel(self, whom: Callable[[Visitor], bool]) -> None:
        for visitor in [other for other in self.model.visitors if whom(other)]:
            self.assertIsNotNone(self.clients[visitor].ended)
            self._gone(visitor)

    def _gone(self, visitor: Visitor) -> None:
        self.model.visitors.remove(visitor)
        del self.clients[visitor]

    def _add_person(self, name: str, flags: UserFlags) -> None:
        account = self.now(self.storage.create_account(NewAccount(name, HASH, flags, self.now_ms())))
        is_admin = flags == UserFlags.ADMIN
        is_moderator = flags == UserFlags.MODERATOR
        self.model.people.append(Person(account.id, name, is_moderator, is_admin, login_name=name))


def _is_meant(ban: Sentence, visitor: Visitor) -> bool:
    if ban.person is not None and visitor.person is ban.person:
        return True
    return visitor.nickname == ban.name and (visitor.person is None or ban.person is None)


def _seen(entry: wire.MessageEntry) -> tuple[int, str, bytes, int]:
    return entry.message_id, entry.author_nickname, entry.content, entry.reply_count
