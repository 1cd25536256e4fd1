"""What each kind of key takes and refuses, and the ranges of all keys."""

from typing import ClassVar

import attrs

from superchat.config import KEYS, Config
from superchat.config.keys import Key, Wrong, choice, declared, flag, integer, text, words
from tests.config.loading import ConfigTestCase


@attrs.frozen
class Sample:
    """One key of every kind."""

    count: int = integer(5, -3, 10, "A count.")
    switch: bool = flag(False, "A switch.")
    line: str = text("", 1, 5, "A line.")
    kind: str = choice("a", ("a", "b"), "A kind.")
    names: tuple[str, ...] = words((), str.isalpha, "letters", "Names.")


SAMPLE = declared(Sample)


class KindTests(ConfigTestCase):
    """Values from TOML are read, texts from elsewhere are parsed."""

    def refused(self, key: Key, *values: object) -> None:
        """All these values are refused, saying what is allowed."""
        for value in values:
            self.assertIn(key.allowed, str(self.assertRaises(Wrong, key.read, value)), value)

    def unparsable(self, key: Key, *texts: str) -> None:
        """All these texts are refused, saying what is allowed."""
        for one in texts:
            self.assertIn(key.allowed, str(self.assertRaises(Wrong, key.parse, one)), one)

    def test_integer(self) -> None:
        """A whole number within its range, never a boolean, a fraction or text."""
        key = SAMPLE["count"]
        self.assertEqual([key.read(-3), key.read(10), key.parse(" -3 ")], [-3, 10, -3])
        self.refused(key, -4, 11, True, 1.0, "1", [1], None)
        self.unparsable(key, "", "1.0", "1_0", "\u0661", "0x1", "--1", "9" * 5000, "11")

    def test_flag(self) -> None:
        """true or false; as text also yes/no, on/off and 1/0."""
        key = SAMPLE["switch"]
        self.assertEqual([key.parse(one) for one in ("true", "YES", "on", "1")], [True] * 4)
        self.assertEqual([key.parse(one) for one in ("False", "no", "off", "0")], [False] * 4)
        self.assertTrue(key.read(True))
        self.refused(key, 1, "true")
        self.unparsable(key, "", "2", "maybe")

    def test_text(self) -> None:
        """Text of some bytes without control characters; other scripts and emoji are welcome."""
        key = SAMPLE["line"]
        self.assertEqual(key.read("h\u00e9\u00e9"), "h\u00e9\u00e9")
        self.refused(key, "", "h\u00e9\u00e9\u00e9", "a\nb", "a\x1b", "\u2028", "\udcff", 1)
        self.unparsable(key, "", "\udcff")

    def test_choice(self) -> None:
        """One of the words, nothing like it."""
        key = SAMPLE["kind"]
        self.assertEqual(key.parse("b"), "b")
        self.refused(key, "A", "", 1, ["a"])

    def test_words(self) -> None:
        """A list of valid words; as text, separated by commas."""
        key = SAMPLE["names"]
        self.assertEqual([key.read(["a", "b"]), key.parse("a,b"), key.parse("")], [("a", "b"), ("a", "b"), ()])
        self.refused(key, "a", ["a", 1], ["a", "1"], {"a": 1})
        self.unparsable(key, "a,1")


class RangeTests(ConfigTestCase):
    """SERVER_CONFIG (wire 0x98) can carry every value that is allowed: out of range is never wrapped."""

    LIMITS: ClassVar[dict[str, tuple[int, int]]] = {
        "server.tcp_port": (0, 65535),
        "server.http_port": (0, 65535),
        "server.shutdown_timeout_seconds": (1, 300),
        "limits.max_connections_per_ip": (0, 255),
        "limits.max_users": (0, 1_000_000),
        "limits.message_rate_limit": (0, 65535),
        "limits.max_channel_creates": (0, 65535),
        "limits.max_auth_attempts_per_minute": (0, 65535),
        "limits.max_message_length": (1, 65000),
        "limits.max_nickname_length": (3, 20),
        "limits.session_timeout_seconds": (0, 604_800),
        "limits.max_thread_subscriptions": (0, 65535),
        "limits.max_channel_subscriptions": (0, 65535),
        "limits.max_frames_per_second": (0, 1_000_000),
        "limits.frame_burst": (1, 1_000_000),
        "limits.outbox_budget_bytes": (65_536, 1_073_741_824),
        "retention.default_retention_hours": (0, 8760),
        "retention.cleanup_interval_minutes": (1, 1440),
        "monitoring.metrics_port": (0, 65535),
        "monitoring.profiling_port": (0, 65535),
        "monitoring.canary_interval_seconds": (0, 86_400),
        "monitoring.min_free_disk_bytes": (0, 1 << 50),
    }

    def test_bounds(self) -> None:
        """Every number takes its bounds and nothing beyond them."""
        for dotted, (lowest, highest) in self.LIMITS.items():
            key = KEYS[dotted]
            self.assertEqual([key.read(lowest), key.read(highest)], [lowest, highest])
            self.assertRaises(Wrong, key.read, lowest - 1)
            self.assertRaises(Wrong, key.read, highest + 1)

    def test_none_forgotten(self) -> None:
        """The table above has every number there is."""
        numbers = [dotted for dotted, key in KEYS.items() if "whole number" in key.allowed]
        self.assertEqual(sorted(numbers), sorted(self.LIMITS))

    def test_defaults_are_allowed(self) -> None:
        """Every default is a value its key takes."""
        for dotted, key in KEYS.items():
            section, name = dotted.split(".")
            value = getattr(getattr(Config(), section), name)
            self.assertEqual(key.read(list(value) if isinstance(value, tuple) else value), value)

    def test_admin_password(self) -> None:
        """The password of an administrator is as long as clients want passwords (reference 5), or there is none."""
        for password in ("x" * 8, "ä" * 128, "", " spaces too "):
            loaded = self.loaded(f'[server]\nadmin_users = ["root"]\nadmin_password = "{password}"\n')
            self.assertEqual(loaded.server.admin_password, password)
        for password in ("x" * 7, "x" * 129):
            self.mistakes(f'[server]\nadmin_users = ["root"]\nadmin_password = "{password}"\n')

    def test_admin_users(self) -> None:
        """Names of administrators are nicknames (decisions 2.3)."""
        self.assertEqual(self.loaded('[server]\nadmin_users = ["al-ice_1"]\n').server.admin_users, ("al-ice_1",))
        self.assertIn("'b d' in the list", self.mistakes('[server]\nadmin_users = ["b d"]\n')[0])
        self.assertIn("'al\\n' in the list", self.mistakes('[server]\nadmin_users = ["ali", "al\\n"]\n')[0])
