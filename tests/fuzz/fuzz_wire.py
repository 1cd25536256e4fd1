"""Fuzzes the wire: any bytes must give documented outcomes, the same ones however they are cut.

    python -m tests.fuzz.fuzz_wire --seconds 10

runs a mutation loop of its own, seeded from the golden vectors and repeatable by ``--seed``. Where atheris is
installed, ``--atheris`` hands the same target to it, with coverage guidance. Either way a failing input is shown
in hex, and ``--input HEX`` runs it again.
"""

from __future__ import annotations

import argparse
import importlib
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from superchat.wire.connection import Connection
from superchat.wire.errors import Malformed, Unencodable, Unsupported
from superchat.wire.frames import HEADER, MIN_LENGTH, encode
from superchat.wire.messages import BY_CODE, FROM_CLIENT
from superchat.wire.records import Message
from tests import spec
from tests.wire.streams import bytewise, outcomes, split

MAX_BYTES = 4096


def check(data: bytes) -> None:
    """Run one input. Raises AssertionError if a promise is broken, or whatever the wire should not raise."""
    check_stream(data)
    if data:
        check_payload(data[0], data[1:])


def check_stream(data: bytes) -> None:
    """The stream gives the same outcomes in one piece, in two cuts that depend on it, and byte by byte."""
    for accepts in (FROM_CLIENT, BY_CODE):
        whole = outcomes([data], Connection(accepts))
        cuts = [len(data) // 3, sum(data) % (len(data) + 1)]
        assert outcomes(split(data, cuts), Connection(accepts)) == whole
        assert outcomes(bytewise(data), Connection(accepts)) == whole
        for outcome in whole:
            assert isinstance(outcome, (Message, Unsupported, tuple))
            if isinstance(outcome, Message):
                check_message(outcome)


def check_payload(code: int, payload: bytes) -> None:
    """The payload is the message, or Malformed."""
    cls = BY_CODE.get(code)
    if cls is None:
        return
    try:
        message = cls.unpack(payload)
    except Malformed:
        return
    check_message(message)


def check_message(message: Message) -> None:
    """A message off the wire can be shown, and encodes to a frame that gives it back.

    Only a payload that was just small enough may be too big to send plain.
    """
    assert str(message).isprintable()
    try:
        frame = encode(message, compress=True)
    except Unencodable as error:
        assert "exceeds" in str(error)  # noqa: PT017
        return
    assert outcomes([frame]) == [message], message


def seeds() -> list[bytes]:
    """All golden frames, bad ones included."""
    names = ("wire_vectors.jsonl", "wire_frame_vectors.jsonl")
    frames = [bytes.fromhex(vector["hex_frame"]) for name in names for vector in spec.vectors(name)]
    for vector in spec.vectors("wire_negative_vectors.jsonl"):
        payload = bytes.fromhex(vector["hex_payload"])
        frames.append(HEADER.pack(MIN_LENGTH + len(payload), 2, int(vector["code"], 16), 0) + payload)
    return frames


def mutations(corpus: list[bytes], rng: random.Random) -> Iterator[bytes]:
    """Endless inputs: a few golden frames in a row, mangled."""
    while True:
        data = bytearray(b"".join(rng.choices(corpus, k=rng.randint(1, 3))))
        for _ in range(rng.randint(0, 4)):
            mangle(data, rng)
        yield bytes(data[:MAX_BYTES])


def mangle(data: bytearray, rng: random.Random) -> None:
    """Change one thing: a bit, a byte, a number, or a stretch that is cut, doubled or made up."""
    start = rng.randrange(len(data) + 1)
    end = min(len(data), start + rng.choice((1, 1, 2, 4, 8, 30)))
    match rng.randrange(6):
        case 0 if start < end:
            data[start] ^= 1 << rng.randrange(8)
        case 1:
            data[start:end] = rng.choice((b"\x00", b"\xff", b"\x7f", b"\x01")) * (end - start)
        case 2:
            del data[start:end]
        case 3:
            data[start:start] = data[start:end]
        case 4:
            data[start:start] = rng.randbytes(rng.randint(1, 20))
        case _ if len(data) >= HEADER.size:
            repaired = len(data) - HEADER.size + MIN_LENGTH  # so that what is behind the header gets a chance
            data[:4] = repaired.to_bytes(4, "big")


def run(seconds: float, seed: int = 0, limit: int | None = None) -> int:
    """Check all golden frames, then mutations of them until time or ``limit`` is up. Returns the number."""
    corpus = seeds()
    until = time.monotonic() + seconds
    for data in corpus:
        run_one(data)
    for count, data in enumerate(mutations(corpus, random.Random(seed))):
        if count == limit or time.monotonic() > until:
            return len(corpus) + count
        run_one(data)
    raise AssertionError("mutations never end")


def run_one(data: bytes) -> None:
    """Check one input, and show it if it fails."""
    try:
        check(data)
    except Exception:
        print(f"failing input: {data.hex()}", file=sys.stderr)
        raise


def run_atheris(seconds: float, seed: int) -> None:
    """Let atheris find inputs; it ends the process."""
    atheris: Any = importlib.import_module("atheris")
    atheris.instrument_all()
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(seeds()):
            (Path(folder) / f"{number:04}").write_bytes(data)
        limits = [f"-max_total_time={int(seconds)}", f"-max_len={MAX_BYTES}", f"-seed={seed}"]
        atheris.Setup([sys.argv[0], *limits, folder], run_one)
        atheris.Fuzz()


def main(arguments: list[str] | None = None) -> int:
    """Fuzz as the command line says."""
    parser = argparse.ArgumentParser(prog="fuzz_wire", description="Fuzz the wire protocol.")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (default: %(default)s)")
    parser.add_argument("--atheris", action="store_true", help="use atheris, which must be installed")
    parser.add_argument("--input", metavar="HEX", help="check this input only")
    options = parser.parse_args(arguments)
    if options.input is not None:
        run_one(bytes.fromhex(options.input))
    elif options.atheris:
        run_atheris(options.seconds, options.seed)
    else:
        print(f"{run(options.seconds, options.seed)} inputs, no failure")
    return 0


if __name__ == "__main__":
    sys.exit(main())
