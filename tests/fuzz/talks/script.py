"""A talk written down, a line for each step, so that it can be played again, and made shorter."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import attrs


@attrs.frozen
class Settings:
    """On what kind of server it is. Limits of 0 are none."""

    storage: str = "memory"
    posts_per_minute: int = 0
    frames_per_second: int = 0
    frame_burst: int = 200
    outbox_bytes: int = 1_048_576
    idle_seconds: int = 120
    longest_message: int = 4096


@attrs.frozen
class Open:
    """A client connects, over "tcp" or "websocket"."""

    client: int
    transport: str
    address: str


@attrs.frozen
class Send:
    """A client sends bytes of the protocol, cut at these offsets."""

    client: int
    data: bytes
    cuts: tuple[int, ...] = ()


@attrs.frozen
class Read:
    """A client reads on, or reads no more for now."""

    client: int
    on: bool


@attrs.frozen
class Leave:
    """A client closes its connection."""

    client: int


@attrs.frozen
class Wait:
    """Time passes."""

    seconds: float


@attrs.frozen
class Delay:
    """From now on the storage answers late, or at once."""

    on: bool


@attrs.frozen
class Reply:
    """The storage answers one of those that wait, or fails."""

    number: int
    fails: bool = False


@attrs.frozen
class Fill:
    """From now on the storage refuses at once what it is asked, because too many wait; or no more."""

    on: bool


Step: TypeAlias = Open | Send | Read | Leave | Wait | Delay | Reply | Fill
_KINDS: Final[tuple[type[Any], ...]] = (Open, Send, Read, Leave, Wait, Delay, Reply, Fill)
_BY_NAME: Final = {kind.__name__.lower(): kind for kind in _KINDS}


class Unreadable(ValueError):
    """A line is no step."""


def written(settings: Settings, steps: Iterable[Step]) -> bytes:
    """The lines."""
    words = [f"{name}={value}" for name, value in attrs.asdict(settings).items()]
    lines = [shlex.join(["on", *words]), *map(_line, steps)]
    return "".join(f"{line}\n" for line in lines).encode()


def read(data: bytes) -> tuple[Settings, list[Step]]:
    """What `written` wrote. Raises `Unreadable`."""
    try:
        first, *lines = data.decode("ascii").splitlines()
        settings = dict(word.split("=", 1) for word in shlex.split(first)[1:])
        kinds: dict[str, Any] = {each.name: type(each.default) for each in attrs.fields(Settings)}
        made = Settings(**{name: kinds[name](value) for name, value in settings.items()})
        return made, [*map(_step, lines)]
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(str(error)) from error


def _line(step: Step) -> str:
    words = [type(step).__name__.lower()]
    for value in attrs.astuple(step, recurse=False):
        if isinstance(value, bytes):
            words.append(value.hex())
        elif isinstance(value, tuple):
            words.append(",".join(map(str, value)))
        elif isinstance(value, bool):
            words.append("yes" if value else "no")
        else:
            words.append(str(value))
    return shlex.join(words)


def _step(line: str) -> Step:
    name, *words = shlex.split(line)
    kind = _BY_NAME[name]
    fields = attrs.fields(kind)
    made: Step = kind(*(_value(str(field.type), word) for field, word in zip(fields, words, strict=True)))
    return made


def _value(kind: str, word: str) -> object:
    match kind:
        case "bytes":
            return bytes.fromhex(word)
        case "bool":
            return word == "yes"
        case "int":
            return int(word)
        case "float":
            return float(word)
        case "str":
            return word
    return tuple(map(int, filter(None, word.split(","))))
