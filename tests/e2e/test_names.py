"""What the server calls itself, seen in its log."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.server import RunningServer


class NameTests(SynchronousTestCase):
    """[discovery]: name and description."""

    def test_start_line(self) -> None:
        """server_name and server_description stand in the log's start line."""
        server = RunningServer(
            self, "[discovery]\nserver_name = 'The Barn'\nserver_description = 'Where owls talk'\n"
        )
        server.stop()  # the log is written at the end of each turn, and standard output is faster
        self.assertIn("[INFO] The Barn: Where owls talk\n", server.log)
