"""Records as people and programs see them: over HTTP and at the command line alike."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from shared.events import Verdict
from spine import approvals, audit, directory
from spine.approvals import Approval, ApprovalState, Decided, Resolution
from spine.audit import Row
from spine.db import Connection
from spine.directory import Approver, Signer
from spine.identity import Principal, Role
from spine.intents import Intent
from spine.policy import Reason


class View(BaseModel):
    model_config = ConfigDict(frozen=True)


class ReasonView(View):
    code: str
    text: str

    @classmethod
    def all_of(cls, reasons: Iterable[Reason]) -> tuple[Self, ...]:
        return tuple(cls(code=reason.code, text=reason.text) for reason in reasons)


class IntentView(View):
    """`payload` and `evidence` are for those who may act: operators and above, one record at a time."""

    intent_id: str
    automation: str
    key: str
    revision: int
    action: str
    digest: str
    state: str
    action_class: str
    approval_class: str
    reversibility_class: str
    sensitivity_class: str
    side_effect_class: str
    reasons: tuple[ReasonView, ...]
    policy_version: str
    amount: dict[str, Any] | None
    confidence: str | None
    requested_by: str
    requested_by_type: str
    workflow_id: str | None
    correlation_id: str | None
    causation_id: str | None
    supersedes: str | None
    compensates: str | None
    not_before: datetime | None
    created_at: datetime
    updated_at: datetime
    payload: dict[str, Any] | None = None
    evidence: dict[str, Any] | None = None

    @classmethod
    def of(cls, intent: Intent, *, whole: bool = False) -> Self:
        made = {"reasons", "amount", "confidence", "requested_by", "requested_by_type", "payload", "evidence"}
        return cls(
            **{name: getattr(intent, name) for name in cls.model_fields.keys() - made},
            reasons=ReasonView.all_of(intent.reasons),
            amount=None if intent.amount is None else intent.amount.model_dump(mode="json"),
            confidence=None if intent.confidence is None else str(intent.confidence),
            requested_by=intent.requested_by.id,
            requested_by_type=intent.requested_by.type.value,
            payload=intent.payload if whole else None,
            evidence=intent.evidence.model_dump(mode="json") if whole and intent.evidence is not None else None,
        )


class DecidedView(View):
    decision_id: str
    verdict: str
    decided_by: str
    role: str
    reason: str | None
    digest: str
    decided_at: datetime
    functions: tuple[str, ...] = ()
    on_behalf_of: tuple[str, ...] = ()

    @classmethod
    def of(cls, decided: Decided) -> Self:
        return cls(
            **{name: getattr(decided, name) for name in cls.model_fields.keys() - {"functions", "on_behalf_of"}},
            functions=tuple(dict.fromkeys(held.function for held in decided.capacities)),
            on_behalf_of=tuple(dict.fromkeys(held.on_behalf_of for held in decided.capacities if held.on_behalf_of)),
        )


class SignerView(View):
    """Somebody who could sign, and as what: functions of the approver directory, or none where any approver's key will do."""

    person: str
    functions: tuple[str, ...]
    on_behalf_of: tuple[str, ...]

    @classmethod
    def of(cls, signer: Signer) -> Self:
        return cls(
            person=signer.person,
            functions=tuple(dict.fromkeys(held.function for held in signer.capacities)),
            on_behalf_of=tuple(dict.fromkeys(held.on_behalf_of for held in signer.capacities if held.on_behalf_of)),
        )


class WaitingFor(View):
    """Who else must sign: at least so many more people, of one of these roles, the functions of `must_include` among them, and none
    of those named. `people` could, `nobody_for` are functions that nobody in the directory could sign for: until somebody can, this
    approval cannot be given (`can_be_given`). Those three are told for one request at a time and are null in lists."""

    approvals: int
    roles: tuple[str, ...]
    not_from: tuple[str, ...]
    must_include: tuple[str, ...] = ()
    people: tuple[SignerView, ...] | None = None
    nobody_for: tuple[str, ...] | None = None
    can_be_given: bool | None = None


