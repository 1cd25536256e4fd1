"""etc/superchat.toml, the file operators start from."""

import re
from pathlib import Path

from superchat.config import KEYS, Config, default_channels, load
from superchat.config.seeds import CHANNEL_KEYS
from tests.config.loading import HOME, ConfigTestCase

FILE = Path(__file__).resolve().parents[2] / "etc" / "superchat.toml"
_COMMENTED = re.compile(r"^# (\[\[channels\]\]|[a-z_]+ = .*)$", re.MULTILINE)


class ExampleFileTests(ConfigTestCase):
    """What the file shows is what the server does."""

    def setUp(self) -> None:
        """The file with its keys uncommented."""
        self.uncommented = _COMMENTED.sub(r"\1", FILE.read_text("utf-8"))

    def test_as_shipped(self) -> None:
        """Installed as it is, it changes nothing."""
        self.assertEqual(self.settings(load({}, HOME, FILE)), self.settings(load({}, HOME)))

    def test_uncommented(self) -> None:
        """The values it shows are the defaults."""
        config = self.loaded(self.uncommented)
        self.assertEqual(self.settings(config), self.settings(load({}, HOME)))
        self.assertEqual(config.channels, default_channels())

    def test_every_key(self) -> None:
        """It mentions every key there is, with a comment above it."""
        text = FILE.read_text("utf-8")
        for dotted in KEYS:
            name = dotted.split(".")[1]
            self.assertRegex(text, rf"# [^\n]+\n# {name} = ", dotted)
        for name in CHANNEL_KEYS:
            self.assertRegex(text, rf"\n#   {name} +\S", name)

    def settings(self, config: Config) -> tuple[object, ...]:
        """Everything but the file's own path."""
        return (config.server, config.limits, config.retention, config.logging, config.discovery, config.channels)
