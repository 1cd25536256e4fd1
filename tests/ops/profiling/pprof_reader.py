"""Reads pprof profiles by the schema, `profile.proto` of github.com/google/pprof; knows nothing of our encoder."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

import attrs

# Of each message: field number to name, and the message, "int" or "string" that it holds; "*" for repeated ones.
SCHEMA: dict[str, dict[int, tuple[str, str]]] = {
    "Profile": {
        1: ("sample_type", "*ValueType"),
        2: ("sample", "*Sample"),
        3: ("mapping", "*Mapping"),
        4: ("location", "*Location"),
        5: ("function", "*Function"),
        6: ("string_table", "*string"),
        7: ("drop_frames", "int"),
        8: ("keep_frames", "int"),
        9: ("time_nanos", "int"),
        10: ("duration_nanos", "int"),
        11: ("period_type", "ValueType"),
        12: ("period", "int"),
        13: ("comment", "*int"),
        14: ("default_sample_type", "int"),
    },
    "ValueType": {1: ("type", "int"), 2: ("unit", "int")},
    "Sample": {1: ("location_id", "*int"), 2: ("value", "*int"), 3: ("label", "*Label")},
    "Label": {1: ("key", "int"), 2: ("str", "int"), 3: ("num", "int"), 4: ("num_unit", "int")},
    "Mapping": {
        1: ("id", "int"),
        2: ("memory_start", "int"),
        3: ("memory_limit", "int"),
        4: ("file_offset", "int"),
        5: ("filename", "int"),
        6: ("build_id", "int"),
        7: ("has_functions", "int"),
        8: ("has_filenames", "int"),
        9: ("has_line_numbers", "int"),
        10: ("has_inline_frames", "int"),
    },
    "Location": {
        1: ("id", "int"),
        2: ("mapping_id", "int"),
        3: ("address", "int"),
        4: ("line", "*Line"),
        5: ("is_folded", "int"),
    },
    "Line": {1: ("function_id", "int"), 2: ("line", "int"), 3: ("column", "int")},
    "Function": {
        1: ("id", "int"),
        2: ("name", "int"),
        3: ("system_name", "int"),
        4: ("filename", "int"),
        5: ("start_line", "int"),
    },
}


@attrs.frozen
class Place:
    """A frame, with what the string table says about it."""

    function: str
    file: str
    line: int
    start_line: int


@attrs.frozen
class ReadSample:
    """A sample without ids: the innermost frame first."""

    stack: tuple[Place, ...]
    values: dict[str, int]
    labels: dict[str, str]

    @property
    def functions(self) -> list[str]:
        """The names of the functions."""
        return [place.function for place in self.stack]


@attrs.frozen
class ReadProfile:
    """A profile as a viewer sees it."""

    measures: dict[str, str]  # to their units
    default: str
    samples: tuple[ReadSample, ...]
    comments: tuple[str, ...]
    period: tuple[str, int]
    time_nanos: int
    duration_nanos: int

    def total(self, measure: str, function: str = "") -> int:
        """The sum of a measure over all samples with a function whose name ends like this."""
        return sum(
            sample.values[measure]
            for sample in self.samples
            if any(name.endswith(function) for name in sample.functions)
        )


def read(data: bytes) -> ReadProfile:
    """Read a gzipped profile. Raises AssertionError and KeyError for what the schema or a reference forbids."""
    profile = _message("Profile", gzip.decompress(data))
    strings = profile["string_table"]
    assert strings[0] == "", "the first string must be empty"
    mappings = {mapping["id"]: mapping for mapping in profile["mapping"]}
    functions = {function["id"]: function for function in profile["function"]}
    locations = {location["id"]: location for location in profile["location"]}
    assert 0 not in {*mappings, *functions, *locations}, "ids begin with 1"
    for location in locations.values():
        mapping = mappings[location["mapping_id"]]
        assert mapping["has_functions"], "a viewer would look for symbols"

    def place(location_id: int) -> Place:
        (line,) = locations[location_id]["line"]
        function = functions[line["function_id"]]
        name, file = strings[function["name"]], strings[function["filename"]]
        return Place(name, file, line["line"], function["start_line"])

    measures = {strings[each["type"]]: strings[each["unit"]] for each in profile["sample_type"]}
    samples = tuple(
        ReadSample(
            tuple(map(place, sample["location_id"])),
            dict(zip(measures, sample["value"], strict=True)),
            {strings[label["key"]]: strings[label["str"]] for label in sample["label"]},
        )
        for sample in profile["sample"]
    )
    return ReadProfile(
        measures,
        strings[profile["default_sample_type"]],
        samples,
        tuple(strings[comment] for comment in profile["comment"]),
        (strings[profile["period_type"]["type"]], profile["period"]),
        profile["time_nanos"],
        profile["duration_nanos"],
    )


def _message(kind: str, data: bytes) -> dict[str, Any]:
    fields = SCHEMA[kind]
    read: dict[str, Any] = {name: [] if of.startswith("*") else _default(of) for name, of in fields.values()}
    for number, value in _fields(data):
        name, of = fields[number]
        item = of.removeprefix("*")
        if item == "int" and isinstance(value, bytes):
            read[name] += map(_signed, _varints(value))
        elif of.startswith("*"):
            read[name].append(_value(item, value))
        else:
            read[name] = _value(item, value)
    return read


def _default(kind: str) -> Any:
    return 0 if kind == "int" else _message(kind, b"")


def _value(kind: str, value: int | bytes) -> Any:
    if kind == "int":
        assert isinstance(value, int)
        return _signed(value)
    assert isinstance(value, bytes)
    return value.decode("utf-8") if kind == "string" else _message(kind, value)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        assert tag & 7 in (0, 2), "the schema has varints and length-delimited fields only"
        value, position = _varint(data, position)
        if tag & 7 == 0:
            yield tag >> 3, value
        else:
            assert position + value <= len(data), "a field ends beyond its message"
            yield tag >> 3, data[position : position + value]
            position += value


def _varints(data: bytes) -> Iterator[int]:
    position = 0
    while position < len(data):
        value, position = _varint(data, position)
        yield value


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            assert shift <= 70, "a varint has ten bytes at most"
            return value, position


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
