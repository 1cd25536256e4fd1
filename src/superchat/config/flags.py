"""The command line's flags, those of the reference server (reference section 10), and what each overrides."""

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen
class Flag:
    """A command line flag; `key` is what it overrides, `switch` the value of a flag that takes none."""

    name: str
    key: str | None
    doc: str
    switch: bool | None = None


FLAGS: tuple[Flag, ...] = (
    Flag("config", None, "Configuration file [default: ~/.config/superchat/superchat.toml, if it exists]"),
    Flag("port", "server.tcp_port", "TCP port; 0 = any free port"),
    Flag("db", "server.database_path", "Database file"),
    Flag("debug", "logging.debug", "Write debug.log", switch=True),
    Flag("version", None, "Print the version and exit", switch=True),
    Flag("disable-directory", "discovery.directory_enabled", "Do not act as a server directory", switch=False),
    Flag("announce-to", "discovery.announce_to", "Directory servers to announce this one to (later release)"),
    Flag("server-name", "discovery.server_name", "Name of the server"),
    Flag("server-description", "discovery.server_description", "One sentence about the server"),
)


def overrides(options: Mapping[str, Any]) -> dict[str, object]:
    """What parsed command line options override; the argument for `load`."""
    given: dict[str, object] = {}
    for option in FLAGS:
        value = options.get(option.name)
        if option.key and value is not None and not (option.switch is not None and not value):
            given[option.key] = value if option.switch is None else option.switch
    return given
