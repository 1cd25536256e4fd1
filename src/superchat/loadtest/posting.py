"""Posters: an open loop that keeps to its rate whatever the server does, or a closed one that saturates it."""

from __future__ import annotations

from collections import deque
from typing import Final

import attrs

from superchat.loadtest.loop import now_us
from superchat.loadtest.peer import Peer, Shared
from superchat.loadtest.ranges import Ranges
from superchat.wire import messages as wire
from superchat.wire.errors import ErrorCode

_BESIDE_REPLIES: Final = frozenset({ErrorCode.RATE_LIMIT_EXCEEDED})
"""A frame flood earns ERROR 5000 beside the replies, which still come (decisions 1.9)."""


@attrs.frozen
class Outcome:
    """What a poster did: it sent the numbers from 0 to below ``sent``, of which ``failed`` were not acknowledged."""

    sent: int
    failed: Ranges


class Poster(Peer):
    """Posts to one place, each text numbered. Latencies count from when a post was due, not from when it was sent:
    what the server holds up does not get lost from the measurement (no coordinated omission)."""

    def __init__(self, shared: Shared, number: int) -> None:
        super().__init__(shared)
        self.number = number
        options = shared.plan.options
        self._thread_id = shared.plan.thread_of(shared.plan.place_of_poster(number))
        self._in_flight = options.in_flight
        self._period_us = options.posters / options.rate * 1_000_000 if options.rate else 0.0
        self._start_us = self._end_us = 0
        self._sent = 0
        self._newest_id = 0
        self._failed: list[tuple[int, int]] = []
        self._waiting: deque[tuple[int, int]] = deque()
        """Sequence number and due time of what has no answer yet."""
        self._held_up = False

    def begin(self) -> None:
        self.send(wire.SetNickname(nickname=f"load{self.number:05}"))

    def start(self, start_us: int, end_us: int) -> None:
        """Post from one moment to another."""
        self._start_us, self._end_us = start_us, end_us
        self.shared.loop.at(self._due_us_of(0), self._go_on)

    def stop(self) -> None:
        """Post no more."""
        self._end_us = min(self._end_us, now_us())

    @property
    def is_done(self) -> bool:
        """Whether everything is answered, or nothing will be any more."""
        return not self._waiting or self.is_closed

    def finish(self) -> Outcome:
        """Give up waiting."""
        self.shared.measured.fault("unanswered", len(self._waiting))
        for sequence, _ in self._waiting:
            self._fail(sequence)
        if self._period_us:
            unsent = self._due_before(self._end_us) - self._sent
            self.shared.measured.counts["posts_unsent"] += max(0, unsent)
        return Outcome(self._sent, tuple(self._failed))

    def frame(self, code: int, payload: bytes) -> None:
        if code == wire.MessagePosted.CODE:
            self._answered(wire.MessagePosted.unpack(payload))
        elif code == wire.NicknameResponse.CODE and not self.is_ready:
            response = wire.NicknameResponse.unpack(payload)
            if response.success:
                self.became_ready()
            else:
                self.lost(f"nickname refused: {response.message}")

    def refused(self, error: wire.Error) -> None:
        super().refused(error)
        if self.is_ready and error.error_code not in _BESIDE_REPLIES and self._waiting:
            self._fail(self._waiting.popleft()[0])
            self.shared.measured.counts["posts_refused"] += 1
            self._settled()

    def drained(self) -> None:
        if self._held_up:
            self._go_on()

    # Posting

    def _go_on(self) -> None:
        """Post what is due, as far as the connection and ``in_flight`` allow."""
        now = now_us()
        self._held_up = False
        while (due := self._next_due(now)) <= now and due < self._end_us and not self.is_closed:
            if self.is_full or (self._in_flight and len(self._waiting) >= self._in_flight):
                self._held_up = True
                return
            self._post(due, now)
        if now < due < self._end_us:
            self.shared.loop.at(due, self._go_on)

    def _next_due(self, now: int) -> int:
        return self._due_us_of(self._sent) if self._period_us else now

    def _due_us_of(self, sequence: int) -> int:
        """Posters take turns evenly."""
        if not self._period_us:
            return self._start_us
        turn = self.number / self.shared.plan.options.posters
        return self._start_us + int((sequence + turn) * self._period_us)

    def _due_before(self, end_us: int) -> int:
        """How many posts were due before a moment."""
        count = max(0, int((end_us - self._start_us) / self._period_us) - 1)
        while self._due_us_of(count) < end_us:
            count += 1
        return count

    def _post(self, due: int, now: int) -> None:
        sequence = self._sent
        self._sent += 1
        self._waiting.append((sequence, due))
        measured = self.shared.measured
        measured.counts["posts_sent"] += 1
        if self._period_us:
            measured.latencies["lag"].add(now - due)
        text = self.shared.texts.make(self.number, sequence, due)
        self.send(wire.PostMessage(channel_id=self.shared.plan.channel_id, parent_id=self._thread_id, content=text))

    def _answered(self, posted: wire.MessagePosted) -> None:
        measured = self.shared.measured
        if not self._waiting:
            measured.fault("repeated", 1, [f"repeated: poster {self.number} got an answer to nothing"])
            return
        sequence, due = self._waiting.popleft()
        if posted.success:
            measured.counts["posts_acked"] += 1
            measured.latencies["ack"].add(now_us() - due)
            self._identified(posted.message_id)
        else:
            measured.counts["posts_refused"] += 1
            measured.error(f"not posted: {posted.message}")
            self._fail(sequence)
        self._settled()

    def _fail(self, sequence: int) -> None:
        """Answers come in order, so the sequence numbers ascend."""
        if self._failed and self._failed[-1][1] == sequence:
            self._failed[-1] = (self._failed[-1][0], sequence + 1)
        else:
            self._failed.append((sequence, sequence + 1))

    def _settled(self) -> None:
        if self._held_up or not self._period_us:
            self._go_on()

    def _identified(self, message_id: int) -> None:
        """Ids increase in the order of commits, and replies of a session come in the order of its requests."""
        if message_id <= self._newest_id:
            example = f"poster {self.number}: answer {message_id} behind {self._newest_id}"
            self.shared.measured.fault("ids_out_of_order", 1, [f"ids_out_of_order: {example}"])
        self._newest_id = max(self._newest_id, message_id)
