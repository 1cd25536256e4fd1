"""Reads the server's configuration.

Precedence, lowest first: defaults, file, environment (SUPERCHAT_SECTION_KEY), command line. All mistakes are
reported at once, and the server does not start with any (decisions 9.6). The keys are in `settings`.
"""

import os
import pwd
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from superchat.config import document as files
from superchat.config.document import Document, Unreadable
from superchat.config.flags import FLAGS
from superchat.config.keys import Wrong
from superchat.config.mistakes import ConfigError, Mistake, did_you_mean
from superchat.config.seeds import read_channels
from superchat.config.settings import KEYS, SECTIONS, Config, Discovery, Limits, Logging, Monitoring, Retention, Server

ENVIRONMENT_PREFIX = "SUPERCHAT_"


def _is_off(value: object) -> bool:
    """Whether a port's value means "off", as a number or as text."""
    return re.fullmatch(r"-[0-9]{1,20}|0+", str(value).strip()) is not None


def _is_false(value: object) -> bool:
    return str(value).strip().lower() in ("false", "no", "off", "0")


def _never(value: object) -> bool:
    return False


# Keys of the reference's configuration that come with later releases, and the values that ask for what this
# release does anyway: those are accepted.
_LATER: Mapping[str, Callable[[object], bool]] = {
    "server.ssh_port": _is_off,
    "server.ssh_host_key": _never,
    "discovery.directory_enabled": _is_false,
    "discovery.public_hostname": _never,
    "discovery.max_users": _never,
    "discovery.announce_to": _never,
}


@attrs.frozen
class _Given:
    """A value one of the sources gives for a key."""

    key: str
    value: object
    where: str
    is_text: bool = False


def load(argv_overrides: Mapping[str, object], environ: Mapping[str, str], path: Path | None = None) -> Config:
    """Read the configuration; paths come out absolute.

    `argv_overrides` maps "section.key" to a value or its text, None = not given (see `overrides`). Without
    `path` the default file is read if it exists. Raises ConfigError with every mistake in every source.
    """
    mistakes: list[Mistake] = []
    document = _document(environ, path, mistakes)
    given = [
        *_from_file(document, mistakes),
        *_from_environment(environ, mistakes),
        *_from_overrides(argv_overrides),
    ]
    values = _accepted(given, mistakes)
    retention = Retention(**values["retention"])
    channels = read_channels(document, retention.default_retention_hours, mistakes)
    server = _resolved(Server(**values["server"]), environ, mistakes)
    if server.admin_password and not server.admin_users:
        where = next((one.where for one in given if one.key == "server.admin_password"), "")
        problem = "server.admin_users names nobody whose password this could be"
        mistakes.append(Mistake(where, "server.admin_password", problem))
    if mistakes:
        raise ConfigError(mistakes)
    return Config(
        server=server,
        limits=Limits(**values["limits"]),
        retention=retention,
        logging=Logging(**values["logging"]),
        monitoring=Monitoring(**values["monitoring"]),
        discovery=Discovery(**values["discovery"]),
        channels=channels,
        file=document.path,
    )


def environment_name(key: str) -> str:
    """The environment variable of "section.key"."""
    return ENVIRONMENT_PREFIX + key.replace(".", "_").upper()


def default_path(environ: Mapping[str, str]) -> Path:
    """Where the configuration file is looked for when none is named."""
    return _base_directory(environ, "XDG_CONFIG_HOME", ".config") / "superchat" / "superchat.toml"


def _base_directory(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    # The XDG specification: a relative path is invalid and to be ignored.
    directory = Path(environ.get(variable, ""))
    return directory if directory.is_absolute() else _home(environ) / below_home


def _home(environ: Mapping[str, str]) -> Path:
    """The home directory; LookupError when the user has none."""
    return Path(environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)


def _document(environ: Mapping[str, str], path: Path | None, mistakes: list[Mistake]) -> Document:
    try:
        return files.read(path or default_path(environ))
    except FileNotFoundError:
        if path:
            mistakes.append(Mistake(str(path), "", "no such file"))
    except Unreadable as unreadable:
        mistakes.append(Mistake(unreadable.where, "", unreadable.problem))
    except LookupError:
        pass  # No home directory, so no default file either.
    return Document()


def _from_file(document: Document, mistakes: list[Mistake]) -> Iterator[_Given]:
    for section, table in document.content.items():
        if section == "channels":
            continue
        if not isinstance(table, dict):
            problem = "allowed is a section" if section in SECTIONS else "unknown key outside any section"
            mistakes.append(Mistake(document.where(section), section, problem + did_you_mean(section, KEYS)))
        elif section not in SECTIONS:
            hint = did_you_mean(section, [*SECTIONS, "channels"])
            mistakes.append(Mistake(document.where(section), f"[{section}]", f"unknown section{hint}"))
        else:
            for name, value in table.items():
                yield _Given(f"{section}.{name}", value, document.where(section, name))


def _from_environment(environ: Mapping[str, str], mistakes: list[Mistake]) -> Iterator[_Given]:
    names = {environment_name(key): key for key in [*KEYS, *_LATER]}
    for name in sorted(environ):
        if name in names:
            yield _Given(names[name], environ[name], f"environment {name}", is_text=True)
        elif name.startswith(ENVIRONMENT_PREFIX):
            known = [environment_name(key) for key in KEYS]
            mistakes.append(Mistake(f"environment {name}", "", f"unknown name{did_you_mean(name, known)}"))


def _from_overrides(argv_overrides: Mapping[str, object]) -> Iterator[_Given]:
    flags = {option.key: f"--{option.name}" for option in FLAGS}
    for key, value in argv_overrides.items():
        if value is not None:
            yield _Given(key, value, flags.get(key, "command line"), isinstance(value, str))


def _accepted(given: Iterable[_Given], mistakes: list[Mistake]) -> dict[str, dict[str, Any]]:
    """The values that are right, by section and name; later sources win."""
    values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for one in given:
        if later := _LATER.get(one.key):
            if not later(one.value):
                mistakes.append(Mistake(one.where, one.key, "not part of this release"))
        elif key := KEYS.get(one.key):
            section, name = one.key.split(".")
            try:
                values[section][name] = key.parse(str(one.value)) if one.is_text else key.read(one.value)
            except Wrong as wrong:
                mistakes.append(Mistake(one.where, one.key, str(wrong)))
        else:
            mistakes.append(Mistake(one.where, one.key, f"unknown key{did_you_mean(one.key, KEYS)}"))
    return values


def _resolved(server: Server, environ: Mapping[str, str], mistakes: list[Mistake]) -> Server:
    """The section with absolute paths in place of defaults, `~` and relative ones (decisions 9.1)."""
    try:
        if server.data_directory:
            data = _absolute(server.data_directory, environ)
        else:
            data = _base_directory(environ, "XDG_DATA_HOME", ".local/share") / "superchat"
        database = _absolute(server.database_path, environ) if server.database_path else data / "superchat.db"
    except LookupError:
        mistakes.append(Mistake("", "server.data_directory", "there is no home directory; name a directory"))
        return server
    return attrs.evolve(server, data_directory=str(data), database_path=str(database))


def _absolute(path: str, environ: Mapping[str, str]) -> Path:
    if path == "~" or path.startswith("~/"):
        return _home(environ) / path[2:]
    return Path(path).absolute()
