"""SIGHUP, which is `systemctl reload`: logs reopened, configuration read again, nobody disconnected (decisions 9.5)."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FrameType
from typing import Any, Final

import attrs
from twisted.logger import Logger

from superchat.config import KEYS, Config, ConfigError
from superchat.ops.logs import LogFiles
from superchat.ops.notify import Silence

_RELOADABLE_SECTIONS: Final = frozenset({"limits", "logging"})
_RELOADABLE_KEYS: Final = frozenset(
    {
        "server.admin_users",
        "server.moderator_users",
        "server.shutdown_timeout_seconds",
        "retention.cleanup_interval_minutes",
    }
)


def is_reloadable(key: str) -> bool:
    """Whether a key, "section.name", takes effect without a restart."""
    return key.partition(".")[0] in _RELOADABLE_SECTIONS or key in _RELOADABLE_KEYS


def changes(before: Config, after: Config) -> Iterator[str]:
    """The keys in which two configurations differ; "channels" for the seed channels."""
    for key in KEYS:
        section, name = key.split(".")
        if getattr(getattr(before, section), name) != getattr(getattr(after, section), name):
            yield key
    if before.channels != after.channels:
        yield "channels"


def merged(before: Config, after: Config, keys: Iterable[str]) -> Config:
    """The configuration *before*, with the values of *after* for these keys."""
    sections: dict[str, dict[str, Any]] = {}
    for key in keys:
        section, name = key.split(".")
        sections.setdefault(section, {})[name] = getattr(getattr(after, section), name)
    fields: Mapping[str, Any] = {
        section: attrs.evolve(getattr(before, section), **values) for section, values in sections.items()
    }
    return attrs.evolve(before, **fields)


class Reload:
    """Does it, and says in the log what came of it.

    *read* reads the configuration anew or raises `ConfigError`, and then everything stays as it is. *apply* is
    given the configuration that holds from now on: what cannot change while the server runs is as it was, and
    named in one line.
    """

    _log = Logger()

    def __init__(
        self,
        config: Config,
        read: Callable[[], Config],
        apply: Callable[[Config], None],
        logs: LogFiles,
        notifier: Silence,
    ) -> None:
        self.config = config
        self._read = read
        self._apply = apply
        self._logs = logs
        self._notifier = notifier
        self._asked = False

    def listen(self, reactor: Any) -> None:
        """Reload in the reactor's thread at every SIGHUP; signals that come faster than that are one."""

        def hang_up(number: int, frame: FrameType | None) -> None:
            if not self._asked:
                self._asked = True
                reactor.callFromThread(self.reload)

        signal.signal(signal.SIGHUP, hang_up)

    def reload(self) -> None:
        """Reopen the logs and apply the configuration; never raises."""
        self._asked = False
        self._notifier.reloading()
        try:
            if self._logs.reopen():
                self._log.info("Logs reopened")
            else:
                self._log.error("Logs not reopened yet: a file cannot be opened; this is tried again")
            self._take_over(self._read())
        except ConfigError as error:
            for mistake in error.mistakes:
                self._log.error("Configuration not reloaded, the old one stays: {mistake}", mistake=mistake)
        except Exception:  # noqa: BLE001 -- whatever is wrong, the server goes on as it was
            self._log.failure("Configuration not reloaded, the old one stays")
        finally:
            self._notifier.reloaded()

    def _take_over(self, read: Config) -> None:
        changed = list(changes(self.config, read))
        now = [key for key in changed if is_reloadable(key)]
        later = [key for key in changed if not is_reloadable(key)]
        if now:
            config = merged(self.config, read, now)
            self._apply(config)
            self.config = config
        self._log.info("Configuration reloaded, changed: {keys}", keys=", ".join(now) or "nothing")
        if later:
            self._log.warn("These take effect with the next restart: {keys}", keys=", ".join(later))
