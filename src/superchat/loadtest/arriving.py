"""The storm: somebody who connects, and takes a nickname when all the others do."""

from __future__ import annotations

from superchat.loadtest.loop import now_us
from superchat.loadtest.peer import Peer, Shared
from superchat.wire import messages as wire


class Arrival(Peer):
    """Connects; then, on ``start``, takes a nickname and waits for the answer."""

    def __init__(self, shared: Shared, number: int) -> None:
        super().__init__(shared)
        self._number = number
        self._asked_us = 0
        self.is_answered = False

    def start(self) -> None:
        """Take a nickname."""
        self._asked_us = now_us()
        self.send(wire.SetNickname(nickname=f"storm{self._number:06}"))

    @property
    def is_done(self) -> bool:
        """Whether it has its answer, or gets none any more."""
        return self.is_answered or self.is_closed

    def finish(self) -> None:
        """Give up waiting."""
        if self._asked_us and not self.is_answered:
            self.shared.measured.fault("unanswered")

    def received(self, data: bytes) -> None:
        """Once answered it only counts bytes: of a storm everybody is told of everybody, which nobody could parse."""
        if not self.is_answered:
            super().received(data)

    def frame(self, code: int, payload: bytes) -> None:
        if code == wire.NicknameResponse.CODE and not self.is_answered:
            response = wire.NicknameResponse.unpack(payload)
            self._settle()
            if response.success:
                self.shared.measured.counts["nicknames"] += 1
                self.shared.measured.latencies["nickname"].add(now_us() - self._asked_us)
            else:
                self.shared.measured.error(f"nickname refused: {response.message}")

    def refused(self, error: wire.Error) -> None:
        super().refused(error)
        if self._asked_us:
            self._settle()

    def _settle(self) -> None:
        self.is_answered = True
