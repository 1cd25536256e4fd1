"""superchat-loadtest finds out servers that do wrong, on real sockets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from superchat.wire import frames
from superchat.wire import messages as wire
from superchat.wire.errors import ErrorCode
from superchat.wire.records import Message
from tests.e2e.loadtest import measure, run
from tests.loadtest.scripted_server import ScriptedServer

LOAD = ("fanout", "--subscribers", "3", "--posters", "1", "--rate", "200", "--duration", "0.25", "--grace", "1")


class Swapping:
    """Sends each tenth message behind the one after it."""

    def __init__(self) -> None:
        self._held: list[wire.NewMessage] = []

    def __call__(self, number: int, message: wire.NewMessage) -> list[wire.NewMessage]:
        if number % 10 == 5:
            self._held = [message]
            return []
        held, self._held = self._held, []
        return [message, *held]


def losing(number: int, message: wire.NewMessage) -> list[wire.NewMessage]:
    """Loses each tenth message."""
    return [] if number % 10 == 5 else [message]


def losing_the_end(number: int, message: wire.NewMessage) -> list[wire.NewMessage]:
    """Loses everything from some message on."""
    return [] if number >= 40 else [message]


def repeating(number: int, message: wire.NewMessage) -> list[wire.NewMessage]:
    """Sends each tenth message twice."""
    return [message, message] if number % 10 == 5 else [message]


def truncating(number: int, message: wire.NewMessage) -> list[wire.NewMessage]:
    """Damages each tenth message."""
    if number % 10 != 5:
        return [message]
    fields = {name: getattr(message, name) for name in message.FIELDS}
    return [wire.NewMessage(**{**fields, "content": message.content[:-1]})]


class ScriptedServerTests(SynchronousTestCase):
    """Each way of doing wrong: exit status 1, and the right kind in the right number."""

    def check(self, broadcast: Callable[..., list[wire.NewMessage]], expected: dict[str, int]) -> None:
        """Three subscribers see what such a server does to 50 posts."""
        server = ScriptedServer(self, broadcast=broadcast)
        status, outcome = measure(server.port, *LOAD)
        self.assertEqual(outcome["metrics"]["posts_acked"], 50, outcome)
        self.assertEqual((status, outcome["ok"]), (1 if expected else 0, not expected))
        self.assertEqual(outcome["faults"], expected)
        self.assertEqual(bool(outcome["examples"]), bool(expected))

    def test_faithful(self) -> None:
        """A server that does everything right passes."""
        self.check(lambda number, message: [message], {})

    def test_losing(self) -> None:
        """Messages lost in between are counted for each subscriber."""
        self.check(losing, {"lost": 15})

    def test_losing_the_end(self) -> None:
        """Messages that are missing at the end are, too, after the time of grace."""
        self.check(losing_the_end, {"lost": 30})

    def test_repeating(self) -> None:
        """Messages that come twice are, as is that their ids do not ascend."""
        self.check(repeating, {"repeated": 15, "ids_out_of_order": 15})

    def test_reordering(self) -> None:
        """Messages that overtake others are."""
        self.check(Swapping(), {"reordered": 15, "ids_out_of_order": 15})

    def test_damaging(self) -> None:
        """Messages that arrive with another text are damaged, and those that were sent are lost."""
        self.check(truncating, {"damaged": 15, "lost": 15})


class AnswerTests(SynchronousTestCase):
    """What posters see."""

    def measure(self, *load: str, **script: Any) -> tuple[int, dict[str, Any]]:
        return measure(ScriptedServer(self, **script).port, *LOAD, *load)

    def test_no_coordinated_omission(self) -> None:
        """While a server stalls, posts go on being due, and their latency counts from then: most are slow, not one."""
        status, outcome = self.measure("--duration", "1", "--rate", "100", stall_seconds=0.8)
        self.assertEqual((status, outcome["metrics"]["posts_acked"]), (0, 100), outcome)
        self.assertGreater(outcome["metrics"]["ack_p50_ms"], 100)
        self.assertGreater(outcome["metrics"]["delivery_p50_ms"], 100)
        self.assertGreater(outcome["metrics"]["ack_max_ms"], 700)

    def test_refusals(self) -> None:
        """Refused posts are errors by their kind, and are not missed by subscribers."""
        error = wire.Error(error_code=ErrorCode.MESSAGE_RATE_LIMIT, message="Rate limit exceeded")

        def refusing(number: int, answer: Message) -> Message | None:
            return error if number % 10 == 5 else answer

        status, outcome = self.measure(answer=refusing, broadcast=losing)
        self.assertEqual((status, outcome["faults"]), (0, {}), outcome)
        self.assertEqual(outcome["errors"], {"ERROR 5001: Rate limit exceeded": 5})
        self.assertEqual(outcome["metrics"]["posts_refused"], 5)

    def test_silence(self) -> None:
        """Posts that are never answered are a failure."""
        status, outcome = self.measure(answer=lambda number, answer: None if number >= 48 else answer)
        self.assertEqual((status, outcome["faults"]), (1, {"unanswered": 2}), outcome)

    def test_hanging_up(self) -> None:
        """A poster that is thrown out is a failure, with the reason that the server gave."""
        goodbye = wire.Disconnect(reason="Go away")
        status, outcome = self.measure(answer=lambda number, answer: goodbye if number == 20 else answer)
        self.assertEqual((status, outcome["faults"]["disconnected"]), (1, 1), outcome)
        self.assertEqual(outcome["errors"], {"disconnected: Go away": 1})


class SlowReaderTests(SynchronousTestCase):
    """Subscribers that do not read."""

    def test_cut_off(self) -> None:
        """A server may disconnect them: that is counted, with its reason, and is no failure (decisions 1.7)."""
        goodbye = wire.Disconnect(reason="Connection too slow")

        def strict(number: int, message: wire.NewMessage) -> Sequence[Message]:
            return [message, goodbye] if number == 30 else [message]

        server = ScriptedServer(self, broadcast=strict)
        status, outcome = measure(server.port, *LOAD, "--subscribers", "0", "--slow", "2", "--slow-rate", "400")
        self.assertEqual((status, outcome["faults"], outcome["metrics"]["slow_cut"]), (0, {}, 2), outcome)
        self.assertEqual(outcome["errors"], {"slow reader disconnected: Connection too slow": 2})
        self.assertEqual(outcome["metrics"]["deliveries"], 0)


class BeginningTests(SynchronousTestCase):
    """Servers that are none: exit status 3."""

    def test_no_server(self) -> None:
        """What does not introduce itself as a chat server is named as such."""
        for greeting, words in (
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", "frame length"),
            (frames.encode(wire.Disconnect(reason="Server full")), "Server full"),
        ):
            server = ScriptedServer(self, greeting=greeting)
            finished = run(server.port, *LOAD)
            self.assertEqual((finished.exit_code, finished.stdout), (3, ""))
            self.assertIn("cannot connect", finished.stderr)
            self.assertIn(words, finished.stderr)
