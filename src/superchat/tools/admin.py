"""superchat-admin: administer a server on its own machine (decisions 9.7)."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from types import FrameType
from typing import Any, Final

from superchat.config import Config, ConfigError, load
from superchat.ops.control.messages import ControlError, ErrorKind
from superchat.storage.errors import StorageError
from superchat.storage.lock import DatabaseInUse, note_of_holder
from superchat.tools import admin_server
from superchat.tools.admin_arguments import parse
from superchat.tools.admin_options import Options
from superchat.tools.admin_output import HumanOutput, JsonOutput, Output
from superchat.tools.admin_requests import MAKES_DATABASE, REQUESTS, WITH_PASSWORD
from superchat.tools.admin_server import NoServer, NotListening, Server

DONE: Final = 0
REFUSED: Final = 1
WRONG_USAGE: Final = 2
NO_SERVER: Final = 3
BY_SIGNAL: Final = 128  # plus its number, as in shells

_STATUS: Final[Mapping[ErrorKind, int]] = {
    ErrorKind.USAGE: WRONG_USAGE,
    ErrorKind.REFUSED: REFUSED,
    ErrorKind.FAILED: REFUSED,
    ErrorKind.WRONG_DATABASE: NO_SERVER,
}


class Program:
    """One run: from options to an exit status."""

    def __init__(self, options: Options, environ: Mapping[str, str], output: Output) -> None:
        self._options = options
        self._environ = environ
        self._output = output

    def run(self) -> int:
        """Do what was asked for; return the exit status."""
        if self._options.command == "check-config":
            return self._check_config()
        try:
            config = self._config()
        except ConfigError as error:
            for mistake in error.mistakes:
                self._output.error("configuration", str(mistake))
            return REFUSED
        try:
            self._carry_out(config)
        except ControlError as error:
            self._output.error(error.kind, error.text)
            return _STATUS[error.kind]
        except (NoServer, DatabaseInUse) as error:
            self._output.error("connection", str(error))
            return NO_SERVER
        except StorageError as error:
            self._output.error("failed", str(error))
            return REFUSED
        return DONE

    def _config(self) -> Config:
        path = self._options.config
        return load(self._options.overrides(), self._environ, None if path is None else path.expanduser())

    def _carry_out(self, config: Config) -> None:
        match self._options.command:
            case "backup":
                from superchat.tools.admin_files import backup

                assert self._options.file is not None
                backup(config, self._options.file, _server(config), self._output, force=self._options.force)
            case "restore":
                from superchat.ops.control.commands import operator
                from superchat.tools.admin_files import put_back

                assert self._options.file is not None
                put_back(config, self._options.file, operator(os.getuid()), self._output)
            case _:
                self._request(config)

    def _request(self, config: Config) -> None:
        """Have the server do it, or do it here when there is none."""
        carry, password = REQUESTS[self._options.command], self._password()

        async def action(ask: Any) -> None:
            await carry(ask, self._options, self._output, password)

        try:
            admin_server.run(action, _server(config))
        except NotListening as silent:
            self._locally(action, config, silent)

    def _locally(self, action: Any, config: Config, silent: NotListening) -> None:
        from superchat.tools import admin_local

        if not config.database_path.exists():
            if self._options.command not in MAKES_DATABASE:
                raise NoServer(f"there is neither a server nor a database {config.database_path}")
            self._output.notice(f"making the database {config.database_path}")
        try:
            admin_local.run(action, config, self._output)
        except DatabaseInUse as error:
            raise NoServer(f"{error}, but {silent}; is the server starting or stopping?") from None

    def _password(self) -> str:
        """Asked for first of all: nothing is held up while somebody thinks of one."""
        if self._options.command not in WITH_PASSWORD:
            return ""
        from superchat.tools.cli_secrets import NoPassword, new

        try:
            return new(self._options.password_file, "Password: ")
        except NoPassword as trouble:
            raise ControlError(ErrorKind.USAGE, str(trouble)) from None

    def _check_config(self) -> int:
        path = self._options.file or self._options.config
        try:
            config = load(self._options.overrides(), self._environ, None if path is None else path.expanduser())
        except ConfigError as error:
            for mistake in error.mistakes:
                fields = {"where": mistake.where, "key": mistake.key, "problem": mistake.problem}
                self._output.result("mistake", str(mistake), fields)
            return REFUSED
        file = None if config.file is None else str(config.file)
        fields = {"data_directory": str(config.data_directory), "database": str(config.database_path)}
        text = f"{'no file, all defaults' if file is None else file}: no mistakes"
        self._output.result("configuration", text, {"file": file, **fields})
        return DONE


def _server(config: Config) -> Server:
    """The server of the configured database; raises `NoServer` when its folder may not even be looked at."""
    try:
        note = note_of_holder(config.database_path)
    except PermissionError as error:
        text = "only the user that the server runs as, and root, may administer it"
        raise NoServer(f"{error.filename}: {text}") from None
    except OSError as error:
        raise NoServer(f"{error.filename}: {error.strerror}") from None
    return admin_server.find(config.database_path, config.data_directory, note)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run superchat-admin; return its exit status. Raises SystemExit for --help and wrong usage."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    out, err = partial(print, flush=True), partial(print, file=sys.stderr, flush=True)
    output: Output = JsonOutput(out, err) if options.json else HumanOutput(out, err)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return Program(options, os.environ, output).run()
    except KeyboardInterrupt:
        return BY_SIGNAL + signal.SIGINT
    except BrokenPipeError:
        # Whoever read has enough. Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BY_SIGNAL + signal.SIGPIPE


def _terminated(number: int, frame: FrameType | None) -> None:
    """End in order: a draft of a copy is removed."""
    raise SystemExit(BY_SIGNAL + number)


if __name__ == "__main__":
    sys.exit(main())
