"""Who listens to which place, with the largest audiences at hand at any moment."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from superchat.chat.session import Session


class Audiences:
    """Sessions by the id of a place, which is *live* while it has any.

    Places are also kept by the size of their audience, at a constant cost for each change. So the largest of
    100,000 are found in the time that it takes to sort the different sizes, of which there are few: n of them
    take n * n / 2 listeners at least (decisions 9.4).
    """

    def __init__(self) -> None:
        self.listeners = 0
        """How many listeners there are in all places together."""
        self._by_place: dict[int, dict[Session, None]] = {}
        self._by_size: dict[int, dict[int, None]] = {}

    def __len__(self) -> int:
        return len(self._by_place)

    def of(self, place_id: int) -> dict[Session, None]:
        """The listeners of a place, in the order they came; not to be changed by the caller."""
        return self._by_place.get(place_id, {})

    def add(self, place_id: int, session: Session) -> None:
        """Let *session* listen to a place; nothing happens if it does already."""
        audience = self._by_place.setdefault(place_id, {})
        if session not in audience:
            audience[session] = None
            self._resized(place_id, len(audience) - 1, len(audience))

    def discard(self, place_id: int, session: Session) -> bool:
        """Undo `add`; whether the place has lost its last listener by it."""
        audience = self._by_place.get(place_id)
        if audience is None or session not in audience:
            return False
        del audience[session]
        self._resized(place_id, len(audience) + 1, len(audience))
        if audience:
            return False
        del self._by_place[place_id]
        return True

    def largest(self, number: int) -> list[tuple[int, int]]:
        """The *number* places with most listeners, as (id, size), largest first."""
        return list(islice(self._descending(), number))

    def _descending(self) -> Iterator[tuple[int, int]]:
        sizes = sorted(self._by_size, reverse=True)
        return chain.from_iterable(((place_id, size) for place_id in self._by_size[size]) for size in sizes)

    def _resized(self, place_id: int, before: int, after: int) -> None:
        self.listeners += after - before
        if before:
            same_size = self._by_size[before]
            del same_size[place_id]
            if not same_size:
                del self._by_size[before]
        if after:
            self._by_size.setdefault(after, {})[place_id] = None
