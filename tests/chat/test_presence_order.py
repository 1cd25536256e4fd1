"""What every client is told of the others, event by event, against a server that tells everything at once.

The model below is the reference as decisions 5.1 amends it. Of the batches it knows only that they may be late by
100 ms, and that who came and went in that time may go unmentioned.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable
from typing import Any, TypeAlias

import attrs
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.service import Chat
from superchat.config import Config, Limits, SeedChannel
from superchat.storage.memory import MemoryStorage
from superchat.wire.messages import (
    ChannelPresence,
    JoinChannel,
    LeaveChannel,
    ServerPresence,
    SetNickname,
    SubscribeChannel,
    UnsubscribeChannel,
)
from superchat.wire.records import Message
from tests.chat.talk import Client
from tests.clocks import now_ms_of

CHANNELS = (1, 2, 3)
NICKNAMES = ("ann", "bea", "cid")

Told: TypeAlias = tuple[int | None, str, bool]
"""A channel, or None for the server, a nickname, and whether its bearer is there."""

# The first of them does nothing: a failing example shrinks to that.
OPERATIONS = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([0, 30, 60, 100])),
    st.tuples(st.just("connect")),
    st.tuples(st.just("name"), st.integers(0, 5), st.sampled_from(NICKNAMES)),
    st.tuples(st.just("join"), st.integers(0, 5), st.sampled_from(CHANNELS)),
    st.tuples(st.just("leave"), st.integers(0, 5)),
    st.tuples(st.just("subscribe"), st.integers(0, 5), st.sampled_from(CHANNELS)),
    st.tuples(st.just("unsubscribe"), st.integers(0, 5), st.sampled_from(CHANNELS)),
    st.tuples(st.just("go"), st.integers(0, 5)),
)


@attrs.define(eq=False)
class Person:
    """One session: what it should be told of each session, and what it is told."""

    client: Client
    nickname: str | None = None
    joined: int | None = None
    subscribed: set[int] = attrs.field(factory=set)
    due: dict[int, list[Told]] = attrs.field(factory=dict)
    told: dict[int, list[Told]] = attrs.field(factory=dict)

    def sees(self, channel_id: int) -> bool:
        return channel_id == self.joined or channel_id in self.subscribed

    def owe(self, other: Person, channel_id: int | None, there: bool) -> None:
        assert other.nickname is not None
        self.due.setdefault(other.client.id, []).append((channel_id, other.nickname, there))


class World:
    """The chat and the model, doing the same."""

    def __init__(self) -> None:
        self.clock = Clock()
        storage = MemoryStorage()
        storage.open()
        config = Config(
            limits=Limits(max_connections_per_ip=0),
            channels=tuple(SeedChannel(f"channel{number}") for number in CHANNELS),
        )
        self.chat = Chat(config, storage, self.clock, now_ms_of(self.clock))
        Deferred.fromCoroutine(self.chat.start())
        self.here: list[Person] = []
        self.brief: set[int] = set()
        self.arrived: dict[int, float] = {}

    def do(self, name: str, *arguments: Any) -> None:
        """One step, if there is anybody to take it."""
        if name in ("connect", "wait"):
            getattr(self, name)(*arguments)
        elif self.here:
            index, *rest = arguments
            getattr(self, name)(self.here[index % len(self.here)], *rest)
        for person in self.here:
            self.listen(person)

    def connect(self) -> None:
        self.here.append(Person(Client(self.chat).connect()))

    def wait(self, milliseconds: int) -> None:
        self.clock.advance(milliseconds / 1000)

    def name(self, person: Person, nickname: str) -> None:
        person.client.send(SetNickname(nickname=nickname))
        if person.nickname is None:
            self.arrived[person.client.id] = self.clock.seconds()
            for other in self.here:
                if other.nickname is not None and not self.knows(person, other):
                    person.owe(other, None, True)
        person.nickname = nickname
        self.tell(self.here, person, None, True)
        if person.joined is not None:
            self.tell_channel(person, person.joined, True)

    def join(self, person: Person, channel_id: int) -> None:
        person.client.send(JoinChannel(channel_id=channel_id))
        if person.joined not in (None, channel_id):
            self.tell_channel(person, person.joined, False)
        person.joined = channel_id
        self.tell_channel(person, channel_id, True)

    def leave(self, person: Person) -> None:
        person.client.send(LeaveChannel(channel_id=0))
        if person.joined is not None:
            self.tell_channel(person, person.joined, False)
            person.joined = None

    def subscribe(self, person: Person, channel_id: int) -> None:
        person.client.send(SubscribeChannel(channel_id=channel_id))
        person.subscribed.add(channel_id)

    def unsubscribe(self, person: Person, channel_id: int) -> None:
        person.client.send(UnsubscribeChannel(channel_id=channel_id))
        person.subscribed.discard(channel_id)

    def go(self, person: Person) -> None:
        person.client.leave()
        person.client.received()
        self.here.remove(person)
        if person.joined is not None:
            self.tell_channel(person, person.joined, False)
        if person.nickname is not None:
            self.tell(self.here, person, None, False)
            if self.clock.seconds() - self.arrived[person.client.id] < 0.1:
                self.brief.add(person.client.id)

    def knows(self, person: Person, other: Person) -> bool:
        """Whether a person should have heard that the other is online."""
        return any(channel_id is None for channel_id, _, _ in person.due.get(other.client.id, ()))

    def tell(self, audience: Iterable[Person], about: Person, channel_id: int | None, there: bool) -> None:
        if about.nickname is not None:
            for person in audience:
                person.owe(about, channel_id, there)

    def tell_channel(self, about: Person, channel_id: int | None, there: bool) -> None:
        assert channel_id is not None
        self.tell([person for person in self.here if person.sees(channel_id)], about, channel_id, there)

    def listen(self, person: Person) -> None:
        """Take in what a client was sent."""
        for event in person.client.received():
            if isinstance(event, ServerPresence):
                told: Told = (None, event.nickname, event.online)
            elif isinstance(event, ChannelPresence):
                told = (event.channel_id, event.nickname, event.joined)
            else:
                assert isinstance(event, Message), event
                continue
            person.told.setdefault(event.session_id, []).append(told)

    def check(self) -> None:
        """Everything due has been told: once, and in order; and the registry agrees with the sessions."""
        for channel_id in CHANNELS:
            self.check_registry(channel_id)
        for person in self.here:
            assert not person.client.late_writes
            for number in {*person.due, *person.told}:
                due, told = person.due.get(number, []), person.told.get(number, [])
                context = f"to {person.client.id} of {number}: due {due}, told {told}"
                for place in (None, *CHANNELS):
                    self.check_stream(number, at(place, due), at(place, told), context)
                self.check_frame(due, told, context)

    def check_registry(self, channel_id: int) -> None:
        """What the registry has of a channel is what the sessions have, each of them once."""
        registry = self.chat.registry
        joined = [one.client.session for one in self.here if one.joined == channel_id]
        subscribed = [one.client.session for one in self.here if channel_id in one.subscribed]
        audience = [one.client.session for one in self.here if one.sees(channel_id)]
        assert sorted(map(id, registry.joined(channel_id))) == sorted(map(id, joined))
        assert sorted(map(id, registry.subscribers(channel_id))) == sorted(map(id, subscribed))
        assert sorted(map(id, registry.audience(channel_id))) == sorted(map(id, audience))
        for session in filter(None, audience):
            assert session.sees(channel_id)

    def check_nothing_kept(self) -> None:
        """Nothing keeps a session that has left, once the others have been told."""
        kept = [weakref.ref(person.client.session) for person in self.here if person.client.session is not None]
        while self.here:
            self.do("go", 0)
        self.do("wait", 100)
        gc.collect()
        assert [reference() for reference in kept if reference() is not None] == []
        assert len(self.chat.sessions) == 0

    def check_stream(self, number: int, due: list[Told], told: list[Told], context: str) -> None:
        """One session at one place: exactly what was due, or nothing of somebody who was here for a moment."""
        unmentioned = number in self.brief and not told and (None, False) in [(c, t) for c, _, t in due]
        assert due == told or unmentioned, context

    def check_frame(self, due: list[Told], told: list[Told], context: str) -> None:
        """One hears first that somebody is online, if one was there to hear it, and last that he is not."""
        online = [there for channel_id, _, there in told if channel_id is None]
        if due and due[0][0] is None and due[0][2] and online:
            assert told[0][0] is None, context
        if False in online:
            assert told[-1][0] is None, context
            assert not told[-1][2], context


def at(place: int | None, events: list[Told]) -> list[Told]:
    """The events at one place."""
    return [event for event in events if event[0] == place]


class PresenceOrderTests(SynchronousTestCase):
    """Presence in any mixture of acts (decisions 5.1)."""

    @settings(max_examples=150, derandomize=True, database=None)
    @given(steps=st.lists(OPERATIONS, min_size=40, max_size=60))
    @example(
        # Connected after the departure.
        steps=[("connect",), ("connect",), ("name", 0, "ann"), ("wait", 100), ("go", 0), ("connect",)],
    )
    @example(
        # Told of a departure before the channel's news, by acting in between.
        steps=[
            *[("connect",), ("connect",), ("name", 0, "ann"), ("name", 1, "bea"), ("join", 0, 1), ("join", 1, 1)],
            *[("wait", 100), ("go", 1), ("name", 0, "cid")],
        ]
    )
    @example(
        # Told of a join before the arrival, by leaving in between.
        steps=[
            *[("connect",), ("connect",), ("subscribe", 0, 1), ("name", 1, "bea"), ("join", 1, 1)],
            ("unsubscribe", 0, 1),
        ]
    )
    @example(
        # Told of an arrival by the snapshot.
        steps=[("connect",), ("name", 0, "ann"), ("connect",), ("name", 1, "bea"), ("go", 0)],
    )
    @example(
        # Renamed before anybody was told, and gone.
        steps=[*[("connect",), ("connect",), ("name", 1, "bea"), ("name", 1, "cid"), ("go", 1)]]
    )
    def test_everything_once_and_in_order(self, steps: list[tuple[Any, ...]]) -> None:
        """Everybody is told of each event once, in order, within 100 ms; nothing is told of the nameless."""
        world = World()
        for step in steps:
            world.do(*step)
            if step == ("wait", 100):
                world.check()
        world.do("wait", 100)
        world.check()

    def test_nothing_kept(self) -> None:
        """Whatever somebody did, nothing of it is left when he has gone (decisions 5.1, W1)."""
        world = World()
        steps: list[tuple[Any, ...]] = [
            *[("connect",), ("connect",), ("connect",), ("name", 0, "ann"), ("name", 1, "bea"), ("join", 0, 1)],
            *[("join", 1, 1), ("join", 2, 1), ("subscribe", 0, 2), ("subscribe", 2, 2), ("join", 1, 2)],
            *[("unsubscribe", 2, 2), ("name", 0, "cid")],
        ]
        for step in steps:
            world.do(*step)
        world.check_nothing_kept()
