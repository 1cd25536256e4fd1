"""Tests for `superchat.ops.series`: every metric of the monitoring guide, really counted, and those beyond it."""

from __future__ import annotations

from typing import Any, get_args

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.counters import CloseCause, Transport
from superchat.config import Limits, SeedChannel
from superchat.model import Ban
from superchat.ops.series.chat import SERIES
from superchat.wire import frames
from superchat.wire import messages as wire
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import BY_CODE, FROM_CLIENT
from tests.net.in_memory import InMemoryClient
from tests.ops.monitored import NO_LIMITS, MonitoredServer

CHAT, GENERAL = 1, 2
FANOUT_BUCKETS = (1, 5, 10, 25, 50, 100, 250, 500, 1000, 2000, 5000)


def posted(client: InMemoryClient, channel_id: int, parent_id: int | None = None) -> int:
    """Post as a client with a nickname, and return the id."""
    client.received()
    client.send(wire.PostMessage(channel_id=channel_id, parent_id=parent_id, content=b"hello"))
    (answer,) = [event for event in client.received() if isinstance(event, wire.MessagePosted)]
    return answer.message_id


def named(client: InMemoryClient, nickname: str = "alice") -> InMemoryClient:
    """Take a nickname."""
    client.send(wire.SetNickname(nickname=nickname))
    return client


