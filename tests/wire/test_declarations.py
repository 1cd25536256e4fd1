"""The declarations against the specification's wire.json: message by message, field by field."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from superchat.wire.errors import ErrorCode
from superchat.wire.fields import Codec, Data, Sequence, Trailing
from superchat.wire.messages import BY_CODE
from superchat.wire.records import Record, Sender
from tests import spec

DIRECTIONS = {Sender.CLIENT: "client->server", Sender.SERVER: "server->client", Sender.EITHER: "both"}
ADDED_CODES = {5002, 5003, 9002}  # decisions 1.4 and 4.1


def declared(cls: type[Record]) -> list[dict[str, Any]]:
    """The fields of a record in the form of wire.json, as far as they decide about bytes."""
    return [_field(name, codec) for name, codec in cls.FIELDS.items()]


def _field(name: str, codec: Codec) -> dict[str, Any]:
    field: dict[str, Any] = {
        "name": name,
        "type": codec.wire_type,
        "when": codec.when,
        "optional_trailing": isinstance(codec, Trailing),
    }
    if isinstance(codec, Trailing):
        field["default"] = codec.default
    if isinstance(codec.core, Data):
        field["binary"] = True
    if isinstance(codec.core, Sequence):
        field["count_type"] = codec.core.count.wire_type
        field["struct"] = {"name": codec.core.of.NAME, "fields": declared(codec.core.of)}
    return field


def specified(fields: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same of wire.json itself, without notes, units, policy and the names of enumerations."""
    kept = ("name", "type", "when", "optional_trailing", "default", "binary", "count_type", "struct")
    picked = [{key: field[key] for key in kept if key in field} for field in fields]
    for field in picked:
        if "struct" in field:
            struct = field["struct"]
            field["struct"] = {"name": struct["name"], "fields": specified(struct["fields"])}
    return picked


class DeclarationTests(SynchronousTestCase):
    """Nothing can drift from the protocol."""

    def setUp(self) -> None:
        found = spec.description()
        if found is None:
            self.skipTest("no specification beside the project")
        self.messages = {int(message["code"], 16): message for message in found["messages"]}
        self.error_codes = {int(code) for code in found["error_codes"]}

    def test_codes(self) -> None:
        """Every message of the protocol is declared, and no other."""
        self.assertEqual(set(BY_CODE), set(self.messages))

    def test_names_and_directions(self) -> None:
        """Names and senders are the protocol's."""
        for code, message in self.messages.items():
            self.assertEqual(BY_CODE[code].NAME, message["name"])
            self.assertEqual(DIRECTIONS[BY_CODE[code].SENDER], message["direction"], message["name"])

    def test_fields(self) -> None:
        """Every field has the protocol's name, place, type and condition, down to the records in lists."""
        for code, message in self.messages.items():
            self.assertEqual(declared(BY_CODE[code]), specified(message["fields"]), message["name"])

    def test_error_codes(self) -> None:
        """The error codes are the protocol's and those that our decisions add."""
        self.assertEqual({int(code) for code in ErrorCode}, self.error_codes | ADDED_CODES)
