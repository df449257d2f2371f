"""One trace from the first event to the last effect, and logs that name it.

`setup_telemetry` and `setup_logging` are called once by each process's `main`. Without them everything here still works
and records nothing. The trace context travels as a W3C `traceparent` string: in event envelopes, in audit rows' trace id,
in run tags; through Temporal it goes by the SDK's OpenTelemetry plugin.

Nothing personal or secret leaves this way: span errors carry the error's class and code, never its message, and what is logged or
exported goes through `spine.redact`, whoever wrote it. That is a net under the rule, not the rule.

Light to import: the OpenTelemetry API only, so that workflow modules may load it; the SDK comes in with `setup_telemetry`.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, TextIO

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, format_span_id, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from spine.errors import Misconfigured, SpineError
from spine.redact import redact, redact_reference, warm

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.export import SpanExporter
    from temporalio.contrib.opentelemetry import ReplaySafeTracerProvider

    from spine.settings import Settings

Attribute = str | bool | int | float | None

_W3C = TraceContextTextMapPropagator()
_SETUP = Lock()
_correlation_id: ContextVar[str | None] = ContextVar("spine_correlation_id", default=None)


def setup_telemetry(service_name: str, settings: "Settings") -> "ReplaySafeTracerProvider":
    """Set this process's tracer provider, once; a later call returns the first one, whatever its arguments.

    The provider is Temporal's replay-safe one: its plugin refuses any other, and the global can be set only once a process
    (trap 24). Spans go to `settings.otlp_endpoint` over OTLP/HTTP; without an endpoint they have real ids and go nowhere.
    Call it after a spawn, not before a fork: the exporting thread does not survive one (trap 46).

    Raises Misconfigured when someone else has set a provider already.
    """
    from opentelemetry.sdk.resources import Resource
    from temporalio.contrib.opentelemetry import ReplaySafeTracerProvider, create_tracer_provider

    with _SETUP:
        present = trace.get_tracer_provider()
        if isinstance(present, ReplaySafeTracerProvider):
            return present
        if not isinstance(present, trace.ProxyTracerProvider):
            raise Misconfigured(
                f"a {type(present).__name__} is this process's tracer provider already: call setup_telemetry first, it can be set only once"
            )
        resource = Resource.create({"service.name": service_name, "service.namespace": "spine", "service.instance.id": str(os.getpid())})
        provider = create_tracer_provider(resource=resource)
        if settings.otlp_endpoint:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            provider.add_span_processor(exporting(OTLPSpanExporter(endpoint=settings.otlp_endpoint.rstrip("/") + "/v1/traces")))
        trace.set_tracer_provider(provider)
        # A workflow that is still open when its worker stops detaches its context elsewhere; the SDK reports that as an error.
        logging.getLogger("opentelemetry.context").setLevel(logging.CRITICAL)
        return provider


def exporting(exporter: "SpanExporter") -> "SpanProcessor":
    """The way out for spans, in batches: whoever adds an exporter goes through here, so that what leaves is redacted."""
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from spine.redact.spans import RedactedExport

    return BatchSpanProcessor(RedactedExport(exporter))


def shutdown() -> None:
    """Send what is still held back, and stop exporting. For the end of `main`: a short process loses its spans without it."""
    provider = trace.get_tracer_provider()
    for step in ("force_flush", "shutdown"):
        if (call := getattr(provider, step, None)) is not None:
            call()


def current_traceparent() -> str | None:
    """The running span as a W3C `traceparent`, or None outside any span."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get("traceparent")


def current_trace_id() -> str | None:
    """The running trace's id, 32 hexadecimal digits, or None outside any span."""
    context = trace.get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else None


def parent_context(traceparent: str | None) -> Context:
    """The context that continues `traceparent`. An absent or malformed one gives the running context: a broken header
    from outside must not stop the work it came with."""
    if not traceparent:
        return get_current()
    return _W3C.extract({"traceparent": traceparent}, context=get_current())


