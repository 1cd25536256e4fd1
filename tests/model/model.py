"""What is true in a chat, in the simplest terms: plain sets and loops, no regard for speed or storage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

CHAT_TYPE: Final = 0


@attrs.define(eq=False)
class Person:
    """An account."""

    id: int
    nickname: str
    is_moderator: bool = False
    is_admin: bool = False
    deleted: bool = False
    login_name: str = ""  # what the password is salted with; stays theirs after a rename (decisions 2.5)

    def owns(self, name: str) -> bool:
        """Whether a name belongs to the account."""
        return not self.deleted and name in (self.nickname, self.login_name)


@attrs.define(eq=False)
class Sentence:
    """A ban of a nickname, and of the account that had it then or took it later (decisions 7.1)."""

    name: str
    person: Person | None
    shadow: bool


@attrs.define(eq=False)
class Visitor:
    """A session."""

    key: int
    nickname: str | None = None
    person: Person | None = None
    joined: int | None = None
    channels: set[int] = attrs.field(factory=set)
    threads: set[int] = attrs.field(factory=set)

    @property
    def moderates(self) -> bool:
        """Whether it has a moderator's rights."""
        return self.person is not None and (self.person.is_moderator or self.person.is_admin)


@attrs.define(eq=False)
class Place:
    """A channel, subchannel or direct conversation."""

    id: int
    name: str
    type: int
    parent: int | None = None
    owner: Person | None = None
    members: tuple[Person, ...] = ()


@attrs.define(eq=False)
class Note:
    """A message."""

    id: int
    place: Place
    parent: Note | None
    person: Person | None
    nickname: str
    session_key: int
    text: bytes
    at: int
    deleted: bool = False

    @property
    def root(self) -> Note:
        """What began the thread."""
        return self if self.parent is None else self.parent.root

    @property
    def shown(self) -> str:
        """The author as everybody sees it now."""
        if self.person is None:
            return self.nickname and f"~{self.nickname}"
        if self.person.deleted:
            return f"~{self.person.nickname}"
        prefix = "$" if self.person.is_admin else "@" if self.person.is_moderator else ""
        return f"{prefix}{self.person.nickname}"


@attrs.define
class Model:
    """Everything that is true."""

    people: list[Person] = attrs.field(factory=list)
    bans: list[Sentence] = attrs.field(factory=list)
    visitors: list[Visitor] = attrs.field(factory=list)
    places: dict[int, Place] = attrs.field(factory=dict)
    notes: dict[int, Note] = attrs.field(factory=dict)

    def named(self, name: str) -> Person | None:
        """The account to which a name belongs."""
        return next((person for person in self.people if person.owns(name)), None)

    def is_banned(self, person: Person) -> bool:
        """Whether nobody may log in to an account."""
        return any(not ban.shadow and ban.person is person for ban in self.bans)

    def is_name_banned(self, name: str) -> bool:
        """Whether nobody may take a nickname."""
        return any(not ban.shadow and ban.name == name for ban in self.bans)

    def takes(self, person: Person, name: str) -> None:
        """An account gets a nickname, and with it the bans of the nickname that are nobody's."""
        person.nickname = name
        for ban in self.bans:
            if ban.name == name and ban.person is None:
                ban.person = person

    def enters(self, visitor: Visitor, place: Place) -> bool:
        """Whether a place exists for a visitor (decisions 3.2)."""
        return not place.members or visitor.person in place.members

    def withdraw(self, visitor: Visitor) -> None:
        """A visitor who is another now listens no more where it is a stranger."""
        strange = {place.id for place in self.places.values() if not self.enters(visitor, place)}
        visitor.channels -= strange
        visitor.joined = None if visitor.joined in strange else visitor.joined
        visitor.threads = {root for root in visitor.threads if self.notes[root].place.id not in strange}

    def sees(self, visitor: Visitor, note: Note) -> bool:
        """Whether a message exists for a visitor (decisions 3.2, 7.2)."""
        if not self.enters(visitor, note.place):
            return False
        return visitor.moderates or not self.is_hidden(note) or self.wrote(visitor, note)

    def is_hidden(self, note: Note) -> bool:
        """Whether the author is shadowbanned: the account, or the nickname of an anonymous one (decisions 7.1)."""
        return any(
            ban.shadow and (ban.person is note.person if note.person is not None else ban.name == note.nickname)
            for ban in self.bans
        )

    def below(self, note: Note) -> Iterator[Note]:
        """All messages under one."""
        for other in self.notes.values():
            above = other.parent
            while above is not None and above is not note:
                above = above.parent
            if above is note:
                yield other

    def replies(self, visitor: Visitor, note: Note) -> int:
        """How many living replies a visitor may know of."""
        return sum(not other.deleted and self.sees(visitor, other) for other in self.below(note))

    def on_pages(self, visitor: Visitor, note: Note) -> bool:
        """Whether a message is in lists: living, or as a tombstone with replies (decisions 4.7)."""
        return self.sees(visitor, note) and (not note.deleted or self.replies(visitor, note) > 0)

    def roots(self, visitor: Visitor, place: Place) -> list[Note]:
        """A place's page of roots, newest first (decisions 4.3)."""
        mine = [note for note in self.notes.values() if note.place is place and note.parent is None]
        return sorted((note for note in mine if self.on_pages(visitor, note)), key=lambda note: -note.id)

    def thread(self, visitor: Visitor, note: Note) -> set[Note]:
        """What a page of a thread holds, in whatever order."""
        return {other for other in self.below(note) if self.on_pages(visitor, other)}

    def unread(self, visitor: Visitor, place: Place, since: int) -> int:
        """How many messages of others are newer than a time (decisions 4.12)."""
        return sum(
            note.place is place
            and not note.deleted
            and note.at > since
            and self.sees(visitor, note)
            and not self.wrote(visitor, note)
            for note in self.notes.values()
        )

    def wrote(self, visitor: Visitor, note: Note) -> bool:
        """Whether a message is the visitor's own."""
        return note.session_key == visitor.key or (note.person is not None and note.person is visitor.person)

    def listeners(self, note: Note) -> set[Visitor]:
        """Who gets NEW_MESSAGE (reference section 4)."""
        return {
            visitor
            for visitor in self.visitors
            if self.sees(visitor, note)
            and (note.place.id in visitor.channels if note.parent is None else note.root.id in visitor.threads)
        }

    def onlookers(self, note: Note, actor: Visitor) -> set[Visitor]:
        """Who is told of an edit or a deletion, the actor apart (decisions 4.8)."""
        return {
            visitor
            for visitor in self.visitors
            if visitor is not actor
            and self.sees(visitor, note)
            and (note.place.id in visitor.channels | {visitor.joined} or note.root.id in visitor.threads)
        }
