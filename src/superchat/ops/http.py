"""The operators' pages: /metrics, /health, /livez and /readyz, for this machine only (decisions 9.2)."""

from __future__ import annotations

import json
from typing import Final

from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from superchat.ops.health import Health
from superchat.ops.metrics import Metrics

_READING: Final = (b"GET", b"HEAD")
_TEXT: Final = "text/plain; charset=utf-8"


def monitoring_resource(metrics: Metrics, health: Health) -> IResource:
    """The pages as a resource. They change nothing, take no parameters, and know no methods but GET and HEAD."""
    app = Klein()

    @app.route("/metrics")
    def show_metrics(request: IRequest) -> bytes:
        body, content_type = metrics.render(_header(request, b"accept"))
        return _answer(request, 200, body, content_type)

    @app.route("/health")
    async def show_health(request: IRequest) -> bytes:
        report = await health.report()
        body = json.dumps(report.as_json(), indent=2).encode() + b"\n"
        return _answer(request, 200 if report.ok else 503, body, "application/json")

    @app.route("/livez")
    def show_life(request: IRequest) -> bytes:
        return _answer(request, 200, b"ok\n", _TEXT)

    @app.route("/readyz")
    async def show_readiness(request: IRequest) -> bytes:
        report = await health.report()
        text = "ok\n" if report.ok else "".join(f"{reason}\n" for reason in report.reasons)
        return _answer(request, 200 if report.ok else 503, text.encode(), _TEXT)

    return _Pages(app)


class _Pages(Resource):
    """Lets only requests through that are one of the pages to the letter: Klein logs a traceback, and answers with
    one, when a Host header or a path is not what it expects."""

    isLeaf = True

    def __init__(self, app: Klein) -> None:
        super().__init__()
        self._pages: Resource = app.resource()
        self._paths = frozenset(rule.rule.encode() for rule in app.url_map.iter_rules())

    def render(self, request: Request) -> bytes | int:
        """Answer, or say why not."""
        if request.path not in self._paths:
            return _answer(request, 404, b"There is nothing here.\n", _TEXT)
        if request.method not in _READING:
            request.setHeader("allow", "GET, HEAD")
            return _answer(request, 405, b"Only GET and HEAD are possible here.\n", _TEXT)
        if b"?" in request.uri:
            return _answer(request, 400, b"This page takes no parameters.\n", _TEXT)
        request.requestHeaders.setRawHeaders(b"host", [b"localhost"])
        answer: bytes | int = self._pages.render(request)
        return answer


def _header(request: IRequest, name: bytes) -> str:
    values = request.requestHeaders.getRawHeaders(name) or []
    return ",".join(value.decode("latin-1") for value in values)


def _answer(request: IRequest, status: int, body: bytes, content_type: str) -> bytes:
    request.setResponseCode(status)
    request.setHeader("content-type", content_type)
    request.setHeader("content-length", str(len(body)))
    request.setHeader("cache-control", "no-store")
    return b"" if request.method == b"HEAD" else body
