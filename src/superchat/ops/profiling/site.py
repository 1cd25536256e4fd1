"""Serves the profiles over HTTP."""

from __future__ import annotations

from typing import Any

from twisted.web.server import Site

from superchat.ops.profiling.resource import Front, Profiles, profiling_app
from superchat.ops.profiling.stalls import ReactorWatch
from superchat.ops.site import OperatorsSite
from superchat.ops.threads import InThread, in_daemon_thread


def make_profiling_site(reactor: Any, watch: ReactorWatch, in_thread: InThread | None = None) -> Site:
    """Return the site with /debug/pprof/, for a port that only this machine can reach (decisions 9.2).

    `watch` MUST be started and stopped by the caller. `in_thread` renders profiles, by default in threads that do not
    keep the process from ending. Nothing needs to be stopped: a profile that is being taken ends with its connection.
    """
    in_thread = in_thread or in_daemon_thread(reactor)
    app = profiling_app(Profiles(reactor, watch, in_thread), in_thread)
    return OperatorsSite(Front(app.resource()), reactor)
