"""What people do about a dead letter: retry it, mend it, give it up. Each with a reason, in the caller's transaction, audited."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from spine import audit
from spine.canonical import exact_digest
from spine.db import Connection
from spine.deadletters import planes
from spine.deadletters.records import DeadLetter, State
from spine.deadletters.store import show
from spine.errors import Conflict, InvalidInput
from spine.redact import redact


def retry(conn: Connection, *, tenant_id: str, dead_letter_id: UUID, actor: audit.Actor, reason: str, now: datetime) -> DeadLetter:
    """Have it tried again, as its plane does that (`spine.deadletters.planes`). If it dies again, this letter is open again.

    Raises NotFound; Conflict when it is not open, or cannot be tried again, with the cure; InvalidInput without a reason; and for
    plane `webhook`, which is applied at once, SchemaViolation when it still cannot be understood.
    """
    found = _open(conn, tenant_id, dead_letter_id, reason, "retried")
    planes.retry(conn, found, actor=actor, now=now)
    return _resolve(conn, found, "retried", actor, reason, now)


def edit_and_retry(
    conn: Connection,
    *,
    tenant_id: str,
    dead_letter_id: UUID,
    body: Mapping[str, Any],
    actor: audit.Actor,
    reason: str,
    now: datetime,
) -> DeadLetter:
    """Put a mended copy in its place: judged as new, with an id of its own, caused by the old one. The letter is `edited`.

    `body` is the whole body as it should have been. Of an event only `data` may differ: what it is about, whose it is and which
    flow it belongs to are not the editor's to change. Both digests are on the audit log.

    Raises what `retry` raises, and SchemaViolation naming the field when the mended body does not fit either.
    """
    found = _open(conn, tenant_id, dead_letter_id, reason, "edited")
    successor = planes.replace(conn, found, body, actor=actor, now=now)
    digests = {"digest_before": exact_digest(found.body), "digest_after": exact_digest(body), "successor": successor}
    return _resolve(conn, found, "edited", actor, reason, now, successor=successor, detail=digests)


def discard(conn: Connection, *, tenant_id: str, dead_letter_id: UUID, actor: audit.Actor, reason: str, now: datetime) -> DeadLetter:
    """Give it up for good, with a reason. Raises NotFound, InvalidInput without a reason, and Conflict when it is not open."""
    found = _open(conn, tenant_id, dead_letter_id, reason, "discarded")
    return _resolve(conn, found, "discarded", actor, reason, now)


def _open(conn: Connection, tenant_id: str, dead_letter_id: UUID, reason: str, to: State) -> DeadLetter:
    """The letter, locked: two people who decide at once do so one after the other."""
    if not reason.strip():
        raise InvalidInput(f"dead letter {str(dead_letter_id)!r} needs a reason: say why it is {to}")
    found = show(conn, tenant_id=tenant_id, dead_letter_id=dead_letter_id, lock=True)
    if found.state != "open":
        raise Conflict(f"dead letter {str(dead_letter_id)!r} is {found.state!r}, not open: there is nothing to decide")
    return found


def _resolve(
    conn: Connection,
    letter: DeadLetter,
    to: State,
    actor: audit.Actor,
    reason: str,
    now: datetime,
    *,
    successor: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> DeadLetter:
    conn.execute(
        "update dead_letters set state = %s, resolved_at = %s, resolved_by = %s, resolution = %s, successor = %s "
        "where tenant_id = %s and dead_letter_id = %s",
        (to, now, actor.id, redact(reason), successor, letter.tenant_id, letter.dead_letter_id),
    )
    audit.record(
        conn,
        tenant_id=letter.tenant_id,
        actor=actor,
        action=f"dead_letter.{to}",
        subject_type=letter.plane,
        subject_id=letter.reference,
        now=now,
        correlation_id=letter.correlation_id,
        detail={"consumer": letter.consumer, "code": letter.error_code, "why": redact(reason), **(detail or {})},
    )
    return show(conn, tenant_id=letter.tenant_id, dead_letter_id=letter.dead_letter_id)
