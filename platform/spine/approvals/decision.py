"""One decision: on its way in, written down, and what it was answered when it comes again."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from shared.events import Verdict
from spine import audit
from spine.approvals.records import Approval, ApprovalState, Decided, Principal, Resolution
from spine.approvals.resolve import entry
from spine.audit import Actor
from spine.db import Connection
from spine.directory import Capacity
from spine.errors import IdempotencyConflict
from spine.intents import internal
from spine.intents.rows import newest_revision
from spine.intents.states import IntentState


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenDecision:
    """One decision on its way in."""

    decision_id: UUID
    verdict: Verdict
    principal: Principal
    reason: str | None
    now: datetime
    capacities: tuple[Capacity, ...] = ()
    minted_by: str | None = None

    @property
    def actor(self) -> Actor:
        return Actor(self.principal.actor_type, self.principal.id)

    def decided(self, digest: str) -> Decided:
        return Decided(
            decision_id=str(self.decision_id),
            verdict=self.verdict,
            decided_by=self.principal.id,
            role=self.principal.role,
            reason=self.reason,
            digest=digest,
            decided_at=self.now,
            capacities=self.capacities,
            minted_by=self.minted_by,
        )


def write(conn: Connection, approval: Approval, given: GivenDecision, digest: str) -> None:
    """Decisions on one request are ordered by their time, so two in the same instant are kept a microsecond apart."""
    after_the_last = [decided.decided_at + timedelta(microseconds=1) for decided in approval.decisions[-1:]]
    conn.execute(
        "insert into approval_decisions (tenant_id, decision_id, approval_id, verdict, decided_by, role, reason, digest, decided_at, "
        "capacities, minted_by) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            *(approval.intent.tenant_id, given.decision_id, UUID(approval.approval_id), given.verdict.value),
            *(given.principal.id, given.principal.role, given.reason, digest, max([given.now, *after_the_last])),
            *(Jsonb([asdict(held) for held in given.capacities]), given.minted_by),
        ),
    )


def entry_of(approval: Approval, given: GivenDecision) -> audit.Entry:
    """Who decided what, and as what he signed: functions of the directory, in whose place, by whose token."""
    detail: dict[str, Any] = {"verdict": given.verdict.value, "role": given.principal.role}
    if given.capacities:
        detail["functions"] = sorted({held.function for held in given.capacities})
        detail["on_behalf_of"] = sorted({held.on_behalf_of for held in given.capacities if held.on_behalf_of})
    if given.minted_by is not None:
        detail["token_minted_by"] = given.minted_by
    return entry(approval, given.actor, "approval.decided", detail)


def first_answer(conn: Connection, approval: Approval, given: GivenDecision, decision_id: str) -> Resolution | None:
    """What this decision was answered when it was taken, read from the order of the decisions."""
    row = conn.execute(
        "select approval_id, verdict, decided_by from approval_decisions where tenant_id = %s and decision_id = %s",
        (approval.intent.tenant_id, given.decision_id),
    ).fetchone()
    if row is None:
        return None
    taken = (str(row["approval_id"]), row["verdict"], row["decided_by"])
    if taken != (approval.approval_id, given.verdict.value, given.principal.id):
        raise IdempotencyConflict(f"decision id {decision_id!r} was used for another decision: each decision takes its own id")
    before = [decided.decision_id for decided in approval.decisions]
    remaining = approval.remaining_after(approval.decisions[: before.index(str(given.decision_id)) + 1])
    state, intent_state, successor = ApprovalState.PENDING, IntentState.AWAITING_APPROVAL, None
    match given.verdict:
        case Verdict.APPROVE if remaining == 0:
            ran = internal.is_internal(approval.intent.action)
            state, intent_state = ApprovalState.APPROVED, IntentState.COMPLETED if ran else IntentState.RUNNABLE
        case Verdict.REJECT:
            state, intent_state, remaining = ApprovalState.REJECTED, IntentState.REJECTED, 0
        case Verdict.EDIT:
            state, intent_state, remaining = ApprovalState.EDITED, IntentState.SUPERSEDED, 0
            successor = newest_revision(conn, approval.intent)
    return Resolution(
        approval_id=approval.approval_id,
        intent_id=approval.intent.intent_id,
        workflow_id=approval.intent.workflow_id,
        state=state,
        approvals_remaining=remaining,
        intent_state=intent_state,
        successor=successor,
    )
