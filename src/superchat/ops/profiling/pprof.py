"""The protobuf of pprof: `profile.proto` of github.com/google/pprof, gzipped, written without a protobuf library.

The numbers are the field numbers of that file. A field that has its default value is left out, as proto3 does.
"""

from __future__ import annotations

import gzip
from typing import Final

from superchat.ops.profiling.profile import Frame, Measure, Profile, Sample

_VARINT: Final = 0
_LENGTH_DELIMITED: Final = 2
_NANOSECONDS: Final = 1_000_000_000
_COMPRESSION: Final = 6
_MAPPING_ID: Final = 1


def encode(profile: Profile) -> bytes:
    """Return the profile in the format that `go tool pprof` reads.

    Every location is symbolised already, and says so, so that nobody asks /debug/pprof/symbol about it.
    """
    # The time in gzip's header stays out: equal profiles are equal bytes.
    return gzip.compress(_Message(profile).encoded(), _COMPRESSION, mtime=0)


class _Message:
    """Gives out the ids that the parts of a profile refer to each other by."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._strings: dict[str, int] = {"": 0}
        self._functions: dict[tuple[str, str, int], int] = {}
        self._locations: dict[Frame, int] = {}

    def encoded(self) -> bytes:
        profile = self._profile
        # The tables come after the samples, which fill them.
        return b"".join(
            (
                *(_submessage(1, self._measure(measure)) for measure in profile.measures),
                *(_submessage(2, self._sample(sample)) for sample in profile.samples),
                _submessage(3, self._mapping()),
                *(_submessage(4, self._location(frame, number)) for frame, number in self._locations.items()),
                *(_submessage(5, self._function(*key, number)) for key, number in self._functions.items()),
                _integer(9, int(profile.taken_at * _NANOSECONDS)),
                _integer(10, int(profile.duration_seconds * _NANOSECONDS)),
                _submessage(11, self._measure(profile.shown)),
                _integer(12, profile.period),
                _packed(13, tuple(self._string(comment) for comment in profile.comments)),
                _integer(14, self._string(profile.shown.name)),
                *(_submessage(6, text.encode("utf-8", "backslashreplace")) for text in self._strings),
            )
        )

    def _measure(self, measure: Measure) -> bytes:
        return _integer(1, self._string(measure.name)) + _integer(2, self._string(measure.unit))

    def _sample(self, sample: Sample) -> bytes:
        ids = tuple(self._locations.setdefault(frame, len(self._locations) + 1) for frame in sample.stack)
        labels = b"".join(_submessage(3, self._label(*label)) for label in sample.labels)
        return _packed(1, ids) + _packed(2, sample.values) + labels

    def _label(self, name: str, value: str) -> bytes:
        return _integer(1, self._string(name)) + _integer(2, self._string(value))

    def _mapping(self) -> bytes:
        symbolised = b"".join(_integer(field, 1) for field in (7, 8, 9))
        return _integer(1, _MAPPING_ID) + _integer(5, self._string("python")) + symbolised

    def _location(self, frame: Frame, number: int) -> bytes:
        key = frame.function, frame.file, frame.first_line
        function = self._functions.setdefault(key, len(self._functions) + 1)
        line = _integer(1, function) + _integer(2, frame.line)
        return _integer(1, number) + _integer(2, _MAPPING_ID) + _submessage(4, line)

    def _function(self, name: str, file: str, first_line: int, number: int) -> bytes:
        text = self._string(name)
        named = _integer(1, number) + _integer(2, text) + _integer(3, text)
        return named + _integer(4, self._string(file)) + _integer(5, first_line)

    def _string(self, text: str) -> int:
        return self._strings.setdefault(text, len(self._strings))


def _varint(value: int) -> bytes:
    """A negative number takes ten bytes: two's complement in 64 bits."""
    value &= (1 << 64) - 1
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value) if value else b""


def _submessage(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _LENGTH_DELIMITED) + _varint(len(content)) + content


def _packed(field: int, values: tuple[int, ...]) -> bytes:
    return _submessage(field, b"".join(map(_varint, values))) if values else b""
