"""One stream of presence events, told to each member of its audience once, in order, and in few writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from superchat.chat.counters import Counters
from superchat.chat.session import Session


class Feed:
    """Encoded events in the order in which they happened, and how far each member of the audience has heard them.

    Events are numbered from 0 for as long as the feed exists; those since the last flush are *pending*. A member
    hears all pending events but those that it skipped, or was told of before the flush.
    """

    def __init__(self, name: str, audience: Callable[[], Iterable[Session]], counters: Counters) -> None:
        self._name = name
        self._audience = audience
        self._counters = counters
        self._flushed = 0
        self._frames: list[bytes] = []
        self._heard: dict[Session, int] = {}
        self._told = 0

    @property
    def end(self) -> int:
        """The number of the next event."""
        return self._flushed + len(self._frames)

    def skip(self, session: Session) -> None:
        """Let *session* hear only of what comes from now on."""
        if self._frames:
            self._heard[session] = len(self._frames)

    def catch_up(self, session: Session) -> None:
        """Send *session* at once what is pending, so that what follows reaches it in order."""
        heard = self._heard.get(session, 0)
        if heard < len(self._frames):
            self.send(session, self._frames[heard:])
            self._heard[session] = self._told = len(self._frames)

    def tell(self, session: Session, frames: Iterable[bytes], before: int) -> None:
        """Send *session* frames by which it knows of events with numbers below *before*."""
        self.send(session, frames)
        self._told = max(self._told, before - self._flushed)

    def send(self, session: Session, frames: Iterable[bytes]) -> None:
        """Write frames of this feed to one session, and count them."""
        present = [frame for frame in frames if frame]
        if present:
            session.peer.write(b"".join(present))
            self._counters.sent[self._name] += len(present)

    def append(self, session: Session, frame: bytes) -> int:
        """Add an event of *session*, which has caught up and is taken to know of it; return its number."""
        self._frames.append(frame)
        self._heard[session] = len(self._frames)
        return self.end - 1

    def retract(self, numbers: Sequence[int]) -> bool:
        """Take pending events back, given by ascending numbers, if nobody was told of any; whether nobody was."""
        if numbers[0] < self._flushed + self._told:
            return False
        for number in numbers:
            self._frames[number - self._flushed] = b""
        return True

    def drop(self, session: Session) -> None:
        """Forget a session that has left."""
        self._heard.pop(session, None)

    def flush(self) -> None:
        """Send every member of the audience what it has not heard, in one write each."""
        pending, self._frames = self._frames, []
        heard_by, self._heard = self._heard, {}
        self._flushed += len(pending)
        self._told = 0
        batch = b"".join(pending)
        if not batch:
            return
        starts = list(accumulate(map(len, pending), initial=0))
        numbers = list(accumulate(map(bool, pending), initial=0))
        total = 0
        for session in self._audience():
            heard = heard_by.get(session, 0)
            if starts[heard] < len(batch):
                session.peer.write(batch[starts[heard] :] if heard else batch)
                total += numbers[-1] - numbers[heard]
        self._counters.sent[self._name] += total
