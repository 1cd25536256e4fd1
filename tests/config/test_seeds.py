"""[[channels]]: what a new database starts with (decisions 4.13)."""

from superchat.config import SeedChannel, default_channels
from tests.config.loading import ConfigTestCase


class SeedChannelTests(ConfigTestCase):
    """Entries, their defaults and their mistakes."""

    def test_default_channels(self) -> None:
        """Without entries there are the reference's five channels, in its order (reference section 9)."""
        rows = [(one.name, one.channel_type, one.retention_hours) for one in default_channels()]
        expected = [("chat", 0, 24), ("general", 1, 168), ("tech", 1, 168), ("random", 1, 168), ("feedback", 1, 168)]
        self.assertEqual(rows, expected)
        self.assertEqual(self.loaded("").channels, default_channels())

    def test_default_retention_of_default_channels(self) -> None:
        """default_retention_hours counts for the default channels that name none."""
        hours = [one.retention_hours for one in self.loaded("[retention]\ndefault_retention_hours = 5\n").channels]
        self.assertEqual(hours, [24, 5, 5, 5, 5])

    def test_entry(self) -> None:
        """An entry says everything about its channel."""
        text = (
            '[[channels]]\nname = "news"\ndisplay_name = "News!"\ndescription = "Read"\ntype = "chat"\n'
            "retention_hours = 0\n"
        )
        self.assertEqual(self.loaded(text).channels, (SeedChannel("news", "News!", "Read", "chat", 0, ""),))

    def test_entry_defaults(self) -> None:
        """An entry with a name only is a forum with the default retention."""
        text = '[retention]\ndefault_retention_hours = 7\n[[channels]]\nname = "news"\n'
        self.assertEqual(self.loaded(text).channels, (SeedChannel("news", "news", "", "forum", 7, ""),))

    def test_no_channels(self) -> None:
        """An empty list means none at all."""
        self.assertEqual(self.loaded("channels = []\n").channels, ())

    def test_subchannel(self) -> None:
        """A channel may be the subchannel of one above it, and names repeat under different parents (decisions 4.1)."""
        text = (
            '[[channels]]\nname = "aaa"\n[[channels]]\nname = "bbb"\n'
            '[[channels]]\nname = "sub"\nparent = "AAA"\n[[channels]]\nname = "sub"\nparent = "bbb"\n'
        )
        self.assertEqual([one.parent for one in self.loaded(text).channels], ["", "", "AAA", "bbb"])

    def test_duplicate(self) -> None:
        """Names are unique ignoring case (decisions 4.1)."""
        found = self.mistakes('[[channels]]\nname = "aaa"\n[[channels]]\nname = "AAA"\n')
        self.assertEqual(found, ["file:3: channels[AAA]: is there already; names are unique ignoring case"])

    def test_unknown_parent(self) -> None:
        """A parent that is missing, below, or itself a subchannel is a mistake."""
        text = (
            '[[channels]]\nname = "aaa"\nparent = "bbb"\n[[channels]]\nname = "bbb"\n'
            '[[channels]]\nname = "ccc"\nparent = "bbb"\n[[channels]]\nname = "ddd"\nparent = "ccc"\n'
        )
        self.assertEqual([one.split(":")[1] for one in self.mistakes(text)], ["1", "9"])

    def test_mistakes(self) -> None:
        """Unknown keys, wrong values and missing names are named with their lines."""
        text = '[[channels]]\ntyp = "chat"\n[[channels]]\nname = "aaa"\nretention_hours = -1\ntype = "x"\n'
        self.assertEqual(
            self.mistakes(text),
            [
                "file:2: channels.typ: unknown key, did you mean type?",
                "file:1: channels.name: missing, every channel has a name",
                "file:5: channels.retention_hours: -1 is out of range, allowed is a whole number from 0 to 8760",
                'file:6: channels.type: \'x\' given, allowed is "chat" or "forum"',
            ],
        )

    def test_reference_form(self) -> None:
        """The reference's [channels] section is told the form that works."""
        found = self.mistakes("[channels]\nseed_channels = []\n")
        self.assertEqual(found, ["file:1: channels: allowed is one [[channels]] section for each channel"])
