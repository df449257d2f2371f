"""Reading intents, and moving them: compare-and-set on the state, the audit row in the same transaction."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import sql

from shared.events import ApprovalResolved, EffectRecorded, Severity
from spine import audit
from spine.audit import Actor, Entry
from spine.clock import Clock
from spine.db import Connection
from spine.errors import IllegalMove, NotFound
from spine.intents import announce
from spine.intents.records import Intent
from spine.intents.rows import COLUMNS, intent_of, uuid_of
from spine.intents.states import MOVES, NEVER_DONE, IntentState
from spine.paging import Page, page_of, place_of
from spine.redact import redact

_SELECT = sql.SQL("select {} from intents where tenant_id = %(tenant)s").format(sql.SQL(COLUMNS))
_ONE = _SELECT.as_bytes() + b" and intent_id = %(intent)s"  # composed once: composing costs more than running
_ONE_LOCKED = _ONE + b" for update"


def read(conn: Connection, tenant_id: str, intent_id: str, *, lock: bool = False) -> Intent:
    """One intent; with `lock`, held to the end of the transaction. Raises NotFound, also for another tenant's."""
    row = conn.execute(_ONE_LOCKED if lock else _ONE, {"tenant": tenant_id, "intent": uuid_of("intent", tenant_id, intent_id)}).fetchone()
    if row is None:
        raise NotFound(f"tenant {tenant_id!r} has no intent {intent_id!r}")
    return intent_of(row)


def listing(
    conn: Connection,
    *,
    tenant_id: str,
    state: IntentState | None = None,
    automation: str | None = None,
    correlation_id: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Intent]:
    """Newest first, by keyset: a page stays where it is while rows arrive. Raises InvalidInput for a cursor that is not ours."""
    wanted: dict[str, Any] = {"state": state and state.value, "automation": automation, "correlation_id": correlation_id}
    given = {name: value for name, value in wanted.items() if value is not None}
    conditions: list[sql.Composable] = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in given]
    if cursor is not None:
        given["at"], given["before"] = place_of(cursor, datetime.fromisoformat, UUID)
        conditions.append(sql.SQL("(created_at, intent_id) < (%(at)s, %(before)s)"))
    query = sql.SQL(" and ").join([_SELECT, *conditions]) + sql.SQL(" order by created_at desc, intent_id desc limit %(limit)s")
    found = [intent_of(row) for row in conn.execute(query, {**given, "tenant": tenant_id, "limit": limit + 1})]
    return page_of(found, limit, lambda last: (last.created_at.isoformat(), last.intent_id))


def move(
    conn: Connection,
    intent: Intent,
    to: IntentState,
    *,
    actor: Actor,
    clock: Clock,
    why: str | None = None,
    severity: Severity = Severity.V0,
) -> Intent:
    """Move an intent on from the state in which the caller saw it. Returns it as it is now.

    Raises IllegalMove when the table of states has no such move, or when somebody else was first. An intent that ends
    takes the intent it was to compensate with it: `compensated`, or `compensation_failed`.
    """
    moved = compare_and_set(conn, intent, to, now=clock.now())
    audit.record_all(conn, [moved_entry(intent, to, actor, why, severity)], tenant_id=intent.tenant_id, now=moved.updated_at)
    close_compensated(conn, moved, actor=actor, clock=clock)
    return moved


def compare_and_set(conn: Connection, intent: Intent, to: IntentState, *, now: datetime) -> Intent:
    """The bare move, for callers that write its audit row (`moved_entry`) together with others of the same transaction."""
    if to not in MOVES[intent.state]:
        onward = ", ".join(sorted(MOVES[intent.state])) or "nothing: it is over"
        raise IllegalMove(f"intent {intent.intent_id!r} is {intent.state.value!r} and cannot become {to.value!r}; it may become {onward}")
    changed = conn.execute(
        "update intents set state = %s, updated_at = %s where tenant_id = %s and intent_id = %s and state = %s",
        (to.value, now, intent.tenant_id, UUID(intent.intent_id), intent.state.value),
    ).rowcount
    if not changed:
        current = read(conn, intent.tenant_id, intent.intent_id)
        raise IllegalMove(
            f"intent {intent.intent_id!r} is {current.state.value!r} by now, not {intent.state.value!r}: somebody was first, look again"
        )
    return replace(intent, state=to, updated_at=now)