class GuideTests(SynchronousTestCase):
    """The metrics of the monitoring guide, "Available Metrics"."""

    def setUp(self) -> None:
        self.server = MonitoredServer(self)

    def test_there_from_the_start(self) -> None:
        """Each has its name and its labels before anything has happened, so that the first event is an increase."""
        first = self.server.scrape()
        for name in (
            "superchat_active_sessions",
            "superchat_sessions_created_total",
            "superchat_sessions_disconnected_total",
            "superchat_messages_broadcast_total",
            'superchat_messages_received_total{type="POST_MESSAGE"}',
            'superchat_messages_sent_total{type="ERROR"}',
            'superchat_messages_delivered_total{channel_id="other",thread_id="other"}',
            'superchat_channel_subscribers{channel_id="other"}',
            'superchat_thread_subscribers{thread_id="other"}',
            'superchat_broadcast_fanout_count{type="channel"}',
            'superchat_broadcast_duration_seconds_count{type="thread"}',
            "go_goroutines",
            "go_memstats_alloc_bytes",
            "go_memstats_heap_inuse_bytes",
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
        ):
            self.assertIn(name, first.samples)
        for name in first.samples:
            if name.startswith("superchat_messages"):
                self.assertEqual(first[name], 0, name)

    def test_every_type(self) -> None:
        """`type` takes every message a client, or the server, may send, and one value for all that do not exist."""
        first = self.server.scrape()
        received = {f'{{type="{each.NAME}"}}' for each in FROM_CLIENT.values()}
        self.assertEqual(set(first.of("superchat_messages_received_total")), received | {'{type="UNKNOWN"}'})
        sent = {f'{{type="{each.NAME}"}}' for each in BY_CODE.values() if each.SENDER.value != "client"}
        self.assertEqual(set(first.of("superchat_messages_sent_total")), sent)

    def test_unknown_types(self) -> None:
        """Whatever types a client makes up, they are one series."""
        (client,) = self.server.people(1)
        before = set(self.server.scrape().samples)
        for code in (0x60, 0x7E, 0xFE):
            client.deliver(bytes((0, 0, 0, 3, 2, code, 0)))
        after = self.server.scrape()
        self.assertEqual(set(after.samples), before)
        self.assertEqual(after['superchat_messages_received_total{type="UNKNOWN"}'], 3)

    def test_sessions(self) -> None:
        """Sessions are counted when they come, while they are there, and when they go."""
        people = self.server.people(3)
        people[0].send(wire.Disconnect(reason=None))
        seen = self.server.scrape()
        self.assertEqual(seen["superchat_active_sessions"], 2)
        self.assertEqual(seen["superchat_sessions_created_total"], 3)
        self.assertEqual(seen["superchat_sessions_disconnected_total"], 1)

    def test_every_frame(self) -> None:
        """What is sent counts by type, a broadcast once for each recipient (issue, point 1)."""
        people = self.server.people(4)
        for client in people:
            client.send(wire.SubscribeChannel(channel_id=GENERAL))
        posted(named(people[0]), GENERAL)
        self.server.clock.advance(1)
        for client in people:
            client.received()
        sent = self.server.scrape().of("superchat_messages_sent_total")
        for name, number in (
            ("SERVER_CONFIG", 4),
            ("SUBSCRIBE_OK", 4),
            ("NICKNAME_RESPONSE", 1),
            ("SERVER_PRESENCE", 4),
            ("MESSAGE_POSTED", 1),
            ("NEW_MESSAGE", 4),
        ):
            self.assertEqual(sent.pop(f'{{type="{name}"}}'), number, name)
        self.assertEqual(set(sent.values()), {0})

    def test_delivered(self) -> None:
        """Deliveries count by channel, and those of replies by channel and thread."""
        author, *readers = self.server.people(4)
        named(author)
        for reader in readers:
            reader.send(wire.SubscribeChannel(channel_id=GENERAL))
        root = posted(author, GENERAL)
        posted(author, CHAT)
        readers[0].send(wire.SubscribeThread(thread_id=root))
        reply = posted(author, GENERAL, root)
        posted(author, GENERAL, reply)
        seen = self.server.scrape()
        self.assertEqual(
            seen.of("superchat_messages_delivered_total"),
            {
                f'{{channel_id="{GENERAL}",thread_id=""}}': 3,
                f'{{channel_id="{GENERAL}",thread_id="{root}"}}': 2,
                '{channel_id="other",thread_id=""}': 0,
                '{channel_id="other",thread_id="other"}': 0,
            },
        )
        self.assertEqual(seen["superchat_messages_broadcast_total"], 4)
        self.assertEqual(seen.of("superchat_channel_subscribers"), {'{channel_id="2"}': 3, '{channel_id="other"}': 0})
        self.assertEqual(seen[f'superchat_thread_subscribers{{thread_id="{root}"}}'], 1)

    def test_fanout(self) -> None:
        """The fan-out has the guide's buckets, and counts each broadcast by its number of recipients."""
        people = self.server.people(6)
        named(people[0])
        for client in people:
            client.send(wire.SubscribeChannel(channel_id=GENERAL))
        posted(people[0], GENERAL)
        posted(people[0], CHAT)
        buckets = self.server.scrape().of("superchat_broadcast_fanout_bucket")
        channel = {key: value for key, value in buckets.items() if 'type="channel"' in key}
        bounds = [*(f"{float(bound)}" for bound in FANOUT_BUCKETS), "+Inf"]
        expected = [1.0, 1.0, *([2.0] * (len(bounds) - 2))]
        self.assertEqual(
            channel, {f'{{le="{b}",type="channel"}}': n for b, n in zip(bounds, expected, strict=True)}
        )
        self.assertEqual(self.server.scrape()['superchat_broadcast_fanout_sum{type="channel"}'], 6)

    def test_duration_and_latency(self) -> None:
        """Both count a broadcast once its last byte was handed over; until then it is pending and grows old."""
        author, reader = self.server.people(2)
        named(author)
        reader.send(wire.SubscribeChannel(channel_id=GENERAL))
        author.protocol.dataReceived(frames.encode(wire.PostMessage(channel_id=GENERAL, content=b"hello")))
        pending = self.server.scrape()
        self.assertEqual(pending["superchat_pending_broadcasts"], 1)
        self.assertEqual(pending['superchat_broadcast_duration_seconds_count{type="channel"}'], 0)
        self.server.clock.rightNow += 2
        self.assertEqual(self.server.scrape()["superchat_oldest_pending_broadcast_age_seconds"], 2)
        self.server.clock.advance(0)
        done = self.server.scrape()
        self.assertEqual((done["superchat_pending_broadcasts"], done["superchat_outbox_bytes"]), (0, 0))
        for name in ("superchat_broadcast_duration_seconds", "superchat_delivery_latency_seconds"):
            self.assertEqual(done[f'{name}_count{{type="channel"}}'], 1, name)
            self.assertEqual(done[f'{name}_sum{{type="channel"}}'], 2, name)

    def test_aliases(self) -> None:
        """The names of Go's runtime show what their help says: waiting work, and the heap."""
        seen = self.server.scrape()
        for _ in range(5):
            self.server.clock.callLater(60.0, self.server.scrape)
        more = self.server.scrape()
        self.assertEqual(more["twisted_delayed_calls"], seen["twisted_delayed_calls"] + 5)
        for each in (seen, more):
            waiting = each["twisted_pending_deferreds"] + each["twisted_delayed_calls"]
            self.assertEqual(each["go_goroutines"], each["python_threads"] + waiting)
            self.assertEqual(each["go_memstats_alloc_bytes"], each["python_heap_bytes"])
        self.assertGreater(seen["go_memstats_alloc_bytes"], 1 << 20)


