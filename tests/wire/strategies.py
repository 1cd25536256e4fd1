"""Hypothesis strategies made from the declarations: whatever a message may hold, and streams of frames."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st

from superchat.wire import frames
from superchat.wire.fields import Codec, Data, Fixed, Integer, Key, Sequence, Text, Wrapped
from superchat.wire.messages import BY_CODE
from superchat.wire.records import Message, Record

R = TypeVar("R", bound=Record)

# The same examples on every run, and no clock: a slow machine is no failure.
REPEATABLE = settings(derandomize=True, database=None, deadline=None)


@cache
def values(codec: Codec) -> st.SearchStrategy[Any]:
    """Everything a field may hold, its condition and its absence left aside."""
    match codec:
        case Integer():
            return st.integers(codec.minimum, codec.maximum)
        case Key():
            return st.binary(min_size=codec.size, max_size=codec.size)
        case Fixed():
            return st.booleans()
        case Text():
            return st.binary(max_size=40).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
        case Data():
            return st.binary(max_size=80)
        case Sequence():
            return st.lists(records(codec.of), max_size=3).map(tuple)
        case Wrapped():
            return st.just(codec.default) | values(codec.inner)
        case _:
            raise NotImplementedError(codec)


@st.composite
def records(draw: st.DrawFn, cls: type[R]) -> R:
    """A record that can come off the wire: fields whose condition does not hold are None."""
    drawn: dict[str, Any] = {}
    for name, codec in cls.FIELDS.items():
        if codec.when == "always":
            drawn[name] = draw(values(codec))
        elif eval(codec.when, {}, drawn):
            drawn[name] = draw(values(codec.core))
        else:
            drawn[name] = codec.default
    return cls(**drawn)


def messages() -> st.SearchStrategy[Message]:
    """Any message of the protocol."""
    return st.sampled_from(list(BY_CODE.values())).flatmap(records)


def whole_frames() -> st.SearchStrategy[bytes]:
    """A good frame, compressed where that pays, of any version."""
    return st.builds(
        lambda message, compress, version: frames.encode(message, compress=compress, version=version),
        messages(),
        st.booleans(),
        st.integers(0, 255),
    )


@st.composite
def mutated_streams(draw: st.DrawFn) -> bytes:
    """Some good frames in a row with a few bytes changed, so that some are bad."""
    stream = bytearray(b"".join(draw(st.lists(whole_frames(), min_size=1, max_size=4))))
    for at in draw(st.lists(st.integers(0, len(stream) - 1), max_size=3)):
        stream[at] = draw(st.integers(0, 255))
    return bytes(stream)
