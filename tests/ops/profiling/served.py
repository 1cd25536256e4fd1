"""A process with the profiling site and a reactor that has something to do; prints its port."""

from __future__ import annotations

import os
import time
from typing import Any

from twisted.internet import epollreactor

from superchat.ops.profiling import ReactorWatch, make_profiling_site
from tests.ops.profiling.work import compute


def busy_function() -> None:
    """Computes in short turns, and makes a system call after each."""
    compute(0.002)
    os.stat("/")


def stalling_function() -> None:
    """Waits where it must not."""
    time.sleep(0.3)


def main() -> None:
    """Serve until SIGTERM."""
    reactor: Any = epollreactor.EPollReactor()

    def turn() -> None:
        busy_function()
        reactor.callLater(0.001, turn)

    watch = ReactorWatch(reactor)
    watch.start()
    reactor.callLater(0, turn)
    reactor.callLater(0.5, stalling_function)
    port = reactor.listenTCP(0, make_profiling_site(reactor, watch), interface="127.0.0.1")
    print(port.getHost().port, flush=True)
    reactor.run()
    watch.stop()


if __name__ == "__main__":
    main()
