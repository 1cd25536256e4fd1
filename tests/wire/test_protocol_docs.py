"""docs/protocol.md, made from the declarations."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from superchat.tools import protocol_docs
from superchat.wire.messages import BY_CODE
from tests import spec


class PageTests(SynchronousTestCase):
    """The page itself."""

    def test_current(self) -> None:
        """The page in docs is what the declarations say today."""
        page = spec.ROOT / protocol_docs.PAGE
        if not page.parent.is_dir():
            self.skipTest("no docs in this copy of the project")
        self.assertEqual(page.read_text(encoding="utf-8"), protocol_docs.page())

    def test_complete(self) -> None:
        """Every message has one section, with a row for every field."""
        sections = protocol_docs.page().split("\n### ")
        for code, cls in BY_CODE.items():
            (section,) = (each for each in sections if each.startswith(f"0x{code:02X} {cls.NAME}\n"))
            for name, codec in cls.FIELDS.items():
                self.assertIn(f"| {name} | `{codec.wire_type}`", section)

    def test_records(self) -> None:
        """Every record that a list holds has one section."""
        page = protocol_docs.page()
        for name in ("UnreadTarget", "Channel", "Message", "SSHKey", "BanEntry", "ChannelUserEntry"):
            self.assertEqual(page.count(f"\n### {name}\n"), 1)

    def test_conditions(self) -> None:
        """Conditions and fields that may be missing are told (wire 0x19 and 0x81)."""
        page = protocol_docs.page()
        self.assertIn("| target_id | `u64` | `target_type in [0, 2]` |", page)
        self.assertIn("| user_flags | `u8` | `success` | bit 0 admin, bit 1 moderator; *may be missing* |", page)


class CommandTests(SynchronousTestCase):
    """The command that writes the page."""

    def test_write_and_check(self) -> None:
        """A page just written is current; a changed or absent one is stale, and the command says what to do."""
        path = Path(self.mktemp())
        stderr = io.StringIO()
        with contextlib.redirect_stderr(stderr):
            self.assertEqual(protocol_docs.main(["--check", str(path)]), 1)
            self.assertEqual(protocol_docs.main([str(path)]), 0)
            self.assertEqual(protocol_docs.main(["--check", str(path)]), 0)
            path.write_text("old", encoding="utf-8")
            self.assertEqual(protocol_docs.main(["--check", str(path)]), 1)
        self.assertEqual(stderr.getvalue().count("is stale: run python -m superchat.tools.protocol_docs"), 2)
