"""What the tests of commands that end by themselves share."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.client import connect_endpoint
from superchat.tools.cli_ask import Declined, Questions
from superchat.tools.cli_commands import COMMANDS
from superchat.tools.cli_human import HumanOutput
from superchat.tools.cli_incoming import Incoming
from superchat.tools.cli_options import Options
from superchat.tools.cli_secrets import Secrets
from superchat.wire import messages as wire
from superchat.wire.records import Message
from tests.tools.following import options
from tests.tools.people_in_memory import CREDENTIALS, PeopleInMemory


async def fake_hash(nickname: str, password: str) -> str:
    """A hash that one can recognise."""
    return f"{nickname}:{password}".ljust(43, ".")


def account_options(
    command: str, *channels: str, credentials: wire.AuthRequest | None = CREDENTIALS, **more: Any
) -> Options:
    """Options of somebody who logs in."""
    secrets = Secrets(credentials=credentials, new_password=more.pop("new_password", ""), hash=fake_hash)
    given = attrs.evolve(options(command, *channels, nickname="alice"), secrets=secrets, login=True)
    return attrs.evolve(given, **more)


class CommandTestCase(SynchronousTestCase):
    """One command at a time against a server in memory; ``out`` and ``err`` are what it printed."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.server = PeopleInMemory()
        incoming = Incoming()

        def listener(event: Message) -> None:
            incoming.take(event)

        connecting = connect_endpoint(self.server.endpoint, self.clock, on_event=listener)
        self.questions = Questions(self.successResultOf(connecting), 5.0, incoming)
        self.out: list[str] = []
        self.err: list[str] = []
        self.output = HumanOutput(self.out.append, self.err.append, now=lambda: 0.0, zone=UTC)

    def begin(self, given: Options) -> Deferred[None]:
        """Start a command."""

        async def command() -> None:
            await COMMANDS[given.command](self.questions, given, self.output)

        return Deferred.fromCoroutine(command())

    def do(self, given: Options) -> list[str]:
        """Run a command to its end; return the results printed."""
        self.successResultOf(self.begin(given))
        return self.out

    def declined(self, given: Options) -> str:
        """Run a command that is turned down; return why."""
        return str(self.failureResultOf(self.begin(given), Declined).value)
