"""What superchat-admin prints."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from superchat.model import Account, Act, Ban, UserFlags
from superchat.ops.control.rows import act_row, ban_row, user_row
from superchat.tools.admin_files import FIRST_WORD_SECONDS, WORDS_SECONDS, Progress
from superchat.tools.admin_output import HumanOutput, JsonOutput, Output, lapse, size

NOON_MS = 1_750_075_200_000  # 2025-06-16 12:00 UTC
HOUR_MS = 3_600_000

ACCOUNTS = [
    Account(1, "anna", UserFlags.ADMIN, "secret", "anna", NOON_MS, NOON_MS + HOUR_MS, None, False),
    Account(20, "rob", 0, "secret", "bob", NOON_MS, NOON_MS, None, False),
    Account(3, "sue", 3, "", None, NOON_MS, NOON_MS, None, False),
]
BANS = [
    Ban("user", 20, "rob", None, "spam\x1b[2J", True, NOON_MS, None, "anna", 9),
    Ban("ip", None, None, "10.0.0.0/8", "", False, NOON_MS, NOON_MS + 1, "operator uid 0", 8),
    Ban("user", 7, None, None, "", False, NOON_MS, NOON_MS + HOUR_MS, "anna", 10),
]
ACTS = [
    Act("anna", 1, "192.0.2.1", "delete_message", "message", 2**60, "", "", NOON_MS, 12),
    Act("operator uid 0", None, "local", "grant", "user", 20, "rob", "admin", NOON_MS, 11),
]
STATS = {
    "version": "1.0",
    "running": True,
    "pid": 77,
    "uptime_seconds": 90061,
    "sessions": 5,
    "accounts": 3,
    "channels": 4,
    "messages": 1000,
    "user_bans": 2,
    "ip_bans": 1,
    "database": "/srv/superchat.db",
    "database_bytes": 5_000_000,
}


def say_everything(output: Output) -> None:
    """Everything that there may be to say."""
    output.rows([user_row(account, 2) for account in ACCOUNTS], "3 accounts")
    output.rows([ban_row(ban, NOON_MS + 1) for ban in BANS], "3 bans")
    output.rows([*map(act_row, ACTS)], "2 acts")
    output.result("stats", "", STATS)
    output.result("done", "Done it", {"user_id": "1", "nickname": "anna", "changed": True, "sessions": 1})
    output.result("done", "Banned", {"ban_ids": ["1"]})
    copy = {"path": "/a", "size_bytes": 1, "messages": 1, "schema_version": 2}
    output.result("backup", "Backed up", copy)
    output.result("restored", "Restored", {**copy, "kept": None})
    output.result("configuration", "no mistakes", {"file": None, "data_directory": "/srv", "database": "/srv/a.db"})
    output.result("mistake", "a:1: b: c", {"where": "a:1", "key": "b", "problem": "c"})
    output.notice("by the way")
    output.error("refused", "no")


class HumanTests(SynchronousTestCase):
    """Tables for people."""

    def setUp(self) -> None:
        self.out: list[str] = []
        self.err: list[str] = []
        self.output = HumanOutput(self.out.append, self.err.append, UTC)

    def test_users(self) -> None:
        """Columns are as wide as they must be; a name to log in with that differs is told (decisions 2.5)."""
        self.output.rows([user_row(account, 2) for account in ACCOUNTS], "3 accounts")
        self.assertEqual(
            self.out,
            [
                "ID  NAME                  RIGHTS            SESSIONS  MADE              LAST SEEN",
                "1   anna                  admin             2         2025-06-16 12:00  2025-06-16 13:00",
                "20  rob (logs in as bob)                    2         2025-06-16 12:00  2025-06-16 12:00",
                "3   sue                   admin, moderator  2         2025-06-16 12:00  2025-06-16 12:00",
            ],
        )

    def test_bans(self) -> None:
        """Whom, how long, by whom and why; what is over is marked, and no reason can paint on the terminal."""
        self.output.rows([ban_row(ban, NOON_MS + 1) for ban in BANS], "3 bans")
        self.assertEqual(
            self.out,
            [
                "ID  WHOM        SINCE             UNTIL                    KIND    BY              REASON",
                "9   rob         2025-06-16 12:00  for ever                 shadow  anna            spam\\x1b[2J",
                "8   10.0.0.0/8  2025-06-16 12:00  2025-06-16 12:00 (over)  ip      operator uid 0",
                "10  account 7   2025-06-16 12:00  2025-06-16 13:00         user    anna",
            ],
        )

    def test_audit(self) -> None:
        """Who did what, to whom; a target without a name is its id."""
        self.output.rows([*map(act_row, ACTS)], "2 acts")
        self.assertEqual(
            self.out[1:],
            [
                "12  2025-06-16 12:00  anna            192.0.2.1  delete_message  1152921504606846976",
                "11  2025-06-16 12:00  operator uid 0  local      grant           rob                  admin",
            ],
        )

    def test_empty(self) -> None:
        """An empty list is said to be empty."""
        self.output.rows([], "0 bans")
        self.assertEqual(self.out, ["0 bans"])

    def test_stats(self) -> None:
        """Numbers with names, for a server that runs and for one that does not."""
        self.output.result("stats", "", STATS)
        self.assertEqual(self.out[0], "server      running for 1 d 1:01:01, process 77")
        self.assertEqual(self.out[-1], "database    /srv/superchat.db, 4.8 MiB")
        self.output.result("stats", "", {**STATS, "running": False, "uptime_seconds": None, "pid": None})
        self.assertIn("server      stopped", self.out)

    def test_sentences(self) -> None:
        """Results on standard output, notices and errors on standard error, each line with the tool's name."""
        self.output.result("done", "bob is an admin now", {})
        self.output.notice("by the way")
        self.output.error("refused", "no\nnever\x1b")
        self.assertEqual(self.out, ["bob is an admin now"])
        self.assertEqual(self.err, ["* by the way", "superchat-admin: no", "superchat-admin: never\\x1b"])

    def test_times(self) -> None:
        """A time that no calendar has is no crash."""
        self.assertEqual([self.output.time(None), self.output.time(2**62)], ["", "?"])

    def test_everything(self) -> None:
        """Whatever there is to say can be said."""
        say_everything(self.output)

    def test_sizes(self) -> None:
        """Numbers that people read at a glance."""
        self.assertEqual(
            [size(number) for number in (0, 1023, 1024, 10**6, 2**40, 2**60)],
            ["0 bytes", "1023 bytes", "1.0 KiB", "976.6 KiB", "1.0 TiB", "1048576.0 TiB"],
        )
        lapses = [lapse(seconds) for seconds in (0, 59, 3600, 86400)]
        self.assertEqual(lapses, ["0:00:00", "0:00:59", "1:00:00", "1 d 0:00:00"])


