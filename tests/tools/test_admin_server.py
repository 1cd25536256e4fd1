"""The tool's side of the control socket, against sockets that a test answers."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from threading import Thread

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from superchat.ops.control.addresses import Whereabouts, address_of
from superchat.ops.control.messages import (
    Answer,
    ControlError,
    ErrorKind,
    Request,
    decoded_request,
    encoded_end,
    encoded_error,
    encoded_rows,
)
from superchat.tools.admin_requests import Ask
from superchat.tools.admin_server import NoServer, NotListening, Server, find, run


class ServerTests(SynchronousTestCase):
    """``Server``."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.server = Server(self.folder / "control.sock", self.folder / "superchat.db")
        self.requests: list[Request] = []

    def answering(self, *lines: bytes) -> None:
        """Have the next request answered with these lines."""
        listening = socket.socket(socket.AF_UNIX)
        with address_of(self.server.path) as address:
            listening.bind(address)
        listening.listen()

        def answer() -> None:
            with listening, listening.accept()[0] as connection, connection.makefile("rwb") as stream:
                self.requests.append(decoded_request(stream.readline()))
                stream.writelines(line + b"\n" for line in lines)

        thread = Thread(target=answer)
        thread.start()
        self.addCleanup(thread.join)

    def ask(self, command: str = "stats", **arguments: object) -> Answer:
        """Ask it."""

        async def action(ask: Ask) -> Answer:
            return await ask(command, **arguments)

        return run(action, self.server)

    def test_answer(self) -> None:
        """The server learns what is wanted and of which database; all rows of the answer arrive."""
        end = encoded_end(Answer("done", {"b": 1}))
        self.answering(encoded_rows([{"a": 1}]), encoded_rows([{"a": 2}, {"a": 3}]), end)
        answer = self.ask("users", limit=3)
        self.assertEqual(answer, Answer("done", {"b": 1}, [{"a": 1}, {"a": 2}, {"a": 3}]))
        self.assertEqual(self.requests, [Request("users", {"limit": 3}, str(self.server.database))])

    def test_refused(self) -> None:
        """The server's refusal arrives with its kind."""
        self.answering(encoded_error(ControlError(ErrorKind.REFUSED, "no")))
        self.assertEqual(str(self.assertRaises(ControlError, self.ask)), "no")

    def test_nobody(self) -> None:
        """Without a socket, and with one that nobody listens on any more, nothing is asked."""
        self.assertRaises(NotListening, self.ask)
        with socket.socket(socket.AF_UNIX) as left, address_of(self.server.path) as address:
            left.bind(address)
        self.assertRaises(NotListening, self.ask)

    def test_broken_off(self) -> None:
        """An answer that is not complete is no answer: whether anything was done is not known."""
        for lines in ((), (encoded_rows([{}]),)):
            self.answering(*lines)
            error = self.assertRaises(NoServer, self.ask)
            self.assertNotIsInstance(error, NotListening)
            self.assertIn("before the answer was complete", str(error))
            self.server.path.unlink()

    def test_stranger(self) -> None:
        """Something else that answers is not believed."""
        self.answering(b"220 mail.example.org ESMTP")
        self.assertIn("no SuperChat server", str(self.assertRaises(NoServer, self.ask)))

    def test_not_allowed(self) -> None:
        """Who may not connect is told who may."""
        if os.geteuid() == 0:
            raise SkipTest("root may")
        self.answering()
        self.server.path.chmod(0)
        self.assertIn("only the user that the server runs as", str(self.assertRaises(NoServer, self.ask)))

    def test_found(self) -> None:
        """The server is where the lock of its database says, else in the data directory."""
        database, data = Path("/srv/a.db"), Path("/srv/data")
        self.assertEqual(find(database, data, "").path, data / "control.sock")
        note = Whereabouts(1, Path("/run/superchat/control.sock")).note()
        self.assertEqual(find(database, data, note), Server(Path("/run/superchat/control.sock"), database))
