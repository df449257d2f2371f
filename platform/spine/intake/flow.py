"""The business flow that something from outside belongs to.

A person's click, a provider's report and a reply each arrive as a request with a trace of its own, often without knowing our
correlation id. They are part of a flow all the same: what they cause is written under the flow's correlation id and in the
flow's trace, and the request's own span is linked to it, so that both can be found from either.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from shared.events import EventData
from spine.db import Connection
from spine.registry import Registry
from spine.telemetry import joined


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """`traceparent` is that of the flow's first event, None if it had none; `causation_id` is the event that started it."""

    correlation_id: str
    causation_id: str | None = None
    traceparent: str | None = None


def flow_that_hears(conn: Connection, registry: Registry, data: EventData, tenant_id: str) -> Flow | None:
    """The flow whose automation listens for this event: that of the latest event about the same subject that starts one."""
    starters = [
        event.TYPE
        for automation in registry.automations.values()
        if any(type(data) is listen.event for listen in automation.listens)
        for event in automation.on
    ]
    row = conn.execute(
        "select correlation_id, event_id, envelope ->> 'traceparent' as traceparent from events "
        "where tenant_id = %s and subject = %s and type = any(%s) order by position desc limit 1",
        (tenant_id, data.subject(), starters),
    ).fetchone()
    if row is None:
        return None
    return Flow(correlation_id=row["correlation_id"], causation_id=str(row["event_id"]), traceparent=row["traceparent"])


def flow_named(conn: Connection, tenant_id: str, correlation_id: str) -> Flow:
    """The flow of a correlation id; one without a trace when nothing carries it yet."""
    row = conn.execute(
        "select envelope ->> 'traceparent' as traceparent from events "
        "where tenant_id = %s and correlation_id = %s order by position limit 1",
        (tenant_id, correlation_id),
    ).fetchone()
    return Flow(correlation_id=correlation_id, traceparent=row["traceparent"] if row else None)


def flow_of_approval(conn: Connection, tenant_id: str, approval_id: str) -> Flow | None:
    """The flow that waits for a decision; None when there is no such approval, which is for whoever decides to report."""
    row = conn.execute(
        "select i.correlation_id, i.traceparent from approvals a join intents i using (tenant_id, intent_id) "
        "where a.tenant_id = %s and a.approval_id::text = %s",
        (tenant_id, approval_id),
    ).fetchone()
    return Flow(correlation_id=row["correlation_id"] or "", traceparent=row["traceparent"]) if row else None


@contextmanager
def inside(flow: Flow | None, what: str) -> Iterator[None]:
    """Audit rows and events written in the block carry the flow's trace."""
    with joined(what, flow.traceparent if flow else None):
        yield