class BoundedTests(SynchronousTestCase):
    """Labels are bounded, dead places disappear, sums stay exact (decisions 9.4)."""

    def setUp(self) -> None:
        channels = tuple(SeedChannel(f"channel{number}") for number in range(SERIES + 50))
        self.server = MonitoredServer(self, channels=channels)

    def test_channels(self) -> None:
        """The busiest have series of their own, the rest is summed."""
        first, second, author = self.server.people(3)
        named(author)
        for channel_id in range(1, SERIES + 51):
            first.send(wire.SubscribeChannel(channel_id=channel_id))
            if channel_id > 50:
                second.send(wire.SubscribeChannel(channel_id=channel_id))
            posted(author, channel_id)
        seen = self.server.scrape()
        delivered = seen.of("superchat_messages_delivered_total")
        busy = {f'{{channel_id="{number}",thread_id=""}}' for number in range(51, SERIES + 51)}
        others = {'{channel_id="other",thread_id=""}', '{channel_id="other",thread_id="other"}'}
        self.assertEqual(set(delivered), busy | others)
        self.assertEqual(sum(delivered.values()), 50 + 2 * SERIES)
        self.assertEqual(delivered['{channel_id="other",thread_id=""}'], 50)
        subscribers = seen.of("superchat_channel_subscribers")
        self.assertEqual(len(subscribers), SERIES + 1)
        self.assertEqual(subscribers['{channel_id="other"}'], 50)
        self.assertEqual(seen["superchat_live_channels"], SERIES + 50)

    def test_dead(self) -> None:
        """When the last listener has left a place, its series is gone and its sum is not."""
        author, reader = self.server.people(2)
        named(author)
        reader.send(wire.SubscribeChannel(channel_id=1))
        root = posted(author, 1)
        reader.send(wire.SubscribeThread(thread_id=root))
        posted(author, 1, root)
        reader.send(wire.Disconnect(reason=None))
        seen = self.server.scrape()
        self.assertEqual(
            seen.of("superchat_messages_delivered_total"),
            {'{channel_id="other",thread_id=""}': 1, '{channel_id="other",thread_id="other"}': 1},
        )
        self.assertEqual(seen.of("superchat_thread_subscribers"), {'{thread_id="other"}': 0})

    def test_same_length(self) -> None:
        """A scrape does not grow with the threads that were ever opened."""
        author, reader = self.server.people(2)
        named(author)
        lengths = set()
        for _ in range(3):
            for _ in range(20):
                root = posted(author, 1)
                reader.send(wire.SubscribeThread(thread_id=root))
                posted(author, 1, root)
                reader.send(wire.UnsubscribeThread(thread_id=root))
            lengths.add(len(self.server.scrape().samples))
        self.assertEqual(len(lengths), 1)


