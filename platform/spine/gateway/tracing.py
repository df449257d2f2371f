"""A span and a correlation id for each request, as ASGI middleware; and the last stop of what nobody foresaw."""

import logging
import re

from opentelemetry.trace import SpanKind
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spine.gateway.problems import of_bug
from spine.ids import new_id_text
from spine.redact import redact_reference
from spine.telemetry import correlated, current_trace_id, span

CORRELATION_HEADER = "x-correlation-id"
_CORRELATION = re.compile(r"[\x21-\x7e]{1,128}")
_log = logging.getLogger(__name__)


class Tracing:
    """Continues an incoming `traceparent`, takes or makes the correlation id, and answers with it and with the trace id.

    An endpoint that learns a better correlation id writes it to `request.state.correlation_id`. Answers are not for caches.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(CORRELATION_HEADER, "")
        state = scope.setdefault("state", {})
        # One that names a person would be written into every record of the flow; then it counts as not given.
        state["correlation_given"] = bool(_CORRELATION.fullmatch(given)) and redact_reference(given) == given
        state["correlation_id"] = given if state["correlation_given"] else new_id_text()
        begun = False
        method = scope["method"]
        with (
            span(method, parent=headers.get("traceparent"), kind=SpanKind.SERVER, http_method=method) as opened,
            correlated(state["correlation_id"]),
        ):

            async def named(message: Message) -> None:
                nonlocal begun
                if message["type"] == "http.response.start":
                    begun = True
                    route = getattr(scope.get("route"), "path", "(none)")
                    opened.update_name(f"{method} {route}")
                    opened.set_attribute("http.response.status_code", message["status"])
                    answer = [*message["headers"], (CORRELATION_HEADER.encode(), state["correlation_id"].encode())]
                    if all(name != b"cache-control" for name, _ in answer):
                        answer.append((b"cache-control", b"no-store"))
                    if trace_id := current_trace_id():
                        answer.append((b"x-trace-id", trace_id.encode()))
                    message["headers"] = answer
                await send(message)

            try:
                await self._app(scope, receive, named)
            except Exception:
                if begun:
                    raise
                _log.exception("%s %s failed", method, scope["path"])
                await of_bug(Request(scope))(scope, receive, named)
