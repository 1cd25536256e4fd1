"""The operators' pages: /metrics, /health, /livez and /readyz, for this machine only (decisions 9.2)."""

from __future__ import annotations

import json
from typing import Any, Final

from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from werkzeug.exceptions import HTTPException

from superchat.ops.health import Health
from superchat.ops.metrics import Metrics

_READING: Final = ["GET", "HEAD"]
_TEXT: Final = "text/plain; charset=utf-8"


class _BadRequest(Exception):
    """Somebody asks for what is not here; the text says it."""


def monitoring_resource(metrics: Metrics, health: Health) -> IResource:
    """The pages as a resource. They change nothing, take no parameters, and know no methods but GET and HEAD."""
    app = Klein()

    @app.route("/metrics", methods=_READING)
    def show_metrics(request: IRequest) -> bytes:
        _check(request)
        body, content_type = metrics.render(_header(request, b"accept"))
        return _answer(request, 200, body, content_type)

    @app.route("/health", methods=_READING)
    async def show_health(request: IRequest) -> bytes:
        _check(request)
        report = await health.report()
        body = json.dumps(report.as_json(), indent=2).encode() + b"\n"
        return _answer(request, 200 if report.ok else 503, body, "application/json")

    @app.route("/livez", methods=_READING)
    def show_life(request: IRequest) -> bytes:
        _check(request)
        return _answer(request, 200, b"ok\n", _TEXT)

    @app.route("/readyz", methods=_READING)
    async def show_readiness(request: IRequest) -> bytes:
        _check(request)
        report = await health.report()
        text = "ok\n" if report.ok else "".join(f"{reason}\n" for reason in report.reasons)
        return _answer(request, 200 if report.ok else 503, text.encode(), _TEXT)

    @app.handle_errors(_BadRequest)
    def bad_request(request: IRequest, failure: Any) -> bytes:
        return _answer(request, 400, f"{failure.value}\n".encode(), _TEXT)

    @app.handle_errors(HTTPException)
    def refused(request: IRequest, failure: Any) -> bytes:
        error: HTTPException = failure.value
        for name, value in error.get_headers():
            if name.lower() == "allow":
                request.setHeader(name, value)
        return _answer(request, error.code or 500, f"{error.name}\n".encode(), _TEXT)

    resource: IResource = app.resource()
    return resource


def _check(request: IRequest) -> None:
    """Raise `_BadRequest` for parameters: there are none."""
    if request.args:
        raise _BadRequest("this page takes no parameters")


def _header(request: IRequest, name: bytes) -> str:
    values = request.requestHeaders.getRawHeaders(name) or []
    return ",".join(value.decode("latin-1") for value in values)


def _answer(request: IRequest, status: int, body: bytes, content_type: str) -> bytes:
    request.setResponseCode(status)
    request.setHeader("content-type", content_type)
    request.setHeader("content-length", str(len(body)))
    request.setHeader("cache-control", "no-store")
    return b"" if request.method == b"HEAD" else body