def moved_entry(intent: Intent, to: IntentState, actor: Actor, why: str | None = None, severity: Severity = Severity.V0) -> Entry:
    return about(intent, actor, "intent.moved", severity, {"from": intent.state.value, "to": to.value, **({"why": why} if why else {})})


def about(intent: Intent, actor: Actor, action: str, severity: Severity = Severity.V0, detail: dict[str, Any] | None = None) -> Entry:
    """An audit entry about an intent, bound to its digest."""
    return Entry(
        actor=actor,
        action=action,
        subject_type="intent",
        subject_id=intent.intent_id,
        correlation_id=intent.correlation_id,
        digest=intent.digest,
        severity=severity,
        detail={"action": intent.action, **(detail or {})},
    )


def close_compensated(conn: Connection, compensation: Intent, *, actor: Actor, clock: Clock) -> None:
    """When a compensation is over, so is what it compensates."""
    if compensation.compensates is None:
        return
    if compensation.state is IntentState.COMPLETED:
        to = IntentState.COMPENSATED
    elif compensation.state in NEVER_DONE:
        to = IntentState.COMPENSATION_FAILED
    else:
        return
    failed = to is IntentState.COMPENSATION_FAILED
    original = read(conn, compensation.tenant_id, compensation.compensates, lock=True)
    why = f"compensation {compensation.intent_id} is {compensation.state.value}"
    move(conn, original, to, actor=actor, clock=clock, why=why, severity=Severity.V2 if failed else Severity.V0)
    if not failed:
        data = EffectRecorded(intent_id=original.intent_id, action=original.action, automation=original.automation, outcome="compensated")
        announce.write(conn, announce.envelope(original, data, "compensated", actor=actor, now=clock.now()))


def cancel(conn: Connection, *, tenant_id: str, intent_id: str, actor: Actor, reason: str, clock: Clock) -> Intent:
    """Withdraw what has not begun: intent and approval are closed, audited and announced in this transaction.

    Cancelling what is already cancelled changes nothing. Raises IllegalMove for what has begun, or ended otherwise.
    """
    intent = read(conn, tenant_id, intent_id, lock=True)
    if intent.state is IntentState.CANCELLED:
        return intent
    reason = redact(reason)
    moved = move(conn, intent, IntentState.CANCELLED, actor=actor, clock=clock, why=reason)
    withdraw_approval(conn, moved, actor=actor, clock=clock, reason=reason)
    return moved


def withdraw_approval(conn: Connection, intent: Intent, *, actor: Actor, clock: Clock, reason: str) -> None:
    """The approval of a cancelled intent, pending or given but unspent, is worth nothing any more."""
    now = clock.now()
    row = conn.execute(
        "update approvals set state = 'cancelled', resolved_at = %s where tenant_id = %s and intent_id = %s "
        "and state in ('pending', 'approved') returning approval_id",
        (now, intent.tenant_id, UUID(intent.intent_id)),
    ).fetchone()
    if row is None:
        return
    approval_id = str(row["approval_id"])
    entry = Entry(
        actor=actor,
        action="approval.cancelled",
        subject_type="approval",
        subject_id=approval_id,
        correlation_id=intent.correlation_id,
        digest=intent.digest,
        detail={"intent_id": intent.intent_id, "why": reason},
    )
    audit.record_all(conn, [entry], tenant_id=intent.tenant_id, now=now)
    data = ApprovalResolved(approval_id=approval_id, intent_id=intent.intent_id, workflow_id=intent.workflow_id, resolution="cancelled")
    announce.write(conn, announce.envelope(intent, data, "cancelled", actor=actor, now=now))
