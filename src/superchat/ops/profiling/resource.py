"""The pages below /debug/pprof/, as a Klein application."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Collection
from http import HTTPStatus
from typing import Any, Final, cast

from klein import Klein
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from superchat.ops.profiling import pages
from superchat.ops.profiling.flamegraph import flame_graph
from superchat.ops.profiling.heap import MemoryTracing
from superchat.ops.profiling.pprof import encode
from superchat.ops.profiling.profile import Profile, difference
from superchat.ops.profiling.query import Format, Query
from superchat.ops.profiling.refusal import OneAtATime, Refusal
from superchat.ops.profiling.sampler import CpuSampler, SamplerUnavailable
from superchat.ops.profiling.stalls import ReactorWatch
from superchat.ops.profiling.tasks import tasks
from superchat.ops.profiling.text import folded, table
from superchat.ops.threads import InThread

PREFIX: Final = "/debug/pprof/"
DEFAULT_CPU_SECONDS: Final = 30
"""As Go's."""

Measurement = Callable[[Query], Awaitable[Profile]]

_COMMON: Final = frozenset({b"format", b"debug"})
_log: Final = Logger()
_PLAIN: Final = "text/plain; charset=utf-8"
_HTML: Final = "text/html; charset=utf-8"
_TYPES: Final = {
    Format.PPROF: "application/octet-stream",
    Format.TEXT: _PLAIN,
    Format.FOLDED: _PLAIN,
    Format.SVG: "image/svg+xml",
}
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}
_NOTHING_HERE: Final = Refusal(HTTPStatus.NOT_FOUND, f"There is nothing here; the profiles are at {PREFIX}")


class Profiles:
    """What can be measured."""

    def __init__(self, reactor: Any, watch: ReactorWatch, in_thread: InThread) -> None:
        self.memory = MemoryTracing(reactor, in_thread)
        self.watch = watch
        self._reactor = reactor
        self._in_thread = in_thread
        self._one_cpu_profile = OneAtATime("A CPU profile is being taken already: ask again when that is over.")
        self._one_look_at_tasks = OneAtATime("Somebody else is looking at the tasks: ask again in a moment.")

    async def cpu(self, query: Query) -> Profile:
        """What computes in the seconds to come."""
        sampler = CpuSampler()
        with self._one_cpu_profile:
            try:
                sampler.start()
            except SamplerUnavailable as error:
                raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"No CPU profile can be taken: {error}.") from None
            try:
                await deferLater(self._reactor, query.seconds or DEFAULT_CPU_SECONDS)
            finally:
                sampler.stop()
        return await self._in_thread(sampler.profile)

    async def heap(self, query: Query) -> Profile:
        """What is in use of what was allocated."""
        return await self.memory.heap(query.seconds, query.frames)

    async def allocs(self, query: Query) -> Profile:
        """What is allocated."""
        return await self.memory.allocs(query.seconds, query.frames)

    async def tasks(self, query: Query) -> Profile:
        """What runs and what waits."""
        with self._one_look_at_tasks:
            return await tasks(self._reactor)

    async def stalls(self, query: Query) -> Profile:
        """When the reactor did not turn."""
        profile = self.watch.profile()
        if query.seconds is None:
            return profile
        await deferLater(self._reactor, query.seconds)
        return difference(self.watch.profile(), profile)


def profiling_app(profiles: Profiles, in_thread: InThread) -> Klein:
    """Return the routes. GET is the only method, and every answer that is no profile is a sentence or a small page."""
    app = Klein()
    measurements: dict[str, tuple[Measurement, Collection[bytes]]] = {
        "profile": (profiles.cpu, {b"seconds"}),
        "heap": (profiles.heap, {b"seconds", b"frames"}),
        "allocs": (profiles.allocs, {b"seconds", b"frames"}),
        "goroutine": (profiles.tasks, ()),
        "block": (profiles.stalls, {b"seconds"}),
    }
    for name, (measure, parameters) in measurements.items():
        page = _profile_page(name, measure, _COMMON.union(parameters), in_thread)
        app.route(PREFIX + name, endpoint=name)(page)
    app.route(PREFIX, endpoint="index")(_page(_HTML, lambda: pages.index(profiles.memory.session, profiles.watch)))
    app.route(PREFIX + "cmdline", endpoint="cmdline")(_page(_PLAIN, lambda: "\0".join(sys.argv)))
    # Every profile has its names: there is nothing to look up.
    app.route(PREFIX + "symbol", endpoint="symbol")(_page(_PLAIN, lambda: "num_symbols: 0\n"))
    app.route(PREFIX.rstrip("/"), endpoint="redirect")(_redirect)
    app.handle_errors(_failed)
    return app


