"""What a verdict does to a request, once nothing stands against it: approve counts, reject closes, edit proposes anew."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shared.events import ApprovalClass, Money, Verdict
from shared.events.classes import rank
from spine import audit
from spine.approvals.decision import GivenDecision, entry_of, write
from spine.approvals.queries import fetch
from spine.approvals.records import Approval, ApprovalState, Resolution
from spine.approvals.resolve import resolve
from spine.canonical import exact_digest
from spine.clock import Clock
from spine.db import Connection
from spine.directory import signs_as
from spine.errors import ApprovalRefused, Conflict, SchemaViolation
from spine.ids import derived_id, new_id
from spine.intents.bundle import re_evidenced
from spine.intents.gate import enter, judge, reclassified, recorded_amount
from spine.intents.records import Intent
from spine.policy import ActionRule, Decision, NeedApproval, PolicyTable


def approve(conn: Connection, approval: Approval, given: GivenDecision, clock: Clock) -> Resolution:
    """It counts; the last one needed ends the request, and the intent may run."""
    write(conn, approval, given, approval.digest)
    decided = entry_of(approval, given)
    remaining = approval.remaining_after((*approval.decisions, given.decided(approval.digest)))
    if remaining == 0:
        return resolve(conn, approval, ApprovalState.APPROVED, actor=given.actor, clock=clock, why=None, entries=[decided])
    audit.record_all(conn, [decided], tenant_id=approval.intent.tenant_id, now=given.now)
    return Resolution(
        approval_id=approval.approval_id,
        intent_id=approval.intent.intent_id,
        workflow_id=approval.intent.workflow_id,
        state=ApprovalState.PENDING,
        approvals_remaining=remaining,
        intent_state=approval.intent.state,
    )


def reject(conn: Connection, approval: Approval, given: GivenDecision, clock: Clock) -> Resolution:
    """Request and intent are closed, whoever else agreed."""
    write(conn, approval, given, approval.digest)
    return resolve(conn, approval, ApprovalState.REJECTED, actor=given.actor, clock=clock, why=None, entries=[entry_of(approval, given)])


def edit(
    conn: Connection, approval: Approval, given: GivenDecision, payload: dict[str, Any], policy: PolicyTable, clock: Clock
) -> Resolution:
    """A new revision, judged afresh, takes the place of what was asked, and is the editor's own approval where that is enough.

    Raises ApprovalRefused for a field that is fixed, SchemaViolation for an amount that is none, Conflict when the revision exists.
    """
    old, rule = approval.intent, policy.rule(approval.intent.action)
    _keeps_what_is_fixed(old, payload, rule)
    edited = replace(
        reclassified(old, rule, policy),
        intent_id=str(new_id()),
        revision=old.revision + 1,
        payload=payload,
        digest=exact_digest(payload),
        amount=_edited_amount(old, payload, rule),
        supersedes=old.intent_id,
        created_at=given.now,
        updated_at=given.now,
    )
    edited = re_evidenced(edited, old, approval_id=approval.approval_id, editor=given.actor, now=given.now)
    # The automation's right to this action was judged at the first revision, and an edit cannot change the action.
    decision, not_before = judge(conn, edited, rule, policy=policy, now=given.now, effects_allowed=None)
    counts = _counts_as_approval(edited, decision)
    if not counts:
        edited = replace(edited, requested_by=given.actor)
    write(conn, approval, given, edited.digest)
    successor = enter(conn, replace(edited, not_before=not_before), decision, rule, actor=given.actor)
    if successor is None:
        raise Conflict(f"revision {edited.revision} of intent key {edited.key!r} exists already: look at the newest revision")
    resolution = resolve(
        conn, approval, ApprovalState.EDITED, actor=given.actor, clock=clock, why=None, entries=[entry_of(approval, given)],
        successor=successor,
    )  # fmt: skip
    if counts and successor.approval_id is not None:
        own = replace(given, decision_id=derived_id("decision of edit", str(given.decision_id)), verdict=Verdict.APPROVE)
        follow_up = fetch(conn, old.tenant_id, successor.approval_id)
        held = signs_as(conn, follow_up, given.principal.id, given.principal.role, now=given.now)
        if held is not None:  # today's rule may ask for a function that the editor does not have
            approved = approve(conn, follow_up, replace(own, capacities=held), clock)
            successor = replace(successor, state=approved.intent_state)
    return replace(resolution, successor=successor)


def _keeps_what_is_fixed(old: Intent, payload: Mapping[str, Any], rule: ActionRule) -> None:
    """An edit words it better. To whom it goes, and about what, is another proposal: this one's people agreed to nothing else."""
    missing = object()
    changed = [name for name in rule.fixed if payload.get(name, missing) != old.payload.get(name, missing)]
    if changed:
        raise ApprovalRefused(
            f"an edit of {old.action!r} may not change {', '.join(map(repr, changed))}: reject this and propose anew, or leave it as it was"
        )


def _edited_amount(old: Intent, payload: Mapping[str, Any], rule: ActionRule) -> Money | None:
    """The amount that people see next, and that limits judge, is the one in the payload."""
    amount = recorded_amount(payload, rule, old.amount)
    if rule.amount_field is None:
        return amount
    if amount is None or amount.amount <= 0:
        raise SchemaViolation(f"{rule.amount_field!r} of {old.action!r} is no amount above zero: write a decimal string such as '1250.00'")
    if old.amount is not None and amount.currency != old.amount.currency:
        raise ApprovalRefused(f"an edit may not change the currency of {rule.amount_field!r}: reject this and propose anew")
    return amount


def _counts_as_approval(edited: Intent, decision: Decision) -> bool:
    """At A1 and below the editor's word is the one that is asked for; when more people are asked, the editor is the requester."""
    low = rank(edited.approval_class) <= rank(ApprovalClass.A1)
    return low and not (isinstance(decision, NeedApproval) and decision.approvers > 1)
