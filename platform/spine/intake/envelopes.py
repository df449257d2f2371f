"""What every way in shares: data judged strictly, wrapped in the teller's name, with an audit row."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.events import Envelope, EventData, EventSchemaError, UnknownEvent, check
from spine import audit
from spine.audit import Actor
from spine.clock import Clock
from spine.db import Connection
from spine.eventlog.append import refusal_of
from spine.identity import Principal
from spine.telemetry import current_traceparent


def checked(event_type: str, data: Mapping[str, Any]) -> EventData:
    try:
        return check(event_type, data)
    except (UnknownEvent, EventSchemaError) as error:
        raise refusal_of(error) from error


def wrapped(
    data: EventData,
    *,
    principal: Principal,
    clock: Clock,
    correlation_id: str,
    event_id: UUID | str,
    source: str = "",
    causation_id: str | None = None,
    partition_key: str | None = None,
    occurred_at: datetime | None = None,
    traceparent: str | None = None,
) -> Envelope:
    try:
        return Envelope.of(
            data,
            tenant_id=principal.tenant_id,
            source=f"/gateway/{principal.id}{source}",
            correlation_id=correlation_id,
            event_id=event_id,
            time=occurred_at or clock.now(),
            causation_id=causation_id,
            traceparent=traceparent or current_traceparent(),
            partition_key=partition_key,
            actor_type=principal.actor_type,
        )
    except EventSchemaError as error:
        raise refusal_of(error) from error


def audited(conn: Connection, envelope: Envelope, principal: Principal, clock: Clock, action: str, *, detail: Mapping[str, Any]) -> None:
    audit.record(
        conn,
        tenant_id=principal.tenant_id,
        actor=Actor(principal.actor_type, principal.id),
        action=action,
        subject_type="event",
        subject_id=envelope.id,
        now=clock.now(),
        correlation_id=envelope.correlationid,
        detail=detail,
    )
