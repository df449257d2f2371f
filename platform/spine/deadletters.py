"""What nobody will try again by himself: one table for all planes, emptied by people, each decision audited.

A dead letter is `open` until a person retries or discards it. A retried event goes back to its consumer group, to the end of
what waits; if it dies again the same dead letter is open again, its attempts added up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from spine import audit
from spine.db import Connection
from spine.errors import Conflict, InvalidInput, NotFound

State = Literal["open", "retried", "discarded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """`reference` is the id of what died (an event's, for plane `event`), `consumer` who gave it up, `body` what it was."""

    dead_letter_id: UUID
    tenant_id: str
    plane: str
    reference: str
    consumer: str
    correlation_id: str | None
    error_code: str
    error: str
    attempts: int
    body: Mapping[str, Any]
    state: State
    created_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None


def listed(conn: Connection, *, tenant_id: str, state: State = "open", limit: int = 100) -> list[DeadLetter]:
    """At most `limit` dead letters in a state, oldest first."""
    rows = conn.execute(
        "select * from dead_letters where tenant_id = %s and state = %s order by created_at, dead_letter_id limit %s",
        (tenant_id, state, limit),
    )
    return [DeadLetter(**row) for row in rows]


def show(conn: Connection, *, tenant_id: str, dead_letter_id: UUID) -> DeadLetter:
    """Raises NotFound."""
    row = conn.execute("select * from dead_letters where tenant_id = %s and dead_letter_id = %s", (tenant_id, dead_letter_id)).fetchone()
    if row is None:
        raise NotFound(f"no dead letter {str(dead_letter_id)!r} of tenant {tenant_id!r}: `spine dead-letters list` shows those there are")
    return DeadLetter(**row)


def retry(conn: Connection, *, tenant_id: str, dead_letter_id: UUID, actor: audit.Actor, reason: str, now: datetime) -> DeadLetter:
    """Hand an event back to its consumer group, which takes it up within seconds. Raises NotFound, and Conflict when it is not open
    or of a plane that has its own way to try again.
    """
    found = show(conn, tenant_id=tenant_id, dead_letter_id=dead_letter_id)
    if found.plane != "event":
        raise Conflict(f"dead letter {str(dead_letter_id)!r} is of plane {found.plane!r}: only events are handed back from here")
    _resolve(conn, found, "retried", actor, reason, now)
    conn.execute("select pg_notify('spine_events', '')")  # whoever waits on the log looks at once
    return show(conn, tenant_id=tenant_id, dead_letter_id=dead_letter_id)


def discard(conn: Connection, *, tenant_id: str, dead_letter_id: UUID, actor: audit.Actor, reason: str, now: datetime) -> DeadLetter:
    """Give it up for good, with a reason. Raises NotFound, and Conflict when it is not open."""
    _resolve(conn, show(conn, tenant_id=tenant_id, dead_letter_id=dead_letter_id), "discarded", actor, reason, now)
    return show(conn, tenant_id=tenant_id, dead_letter_id=dead_letter_id)


def _resolve(conn: Connection, letter: DeadLetter, state: State, actor: audit.Actor, reason: str, now: datetime) -> None:
    if not reason.strip():
        raise InvalidInput(f"dead letter {str(letter.dead_letter_id)!r} needs a reason: say why it is {state}")
    changed = conn.execute(
        "update dead_letters set state = %s, resolved_at = %s, resolved_by = %s, resolution = %s "
        "where tenant_id = %s and dead_letter_id = %s and state = 'open'",
        (state, now, actor.id, reason, letter.tenant_id, letter.dead_letter_id),
    ).rowcount
    if not changed:
        current = show(conn, tenant_id=letter.tenant_id, dead_letter_id=letter.dead_letter_id)
        raise Conflict(f"dead letter {str(letter.dead_letter_id)!r} is {current.state!r}, not open: there is nothing to decide")
    audit.record(
        conn,
        tenant_id=letter.tenant_id,
        actor=actor,
        action=f"dead_letter.{state}",
        subject_type=letter.plane,
        subject_id=letter.reference,
        now=now,
        correlation_id=letter.correlation_id,
        detail={"consumer": letter.consumer, "code": letter.error_code},
    )
