"""Whether a subscriber gets every post, once, in order: one pass over what it receives, shared by all who get the same.

Thousands of subscribers receive the same bytes. How far one of them has come is an immutable ``Position``; a step from
it by some bytes is computed once and remembered, and everybody who makes the same step from the same position takes the
result. Nothing is left out by that: the same checks of the same bytes would find the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, TypeVar

import attrs

from superchat.loadtest import ranges
from superchat.loadtest.ranges import Ranges
from superchat.loadtest.splitting import RawFrame, new_message, split
from superchat.loadtest.texts import Texts
from superchat.wire.messages import NewMessage

STEPS_REMEMBERED: Final = 128
HOLES_REMEMBERED: Final = 10_000
"""Of one poster, and as ranges. What is missing beyond them counts as lost at once."""
EXAMPLES_KEPT: Final = 3

_NEW_MESSAGE: Final = NewMessage.CODE

K = TypeVar("K")
V = TypeVar("V")


@attrs.frozen(eq=False, kw_only=True)
class Position:
    """How far a subscriber has come in its stream."""

    joined_late: bool = False
    """Whether posts were under way before it subscribed: then the first it gets of each poster is its beginning."""
    rest: bytes = b""
    newest_ids: Mapping[int, int] = attrs.field(factory=dict)
    """The highest message id of each channel."""
    following: Mapping[int, int] = attrs.field(factory=dict)
    """For each poster the sequence number that comes next."""
    missing: Mapping[int, Ranges] = attrs.field(factory=dict)
    """For each poster what was skipped so far."""

    def lacks(self, poster: int, sent: int, failed: Ranges) -> int:
        """How many posts of a poster are lost, if it sent so many and those that failed need not come."""
        expected = self.following.get(poster, 0)
        tail: Ranges = ((expected, sent),) if expected < sent and not self.joined_late else ()
        return ranges.size(ranges.without(self.missing.get(poster, ()) + tail, failed))


@attrs.frozen(eq=False)
class Step:
    """What some bytes brought."""

    after: Position
    due_us: tuple[int, ...]
    """When each of the run's posts in there was due."""
    others: int
    """How many messages were none of this run."""
    faults: Mapping[str, int]
    examples: tuple[str, ...]
    frames: tuple[RawFrame, ...]
    """What was no NEW_MESSAGE, in order."""


class Checker:
    """Follows subscribers; remembers the latest ``STEPS_REMEMBERED`` different steps."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._steps: dict[tuple[Position, bytes], Step] = {}
        self._positions: dict[tuple[object, ...], Position] = {}

    def advance(self, position: Position, data: bytes) -> Step:
        """Go on from a position by some bytes. Raises Broken when framing is lost."""
        key = position, data
        step = self._steps.get(key)
        if step is None:
            step = self._walk(position, data)
            _forget_oldest(self._steps)
            self._steps[key] = step
        return step

    def _walk(self, position: Position, data: bytes) -> Step:
        data = position.rest + data if position.rest else data
        frames, end = split(data)
        walk = _Walk(position, self._texts)
        for code, payload in frames:
            if code == _NEW_MESSAGE:
                walk.message(payload)
            else:
                walk.frames.append((code, payload))
        return walk.step(self._shared(walk.position(data[end:])))

    def _shared(self, position: Position) -> Position:
        """The position that others have reached already, if it is the same.

        Streams are cut differently for each subscriber; where they meet again, the steps can be shared again.
        """
        key = position.rest, position.joined_late, tuple(position.newest_ids.items())
        known = self._positions.get(key)
        if known is not None and (known.following, known.missing) == (position.following, position.missing):
            return known
        _forget_oldest(self._positions)
        self._positions[key] = position
        return position


class _Walk:
    """One step under way."""

    def __init__(self, position: Position, texts: Texts) -> None:
        self._texts = texts
        self._late = position.joined_late
        self._newest_ids = dict(position.newest_ids)
        self._following = dict(position.following)
        self._missing = position.missing
        self._due_us: list[int] = []
        self._others = 0
        self._faults: Counter[str] = Counter()
        self._examples: list[str] = []
        self.frames: list[RawFrame] = []

    def message(self, payload: bytes) -> None:
        try:
            message_id, channel_id, text = new_message(payload)
            self._identified(message_id, channel_id)
            if not self._texts.is_ours(text):
                self._others += 1
                return
            stamp = self._texts.read(text)
        except ValueError as error:
            self._fault("damaged", str(error))
            return
        self._due_us.append(stamp.due_us)
        self._numbered(stamp.poster, stamp.sequence)

    def position(self, rest: bytes) -> Position:
        return Position(
            joined_late=self._late,
            rest=rest,
            newest_ids=self._newest_ids,
            following=self._following,
            missing=self._missing,
        )

    def step(self, after: Position) -> Step:
        return Step(
            after, tuple(self._due_us), self._others, self._faults, tuple(self._examples), tuple(self.frames)
        )

    def _identified(self, message_id: int, channel_id: int) -> None:
        """Broadcast order in a channel equals id order (decisions 4.6)."""
        newest = self._newest_ids.get(channel_id, 0)
        if message_id <= newest:
            self._fault("ids_out_of_order", f"message {message_id} behind {newest} in channel {channel_id}")
        self._newest_ids[channel_id] = max(newest, message_id)

    def _numbered(self, poster: int, sequence: int) -> None:
        expected = self._following.get(poster, sequence if self._late else 0)
        if sequence == expected:
            self._following[poster] = sequence + 1
        elif sequence > expected:
            self._skipped(poster, expected, sequence)
            self._following[poster] = sequence + 1
        else:
            self._came_again(poster, sequence)

    def _skipped(self, poster: int, first: int, end: int) -> None:
        """It is no fault yet: it may have been refused, or come later, which is one."""
        missing = self._missing.get(poster, ())
        if len(missing) < HOLES_REMEMBERED:
            self._missing = {**self._missing, poster: (*missing, (first, end))}
        else:
            self._fault("lost", f"poster {poster}: {first} to {end - 1}", end - first)

    def _came_again(self, poster: int, sequence: int) -> None:
        missing = self._missing.get(poster, ())
        if not ranges.contains(missing, sequence):
            self._fault("repeated", f"poster {poster}: {sequence} came again")
            return
        left = ranges.without(missing, ((sequence, sequence + 1),))
        self._missing = {each: left if each == poster else of for each, of in self._missing.items()}
        if not left:
            self._missing = {each: of for each, of in self._missing.items() if of}
        self._fault("reordered", f"poster {poster}: {sequence} came behind {self._following[poster] - 1}")

    def _fault(self, kind: str, example: str, times: int = 1) -> None:
        self._faults[kind] += times
        if len(self._examples) < EXAMPLES_KEPT:
            self._examples.append(f"{kind}: {example}")


def _forget_oldest(remembered: dict[K, V]) -> None:
    while len(remembered) >= STEPS_REMEMBERED:
        del remembered[next(iter(remembered))]
