"""Decisions of people on approvals."""

from collections.abc import Mapping
from typing import Any

from shared.events import Severity, Verdict
from spine import approvals, audit
from spine.approvals import Resolution
from spine.audit import Actor
from spine.clock import Clock
from spine.db import Connection, Database
from spine.errors import InvalidInput, SchemaViolation, SpineError
from spine.identity import Principal
from spine.intake.flow import flow_of_approval, inside
from spine.intake.misfits import misfits
from spine.intake.tasks import may_be_told, task_of, validated
from spine.intents.internal import START_AUTOMATION
from spine.policy import PolicyTable
from spine.registry import Registry


def take_decision(
    conn: Connection,
    *,
    principal: Principal,
    approval_id: str,
    decision_id: str,
    verdict: Verdict,
    reason: str | None,
    edited_payload: Mapping[str, Any] | None,
    digest: str | None,
    policy: PolicyTable,
    registry: Registry,
    clock: Clock,
    minted_by: str | None = None,
) -> Resolution:
    """`spine.approvals.decide` for an authenticated principal; an edited payload is held to its connector's own model.

    Raises what `decide` raises, SchemaViolation naming the field of an edited payload, and InvalidInput for a payload that
    comes with a verdict other than edit, or a reject without a reason.
    """
    if edited_payload is not None and verdict is not Verdict.EDIT:
        raise InvalidInput(f"'payload' comes with verdict 'edit' only, not with {verdict.value!r}: nothing was decided")
    if verdict is Verdict.EDIT and edited_payload is None:
        raise InvalidInput("'payload': an edit brings the whole payload as it should be")
    if verdict is Verdict.REJECT and not (reason or "").strip():
        raise InvalidInput("'reason': a reject says why, for whoever proposed it and for the record")

    def validate(action: str, payload: Mapping[str, Any]) -> None:
        if action == START_AUTOMATION:
            validated(task_of(payload), principal.tenant_id, registry)
            may_be_told(payload, asked_by=principal.id)
        if found := misfits(action, payload, registry):
            said = "; ".join(f"'payload.{'.'.join(path)}': {why}" for path, why in found)
            raise SchemaViolation(f"the edited payload of {action!r} does not fit: {said}")

    with inside(flow_of_approval(conn, principal.tenant_id, approval_id), "approval.decide"):
        return approvals.decide(
            conn,
            tenant_id=principal.tenant_id,
            approval_id=approval_id,
            decision_id=decision_id,
            verdict=verdict,
            principal=approvals.Principal(principal.id, principal.role.value, principal.actor_type),
            reason=reason,
            edited_payload=edited_payload,
            digest=digest,
            policy=policy,
            clock=clock,
            validate=validate,
            minted_by=minted_by,
        )


def record_refusal(
    database: Database,
    principal: Principal,
    approval_id: str,
    verdict: Verdict,
    error: SpineError,
    *,
    clock: Clock,
    token_id: str | None = None,
) -> None:
    """Put a decision that was refused on record, in a transaction of its own: that of the decision is gone.

    Call it once that transaction has ended, for NotAllowed and ApprovalRefused (and a token that did not hold): somebody tried what he
    may not, or what is over. Data that does not fit is no attempt at anything.
    """
    with database.tenant(principal.tenant_id) as conn:
        note_refusal(conn, principal, approval_id, verdict, error, clock=clock, token_id=token_id)


def note_refusal(
    conn: Connection,
    principal: Principal,
    approval_id: str,
    verdict: Verdict,
    error: SpineError,
    *,
    clock: Clock,
    token_id: str | None = None,
) -> None:
    """The same in a transaction that goes on: one of several decisions was refused, and its savepoint rolled back."""
    audit.record(
        conn,
        tenant_id=principal.tenant_id,
        actor=Actor(principal.actor_type, principal.id),
        action="approval.decision_refused",
        subject_type="approval",
        subject_id=approval_id[:100],
        now=clock.now(),
        severity=Severity.V1,
        detail={"verdict": verdict.value, "code": error.code, "why": str(error)[:500], **({"token_id": token_id} if token_id else {})},
    )
