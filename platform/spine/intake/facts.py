"""Facts that somebody outside tells."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.events import ALIASES, CATALOG, EventData, UnknownEvent, alias, missing_guards, short_name
from spine import eventlog
from spine.clock import Clock
from spine.contacts import hear
from spine.db import Connection
from spine.errors import Conflict, NotAllowed, SchemaViolation, UnknownEventType
from spine.identity import Principal
from spine.ids import derived_id
from spine.intake.envelopes import audited, checked, wrapped
from spine.intake.flow import Flow, flow_named, flow_that_hears, inside
from spine.registry import Registry

OWN_DOMAINS = frozenset({"approval", "budget", "effect", "governance", "task", "webhook", "workflow"})
"""Events that are the platform's own word about itself: nobody else may say them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """`new` is False when the log had this event already; then nothing was written."""

    event_id: str
    event_type: str
    correlation_id: str
    new: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """An event as somebody outside tells it. `source` and `external_id` are its teller's own (CloudEvents); both or neither.

    Without a `correlation_id` it joins the flow that listens for it, if there is one (a reply joins its sequence).
    """

    type: str
    data: Mapping[str, Any]
    correlation_id: str | None = None
    subject: str | None = None
    causation_id: str | None = None
    partition_key: str | None = None
    occurred_at: datetime | None = None
    source: str | None = None
    external_id: str | None = None
    traceparent: str | None = None


def event_type_of(name: str) -> str:
    """A full type, or the short name of one. Raises UnknownEventType, naming the nearest there is."""
    try:
        return alias(name)
    except UnknownEvent as error:
        nearest = difflib.get_close_matches(short_name(name), ALIASES, n=1, cutoff=0.4)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
        raise UnknownEventType(f"no event {name!r} in the catalogue{hint} It has: {', '.join(sorted(ALIASES))}") from error


def publish_fact(
    conn: Connection, fact: Fact, *, principal: Principal, registry: Registry, clock: Clock, call_id: str, new_flow: str
) -> Taken:
    """Put an event on the log for a principal; `new_flow` is its correlation id when it belongs to no flow there is.

    Its source becomes `/gateway/<principal>`, its teller's own behind a `#`, so that nobody can use up the ids of our planes.
    Raises UnknownEventType naming the nearest, SchemaViolation naming the field, NotAllowed for the platform's own events,
    and Conflict where something else has to have happened before.
    """
    event_type = event_type_of(fact.type)
    if CATALOG[event_type].domain() in OWN_DOMAINS:
        raise NotAllowed(f"{short_name(event_type)!r} is published by the platform itself only: ask by a task, decide by an approval")
    data = checked(event_type, fact.data)
    if fact.subject is not None and fact.subject != data.subject():
        raise SchemaViolation(
            f"'subject': {fact.subject!r} is not what the data names, {data.SUBJECT!r} = {data.subject()!r}: leave it out"
        )
    _refuse_unguarded(conn, principal.tenant_id, data)
    if fact.correlation_id is None:
        flow = flow_that_hears(conn, registry, data, principal.tenant_id) or Flow(correlation_id=new_flow)
    else:
        flow = flow_named(conn, principal.tenant_id, fact.correlation_id)
    with inside(flow, "event.publish"):
        envelope = wrapped(
            data,
            principal=principal,
            clock=clock,
            correlation_id=flow.correlation_id,
            event_id=_event_id(fact, principal, call_id),
            source=f"#{fact.source}" if fact.source else "",
            causation_id=fact.causation_id or flow.causation_id,
            partition_key=fact.partition_key,
            occurred_at=fact.occurred_at,
            traceparent=flow.traceparent or fact.traceparent,
        )
        new = bool(eventlog.append(conn, [envelope]))
        if new:
            audited(conn, envelope, principal, clock, "event.published", detail={"type": event_type})
            hear(conn, data, tenant_id=principal.tenant_id, at=fact.occurred_at or clock.now(), now=clock.now())
    return Taken(event_id=envelope.id, event_type=event_type, correlation_id=flow.correlation_id, new=new)


def _event_id(fact: Fact, principal: Principal, call_id: str) -> UUID | str:
    if fact.external_id is None:
        return derived_id("event", principal.tenant_id, principal.id, call_id)
    try:
        return UUID(fact.external_id)
    except ValueError:  # CloudEvents allows any text; the same text arrives at the same id
        return derived_id("cloudevent", fact.source or "", fact.external_id)


def _refuse_unguarded(conn: Connection, tenant_id: str, data: EventData) -> None:
    seen = conn.execute("select distinct type from events where tenant_id = %s and subject = %s", (tenant_id, data.subject()))
    if missing := missing_guards(data.TYPE, [row["type"] for row in seen]):
        before = ", ".join(repr(short_name(one)) for one in sorted(missing))
        raise Conflict(f"{data.short_name()!r} cannot have happened to {data.subject()!r}: {before} did not happen to it before")
