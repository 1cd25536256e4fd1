"""Staying connected."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.client.connect import connect_endpoint
from superchat.client.errors import ServerRefused
from superchat.client.protocol import ChatClient
from superchat.client.reconnect import LONGEST_DELAY_SECONDS, Places, Reconnecting, back_off
from superchat.wire import messages as wire
from superchat.wire.records import Message
from tests.client.scripted import ScriptedEndpoint


class BackOffTests(SynchronousTestCase):
    """How long to wait."""

    def test_grows(self) -> None:
        """The longest wait doubles up to 30 s."""
        waits = [back_off(attempt, lambda: 0.0) for attempt in range(1, 8)]
        self.assertEqual(waits, [2, 4, 8, 16, 30, 30, 30])

    def test_jitter(self) -> None:
        """Chance takes away up to a half, never below 1 s."""
        self.assertEqual(back_off(1, lambda: 1.0), 1)
        self.assertEqual(back_off(5, lambda: 1.0), 15)
        self.assertLess(back_off(3), 8.01)

    def test_for_ever(self) -> None:
        """The formula holds after days of failure."""
        self.assertEqual(back_off(10**6, lambda: 0.0), LONGEST_DELAY_SECONDS)


def obedient(message: Message) -> list[Message]:
    """Answer as a server does that grants everything."""
    match message:
        case wire.SetNickname():
            return [wire.NicknameResponse(success=True, message="")]
        case wire.JoinChannel(channel_id=channel_id):
            return [wire.JoinResponse(success=True, channel_id=channel_id, message="")]
        case wire.SubscribeChannel(channel_id=channel_id):
            return [wire.SubscribeOk(type=2, id=channel_id)]
        case wire.SubscribeThread(thread_id=thread_id):
            return [wire.SubscribeOk(type=1, id=thread_id)]
    return []


class ReconnectingTests(SynchronousTestCase):
    """A connection that comes back."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.endpoint = ScriptedEndpoint(obedient)
        self.connected: list[ChatClient] = []
        self.lost: list[tuple[str, float]] = []
        self.refused: list[tuple[Message, str]] = []
        self.hook: Deferred[None] | None = None
        self.link = Reconnecting(
            self.clock,
            lambda: connect_endpoint(self.endpoint, self.clock),
            on_connected=self.on_connected,
            on_lost=lambda reason, delay: self.lost.append((reason, delay)),
            on_refused=lambda request, text: self.refused.append((request, text)),
            delay=float,
        )

    async def on_connected(self, client: ChatClient) -> None:
        self.connected.append(client)
        if self.hook is not None:
            await self.hook

    def start(self) -> Deferred[None]:
        running = self.link.run()
        self.addCleanup(lambda: running.addErrback(lambda _: None).cancel())
        return running

    def test_first_connection(self) -> None:
        """The first connection is announced and stays."""
        running = self.start()
        self.assertEqual(len(self.connected), 1)
        self.assertIs(self.link.client, self.connected[0])
        self.assertNoResult(running)

    def test_first_failure(self) -> None:
        """If there is no server at all the caller learns it at once."""
        self.endpoint.down = True
        self.failureResultOf(self.link.run(), ConnectionRefusedError)
        self.assertEqual(self.lost, [])

    def test_comes_back(self) -> None:
        """After a loss it waits, then connects again."""
        self.start()
        self.endpoint.server.drop()
        self.assertIsNone(self.link.client)
        self.assertEqual([delay for _, delay in self.lost], [1.0])
        self.clock.advance(1)
        self.assertEqual(len(self.connected), 2)
        self.assertIs(self.link.client, self.connected[1])

    def test_waits_longer_each_time(self) -> None:
        """Every failed attempt in a row is announced; success starts the count afresh."""
        self.start()
        self.endpoint.down = True
        self.endpoint.server.drop()
        self.clock.pump([1, 2, 3])
        self.assertEqual([delay for _, delay in self.lost], [1, 2, 3, 4])
        self.assertIn("refused", self.lost[-1][0].lower())
        self.endpoint.down = False
        self.clock.advance(4)
        self.endpoint.server.drop()
        self.assertEqual(self.lost[-1][1], 1)

    def test_after_disconnect(self) -> None:
        """A server that says goodbye is expected back, and its reason is passed on."""
        self.start()
        self.endpoint.server.say(wire.Disconnect(reason="Server shutting down for maintenance"))
        self.assertEqual(self.lost, [("Server shutting down for maintenance", 1.0)])
        self.clock.advance(1)
        self.assertEqual(len(self.connected), 2)

    def test_places(self) -> None:
        """Nickname, channel and subscriptions are said again, in that order, before the announcement."""
        self.start()
        self.link.places = Places("alice", 3, {3: None, 5: None}, {70: None})
        self.endpoint.server.drop()
        self.clock.advance(1)
        self.assertEqual(
            self.endpoint.server.heard,
            [
                wire.SetNickname(nickname="alice"),
                wire.JoinChannel(channel_id=3),
                wire.SubscribeChannel(channel_id=3),
                wire.SubscribeChannel(channel_id=5),
                wire.SubscribeThread(thread_id=70),
            ],
        )
        self.assertEqual(len(self.connected), 2)

    def test_place_that_is_gone(self) -> None:
        """What the server refuses is reported once and not asked for again."""

        def refuse(message: Message) -> list[Message]:
            if isinstance(message, wire.SubscribeThread):
                return [wire.Error(error_code=4003, message="Thread does not exist")]
            if isinstance(message, wire.JoinChannel):
                return [wire.JoinResponse(success=False, channel_id=3, message="Channel not found")]
            return obedient(message)

        self.start()
        self.link.places = Places("alice", 3, {5: None}, {70: None})
        self.endpoint.answer = refuse
        self.endpoint.server.drop()
        self.clock.advance(1)
        self.assertEqual([text for _, text in self.refused], ["Channel not found", "Thread does not exist"])
        self.assertEqual(self.link.places, Places("alice", None, {5: None}, {}))
        self.assertEqual(len(self.connected), 2)

    def test_login(self) -> None:
        """Who has logged in does so again, before anything that only the account may do."""
        credentials = wire.AuthRequest(nickname="alice", password_hash="x" * 43)
        silent = True

        def answer(message: Message) -> list[Message]:
            return [] if silent else obedient(message)

        self.start()
        self.link.places = Places("alice", 3, login=credentials)
        self.endpoint.answer = answer
        self.endpoint.server.drop()
        self.clock.advance(1)
        self.assertEqual(self.endpoint.server.heard, [credentials])
        silent = False
        self.endpoint.server.say(
            wire.AuthResponse(success=True, user_id=1, nickname="alice", message="", user_flags=0)
        )
        self.assertEqual(self.endpoint.server.heard, [credentials, wire.JoinChannel(channel_id=3)])
        self.assertEqual(len(self.connected), 2)

    def test_refused_login(self) -> None:
        """A login that is refused is reported and not tried again."""
        self.start()
        credentials = wire.AuthRequest(nickname="alice", password_hash="x" * 43)
        self.link.places = Places("alice", login=credentials)
        self.endpoint.answer = lambda message: [wire.AuthResponse(success=False, message="Invalid credentials")]
        self.endpoint.server.drop()
        self.clock.advance(1)
        self.assertEqual(self.refused, [(credentials, "Invalid credentials")])
        self.assertIsNone(self.link.places.login)

    def test_lost_while_restoring(self) -> None:
        """A connection that is lost before all is restored counts as a failed attempt."""
        self.start()
        self.link.places = Places("alice")
        self.endpoint.answer = lambda message: []
        self.endpoint.server.drop()
        self.clock.advance(1)
        self.endpoint.server.drop()
        self.assertEqual([delay for _, delay in self.lost], [1, 2])
        self.endpoint.answer = obedient
        self.clock.advance(2)
        self.assertEqual(len(self.connected), 2)

    def test_lost_while_announcing(self) -> None:
        """So does one whose announcement fails, and it is closed."""
        self.start()
        self.hook = Deferred()
        self.endpoint.server.drop()
        self.clock.advance(1)
        self.hook.errback(ServerRefused(9000, "no"))
        self.assertTrue(self.endpoint.server.gone)
        self.assertIsNone(self.link.client)
        self.assertEqual([delay for _, delay in self.lost], [1, 2])

    def test_stopped(self) -> None:
        """Cancelling says goodbye to the server and leaves nothing behind."""
        running = self.link.run()
        running.cancel()
        self.failureResultOf(running, CancelledError)
        self.assertEqual(self.endpoint.server.hear(), [wire.Disconnect()])
        self.assertTrue(self.endpoint.server.gone)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_while_waiting(self) -> None:
        """Cancelling while there is no connection ends the waiting."""
        running = self.link.run()
        self.endpoint.server.drop()
        running.cancel()
        self.failureResultOf(running, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
