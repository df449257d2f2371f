"""Traces and logs: one trace across hops, nothing personal in either."""

import gzip
import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from spine.errors import PolicyDenied
from spine.redact import redact
from spine.settings import Settings
from spine.telemetry import correlated, current_trace_id, current_traceparent, parent_context, setup_logging, setup_telemetry, span


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    setup_telemetry("tests", Settings()).add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter
    exporter.shutdown()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


def the_span(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    (found,) = (s for s in spans.get_finished_spans() if s.name == name)
    return found


def test_a_second_setup_in_one_process_returns_the_first_provider() -> None:
    assert setup_telemetry("one", Settings()) is setup_telemetry("two", Settings())


def test_ids_are_real_though_nothing_is_exported(spans: InMemorySpanExporter) -> None:
    assert current_trace_id() is None
    assert current_traceparent() is None
    with span("here"):
        trace_id = current_trace_id()
        assert trace_id is not None
        assert int(trace_id, 16) != 0
        assert (current_traceparent() or "").split("-")[1] == trace_id


def test_a_traceparent_carried_in_an_event_continues_the_same_trace(spans: InMemorySpanExporter) -> None:
    with span("publish"):
        carried = current_traceparent()
    with span("dispatch", parent=carried, workflow_id="demo/outreach-sequence/L1", attempts=2, detail=None):
        pass
    published, dispatched = the_span(spans, "publish"), the_span(spans, "dispatch")
    assert dispatched.context.trace_id == published.context.trace_id
    assert dispatched.parent is not None
    assert dispatched.parent.span_id == published.context.span_id
    assert dict(dispatched.attributes or {}) == {"spine.workflow_id": "demo/outreach-sequence/L1", "spine.attempts": 2}


@pytest.mark.parametrize("broken", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "x" * 5000])
def test_a_broken_traceparent_starts_afresh_and_stops_nothing(spans: InMemorySpanExporter, broken: str) -> None:
    with span("work", parent=parent_context(broken)):
        assert current_trace_id() is not None


def test_a_failed_span_tells_the_code_and_not_the_message(spans: InMemorySpanExporter) -> None:
    with pytest.raises(PolicyDenied), span("judge"):
        raise PolicyDenied("sara@example.com has opted out")
    failed = the_span(spans, "judge")
    assert (failed.attributes or {})["error.type"] == "policy-denied"
    assert "sara" not in failed.to_json()
    assert not failed.status.is_ok


def test_a_log_line_names_its_trace_and_correlation(spans: InMemorySpanExporter, log: io.StringIO) -> None:
    setup_logging("worker", stream=log)
    with span("step"), correlated("corr-1"):
        trace_id = current_trace_id()
        logging.getLogger("spine.test").info("sent %s", "intent-1")
    logging.getLogger("spine.test").info("after")
    lines = map(json.loads, log.getvalue().splitlines())  # a connection pool of another test may have a word to say as well
    inside, after = (line for line in lines if line["logger"] == "spine.test")
    assert inside["message"] == "sent intent-1"
    assert inside["service"] == "worker"
    assert (inside["correlation_id"], inside["trace_id"]) == ("corr-1", trace_id)
    assert not {"correlation_id", "trace_id"} & after.keys()


def test_a_second_logging_setup_does_not_double_the_lines(log: io.StringIO) -> None:
    setup_logging("worker", stream=log)
    setup_logging("worker", stream=log, as_json=False)
    logging.getLogger("spine.test").warning("once")
    assert log.getvalue().count("once") == 1
    assert "warning" in log.getvalue()


def test_an_exception_in_the_log_is_scrubbed_too(log: io.StringIO) -> None:
    setup_logging("worker", stream=log)
    try:
        raise ValueError("cannot reach sara@example.com")
    except ValueError:
        logging.getLogger("spine.test").exception("failed")
    line = json.loads(log.getvalue())
    assert "ValueError" in line["exception"]
    assert "sara" not in log.getvalue()


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("to sara.k+x@mail.example.com now", "to [email] now"),
        ("key sk.demo.0191.abcDEF123", "key [secret]"),
        ("openai key sk-proj-abc123def456", "openai key [secret]"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "[secret]"),
        ("Authorization: Bearer eyJhbGciOi.J9", "Authorization: Bearer [secret]"),
        ("postgresql://app:hunter2@127.0.0.1:5432/spine", "postgresql://app:[secret]@127.0.0.1:5432/spine"),
        ("{'api_key': 'abc123'}", "{'api_key': '[secret]'}"),
        ("call +966 50 123 4567", "call [phone]"),
        ("0501234567", "[phone]"),
        ("position 1234567890 at 2026-11-22T09:00:00+03:00", "position 1234567890 at 2026-11-22T09:00:00+03:00"),
        ("demo/outreach-sequence/0191f2f4-2a3b-7c4d-8e5f-001234567890", "demo/outreach-sequence/0191f2f4-2a3b-7c4d-8e5f-001234567890"),
    ],
)
def test_addresses_numbers_and_keys_do_not_reach_the_log(text: str, scrubbed: str) -> None:
    assert redact(text) == scrubbed


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """An OTLP/HTTP receiver: its address, and what it was sent as (path, body)."""
    received: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append((self.path, gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", received
    server.shutdown()
    server.server_close()


def test_a_short_process_sends_its_spans_to_the_collector_before_it_ends(collector: tuple[str, list[tuple[str, bytes]]]) -> None:
    address, received = collector
    program = """
from spine.settings import Settings
from spine.telemetry import current_trace_id, setup_telemetry, shutdown, span
setup_telemetry("short", Settings.load())
with span("only", tenant_id="demo"):
    print(current_trace_id())
shutdown()
"""
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": address}
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    ((path, body),) = received
    assert path == "/v1/traces"
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    assert {"service.name": "short"}.items() <= {a.key: a.value.string_value for a in resource.resource.attributes}.items()
    (sent,) = resource.scope_spans[0].spans
    assert (sent.name, sent.trace_id.hex()) == ("only", done.stdout.strip())
    assert {a.key: a.value.string_value for a in sent.attributes} == {"spine.tenant_id": "demo"}


def test_importing_telemetry_brings_in_neither_the_sdk_nor_temporal() -> None:
    program = "import sys, spine.telemetry; print([m for m in ('opentelemetry.sdk', 'temporalio', 'pydantic') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