@contextmanager
def span(name: str, *, parent: str | Context | None = None, kind: SpanKind = SpanKind.INTERNAL, **attributes: Attribute) -> Iterator[Span]:
    """A span around the block; keyword `workflow_id` becomes attribute `spine.workflow_id`, and None is left out.

    `parent` is a `traceparent` or a context; the default is the running span. An error that leaves the block marks the span
    with its code or class; its message stays out, since messages quote data.
    """
    context = parent_context(parent) if isinstance(parent, str) else parent
    # Redacted where they leave, see `exporting`: a span that nobody exports costs nothing, and ids are told from text by their names.
    named = {f"spine.{key}": value for key, value in attributes.items() if value is not None}
    opened = _tracer(trace.get_tracer_provider()).start_span(
        name, context=context, kind=kind, attributes=named, record_exception=False, set_status_on_exception=False
    )
    token = attach(trace.set_span_in_context(opened))
    try:
        yield opened
    except BaseException as error:
        code = error.code if isinstance(error, SpineError) else type(error).__qualname__
        opened.set_attribute("error.type", code)
        opened.set_status(Status(StatusCode.ERROR, code))
        raise
    finally:
        detach(token)
        opened.end()


@lru_cache(maxsize=2)
def _tracer(provider: trace.TracerProvider) -> trace.Tracer:
    """One for a provider, not one for a span: making it is a third of what a span costs. The provider is set once a process."""
    return provider.get_tracer("spine")


@contextmanager
def joined(name: str, traceparent: str | None) -> Iterator[Span]:
    """A span inside the trace of `traceparent`, linked to the running one: for a request that takes part in an older flow.

    A long human wait is not an open span, so the decision that ends it comes with a trace of its own (architecture.md §11).
    Without a `traceparent`, an ordinary span of the running trace.
    """
    request = trace.get_current_span().get_span_context()
    with span(name, parent=traceparent) as opened:
        if request.is_valid and request.trace_id != opened.get_span_context().trace_id:
            opened.add_link(request)
        yield opened


@contextmanager
def correlated(correlation_id: str | None) -> Iterator[None]:
    """Log lines written inside the block carry `correlation_id`."""
    token = _correlation_id.set(correlation_id)
    try:
        yield
    finally:
        _correlation_id.reset(token)


def setup_logging(service: str, *, as_json: bool | None = None, level: int | str = logging.INFO, stream: TextIO | None = None) -> None:
    """Send this process's log to `stream` (default: standard error), each line with its trace and correlation ids.

    JSON lines unless a person is watching (`as_json=None`: JSON when the stream is no terminal). Replaces earlier handlers
    of the root logger, so that a second call changes the format instead of doubling the lines.
    """
    warm()  # now, and not in the middle of a workflow that logs a number (trap 21)
    target = stream or sys.stderr
    handler = logging.StreamHandler(target)
    handler.setFormatter(_Json(service) if (not target.isatty() if as_json is None else as_json) else _Text(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("httpx", "httpcore", "urllib3", "temporalio.worker._worker"):  # a line a request, each with its full address
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _Format(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def _fields(self, record: logging.LogRecord) -> dict[str, str]:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            fields |= {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}
        if correlation_id := _correlation_id.get():
            fields["correlation_id"] = redact_reference(correlation_id)
        if record.stack_info:
            fields["stack"] = redact(self.formatStack(record.stack_info))
        if record.exc_info:
            fields["exception"] = redact(self.formatException(record.exc_info))
        return fields


class _Json(_Format):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self._fields(record), ensure_ascii=False)


class _Text(_Format):
    def format(self, record: logging.LogRecord) -> str:
        fields = self._fields(record)
        trailer = " ".join(f"{key}={fields[key]}" for key in ("correlation_id", "trace_id") if key in fields)
        line = f"{fields['time']} {fields['level']:<7} {fields['logger']}: {fields['message']}"
        return "\n".join(filter(None, (f"{line}  [{trailer}]" if trailer else line, fields.get("exception"), fields.get("stack"))))
