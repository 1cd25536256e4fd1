"""What clients asked of a server, and what it told them: the measure of what must be there after a fault."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any, Final, Self

import attrs

from superchat.wire.messages import NewMessage
from tests.faults.subjects import Subject, Text

NEVER: Final = float("inf")


ABSENT: Final = None
"""The value of what is not there (any more)."""


@attrs.define(eq=False)
class Claim:
    """Something that a client asked for; `told_at` is when the server said that it is so (`time.monotonic`)."""

    value: Any
    told_at: float = NEVER
    detail: Any = None
    """What the server said besides: when it was edited, or which id it got."""

    @property
    def is_told(self) -> bool:
        """Whether the server has acknowledged it."""
        return self.told_at < NEVER


@attrs.define(eq=False)
class Post:
    """A message that a client asked to be posted, on one connection (`line`) after those asked before."""

    line: int
    nickname: str
    login_name: str | None
    """Of the author's account; None for the anonymous."""
    channel_id: int
    parent_id: int | None
    content: bytes
    """Never said twice."""
    asked_at: float = 0.0
    message_id: int = 0
    told_at: float = NEVER

    @property
    def is_told(self) -> bool:
        """Whether the server has acknowledged it."""
        return self.told_at < NEVER


@attrs.frozen
class Heard:
    """A message that a listener was sent."""

    at: float
    line: int
    message: NewMessage


@attrs.define(eq=False)
class Ledger:
    """Everything that clients of one database asked for and were told, in its order.

    Whoever asks calls `ask` or `ask_post` before the request leaves, and `tell` or `tell_post` when the answer comes.
    A subject has one client at a time that changes it.
    """

    clock: Callable[[], float] = time.monotonic
    posts: list[Post] = attrs.field(factory=list)
    claims: defaultdict[Subject, list[Claim]] = attrs.field(factory=lambda: defaultdict(list))
    heard: list[Heard] = attrs.field(factory=list)
    said: set[bytes] = attrs.field(factory=set)
    """Contents that may be there; also of what was there before anybody listened."""
    expiring: set[bytes] = attrs.field(factory=set)
    """Those of them that the server is to remove."""
    doomed: set[int] = attrs.field(factory=set)
    """Channels whose deletion somebody asked for: nothing is promised of what was posted there."""
    complaints: list[str] = attrs.field(factory=list)
    """What clients saw that no client may see."""
    recent: deque[Post] = attrs.field(factory=lambda: deque(maxlen=20))
    """What was acknowledged last, where everybody sees it."""
    private: set[int] = attrs.field(factory=set)
    """Channels that are direct conversations."""
    numbers: int = 0
    _kinds: defaultdict[type, list[Subject]] = attrs.field(factory=lambda: defaultdict(list))

    def new_number(self) -> int:
        """One that was not used yet: for connections and names."""
        self.numbers += 1
        return self.numbers

    def ask(self, subject: Subject, value: Any) -> Claim:
        """Note that somebody asks for `value` to be so of `subject`; `ABSENT` for its end."""
        claim = Claim(value)
        self._note(subject, claim)
        if isinstance(subject, Text) and value is not None:
            self.said.add(value)
        return claim

    def tell(self, claim: Claim, detail: Any = None) -> None:
        """Note that the server says it is so."""
        claim.told_at, claim.detail = self.clock(), detail

    def ask_post(
        self,
        line: int,
        nickname: str,
        login_name: str | None,
        channel_id: int,
        parent_id: int | None,
        content: bytes,
    ) -> Post:
        """Note that somebody asks for a message to be posted."""
        post = Post(line, nickname, login_name, channel_id, parent_id, content, self.clock())
        self.posts.append(post)
        self.said.add(content)
        return post

    def tell_post(self, post: Post, message_id: int) -> None:
        """Note that the server says it is posted."""
        post.message_id, post.told_at = message_id, self.clock()
        if post.channel_id not in self.private:
            self.recent.append(post)
        self._note(Text(message_id), Claim(post.content, post.told_at))

    def hear(self, line: int, message: NewMessage) -> None:
        """Note that a listener was sent a message."""
        self.heard.append(Heard(self.clock(), line, message))

    def complain(self, text: str) -> None:
        """Note what no client may see."""
        self.complaints.append(text)

    # Looking things up

    def told_posts(self) -> Iterator[Post]:
        """The acknowledged ones, in the order they were asked for."""
        return (post for post in self.posts if post.is_told)

    def is_settled(self, subject: Subject) -> bool:
        """Whether it is known for sure how it is: nothing was asked without an answer."""
        return all(claim.is_told for claim in self.claims.get(subject, ())[-1:])

    def value(self, subject: Subject) -> Any:
        """How a settled subject is."""
        claims = self.claims.get(subject)
        return claims[-1].value if claims else ABSENT

    def subjects(self, kind: type[Any]) -> list[Any]:
        """Everything of a kind that somebody asked something for."""
        return self._kinds[kind]

    def settled(self, kind: type[Any]) -> list[Any]:
        """The subjects of a kind that are there for sure."""
        return [each for each in self._kinds[kind] if self.is_settled(each) and self.value(each) is not ABSENT]

    def number_told(self) -> int:
        """How many acknowledgements there were; that of a post is the first about its text."""
        return sum(claim.is_told for claims in self.claims.values() for claim in claims)

    def as_of(self, moment: float) -> Self:
        """The ledger as it stood at a moment of `time.monotonic`: told later is not told, heard later is not heard.

        What was asked stays: it may be there or not.
        """
        earlier = attrs.evolve(self, posts=[], claims=defaultdict(list), heard=[])
        for post in self.posts:
            is_told = post.told_at <= moment
            earlier.posts.append(attrs.evolve(post, told_at=post.told_at if is_told else NEVER))
        for subject, claims in self.claims.items():
            for claim in claims:
                is_told = claim.told_at <= moment
                copy = attrs.evolve(claim, told_at=claim.told_at if is_told else NEVER)
                earlier.claims[subject].append(copy)
        earlier.heard.extend(each for each in self.heard if each.at <= moment)
        return earlier

    def _note(self, subject: Subject, claim: Claim) -> None:
        if subject not in self.claims:
            self._kinds[type(subject)].append(subject)
        self.claims[subject].append(claim)
