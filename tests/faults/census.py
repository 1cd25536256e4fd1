"""Runs twistd in this process, and counts what is alive in it when asked: ``python census.py FILE ARGUMENT ...``

The arguments are twistd's. SIGUSR2 asks: then all garbage is collected, and what is left goes into FILE as JSON.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from superchat.ops.profiling.stalls import ReactorWatch

KINDS_KEPT = 400


def take(file: Path) -> None:
    """Collect, count, and put the result in the file's place.

    What is remembered of stalls is bounded, and comes and goes with what else the machine does: it is forgotten first.
    """
    for each in gc.get_objects():
        if isinstance(each, ReactorWatch):
            each._stacks.clear()
    gc.collect()
    kinds = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
    counted = {
        "blocks": sys.getallocatedblocks(),
        "objects": kinds.total(),
        "garbage": len(gc.garbage),
        "kinds": dict(kinds.most_common(KINDS_KEPT)),
    }
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(counted))
    os.replace(draft, file)


def main() -> None:
    """Start twistd, and listen to the signal once the reactor runs."""
    from twisted.internet import reactor as the_reactor
    from twisted.scripts import twistd

    reactor: Any = the_reactor
    file = Path(sys.argv.pop(1))

    def listen() -> None:
        signal.signal(signal.SIGUSR2, lambda number, frame: reactor.callFromThread(take, file))

    reactor.callWhenRunning(listen)
    twistd.run()


if __name__ == "__main__":
    main()
