"""The audit log: append-only, ordered, with the trace it was written in."""

from dataclasses import replace

import psycopg
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from shared.events import Severity
from spine import audit
from spine.db import Database
from tests.governance.support import NOON, WORKER, Desk


def write(desk: Desk, *subjects: str, correlation_id: str = "flow") -> None:
    entries = [
        audit.Entry(actor=WORKER, action="thing.happened", subject_type="thing", subject_id=subject, correlation_id=correlation_id)
        for subject in subjects
    ]
    with desk.database.tenant(desk.tenant) as conn:
        audit.record_all(conn, entries, tenant_id=desk.tenant, now=NOON)


@pytest.mark.parametrize("change", ["update audit_log set action = 'nothing.happened'", "delete from audit_log", "truncate audit_log"])
def test_no_role_changes_or_deletes_what_was_audited(desk: Desk, change: str) -> None:
    write(desk, "a")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), desk.database.tenant(desk.tenant) as conn:
        conn.execute(change.encode())
    assert desk.audited("a") == ["thing.happened"]


def test_even_the_superuser_is_refused_by_the_trigger(desk: Desk, superuser_url: str) -> None:
    write(desk, "a")
    desk.runnable()
    changes = {
        "update audit_log set action = 'x'": "audit_log",
        "delete from audit_log": "audit_log",
        "truncate audit_log": "audit_log",
        "delete from approval_decisions": "approval_decisions",
    }
    for change, table in changes.items():
        refusal = pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"{table} is append-only")
        with psycopg.connect(superuser_url) as connection, refusal:
            connection.execute(change.encode())


def test_rows_come_back_in_order_by_flow_and_by_subject(desk: Desk) -> None:
    write(desk, "a", "b")
    write(desk, "a", correlation_id="other")
    with desk.database.tenant(desk.tenant) as conn:
        by_flow = audit.rows(conn, tenant_id=desk.tenant, correlation_id="flow")
        by_subject = audit.rows(conn, tenant_id=desk.tenant, subject_id="a")
        after = audit.rows(conn, tenant_id=desk.tenant, correlation_id="flow", after=by_flow[0].position, limit=1)
    assert [row.subject_id for row in by_flow] == ["a", "b"]
    assert [row.correlation_id for row in by_subject] == ["flow", "other"]
    assert [row.subject_id for row in after] == ["b"]
    assert (by_flow[0].actor, by_flow[0].severity, by_flow[0].occurred_at) == (WORKER, Severity.V0, NOON)


def test_a_row_names_the_trace_it_was_written_in_and_nothing_outside_one(desk: Desk) -> None:
    write(desk, "outside")
    with TracerProvider().get_tracer("test").start_as_current_span("work") as span:
        write(desk, "inside")
        trace_id = trace.format_trace_id(span.get_span_context().trace_id)
    with desk.database.tenant(desk.tenant) as conn:
        found = {row.subject_id: row.trace_id for row in audit.rows(conn, tenant_id=desk.tenant)}
    assert found == {"outside": None, "inside": trace_id}


def test_an_audit_row_goes_with_the_transaction_that_wrote_it(shared_database: Database, desk: Desk) -> None:
    with pytest.raises(ZeroDivisionError), shared_database.tenant(desk.tenant) as conn:  # noqa: PT012 - one transaction
        audit.record(
            conn, tenant_id=desk.tenant, actor=replace(WORKER), action="x.y", subject_type="x", subject_id="lost", now=NOON, detail={"a": 1}
        )
        raise ZeroDivisionError
    assert desk.audited("lost") == []
