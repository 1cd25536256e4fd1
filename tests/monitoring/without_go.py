"""In the place of `go tool pprof` where there is no Go: ``python -m tests.monitoring.without_go tool pprof ...``

It reads a profile as strictly as pprof does, from an address or a file, and prints its largest functions. Then it
takes the commands `top10` and `list` from standard input: a profile that they work with here has all they need.
"""

from __future__ import annotations

import linecache
import re
import sys
from collections import Counter
from pathlib import Path
from urllib.request import urlopen

from tests.ops.profiling.pprof_reader import Place, ReadProfile, read


def main() -> None:
    """Print what is asked for of the last profile that is named."""
    tool, pprof, *arguments = sys.argv[1:]
    if (tool, pprof) != ("tool", "pprof"):
        sys.exit(f"only go tool pprof, not go {tool} {pprof}")
    if "-base" in arguments:
        load(arguments[arguments.index("-base") + 1])
    profile = load(arguments[-1])
    print_top(profile)
    for typed in sys.stdin:
        name, _, pattern = typed.strip().partition(" ")
        if name == "list":
            print_sources(profile, pattern)
        elif name == "top10":
            print_top(profile)


def load(source: str) -> ReadProfile:
    """The profile at an address, or in a file."""
    if source.startswith("http://"):
        with urlopen(source, timeout=60) as response:
            return read(response.read())
    return read(Path(source).read_bytes())


def print_top(profile: ReadProfile) -> None:
    """Print the type, the total, and ten functions by what is theirs alone."""
    measure = profile.default or list(profile.measures)[-1]
    flat: Counter[str] = Counter()
    for sample in profile.samples:
        flat[sample.functions[0]] += sample.values[measure]
    print(f"Type: {measure}\nTotal: {profile.total(measure)} {profile.measures[measure]}\nflat% function")
    for name, value in flat.most_common(10):
        print(f"{value:>16} {name}")


def print_sources(profile: ReadProfile, pattern: str) -> None:
    """Print the lines of code, in functions whose name matches, that something was measured in."""
    measure = profile.default or list(profile.measures)[-1]
    lines: Counter[Place] = Counter()
    for sample in profile.samples:
        for place in set(sample.stack):
            if re.search(pattern, place.function):
                lines[place] += sample.values[measure]
    for place, value in lines.items():
        print(f"ROUTINE = {place.function} in {place.file}")
        print(f"{value:>16} {place.line:>6} {linecache.getline(place.file, place.line).rstrip()}")


if __name__ == "__main__":
    main()
