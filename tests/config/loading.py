"""What the tests of the configuration share: writing a file, loading it, collecting the mistakes."""

from collections.abc import Mapping
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from superchat.config import Config, ConfigError, load

HOME = {"HOME": "/home/alice"}


class ConfigTestCase(SynchronousTestCase):
    """A test with a configuration file of its own."""

    def written(self, text: str) -> Path:
        """A configuration file with this text."""
        path = Path(self.mktemp())
        path.write_text(text, "utf-8")
        return path

    def loaded(
        self, text: str, environ: Mapping[str, str] | None = None, argv: Mapping[str, object] | None = None
    ) -> Config:
        """The configuration of a file with this text."""
        return load(argv or {}, {**HOME, **(environ or {})}, self.written(text))

    def mistakes(
        self, text: str, environ: Mapping[str, str] | None = None, argv: Mapping[str, object] | None = None
    ) -> list[str]:
        """The mistakes of such a configuration, with the file's path shortened to "file"."""
        path = self.written(text)
        error = self.assertRaises(ConfigError, load, argv or {}, {**HOME, **(environ or {})}, path)
        return [str(mistake).replace(str(path), "file") for mistake in error.mistakes]
