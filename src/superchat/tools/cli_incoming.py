"""What the server tells about private conversations without being asked, kept until somebody wants to know."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred

from superchat.wire import messages as wire
from superchat.wire.records import Message

EVENTS_KEPT: Final = 100
REQUESTS_KEPT: Final = 1000

Wanted = Callable[[Message], bool]


class Incoming:
    """Events that nobody waited for yet, the oldest forgotten first, and the requests that are open.

    Names are compared without ``~`` and letter case, as servers do.
    """

    def __init__(self) -> None:
        self._kept: deque[Message] = deque(maxlen=EVENTS_KEPT)
        self._waiting: list[tuple[Wanted, Deferred[Message]]] = []
        self._requests: dict[int, wire.DMRequest] = {}

    def take(self, event: Message) -> bool:
        """Take an event; tell whether somebody has waited for it."""
        if isinstance(event, wire.DMRequest):
            self._remember(event)
        elif isinstance(event, wire.DMReady):
            self._forget(event.other_nickname)
        for each in self._waiting:
            wanted, waiting = each
            if wanted(event):
                self._waiting.remove(each)
                waiting.callback(event)
                return True
        if isinstance(event, wire.DMReady | wire.DMDeclined):
            self._kept.append(event)
        return False

    def wait(self, wanted: Wanted) -> Deferred[Message]:
        """Wait for an event, which may have come already. Cancelling ends the waiting."""
        for event in self._kept:
            if wanted(event):
                self._kept.remove(event)
                found: Deferred[Message] = Deferred()
                found.callback(event)
                return found
        waiting: Deferred[Message] = Deferred(lambda _: self._waiting.remove(entry))
        entry = (wanted, waiting)
        self._waiting.append(entry)
        return waiting

    @property
    def requests(self) -> list[wire.DMRequest]:
        """The requests that were neither accepted nor declined, oldest first."""
        return list(self._requests.values())

    def request_of(self, user: str) -> wire.DMRequest | None:
        """Find the request of a nickname, or with an invite id; the latest if there are several."""
        for each in reversed(self.requests):
            if plain(each.from_nickname) == plain(user):
                return each
        return self._requests.get(int(user)) if user.isascii() and user.isdigit() else None

    def close(self, request: wire.DMRequest) -> None:
        """A request was answered."""
        self._requests.pop(request.dm_channel_id, None)

    def _remember(self, request: wire.DMRequest) -> None:
        while len(self._requests) >= REQUESTS_KEPT:
            del self._requests[next(iter(self._requests))]
        self._requests[request.dm_channel_id] = request

    def _forget(self, nickname: str) -> None:
        for each in self.requests:
            if plain(each.from_nickname) == plain(nickname):
                self.close(each)


def plain(nickname: str) -> str:
    """Return a nickname in the form in which two are the same person's."""
    return nickname.lstrip("~").lower()
