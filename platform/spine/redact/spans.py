"""Spans on their way out: names, attributes, statuses and events redacted, whoever set them. Loads the SDK: for `setup_telemetry` only."""

from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status

from spine.redact import redact, redact_reference

_IDS = ("_id", ".id", "_key", "_ref", "digest", "version")


class RedactedExport(SpanExporter):
    """Hands redacted copies to another exporter: the last boundary, also for spans of libraries that know nothing of the rule."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_told(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _told(span: ReadableSpan) -> ReadableSpan:
    status = span.status
    return ReadableSpan(
        name=redact(span.name),
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_attributes(span.attributes),
        events=[Event(redact(event.name), _attributes(event.attributes), event.timestamp) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(status.status_code, redact(status.description)) if status.description else status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _attributes(given: Any) -> dict[str, Any]:
    return {name: _value(name, value) for name, value in (given or {}).items()}


def _value(name: str, value: Any) -> Any:
    match value:
        case str():
            return redact_reference(value) if name.endswith(_IDS) else redact(value)
        case tuple() | list():
            return tuple(_value(name, item) for item in value)
    return value
