"""The command line of superchat-loadtest."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs

from superchat.loadtest import expectations
from superchat.loadtest.expectations import Expectation
from superchat.loadtest.options import SCENARIOS, Options
from superchat.loadtest.texts import POSTERS_MAXIMUM, STAMP_BYTES

CLIENTS_MAXIMUM: Final = 100_000
LONGEST_SECONDS: Final = 7 * 86400.0
PROCESSES_MAXIMUM: Final = 256
IN_FLIGHT: Final = 8
"""Posts in flight where a loop without rate would have no bound."""

_EXITS: Final = """
exit status:
  0  everything arrived once and in order, and every --expect is met
  1  something did not, or an expectation is not met
  2  wrong usage, or a load that limits of the server or of this machine make impossible
  3  no connection

Posts are real messages, visible to everybody in the channel.
"""


def parse(arguments: Sequence[str]) -> Options:
    """Understand a command line. Raises SystemExit for --help and wrong usage."""
    parser = build()
    given = parser.parse_args(arguments)
    asked = {name: value for name, value in vars(given).items() if value is not None}
    asked["expectations"] = tuple(asked.get("expectations", ()))
    host, port = asked.pop("server", ("localhost", 6465))
    options = Options(host=host, port=port, **(dict(SCENARIOS[given.scenario].defaults) | asked))
    if options.posters and not options.rate and not options.in_flight:
        options = attrs.evolve(options, in_flight=IN_FLIGHT)
    if not options.connections:
        parser.error("nobody takes part: give --subscribers, --posters, --slow, --churners or --arrivals")
    if 0 < options.processes < 1 + bool(options.posters) and options.connections > options.posters > 0:
        return attrs.evolve(options, processes=1)
    return options


def build() -> argparse.ArgumentParser:
    """The parser; what is not given is None."""
    parser = argparse.ArgumentParser(
        prog="superchat-loadtest",
        description="Puts load on a SuperChat server, and checks that every subscriber gets every post once, in order.",
        epilog=_scenarios() + _EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenario", metavar="SCENARIO", choices=SCENARIOS, help="one of those below")
    _add_server(parser.add_argument_group("server"))
    _add_load(parser.add_argument_group("load, each with every scenario"))
    _add_output(parser.add_argument_group("outcome"))
    return parser


def _scenarios() -> str:
    lines = ["scenarios, and what each of them brings if nothing else is said:"]
    for name, scenario in SCENARIOS.items():
        brings = ", ".join(f"{key.replace('_bytes', '')} {value:g}" for key, value in scenario.defaults.items())
        lines.append(f"  {name:<13} {scenario.summary}\n{'':16}{brings.replace('_', '-')}")
    return "\n".join(lines) + "\n"


def _add_server(group: Any) -> None:
    group.add_argument("--server", metavar="HOST[:PORT]", type=address, help="default: localhost, port 6465")
    group.add_argument("--channel", metavar="CHANNEL", help="name, parent/name, or id; default: the server's first one")
    group.add_argument(
        "--pid",
        type=whole(1, 1 << 30),
        help="the server's process, to measure its CPU and memory; found by itself if it is the only one on this "
        "machine that listens on the port and may be looked at",
    )
    group.add_argument(
        "--timeout",
        dest="timeout_seconds",
        metavar="SECONDS",
        type=seconds,
        help="for connecting a client until it is ready; default: 10",
    )
    group.add_argument(
        "--ignore-limits", action="store_true", default=None, help="try what the server's limits make impossible"
    )


def _add_load(group: Any) -> None:
    clients = whole(0, CLIENTS_MAXIMUM)

    def add(flag: str, destination: str, metavar: str, kind: Callable[[str], Any], text: str) -> None:
        group.add_argument(flag, dest=destination, metavar=metavar, type=kind, help=text)

    add("--duration", "duration_seconds", "SECONDS", seconds, "how long to load; default: 10")
    add("--grace", "grace_seconds", "SECONDS", seconds, "how long to wait for what is late afterwards; default: 10")
    add("--rate", "rate", "N", rate, "posts per second of all posters, kept whatever the server does; 0 saturates it")
    add("--posters", "posters", "N", whole(0, min(CLIENTS_MAXIMUM, POSTERS_MAXIMUM)), "clients that post")
    add(
        "--in-flight",
        "in_flight",
        "N",
        whole(0, 10_000),
        f"posts of one poster that may wait for their answer; default: {IN_FLIGHT} without --rate, else no limit (0)",
    )
    add("--size", "size_bytes", "BYTES", whole(STAMP_BYTES, 65_000), f"of a post, {STAMP_BYTES} or more; default: 140")
    add("--subscribers", "subscribers", "N", clients, "clients that listen")
    add("--threads", "threads", "N", whole(0, 10_000), "threads to post in; subscribers follow 5 of them each")
    add("--slow", "slow", "N", clients, "subscribers that read slowly")
    add(
        "--slow-rate",
        "slow_bytes_per_second",
        "BYTES",
        whole(4, 1 << 30),
        "how much a slow one reads per second; default: 2000",
    )
    add("--churners", "churners", "N", clients, "subscribers that come and go")
    add("--stay", "stay_seconds", "SECONDS", seconds, "how long one of them stays; default: 1")
    add("--arrivals", "arrivals", "N", clients, "clients of a storm: they connect, then take a nickname all at once")
    add("--arrival-rate", "arrival_rate", "N", rate, "connections of the storm per second; default: 0, all at once")
    add(
        "--processes",
        "processes",
        "N",
        whole(1, PROCESSES_MAXIMUM),
        "processes of the load generator; default: one for posters, and one for each 1000 others, up to one a core",
    )


def _add_output(group: Any) -> None:
    group.add_argument(
        "--expect",
        dest="expectations",
        metavar="METRIC<N",
        action="append",
        type=expectation,
        help="fail unless it is so, for example 'delivery_p99_ms<200'; may be repeated; < <= > >= ==",
    )
    group.add_argument("--json", action="store_true", default=None, help="print the outcome as JSON")
    group.add_argument("--quiet", action="store_true", default=None, help="show no progress")


def address(text: str) -> tuple[str, int]:
    """``HOST[:PORT]``; an IPv6 address with a port is written in brackets."""
    host, port = text, ""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not host or (port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536)):
        raise argparse.ArgumentTypeError(f"not HOST[:PORT]: {text}")
    return host, int(port or 6465)


def seconds(text: str) -> float:
    """A time, up to a week."""
    number = _number(text)
    if not 0 < number <= LONGEST_SECONDS:
        raise argparse.ArgumentTypeError(f"not a time of up to a week: {text}")
    return number


def rate(text: str) -> float:
    """How many per second, 0 included."""
    number = _number(text)
    if not 0 <= number <= 1_000_000:
        raise argparse.ArgumentTypeError(f"not within 0..1000000: {text}")
    return number


def whole(minimum: int, maximum: int) -> Callable[[str], int]:
    """A whole number within bounds."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and minimum <= int(text) <= maximum):
            raise argparse.ArgumentTypeError(f"not within {minimum}..{maximum}: {text}")
        return int(text)

    return read


def expectation(text: str) -> Expectation:
    """A threshold."""
    try:
        return expectations.read(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a number: {text}") from None