class JsonTests(SynchronousTestCase):
    """Objects for programs."""

    def setUp(self) -> None:
        self.out: list[str] = []
        self.err: list[str] = []
        self.output = JsonOutput(self.out.append, self.err.append)

    def objects(self) -> list[dict[str, Any]]:
        """What was printed on standard output."""
        return [json.loads(line) for line in self.out]

    def test_lines(self) -> None:
        """Everything is one object on one line with a type, results apart from notices and errors."""
        say_everything(self.output)
        self.assertEqual(len(self.out), 3 + 3 + 2 + 7)
        self.assertTrue(all(one["type"] for one in self.objects()))
        self.assertEqual([json.loads(line)["type"] for line in self.err], ["notice", "error"])
        self.assertNotIn("\n", "".join(self.out))

    def test_ids(self) -> None:
        """Ids are strings, since most readers of JSON lose digits of large numbers."""
        self.output.rows([*map(act_row, ACTS)], "2 acts")
        self.assertEqual([one["target_id"] for one in self.objects()], [str(2**60), "20"])

    def test_no_secrets(self) -> None:
        """What is stored of a password is in no list."""
        self.output.rows([user_row(account, 2) for account in ACCOUNTS], "3 accounts")
        self.assertNotIn("secret", "".join(self.out))

    def test_empty(self) -> None:
        """An empty list has no lines."""
        self.output.rows([], "0 bans")
        self.assertEqual(self.out, [])


class ProgressTests(SynchronousTestCase):
    """Telling of a copy that takes its time."""

    def test_seldom(self) -> None:
        """A short copy says nothing, a long one a line every few seconds, and none that it is done."""
        said: list[str] = []
        now = 0.0
        progress = Progress(said.append, lambda: now)
        progress(1, 10)
        self.assertEqual(said, [])
        now = FIRST_WORD_SECONDS
        progress(2048, 4096)
        progress(3000, 4096)
        self.assertEqual(said, ["2.0 KiB of 4.0 KiB copied"])
        now += WORDS_SECONDS
        progress(4095, 4096)
        progress(4096, 4096)
        now += WORDS_SECONDS
        progress(4096, 4096)
        self.assertEqual(len(said), 2)
