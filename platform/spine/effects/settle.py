"""How an attempt is written down: receipt, intent, audit and event, in the caller's transaction, if the attempt still may."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from shared.events import EffectRecorded, Envelope, PolicyViolationDetected, Severity
from spine import audit, budgets
from spine.audit import Actor, Entry
from spine.clock import Clock
from spine.db import Connection
from spine.effects import ledger
from spine.effects.results import Completed, Deferred, Failed
from spine.errors import IllegalMove, OutcomeUnknown, ProviderUnavailable
from spine.intents import announce, store
from spine.intents.records import Intent
from spine.intents.rows import reasons_json
from spine.intents.states import IntentState
from spine.policy import Reason
from spine.redact import redact


def consume_approval(conn: Connection, intent: Intent, approval_id: str, actor: Actor, now: datetime) -> Entry:
    """Spend the approval, once. Returns its audit entry; raises IllegalMove when it is spent, or was never given."""
    spent = conn.execute(
        "update approvals set state = 'consumed', consumed_at = %s where tenant_id = %s and approval_id = %s and state = 'approved'",
        (now, intent.tenant_id, UUID(approval_id)),
    ).rowcount
    if not spent:
        raise IllegalMove(f"approval {approval_id!r} is not there to be spent: an approval serves one effect")
    return Entry(
        actor=actor,
        action="approval.consumed",
        subject_type="approval",
        subject_id=approval_id,
        correlation_id=intent.correlation_id,
        digest=intent.digest,
        detail={"intent_id": intent.intent_id},
    )


def completed(
    conn: Connection,
    intent: Intent,
    token: UUID,
    result: Mapping[str, Any],
    sent: Mapping[str, Any],
    *,
    reconciled: bool,
    actor: Actor,
    clock: Clock,
) -> Completed | None:
    """The provider did it. What it says it did is compared with what was sent: a difference is a violation, and it is done all the same.

    None: another attempt has taken over, nothing was written.
    """
    now = clock.now()
    reference = None if result.get("reference") is None else str(result["reference"])
    differing = contradictions(sent, result.get("observed"))
    written = ledger.write(
        conn,
        intent,
        token,
        state="completed",
        provider_reference=reference,
        receipt=without_address(dict(result), sent.get("address")),
        as_intended=None if differing is None else not differing,
        reconciled=reconciled,
        error_code=None,
        error=None,
        finished_at=now,
    )
    if not written:
        return None
    done = store.compare_and_set(conn, intent, IntentState.COMPLETED, now=now)
    entries = [store.moved_entry(intent, IntentState.COMPLETED, actor, "found by asking" if reconciled else None)]
    events = [_recorded(intent, "completed", actor, now, reference)]
    if differing:
        entries.append(store.about(intent, actor, "effect.contradicted", Severity.V2, {"fields": differing}))
        why = f"the provider reports other values than were sent in: {', '.join(differing)}"
        contradicted = PolicyViolationDetected(kind="contradicted-effect", severity=Severity.V2, detail=why, intent_id=intent.intent_id)
        events.append(announce.envelope(intent, contradicted, "contradicted", actor=actor, now=now))
    audit.record_all(conn, entries, tenant_id=intent.tenant_id, now=now)
    announce.write(conn, *events)
    budgets.settle_effect(conn, tenant_id=intent.tenant_id, intent_id=intent.intent_id, happened=True, now=now)
    store.close_compensated(conn, done, actor=actor, clock=clock)
    return Completed(reference, reconciled)


def failed(
    conn: Connection,
    intent: Intent,
    token: UUID,
    code: str,
    why: str,
    *,
    actor: Actor,
    clock: Clock,
    severity: Severity = Severity.V0,
) -> Failed | None:
    """It did not happen and will not. None: another attempt has taken over, nothing was written."""
    now, why = clock.now(), redact(why)  # it goes back to the workflow, whose history keeps it
    if not ledger.write(conn, intent, token, state="failed", error_code=code, error=why, finished_at=now):
        return None
    ledger.uncount_message(conn, intent)
    budgets.settle_effect(conn, tenant_id=intent.tenant_id, intent_id=intent.intent_id, happened=False, now=now)
    announce.write(conn, _recorded(intent, "failed", actor, now))
    _report(conn, intent, code, why, severity, actor, now)
    store.move(conn, intent, IntentState.FAILED, actor=actor, clock=clock, why=code, severity=severity)
    return Failed(code, why)


def _report(conn: Connection, intent: Intent, code: str, why: str, severity: Severity, actor: Actor, now: datetime) -> None:
    """Above V0, somebody tampered with what had been judged: that is an event of its own."""
    if severity is not Severity.V0:
        announce.write(conn, announce.envelope(intent, announce.violation(intent, code, severity, why), code, actor=actor, now=now))


def unknown(
    conn: Connection, intent: Intent, token: UUID, error: ProviderUnavailable | OutcomeUnknown, *, actor: Actor, clock: Clock
) -> None:
    """It may have happened. Said once; later attempts that learn no more only leave their error. What it may have cost stays reserved."""
    now = clock.now()
    if not ledger.write(conn, intent, token, state="unknown", error_code=error.code, error=str(error)):
        return
    if intent.state is IntentState.EXECUTING:
        announce.write(conn, _recorded(intent, "unknown", actor, now))
        store.move(conn, intent, IntentState.UNKNOWN, actor=actor, clock=clock, why=error.code)


def deferred(conn: Connection, intent: Intent, until: datetime, code: str, *, actor: Actor, now: datetime) -> Deferred:
    conn.execute(
        "update intents set not_before = %s, updated_at = %s where tenant_id = %s and intent_id = %s",
        (until, now, intent.tenant_id, UUID(intent.intent_id)),
    )
    entry = store.about(intent, actor, "effect.deferred", detail={"why": code, "until": until.isoformat()})
    audit.record_all(conn, [entry], tenant_id=intent.tenant_id, now=now)
    return Deferred(until, code)


def stopped(conn: Connection, intent: Intent, code: str, why: str, severity: Severity, *, actor: Actor, clock: Clock) -> Failed:
    """The gate says no at the moment of sending: intent and approval are closed before anything began."""
    conn.execute(
        "update intents set reasons = %s where tenant_id = %s and intent_id = %s",
        (reasons_json((Reason(code, why),)), intent.tenant_id, UUID(intent.intent_id)),
    )
    _report(conn, intent, code, why, severity, actor, clock.now())
    moved = store.move(conn, intent, IntentState.CANCELLED, actor=actor, clock=clock, why=code, severity=severity)
    store.withdraw_approval(conn, moved, actor=actor, clock=clock, reason=code)
    return Failed(code, why)


def contradictions(sent: Mapping[str, Any], observed: object) -> list[str] | None:
    """The fields in which the provider's account differs from what was sent; None when it gave none, which proves nothing."""
    if not isinstance(observed, Mapping):
        return None
    return sorted(str(name) for name, value in observed.items() if sent.get(name) != value)


def without_address(value: Any, address: object) -> Any:
    """A receipt as it is kept: addresses live in `contacts` only."""
    match value:
        case dict():
            return {name: without_address(item, address) for name, item in value.items()}
        case list():
            return [without_address(item, address) for item in value]
        case str() if address:
            return value.replace(str(address), "<address>")
        case _:
            return value


def _recorded(
    intent: Intent, outcome: Literal["completed", "failed", "unknown"], actor: Actor, now: datetime, reference: str | None = None
) -> Envelope:
    data = EffectRecorded(
        intent_id=intent.intent_id, action=intent.action, automation=intent.automation, outcome=outcome, provider_reference=reference
    )
    return announce.envelope(intent, data, outcome, actor=actor, now=now)
