"""A person decides: approve as proposed, edit, or reject.

All in the caller's transaction, with request and intent locked: decisions on one request come one after the other. Nothing of
a refused decision remains.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from shared.events import ActorType, ApprovalClass, Money, Verdict
from shared.events.classes import rank
from spine import audit
from spine.approvals.queries import fetch
from spine.approvals.records import Approval, ApprovalState, Decided, Principal, Resolution
from spine.approvals.resolve import entry, resolve
from spine.audit import Actor
from spine.canonical import exact_digest
from spine.clock import Clock
from spine.db import Connection
from spine.directory import Capacity, requesters_of, signs_as
from spine.errors import ApprovalRefused, Conflict, IdempotencyConflict, InvalidInput, NotAllowed, SchemaViolation
from spine.ids import derived_id, new_id
from spine.intents import internal
from spine.intents.bundle import re_evidenced
from spine.intents.gate import acceptable, enter, judge, reclassified, recorded_amount
from spine.intents.records import Intent
from spine.intents.rows import newest_revision
from spine.intents.states import IntentState
from spine.policy import ActionRule, Decision, NeedApproval, PolicyTable

_MAY_DECIDE = ("approver", "admin")  # roles of keys; what else it takes is the rule's to say

Validate = Callable[[str, Mapping[str, Any]], None]
"""(action, payload) → None, or raises InvalidInput: the connector's own model of the payload, where it is at hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision:
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


def decide(
    conn: Connection,
    *,
    tenant_id: str,
    approval_id: str,
    decision_id: str,
    verdict: Verdict,
    principal: Principal,
    reason: str | None,
    policy: PolicyTable,
    clock: Clock,
    edited_payload: Mapping[str, Any] | None = None,
    digest: str | None = None,
    validate: Validate | None = None,
    minted_by: str | None = None,
) -> Resolution:
    """Take one person's decision. A repeated `decision_id` returns the first answer; it may be any text of the caller's.

    approve: counts once a person; the last one needed makes the intent runnable. `digest`, when given, is what the approver
    saw and has to be what is asked. reject: closes request and intent at once, whoever else agreed. edit: a new revision with
    `edited_payload`, judged afresh; the old one is superseded. At A1 the edit is the editor's own approval unless the
    judgement asks for more people; from A2 the editor has become the requester, and others must approve.

    Where the rule asks for functions, the approver directory says who has them at this moment, and the decision keeps as what it was
    taken; whoever asked may still withdraw by a reject. `minted_by` is who had the token made with which it is taken, if it was one.

    Raises NotFound; NotAllowed for a role, function or kind of actor that may not decide; ApprovalRefused for the requester, a person
    who has decided already, an approval that has ended or run out, another digest, a policy that has changed since, or an edit
    of what the table says is fixed; InvalidInput for an edit without a payload, or one that cannot be proposed; SchemaViolation
    for an edited amount that is none; IdempotencyConflict for a decision id used for something else.
    """
    given = _Decision(
        decision_id=derived_id("decision", tenant_id, decision_id), verdict=verdict, principal=principal, reason=reason, now=clock.now(),
        minted_by=minted_by,
    )  # fmt: skip
    approval = fetch(conn, tenant_id, approval_id, lock=True)
    if repeated := _first_answer(conn, approval, given, decision_id):
        return repeated
    given = replace(given, capacities=_refuse(conn, approval, given, digest, policy))
    match verdict:
        case Verdict.APPROVE:
            return _approve(conn, approval, given, clock)
        case Verdict.REJECT:
            _write(conn, approval, given, approval.digest)
            return resolve(
                conn, approval, ApprovalState.REJECTED, actor=given.actor, clock=clock, why=None, entries=[_entry(approval, given)]
            )
        case Verdict.EDIT:
            if edited_payload is None:
                raise InvalidInput("an edit brings the whole edited payload")
            payload = acceptable(edited_payload)
            if validate is not None:
                validate(approval.intent.action, payload)
            return _edit(conn, approval, given, payload, policy, clock)