class BeyondTests(SynchronousTestCase):
    """The metrics that the guide does not have."""

    def setUp(self) -> None:
        self.server = MonitoredServer(self)

    def test_transports(self) -> None:
        """Sessions by transport are those that are there, and every transport has its series."""
        (client,) = self.server.people(1)
        seen = self.server.scrape().of("superchat_sessions_by_transport")
        self.assertEqual(seen, {f'{{transport="{each}"}}': float(each == "tcp") for each in get_args(Transport)})
        client.send(wire.Disconnect(reason=None))
        self.assertEqual(sum(self.server.scrape().of("superchat_sessions_by_transport").values()), 0)

    def test_reasons(self) -> None:
        """Sessions end for one of a closed set of reasons."""
        left, broken, _ = self.server.people(3)
        left.send(wire.Disconnect(reason=None))
        broken.deliver(b"\x00\x00\x00\x00")
        self.server.clock.advance(121)
        seen = self.server.scrape()
        reasons = seen.of("superchat_disconnects_total")
        self.assertEqual(set(reasons), {f'{{reason="{each}"}}' for each in get_args(CloseCause)})
        for reason in ("client", "protocol", "timeout"):
            self.assertEqual(reasons[f'{{reason="{reason}"}}'], 1, reason)
        self.assertEqual(sum(reasons.values()), seen["superchat_sessions_disconnected_total"])

    def test_refusals(self) -> None:
        """Refusals count by their code; every code has its series."""
        (client,) = self.server.people(1)
        client.send(wire.SubscribeChannel(channel_id=999), wire.PostMessage(channel_id=1, content=b"x"))
        refusals = self.server.scrape().of("superchat_refusals_total")
        self.assertEqual(set(refusals), {f'{{code="{int(code)}"}}' for code in ErrorCode})
        self.assertEqual({key for key, value in refusals.items() if value}, {'{code="2000"}', '{code="4001"}'})

    def test_door(self) -> None:
        """Connections that are turned away count by code, and what they are sent counts as sent."""
        server = MonitoredServer(self, limits=Limits(max_connections_per_ip=1))
        server.people(3)
        seen = server.scrape()
        self.assertEqual(seen['superchat_connections_refused_total{code="5003"}'], 2)
        self.assertEqual(seen['superchat_connections_refused_total{code="9002"}'], 0)
        self.assertEqual(seen['superchat_messages_sent_total{type="ERROR"}'], 2)
        self.assertEqual(seen["superchat_sessions_disconnected_total"], 0)

    def test_bans(self) -> None:
        """Bans in force are gauges by what they are of, and one that has ended counts no more (decisions 7.1)."""
        in_a_second = int(self.server.clock.seconds() * 1000) + 1000
        self.server.chat.bans.add(Ban("user", None, "bob", None, "", True, 0, None, "root", 1))
        self.server.chat.bans.add(Ban("user", None, "carl", None, "", False, 0, in_a_second, "root", 2))
        self.assertEqual(self.server.scrape().of("superchat_bans"), {'{type="user"}': 2, '{type="ip"}': 0})
        self.server.clock.advance(1)
        self.assertEqual(self.server.scrape().of("superchat_bans"), {'{type="user"}': 1, '{type="ip"}': 0})

    def test_rate_limits(self) -> None:
        """Both rates count how often somebody was over them."""
        server = MonitoredServer(self, limits=Limits(message_rate_limit=1, max_frames_per_second=5, frame_burst=5))
        client = named(server.people(1)[0])
        client.send(*(wire.PostMessage(channel_id=1, content=b"x") for _ in range(3)))
        client.send(*(wire.Ping(timestamp=1) for _ in range(5)))
        self.assertEqual(
            server.scrape().of("superchat_rate_limits_hit_total"), {'{limit="messages"}': 2, '{limit="frames"}': 1}
        )

    def test_slow_consumer(self) -> None:
        """Who does not read shows at once, with the bytes, and after it was cut off as a reason."""
        server = MonitoredServer(self, limits=Limits(max_connections_per_ip=0, outbox_budget_bytes=65_536))
        transport: Any = StringTransport()
        slow = server.connect(transport)
        session = slow.protocol.session
        assert session is not None
        transport.producer.pauseProducing()
        slow.send(wire.ListChannels(from_channel_id=0, limit=0))
        seen = server.scrape()
        self.assertEqual(seen["superchat_slow_consumers"], 1)
        self.assertGreater(seen["superchat_outbox_bytes"], 100)
        for _ in range(1000):
            server.chat.registry.publish([session], wire.Pong(client_timestamp=1))
        self.assertGreater(server.scrape()["superchat_outbox_bytes"], 10_000)
        for _ in range(10_000):
            server.chat.registry.publish([session], wire.Pong(client_timestamp=1))
        server.clock.advance(0)
        gone = server.scrape()
        self.assertEqual((gone["superchat_slow_consumers"], gone["superchat_outbox_bytes"]), (0, 0))
        self.assertEqual(gone['superchat_disconnects_total{reason="slow"}'], 1)

    def test_limits(self) -> None:
        """Limits are gauges by their key, as they are in force."""
        limits = self.server.scrape().of("superchat_limit")
        self.assertEqual(limits['{limit="max_connections_per_ip"}'], NO_LIMITS.max_connections_per_ip)
        self.assertEqual(limits['{limit="max_message_length"}'], 4096)

    def test_database(self) -> None:
        """Commits are counted, and sizes are there once they were measured."""
        author = named(self.server.people(1)[0])
        posted(author, CHAT)
        before = self.server.scrape()
        self.assertGreater(before["superchat_database_commits_total"], 0)
        self.assertNotIn("superchat_disk_free_bytes", before.samples)
        self.assertEqual(before.of("superchat_database_rows"), {})
        self.server.monitor.measurements.start()
        self.server.reactor.turn()
        after = self.server.scrape()
        channels = len(self.server.config.channels)
        self.assertEqual(after['superchat_database_rows{table="channel"}'], channels)
        self.assertEqual(after['superchat_database_rows{table="message"}'], 1)
        self.assertGreater(after["superchat_disk_free_bytes"], 0)
        self.assertGreater(after["process_open_fds"], 3)

    def test_reactor(self) -> None:
        """How late the reactor is, how late it was at worst, and for how long it was stuck, can be told."""
        watch = self.server.monitor.watch
        watch.last_lag_seconds, watch.max_lag_seconds = 0.01, 0.3
        watch.stalls, watch.stalled_seconds = 1, 0.3
        seen = self.server.scrape()
        self.assertEqual((seen["twisted_reactor_lag_seconds"], seen["twisted_reactor_max_lag_seconds"]), (0.01, 0.3))
        self.assertEqual(seen["twisted_reactor_stalls_total"], 1)
        self.assertEqual(seen["twisted_reactor_stalled_seconds_total"], 0.3)

    def test_canary(self) -> None:
        """The canary's age and failures are told; it is none of the sessions, and its message none of theirs."""
        before = self.server.scrape()
        self.server.monitor.canary.start()
        self.server.clock.advance(0)
        self.server.clock.advance(2)
        after = self.server.scrape()
        self.assertEqual(after["superchat_canary_age_seconds"], 2)
        self.assertEqual(after["superchat_canary_failures_total"], 0)
        self.assertGreater(after["superchat_database_commits_total"], before["superchat_database_commits_total"])
        for name in (
            "superchat_active_sessions",
            "superchat_sessions_created_total",
            "superchat_messages_broadcast_total",
            'superchat_messages_received_total{type="POST_MESSAGE"}',
            'superchat_messages_sent_total{type="NEW_MESSAGE"}',
            "superchat_outbox_bytes",
        ):
            self.assertEqual(after[name], 0, name)

    def test_logs(self) -> None:
        """Failed writes and lost lines have their series before there are any, so that the first is an increase."""
        seen = self.server.scrape()
        self.assertEqual(seen["superchat_log_write_failures_total"], 0)
        self.assertEqual(seen["superchat_log_lines_lost_total"], 0)

    def test_build_info(self) -> None:
        """The versions are there."""
        (labels,) = self.server.scrape().of("superchat_build_info")
        for name in ("version", "python", "twisted"):
            self.assertIn(f'{name}="', labels)
