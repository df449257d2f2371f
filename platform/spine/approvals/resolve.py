"""The end of a request: approval, intent, audit and event together, whatever ended it."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from shared.events import ApprovalResolved
from spine import audit
from spine.approvals.records import Approval, ApprovalState, Resolution
from spine.audit import Actor, Entry
from spine.clock import Clock
from spine.db import Connection
from spine.errors import IllegalMove
from spine.intents import announce, internal
from spine.intents.records import Proposed
from spine.intents.states import IntentState
from spine.intents.store import move

_Ending = Literal[ApprovalState.APPROVED, ApprovalState.EDITED, ApprovalState.REJECTED, ApprovalState.EXPIRED]

_INTENT_BECOMES = {
    ApprovalState.APPROVED: IntentState.RUNNABLE,
    ApprovalState.EDITED: IntentState.SUPERSEDED,
    ApprovalState.REJECTED: IntentState.REJECTED,
    ApprovalState.EXPIRED: IntentState.EXPIRED,
}


def resolve(
    conn: Connection,
    approval: Approval,
    to: _Ending,
    *,
    actor: Actor,
    clock: Clock,
    why: str | None,
    entries: Sequence[Entry] = (),
    successor: Proposed | None = None,
) -> Resolution:
    """Close a pending request. Raises IllegalMove when it is pending no longer: the lock was not held."""
    now, intent = clock.now(), approval.intent
    changed = conn.execute(
        "update approvals set state = %s, resolved_at = %s where tenant_id = %s and approval_id = %s and state = 'pending'",
        (to.value, now, intent.tenant_id, UUID(approval.approval_id)),
    ).rowcount
    if not changed:
        raise IllegalMove(f"approval {approval.approval_id!r} is pending no longer: somebody else resolved it, look again")
    ended = entry(approval, actor, f"approval.{to.value}", {"why": why} if why else {})
    audit.record_all(conn, [*entries, ended], tenant_id=intent.tenant_id, now=now)
    moved = move(conn, intent, _INTENT_BECOMES[to], actor=actor, clock=clock, why=f"approval {to.value}")
    if to is ApprovalState.APPROVED:
        moved = internal.carry_out(conn, moved, actor=actor, clock=clock)
    data = ApprovalResolved(
        approval_id=approval.approval_id,
        intent_id=intent.intent_id,
        workflow_id=intent.workflow_id,
        resolution=to.value,
        successor_intent_id=successor and successor.intent_id,
    )
    announce.write(conn, announce.envelope(intent, data, approval.approval_id, actor=actor, now=now))
    return Resolution(
        approval_id=approval.approval_id,
        intent_id=intent.intent_id,
        workflow_id=intent.workflow_id,
        state=to,
        approvals_remaining=0,
        intent_state=moved.state,
        successor=successor,
    )


def entry(approval: Approval, actor: Actor, action: str, detail: Mapping[str, Any]) -> Entry:
    """An audit entry about a request, bound to the digest that was asked."""
    return Entry(
        actor=actor,
        action=action,
        subject_type="approval",
        subject_id=approval.approval_id,
        correlation_id=approval.intent.correlation_id,
        digest=approval.digest,
        detail={"intent_id": approval.intent.intent_id, "action": approval.intent.action, **detail},
    )
