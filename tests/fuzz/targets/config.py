"""Configuration files: a configuration, or all mistakes with their places."""

# ruff: noqa: PT017  # what is wrong with an error is a failure, too

from __future__ import annotations

import tempfile
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from superchat.config import Config, ConfigError, load
from superchat.config.document import Unreadable, read
from superchat.config.keys import Wrong
from superchat.config.settings import KEYS
from tests.fuzz.target import Target

_EXAMPLE = Path(__file__).resolve().parents[3] / "etc" / "superchat.toml"
_ENVIRONMENT = {"HOME": "/home/alice"}
_HIGHEST_PORT = 65535


class ConfigTarget(Target):
    """`superchat.config`: the file, and each key's text from the environment."""

    name = "config"
    files = ("config/",)
    words = (
        *(f"{key.partition('.')[2]} = ".encode() for key in KEYS),
        *(f"[{section}]\n".encode() for section in dict.fromkeys(key.partition(".")[0] for key in KEYS)),
        b"[[channels]]\n",
        b'name = "abc"\n',
        b"\n",
        b'"""',
        b"'''",
        b'"',
        b"=",
        b"#",
        b".",
        b"true",
        b"[]",
        b"{}",
        b"[" * 30,
        b"-1",
        b"1e999",
        b"nan",
        b"9" * 40,
        b"2020-01-01",
        b"\\u0000",
        b"\\ud800",
        b"\xff",
        b"\r",
    )
    steps_at_least = 20_000
    steps_per_byte = 200

    def seeds(self) -> Iterable[bytes]:
        """The example with all keys in force, in pieces, and files that are wrong."""
        example = _EXAMPLE.read_text().replace("\n# ", "\n").splitlines()
        lines = "\n".join(line for line in example if line.startswith("[") or " = " in line)
        for part in lines.split("\n["):
            yield part.encode() if part.startswith("[") else f"[{part}\n".encode()
        yield b'[server]\nadmin_users = ["root"]\nadmin_password = "secret secret"\ntcp_port = 0\n'
        yield b'[[channels]]\nname = "one"\n[[channels]]\nname = "one"\nretention_hours = -1\n'
        yield b'[limits]\nmax_users = "many"\n[nonsense]\na.b."c" = [1, {x = 2}]\n'
        yield b'a = """\n[limits]\n"""\n[limits\n'

    def run(self, data: bytes) -> Hashable:
        """The file."""
        try:
            with _file(data) as path:
                return _check_config(load({}, _ENVIRONMENT, path))
        except ConfigError as error:
            assert error.mistakes
            # All mistakes at once, but each no longer than what is wrong.
            assert len(str(error)) <= 2_000 + 400 * len(data)
            return frozenset(mistake.problem.partition(",")[0][:20] for mistake in error.mistakes[:3])

    def check(self, data: bytes, outcome: Hashable) -> None:
        """Every key has a place to be named with; and the first line, taken as any key's text, is right or wrong."""
        with _file(data) as path:
            _check_places(path, data.count(b"\n") + 1)
        text = data.partition(b"\n")[0].decode(errors="replace")
        for key in KEYS.values():
            try:
                key.parse(text)
            except Wrong as wrong:
                assert str(wrong)


@contextmanager
def _file(data: bytes) -> Iterator[Path]:
    """A file with this content."""
    with tempfile.TemporaryDirectory(prefix="superchat-fuzz-") as folder:
        path = Path(folder) / "superchat.toml"
        path.write_bytes(data)
        yield path


def _check_places(path: Path, lines: int) -> None:
    try:
        document = read(path)
    except Unreadable as error:
        assert error.where.startswith(str(path))
        assert error.problem
        return
    for place, line in document.lines.items():
        assert document.where(*place) == f"{path}:{line}"
        assert 1 <= line <= lines


def _check_config(config: Config) -> Hashable:
    assert 0 <= config.server.tcp_port <= _HIGHEST_PORT
    assert config.data_directory.is_absolute()
    assert config.database_path.is_absolute()
    assert all(channel.name for channel in config.channels)
    return "loaded", attrs.asdict(config.limits) == attrs.asdict(Config().limits)