class Front(Resource):
    """Stands before the application, which takes a request with another encoding than UTF-8 for an accident, and
    redirects one with two slashes."""

    isLeaf = True

    def __init__(self, app: IResource) -> None:
        super().__init__()
        self._app = app

    def render(self, request: Request) -> bytes | int:
        """Let the application answer, if the path can be one of its own."""
        # No page depends on the name by which the client calls this server.
        request.requestHeaders.setRawHeaders(b"host", [b"localhost"])
        if not request.path.isascii() or b"%" in request.path or b"//" in request.path:
            return _sentence(request, _NOTHING_HERE)
        answer: bytes | int = self._app.render(request)
        return answer


def _page(content_type: str, body: Callable[[], str]) -> Callable[[Request], bytes]:
    def page(request: Request) -> bytes:
        _only_get(request)
        return _answer(request, content_type, body().encode("utf-8", "backslashreplace"))

    return page


def _profile_page(
    name: str, measure: Measurement, allowed: Collection[bytes], in_thread: InThread
) -> Callable[[Request], Awaitable[bytes]]:
    async def page(request: Request) -> bytes:
        _only_get(request)
        query = Query.parse(request.args, allowed)
        profile = await measure(query)
        body = await in_thread(lambda: _rendered(profile, name, query.format))
        if query.format is Format.PPROF:
            request.setHeader(b"Content-Disposition", f'attachment; filename="{name}.pb.gz"'.encode())
        return _answer(request, _TYPES[query.format], body)

    return page


def _rendered(profile: Profile, name: str, form: Format) -> bytes:
    if form is Format.PPROF:
        return encode(profile)
    text = {Format.TEXT: table, Format.FOLDED: folded, Format.SVG: lambda it: flame_graph(it, name)}[form](profile)
    return text.encode("utf-8", "backslashreplace")


def _only_get(request: Request) -> None:
    if request.method != b"GET":
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET is possible here.")


def _answer(request: Request, content_type: str, body: bytes) -> bytes:
    for name, value in _HEADERS.items():
        request.setHeader(name, value)
    request.setHeader("Content-Type", content_type)
    request.setHeader("Content-Length", str(len(body)))
    return body


def _sentence(request: Request, refusal: Refusal) -> bytes:
    request.setResponseCode(refusal.code, refusal.code.phrase.encode())
    if refusal.code is HTTPStatus.METHOD_NOT_ALLOWED:
        request.setHeader(b"Allow", b"GET")
    # Or go tool pprof would not print the sentence.
    request.setHeader(b"X-Go-Pprof", b"1")
    return _answer(request, _PLAIN, f"{refusal.sentence}\n".encode())


def _redirect(request: Request) -> bytes:
    _only_get(request)
    request.setResponseCode(HTTPStatus.MOVED_PERMANENTLY)
    request.setHeader(b"Location", PREFIX.encode())
    return _answer(request, _PLAIN, f"It is at {PREFIX}\n".encode())


def _failed(request: IRequest, failure: Failure) -> bytes:
    return _sentence(cast(Request, request), _refusal(failure))


def _refusal(failure: Failure) -> Refusal:
    if isinstance(failure.value, Refusal):
        return failure.value
    if hasattr(failure.value, "code"):
        return _NOTHING_HERE  # the router says so
    _log.failure("A profile could not be made", failure)
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "That failed; the server's log says how.")
