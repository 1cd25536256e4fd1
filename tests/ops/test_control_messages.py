"""What goes through the control socket."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.control.arguments import LONGEST_TEXT, Arguments
from superchat.ops.control.messages import (
    LONGEST_REQUEST_BYTES,
    Answer,
    ControlError,
    ErrorKind,
    Request,
    Unreadable,
    decoded_reply,
    decoded_request,
    encoded_end,
    encoded_error,
    encoded_request,
    encoded_rows,
)


class MessageTests(SynchronousTestCase):
    """Requests and answers as lines."""

    def test_request(self) -> None:
        """A request arrives as it was sent, in one line, whatever is in it."""
        request = Request("ban", {"nickname": "a\nb\u2028", "duration_seconds": 2**60, "shadow": True}, "/tmp/a b")
        line = encoded_request(request)
        self.assertNotIn(b"\n", line)
        self.assertEqual(decoded_request(line), request)

    def test_secrets(self) -> None:
        """What stands for a password is not in what is printed of a request."""
        self.assertNotIn("hash", repr(Request("create-user", {"secret": "hash of a password"})))

    def test_too_long(self) -> None:
        """A request that the server would not read is not sent."""
        longest = Request("ban", {"reason": "x" * (LONGEST_REQUEST_BYTES - 100)})
        self.assertLessEqual(len(encoded_request(longest)), LONGEST_REQUEST_BYTES)
        request = Request("ban", {"reason": "x" * LONGEST_REQUEST_BYTES})
        error = self.assertRaises(ControlError, encoded_request, request)
        self.assertEqual(error.kind, ErrorKind.USAGE)

    def test_reply(self) -> None:
        """Rows, the end of an answer and errors arrive as they were sent."""
        rows = [{"nickname": "bob", "sessions": 1}]
        self.assertEqual(decoded_reply(encoded_rows(rows)), rows)
        self.assertEqual(decoded_reply(encoded_end(Answer("done", {"user_id": "1"}))), Answer("done", {"user_id": "1"}))
        sent = ControlError(ErrorKind.REFUSED, "no")
        error = self.assertRaises(ControlError, decoded_reply, encoded_error(sent))
        self.assertEqual((error.kind, error.text), (ErrorKind.REFUSED, "no"))

    def test_nonsense(self) -> None:
        """What is no request, and what is no answer, is said to be none."""
        almost = b'{"command":"a","arguments":[],"database":""}'
        for line in (b"", b"{", b"[]", b"1", b"{}", almost, b"\xff", b"[" * 9000):
            self.assertRaises(Unreadable, decoded_request, line)
            self.assertRaises(Unreadable, decoded_reply, line)
        self.assertRaises(Unreadable, decoded_reply, b'{"error":{"kind":"new","text":""}}')

    @given(st.binary(max_size=200))
    def test_any_bytes(self, line: bytes) -> None:
        """Any line is a request or `Unreadable`, and nothing else ever happens."""
        try:
            decoded_request(line)
        except Unreadable:
            return

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), st.lists, max_leaves=9))
    def test_any_values(self, value: object) -> None:
        """Arguments of any kind are taken, or refused by name."""
        line = json.dumps({"command": "a", "arguments": {"x": value}, "database": ""}).encode()
        given_arguments = decoded_request(line).arguments
        for take in ("text", "text_or_none", "number", "number_or_none", "flag"):
            try:
                getattr(Arguments(given_arguments), take)("x")
            except ControlError as error:
                self.assertIn("'x'", error.text)


class ArgumentTests(SynchronousTestCase):
    """The arguments of a request."""

    def wrong(self, given_arguments: dict[str, object], take: str, **limits: int) -> str:
        """What is wrong with the argument "x"."""
        error = self.assertRaises(ControlError, getattr(Arguments(given_arguments), take), "x", **limits)
        self.assertEqual(error.kind, ErrorKind.USAGE)
        text: str = error.text
        return text

    def test_taken(self) -> None:
        """Each kind is taken as it was given, and what may be missing may be missing."""
        given_arguments = Arguments({"a": "text", "b": 0, "c": True})
        self.assertEqual((given_arguments.text("a"), given_arguments.number("b")), ("text", 0))
        self.assertEqual((given_arguments.flag("c"), given_arguments.flag("d")), (True, False))
        self.assertEqual((given_arguments.text_or_none("e"), given_arguments.number_or_none("f")), (None, None))
        given_arguments.end()

    def test_wrong(self) -> None:
        """What is missing, of another kind, or too large is refused by name."""
        self.assertEqual(self.wrong({}, "text"), "the argument 'x' is missing")
        self.assertEqual(self.wrong({}, "number"), "the argument 'x' is missing")
        wrong: dict[str, tuple[object, ...]] = {
            "text": (1, True, [], "x" * (LONGEST_TEXT + 1)),
            "number": ("1", True, -1, 1.0, 2**63),
            "flag": (0, "true", None),
        }
        for take, values in wrong.items():
            for value in values:
                self.assertIn("the argument 'x' is n", self.wrong({"x": value}, take), f"{take} {value!r:.40}")
        self.assertIn("from 0 to 9", self.wrong({"x": 10}, "number", maximum=9))

    def test_unknown(self) -> None:
        """An argument that the server does not know is not passed over: it might have changed everything."""
        error = self.assertRaises(ControlError, Arguments({"shadow": True}).end)
        self.assertEqual(error.text, "the argument 'shadow' is not known")
