"""Who let this happen: append-only rows, written in the transaction of what they tell of.

Rows are policy-safe: references, digests and codes, never payloads or addresses; what slips into a detail is redacted before it is
written, since a row cannot be mended later. The database refuses UPDATE, DELETE and TRUNCATE, whoever asks; `spine.audit.seals` makes
what a superuser does all the same visible.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString

from opentelemetry import trace
from psycopg import sql
from pydantic_core import to_json

from shared.events import ActorType, Severity
from spine.db import Connection
from spine.errors import InvalidInput
from spine.ids import new_id_text
from spine.paging import Page, page_of, place_of
from spine.redact import redact_reference, redacted


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a kind and a name, `Actor(ActorType.HUMAN, "ana")`."""

    type: ActorType
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened to one subject. `action` is `<subject>.<past tense>`, as in `approval.decided`."""

    actor: Actor
    action: str
    subject_type: str
    subject_id: str
    correlation_id: str | None = None
    digest: str | None = None
    severity: Severity = Severity.V0
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An entry as the log holds it. Positions grow with time of writing, not of commit."""

    position: int
    audit_id: str
    tenant_id: str
    occurred_at: datetime
    actor: Actor
    action: str
    subject_type: str
    subject_id: str
    correlation_id: str | None
    trace_id: str | None
    span_id: str | None
    digest: str | None
    severity: Severity
    detail: Mapping[str, Any]


_COLUMNS: LiteralString = (
    "audit_id, tenant_id, occurred_at, actor_type, actor_id, action, subject_type, subject_id, correlation_id, "
    "trace_id, span_id, digest, severity, detail"
)
_SELECT = sql.SQL(
    "select position, {} from audit_log where tenant_id = %(tenant)s and position > %(after)s "
    "and (%(correlation)s::text is null or correlation_id = %(correlation)s) "
    "and (%(subject)s::text is null or subject_id = %(subject)s) order by position limit %(limit)s"
).format(sql.SQL(_COLUMNS))


def record(
    conn: Connection,
    *,
    tenant_id: str,
    actor: Actor,
    action: str,
    subject_type: str,
    subject_id: str,
    now: datetime,
    correlation_id: str | None = None,
    digest: str | None = None,
    severity: Severity = Severity.V0,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write one row in the caller's transaction, with trace and span of the current span. `now` is business time."""
    entry = Entry(
        actor=actor,
        action=action,
        subject_type=subject_type,
        subject_id=subject_id,
        correlation_id=correlation_id,
        digest=digest,
        severity=severity,
        detail=detail or {},
    )
    record_all(conn, [entry], tenant_id=tenant_id, now=now)


def record_all(conn: Connection, entries: Sequence[Entry], *, tenant_id: str, now: datetime) -> None:
    """Several rows in one round trip, in the order given."""
    if entries:
        conn.execute(_INSERT, (written(entries, tenant_id=tenant_id, now=now),))


def written(entries: Sequence[Entry], *, tenant_id: str, now: datetime) -> str:
    """The rows as `insert_from` takes them, redacted, in JSON; nothing is written yet."""
    span = trace.get_current_span().get_span_context()
    trace_id = trace.format_trace_id(span.trace_id) if span.is_valid else None
    span_id = trace.format_span_id(span.span_id) if span.is_valid else None
    made = [
        {
            "audit_id": new_id_text(),
            "tenant_id": tenant_id,
            "occurred_at": now,
            "actor_type": entry.actor.type,
            "actor_id": entry.actor.id,
            "action": entry.action,
            "subject_type": entry.subject_type,
            "subject_id": redact_reference(entry.subject_id),
            "correlation_id": entry.correlation_id and redact_reference(entry.correlation_id),
            "trace_id": trace_id,
            "span_id": span_id,
            "digest": entry.digest,
            "severity": entry.severity,
            "detail": redacted(dict(entry.detail)),
        }
        for entry in entries
    ]
    return to_json(made).decode()


def insert_from(given: LiteralString, *, where: LiteralString = "") -> sql.Composed:
    """The statement that writes a JSON array of rows: one parameter for any number, since converting fourteen a row costs more than
    writing it. `order by` keeps the caller's order."""
    return sql.SQL(
        "insert into audit_log ({columns}) select {columns} from jsonb_array_elements({given}) with ordinality as given (e, n), "
        "jsonb_populate_record(null::audit_log, e) {where} order by n"
    ).format(columns=sql.SQL(_COLUMNS), given=sql.SQL(given), where=sql.SQL(where))


_INSERT = insert_from("%s::jsonb").as_bytes()


def rows(
    conn: Connection,
    *,
    tenant_id: str,
    correlation_id: str | None = None,
    subject_id: str | None = None,
    after: int = 0,
    limit: int = 500,
) -> list[Row]:
    """At most `limit` rows after a position, oldest first, of one flow and/or about one subject."""
    wanted = {"tenant": tenant_id, "after": after, "correlation": correlation_id, "subject": subject_id, "limit": limit}
    return [_row(row) for row in conn.execute(_SELECT, wanted)]


_LISTED = sql.SQL(
    "select position, {} from audit_log where tenant_id = %(tenant)s and position < %(before)s "
    "and (%(correlation)s::text is null or correlation_id = %(correlation)s) "
    "and (%(subject)s::text is null or subject_id = %(subject)s) "
    "and (%(actor)s::text is null or actor_id = %(actor)s) "
    "and (%(action)s::text is null or action = %(action)s) order by position desc limit %(limit)s"
).format(sql.SQL(_COLUMNS))
_MOST = 200
_END = 2**63 - 1


def listing(
    conn: Connection,
    *,
    tenant_id: str,
    cursor: str | None = None,
    limit: int = 50,
    correlation_id: str | None = None,
    subject_id: str | None = None,
    actor_id: str | None = None,
    action: str | None = None,
) -> Page[Row]:
    """A page of the log, the newest row first, of what all the given filters name. `limit` is 1 to 200. Raises InvalidInput.

    For people: a row that is written late by a slow transaction may appear behind a cursor. Whoever must miss none reads the export.
    """
    if not 1 <= limit <= _MOST:
        raise InvalidInput(f"limit={limit} is not 1 to {_MOST}: take the next page instead")
    (before,) = place_of(cursor, int) if cursor else (_END,)
    if not 0 <= before <= _END:
        raise InvalidInput(f"cursor {cursor!r} is not one that this listing gave: leave it out to start from the beginning")
    wanted = {"tenant": tenant_id, "before": before, "limit": limit + 1, "correlation": correlation_id}
    wanted |= {"subject": subject_id, "actor": actor_id, "action": action}
    return page_of([_row(row) for row in conn.execute(_LISTED, wanted)], limit, lambda row: (str(row.position),))


def _row(row: Mapping[str, Any]) -> Row:
    same = ("position", "tenant_id", "occurred_at", "action", "subject_type", "subject_id", "correlation_id", "trace_id", "span_id")
    return Row(
        **{name: row[name] for name in same},
        audit_id=str(row["audit_id"]),
        actor=Actor(ActorType(row["actor_type"]), row["actor_id"]),
        digest=row["digest"],
        severity=Severity(row["severity"]),
        detail=row["detail"],
    )