def _refuse(conn: Connection, approval: Approval, given: _Decision, digest: str | None, policy: PolicyTable) -> tuple[Capacity, ...]:
    """Raise what stands against this decision; else say as what it is taken."""
    principal, verdict, which = given.principal, given.verdict, f"approval {approval.approval_id!r}"
    if principal.actor_type is not ActorType.HUMAN:
        raise NotAllowed(f"{principal.id!r} is a {principal.actor_type.value}: people decide approvals")
    requesters = requesters_of(conn, approval.intent)
    withdraws = verdict is Verdict.REJECT and principal.id in requesters
    if principal.role not in _MAY_DECIDE:
        raise NotAllowed(f"{principal.id!r} has role {principal.role!r}; {which} takes 'approver' or 'admin'")
    capacities = signs_as(conn, approval, principal.id, principal.role, now=given.now)
    if capacities is None and not withdraws and principal.id not in requesters:
        wanted = ", ".join(dict.fromkeys((*approval.roles, *approval.must_include)))
        raise NotAllowed(
            f"{principal.id!r} is, by the approver directory, none of {wanted} now, whom {which} takes: `spine approvers list`"
        )
    if approval.state is not ApprovalState.PENDING:
        raise ApprovalRefused(f"{which} is {approval.state.value!r} already: nothing is left to decide")
    if given.now >= approval.expires_at:
        raise ApprovalRefused(f"{which} ran out at {approval.expires_at.isoformat()}: it has to be proposed again")
    remaining = approval.approvals_remaining
    if any(decided.decided_by == principal.id for decided in approval.decisions):
        raise ApprovalRefused(f"{principal.id!r} has decided this approval already; it needs {_people(remaining)} more")
    if stood_in := next(
        (one.decided_by for one in approval.decisions for held in one.capacities if held.on_behalf_of == principal.id), None
    ):
        raise ApprovalRefused(
            f"{stood_in!r} has signed in the name of {principal.id!r} already, and one seat signs once; it needs {_people(remaining)} more"
        )
    if verdict is not Verdict.REJECT and principal.id in requesters:
        raise ApprovalRefused(
            f"{principal.id!r} asked for this and cannot approve it; it needs {_people(remaining)} other than the requester"
        )
    if given.minted_by is not None and given.minted_by in requesters | {one.decided_by for one in approval.decisions}:
        raise ApprovalRefused(f"{given.minted_by!r} let the token be made and asked for this, or has decided it: somebody else has to")
    if digest is not None and digest != approval.digest:
        raise ApprovalRefused(f"{principal.id!r} saw digest {digest!r}, but {approval.digest!r} is asked: look at it again")
    if verdict is Verdict.APPROVE and approval.policy_version != policy.version:
        raise ApprovalRefused(
            f"{which} was asked under policy {approval.policy_version!r}, now it is {policy.version!r}: "
            "edit it, if need be with the same payload, to have it judged by today's policy"
        )
    if verdict is not Verdict.REJECT:
        internal.refuse_while_stopped(conn, approval.intent, policy=policy, now=given.now)
    return capacities or ()


def _people(count: int) -> str:
    return "one approver" if count == 1 else f"{count} approvers"


def _approve(conn: Connection, approval: Approval, given: _Decision, clock: Clock) -> Resolution:
    _write(conn, approval, given, approval.digest)
    decided = _entry(approval, given)
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


def _edit(conn: Connection, approval: Approval, given: _Decision, payload: dict[str, Any], policy: PolicyTable, clock: Clock) -> Resolution:
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
    _write(conn, approval, given, edited.digest)
    successor = enter(conn, replace(edited, not_before=not_before), decision, rule, actor=given.actor)
    if successor is None:
        raise Conflict(f"revision {edited.revision} of intent key {edited.key!r} exists already: look at the newest revision")
    resolution = resolve(
        conn, approval, ApprovalState.EDITED, actor=given.actor, clock=clock, why=None, entries=[_entry(approval, given)],
        successor=successor,
    )  # fmt: skip
    if counts and successor.approval_id is not None:
        own = replace(given, decision_id=derived_id("decision of edit", str(given.decision_id)), verdict=Verdict.APPROVE)
        follow_up = fetch(conn, old.tenant_id, successor.approval_id)
        held = signs_as(conn, follow_up, given.principal.id, given.principal.role, now=given.now)
        if held is not None:  # today's rule may ask for a function that the editor does not have
            approved = _approve(conn, follow_up, replace(own, capacities=held), clock)
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


def _write(conn: Connection, approval: Approval, given: _Decision, digest: str) -> None:
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


def _entry(approval: Approval, given: _Decision) -> audit.Entry:
    detail: dict[str, Any] = {"verdict": given.verdict.value, "role": given.principal.role}
    if given.capacities:
        detail["functions"] = sorted({held.function for held in given.capacities})
        detail["on_behalf_of"] = sorted({held.on_behalf_of for held in given.capacities if held.on_behalf_of})
    if given.minted_by is not None:
        detail["token_minted_by"] = given.minted_by
    return entry(approval, given.actor, "approval.decided", detail)


def _first_answer(conn: Connection, approval: Approval, given: _Decision, decision_id: str) -> Resolution | None:
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
