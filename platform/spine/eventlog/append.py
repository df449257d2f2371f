"""Writing to the log: in the caller's transaction, or not at all."""

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg import sql

from shared.events import ActorType, Envelope, EventData, EventError, EventSchemaError, UnknownEvent, check
from spine.db import Connection, wall_of
from spine.errors import SchemaViolation, SpineError, TenantMismatch, UnknownEventType
from spine.eventlog.cleaning import cleaned
from spine.ids import new_id


def insert_from(given: LiteralString, *, where: LiteralString = "") -> sql.Composed:
    """The statement that writes a JSON array of envelopes: one parameter for any number of events, every column taken from the
    envelope itself. `order by` keeps positions in the caller's order."""
    return sql.SQL(
        "insert into events "
        "(tenant_id, event_id, source, type, subject, partition_key, correlation_id, causation_id, occurred_at, envelope) "
        "select e->>'tenantid', (e->>'id')::uuid, e->>'source', e->>'type', e->>'subject', e->>'partitionkey', "
        "e->>'correlationid', e->>'causationid', (e->>'time')::timestamptz, e "
        "from jsonb_array_elements({}) with ordinality as given (e, n) {} order by n "
        "on conflict (tenant_id, source, event_id) do nothing"
    ).format(sql.SQL(given), sql.SQL(where))


_INSERT = insert_from("%s::jsonb").as_bytes()


def append(conn: Connection, envelopes: Sequence[Envelope]) -> int:
    """Write events in the transaction of `conn`; they exist if, and only if, it commits. Returns how many were new.

    An event whose (tenant, source, id) is in the log already is left as it was, so a producer that derives its ids may be
    run again. Raises UnknownEventType or SchemaViolation, naming the field, and TenantMismatch when an envelope is not of
    the transaction's own tenant; nothing of the call is written then. What people wrote in words is redacted, see
    `spine.eventlog.cleaning`.
    """
    if not envelopes:
        return 0
    return conn.execute(_INSERT, (written(conn, envelopes),)).rowcount


def written(conn: Connection, envelopes: Sequence[Envelope]) -> str:
    """The envelopes as `insert_from` takes them, judged and cleaned as `append` says; nothing is written yet."""
    clean = []
    tenant_id = wall_of(conn)
    for envelope in envelopes:
        if envelope.tenantid != tenant_id:
            raise TenantMismatch(
                f"event {envelope.id!r} is of tenant {envelope.tenantid!r}, the transaction of {tenant_id!r}: "
                "publish it inside Database.tenant() of its own tenant"
            )
        try:
            data = check(envelope.type, envelope.data)
        except EventError as error:
            raise refusal_of(error) from error
        clean.append(cleaned(envelope, type(data)))
    return f"[{','.join(envelope.to_json() for envelope in clean)}]"


def publish(
    conn: Connection,
    data: EventData,
    *,
    tenant_id: str,
    source: str,
    correlation_id: str,
    now: datetime,
    subject: str | None = None,
    partition_key: str | None = None,
    causation_id: UUID | str | None = None,
    event_id: UUID | str | None = None,
    traceparent: str | None = None,
    actor_type: ActorType = ActorType.AUTOMATED_WORKFLOW,
) -> Envelope:
    """Wrap one event and append it; `now` is business time. Returns the envelope, whose `id` may become the next causation id.

    Give an `event_id` from `spine.ids.derived_id` wherever the caller may be retried. Raises what `append` raises.
    """
    try:
        envelope = Envelope.of(
            data,
            tenant_id=tenant_id,
            source=source,
            subject=subject,
            partition_key=partition_key,
            correlation_id=correlation_id,
            causation_id=causation_id,
            event_id=event_id or new_id(),
            time=now,
            traceparent=traceparent,
            actor_type=actor_type,
        )
    except EventSchemaError as error:
        raise refusal_of(error) from error
    append(conn, [envelope])
    return envelope


def refusal_of(error: EventError) -> SpineError:
    """The contracts' own finding in the platform's terms; the field stays named."""
    return UnknownEventType(str(error)) if isinstance(error, UnknownEvent) else SchemaViolation(str(error))