class ApprovalView(View):
    approval_id: str
    intent_id: str
    automation: str
    action: str
    revision: int
    state: str
    digest: str
    policy_version: str
    approval_class: str
    reversibility_class: str
    sensitivity_class: str
    amount: dict[str, Any] | None
    why: tuple[ReasonView, ...]
    approvers_needed: int
    approvals_remaining: int
    waiting_for: WaitingFor
    roles: tuple[str, ...]
    requested_by: str
    requested_at: datetime
    warn_at: datetime
    breach_at: datetime
    expires_at: datetime
    escalation_level: int
    resolved_at: datetime | None
    consumed_at: datetime | None
    workflow_id: str | None
    correlation_id: str | None
    decisions: tuple[DecidedView, ...]

    @classmethod
    def of(cls, approval: Approval, **more: Any) -> Self:
        intent = approval.intent
        about = {name for name in ApprovalView.model_fields if hasattr(intent, name) and not hasattr(approval, name)}
        made = {"amount", "why", "waiting_for", "decisions"}
        signed = tuple(decided.decided_by for decided in approval.decisions if decided.verdict is Verdict.APPROVE)
        return cls(
            **{name: getattr(approval, name) for name in ApprovalView.model_fields.keys() - about - made},
            **{name: getattr(intent, name) for name in about - made},
            amount=None if intent.amount is None else intent.amount.model_dump(mode="json"),
            why=ReasonView.all_of(approval.why),
            waiting_for=WaitingFor(
                approvals=approval.approvals_remaining,
                roles=approval.roles,
                not_from=tuple(dict.fromkeys((approval.requested_by, *signed))),
                must_include=approval.functions_missing,
            ),
            decisions=tuple(DecidedView.of(decided) for decided in approval.decisions),
            **more,
        )


class HistoryView(View):
    """One audit row."""

    occurred_at: datetime
    actor: str
    actor_type: str
    action: str
    severity: str
    trace_id: str | None
    detail: dict[str, Any]

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            occurred_at=row.occurred_at,
            actor=row.actor.id,
            actor_type=row.actor.type.value,
            action=row.action,
            severity=row.severity.value,
            trace_id=row.trace_id,
            detail=dict(row.detail),
        )


class ApprovalDetail(ApprovalView):
    """`payload` is what an approval would let happen; viewers see everything but payload and evidence."""

    payload: dict[str, Any] | None
    evidence: dict[str, Any] | None
    history: tuple[HistoryView, ...]


def approval_detail(conn: Connection, principal: Principal, approval_id: str, *, now: datetime | None = None) -> ApprovalDetail:
    """One request as this principal may see it, with the history of both its records. Raises NotFound.

    With business time `now`, a request that waits also says who could sign it then.
    """
    approval = approvals.show(conn, principal.tenant_id, approval_id)
    rows = [
        row
        for subject in (approval.intent.intent_id, approval.approval_id)
        for row in audit.rows(conn, tenant_id=principal.tenant_id, subject_id=subject)
    ]
    whole = principal.role.covers(Role.OPERATOR)
    evidence = approval.intent.evidence
    shown = ApprovalDetail.of(
        approval,
        payload=approval.intent.payload if whole else None,
        evidence=evidence.model_dump(mode="json") if whole and evidence is not None else None,
        history=tuple(HistoryView.of(row) for row in sorted(rows, key=lambda row: row.position)),
    )
    if now is None or approval.state is not ApprovalState.PENDING:
        return shown
    signers = directory.who_can_sign(conn, approval, now=now)
    waiting = {
        "people": tuple(SignerView.of(one) for one in signers.people),
        "nobody_for": signers.nobody_for,
        "can_be_given": signers.enough,
    }
    return shown.model_copy(update={"waiting_for": shown.waiting_for.model_copy(update=waiting)})


class Successor(View):
    """The revision that an edit brought, judged afresh."""

    intent_id: str
    revision: int
    state: str
    approval_id: str | None
    approvers_needed: int


class DecisionView(View):
    """What a decision did. `state` is the approval's."""

    approval_id: str
    decision_id: str
    intent_id: str
    workflow_id: str
    state: str
    intent_state: str
    approvals_remaining: int
    successor: Successor | None

    @classmethod
    def of(cls, resolution: Resolution, decision_id: str) -> Self:
        same = ("approval_id", "intent_id", "workflow_id", "state", "intent_state", "approvals_remaining")
        after = resolution.successor
        successor = None if after is None else Successor(**{name: getattr(after, name) for name in Successor.model_fields})
        return cls(**{name: getattr(resolution, name) for name in same}, decision_id=decision_id, successor=successor)


class ApproverView(View):
    """One person in one function. `level` orders people inside it, the lowest is asked first."""

    person: str
    function: str
    level: int
    delegate: str | None
    absent_from: datetime | None
    absent_until: datetime | None
    active: bool

    @classmethod
    def of(cls, approver: Approver) -> Self:
        return cls(**{name: getattr(approver, name) for name in cls.model_fields})


class Approvers(View):
    """`next` is null on the last page, and after a change, which lists what it changed."""

    items: tuple[ApproverView, ...]
    next: str | None
