"""The server's configuration: frozen values, from a TOML file, the environment and the command line."""

from superchat.config.flags import FLAGS, Flag, overrides
from superchat.config.loading import default_path, environment_name, load
from superchat.config.mistakes import ConfigError, Mistake
from superchat.config.seeds import SeedChannel, default_channels
from superchat.config.settings import KEYS, Config, Discovery, Limits, Logging, Monitoring, Retention, Server

__all__ = [
    "FLAGS",
    "KEYS",
    "Config",
    "ConfigError",
    "Discovery",
    "Flag",
    "Limits",
    "Logging",
    "Mistake",
    "Monitoring",
    "Retention",
    "SeedChannel",
    "Server",
    "default_channels",
    "default_path",
    "environment_name",
    "load",
    "overrides",
]
