"""`twistd superchat`: the options, and the only place where all parts meet."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from socket import socket
from typing import Any, ClassVar, NoReturn

from twisted.application.service import IService
from twisted.python import usage

from superchat import __version__
from superchat.auth.passwords import PasswordThreads
from superchat.chat.service import Chat
from superchat.client.passwords import password_hash
from superchat.clocks import steady, wall_ms
from superchat.config import FLAGS, Config, ConfigError, load, overrides
from superchat.net.factory import SuperChatFactory
from superchat.net.listening import PortUnavailable, bind
from superchat.net.proxies import ProxiedFactory, TrustedProxies
from superchat.net.websocket import WebSocketResource, make_site
from superchat.net.websocket_frames import PARTS_OF_A_FRAME
from superchat.ops.control.addresses import socket_path
from superchat.ops.control.commands import Commands
from superchat.ops.control.listening import Control
from superchat.ops.descriptors import TooFewDescriptors, raise_limit, require
from superchat.ops.logs import LogFiles, activity
from superchat.ops.monitor import Monitor
from superchat.ops.notify import notifier
from superchat.server import Listener, Server, affordable
from superchat.storage.errors import StorageError
from superchat.storage.lock import DatabaseLock
from superchat.storage.sqlite import SQLiteStorage


class Options(usage.Options):
    """The reference server's flags (reference section 10); everything else is in the configuration file."""

    longdesc = "A threaded chat server for terminals."
    optFlags: ClassVar = [
        [flag.name, None, flag.doc] for flag in FLAGS if flag.switch is not None and flag.name != "version"
    ]
    optParameters: ClassVar = [[flag.name, None, None, flag.doc] for flag in FLAGS if flag.switch is None]

    def opt_version(self) -> NoReturn:
        """Print the version and exit."""
        print(f"SuperChat Server {__version__}")
        sys.exit(0)


def makeService(options: Options) -> IService:
    """Everything that can be wrong with the configuration or the ports ends here: one line per mistake and exit
    code 1, before anything is served (decisions 9.3, 9.6)."""
    from twisted.internet import reactor as the_reactor

    reactor: Any = the_reactor
    steady(reactor)
    config = _configuration(options)
    _require_descriptors()
    lock = DatabaseLock(config.database_path)
    interface = config.server.interface
    storage = SQLiteStorage(config.database_path, reactor)
    passwords = PasswordThreads(reactor, password_hash)
    chat = Chat(affordable(config), storage, reactor, wall_ms, activity, passwords)
    factory = SuperChatFactory(chat, reactor)
    proxies = TrustedProxies(config.server.trusted_proxies)
    proxied = ProxiedFactory(factory, proxies, reactor) if config.server.trusted_proxies else factory
    listeners = [Listener(_bound(interface, config.server.tcp_port), proxied, "TCP server")]
    if config.server.http_port:
        resource = WebSocketResource(
            factory,
            clock=reactor,
            max_frames_per_second=lambda: PARTS_OF_A_FRAME * chat.config.limits.max_frames_per_second,
            proxies=proxies,
            rounds=factory.rounds,
        )
        site = make_site({b"ws": resource}, reactor=reactor)
        listeners.append(Listener(_bound(interface, config.server.http_port), site, "Public HTTP server (/ws)"))
    logs = LogFiles(config.data_directory, config.logging.debug, reactor, json=config.logging.json)
    systemd = notifier(os.environ, reactor)
    commands = Commands(chat, storage, reactor, lock.database, is_server=True)
    control = Control(reactor, socket_path(config.data_directory, os.environ), commands, lock)
    server = Server(
        reactor, config, logs, storage, factory, listeners, lambda: _read(options), systemd, lock, control
    )
    server.operators = _operators(config, server.monitor)
    _acquire(lock)
    return server


def _operators(config: Config, monitor: Monitor) -> list[Listener]:
    """The ports for operators, each with a site of its own (decisions 9.2)."""
    monitoring = config.monitoring
    listeners = []
    for port, make, name in (
        (monitoring.metrics_port, monitor.metrics_site, "Metrics server (/metrics, /health)"),
        (monitoring.profiling_port, monitor.profiling_site, "Profiling server (/debug/pprof/)"),
    ):
        if port:
            listeners.append(Listener(_bound(monitoring.interface, port), make(), name))
    return listeners


def _read(options: Options) -> Config:
    path = Path(options["config"]).expanduser() if options["config"] else None
    return load(overrides(options), os.environ, path)


def _configuration(options: Options) -> Config:
    if options["announce-to"]:
        raise SystemExit("superchat: --announce-to: announcing to directories is not part of this release")
    try:
        config = _read(options)
    except ConfigError as error:
        raise SystemExit("\n".join(f"superchat: {mistake}" for mistake in error.mistakes)) from None
    for directory in (config.data_directory, config.database_path.parent):
        try:
            directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise SystemExit(f"superchat: cannot make directory {directory}: {error.strerror}") from None
    return config


def _require_descriptors() -> None:
    try:
        require(raise_limit())
    except TooFewDescriptors as error:
        raise SystemExit(f"superchat: {error}") from None


def _acquire(lock: DatabaseLock) -> None:
    """Have the database for this server alone, before anything of another one is touched, logs included."""
    try:
        lock.acquire()
    except StorageError as error:
        raise SystemExit(f"superchat: {error}") from None


def _bound(interface: str, port: int) -> socket:
    try:
        return bind(interface, port)
    except PortUnavailable as error:
        raise SystemExit(f"superchat: {error}") from None
