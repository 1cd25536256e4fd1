"""What superchat-admin was asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs


@attrs.frozen(kw_only=True)
class Options:
    """A command, and how to find the server that it is for."""

    command: str
    config: Path | None = None  # the configuration file; None: where the server looks for it
    data_directory: str | None = None
    database: str | None = None
    json: bool = False
    password_file: str | None = None
    file: Path | None = None  # of backup, restore and check-config
    force: bool = False  # backup: replace what is there
    arguments: Mapping[str, object] = attrs.field(factory=dict)  # of the request to the server

    def overrides(self) -> Mapping[str, object]:
        """What the command line says instead of the configuration; see `superchat.config.load`."""
        return {"server.data_directory": self.data_directory, "server.database_path": self.database}
