"""What tests of tail and chat share: options, an output that is remembered, and a connection in memory."""

from __future__ import annotations

from datetime import UTC

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from superchat.client import ChatClient, connect_endpoint
from superchat.client.protocol import EventListener
from superchat.tools.cli_chat import Chat
from superchat.tools.cli_human import HumanOutput
from superchat.tools.cli_options import Options
from superchat.tools.cli_secrets import NoPassword
from tests.tools.chat_in_memory import ChatInMemory


def options(
    command: str, *channels: str, nickname: str | None = None, reconnect: bool = True, limit: int = 0
) -> Options:
    """Options as the command line would give them."""
    return Options(
        host="localhost",
        port=6465,
        nickname=nickname,
        system_user="tester",
        json=False,
        timeout_seconds=5.0,
        reconnect=reconnect,
        command=command,
        channels=channels,
        limit=limit,
    )


class FakeKeyboard:
    """Types what a test wants typed."""

    def __init__(self, patient: bool = False) -> None:
        self.chat: Chat | None = None
        self.prompts: list[str] = []
        self.returned: list[str] = []
        self.secrets: list[str] = []
        self.secrets_asked: list[str] = []
        self._patient = patient

    def start(self, chat: Chat) -> None:
        self.chat = chat

    def prompt(self, text: str) -> None:
        self.prompts.append(text)

    def gives_back(self, line: str) -> bool:
        if not self._patient:
            self.returned.append(line)
        return not self._patient

    def secret(self, prompt: str) -> Deferred[str]:
        self.secrets_asked.append(prompt)
        return succeed(self.secrets.pop(0)) if self.secrets else fail(NoPassword("no terminal"))


class Situation:
    """A server in memory, a clock, and what was printed."""

    def __init__(self, chat: ChatInMemory | None = None) -> None:
        self.chat = ChatInMemory() if chat is None else chat
        self.clock = Clock()
        self.out: list[str] = []
        self.err: list[str] = []
        self.output = HumanOutput(self.out.append, self.err.append, now=lambda: 0.0, zone=UTC)

    def listen(self, listener: EventListener) -> Deferred[ChatClient]:
        """Connect, as the command line does."""
        return connect_endpoint(self.chat.endpoint, self.clock, on_event=listener)

    def restart_server(self, seconds: float = 30.0) -> None:
        """Lose the connection, and let enough time pass for the next."""
        self.chat.threads.clear()
        self.chat.endpoint.server.drop()
        self.clock.advance(seconds)

    def printed(self) -> list[str]:
        """Return what was printed as results since the last call."""
        out = self.out[:]
        self.out.clear()
        return out

    def told(self) -> list[str]:
        """Return what was printed beside since the last call."""
        err = self.err[:]
        self.err.clear()
        return err
