"""What is proposed, what the gate answered, and the row that remembers both."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from shared.events import ActionClass, ApprovalClass, Money, ReversibilityClass, SensitivityClass, SideEffectClass
from shared.events.records import ApprovalPacket, ClassBBundle, DecisionMemo, EvidencePack, ExecutionIntent, RiskRegister
from spine.audit import Actor
from spine.intents.states import IntentState
from spine.policy.decide import Reason

RESERVED = frozenset({"action", "idempotency_key", "address"})
"""Payload keys that the platform fills in inside the effect; a proposal may not bring them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One effect somebody wants. Give `payload`, or the `document_id` of a stored one; `payload["contact_id"]` names the contact.

    (tenant, automation, key) is its identity: proposing it again returns what became of the first. `amount` is for the record;
    where policy has a limit, the money is read from the payload itself.
    """

    tenant_id: str
    automation: str
    key: str
    action: str
    workflow_id: str
    actor: Actor
    payload: Mapping[str, Any] | None = None
    document_id: str | None = None
    correlation_id: str | None = None
    evidence: EvidencePack | None = None
    memo: DecisionMemo | None = None
    risks: RiskRegister | None = None
    """With the evidence, what class B work has to show (`requires: bundle` in the table)."""
    confidence: Decimal | None = None
    amount: Money | None = None
    causation_id: str | None = None
    traceparent: str | None = None
    compensates: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """The gate's answer, as it stands now. `approvers_needed` and the four times are None or 0 where nobody is asked."""

    intent_id: str
    revision: int
    state: IntentState
    approval_id: str | None
    approvers_needed: int
    reasons: tuple[Reason, ...]
    not_before: datetime | None = None
    warn_at: datetime | None = None
    breach_at: datetime | None = None
    escalate_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """The row. `payload` is for those who may see it: it never enters events, audit rows or logs."""

    tenant_id: str
    intent_id: str
    automation: str
    key: str
    revision: int
    action: str
    payload: dict[str, Any]
    digest: str
    amount: Money | None
    action_class: ActionClass
    approval_class: ApprovalClass
    reversibility_class: ReversibilityClass
    sensitivity_class: SensitivityClass
    side_effect_class: SideEffectClass
    state: IntentState
    reasons: tuple[Reason, ...]
    policy_version: str
    evidence: EvidencePack | None
    confidence: Decimal | None
    requested_by: Actor
    workflow_id: str
    correlation_id: str | None
    causation_id: str | None
    traceparent: str | None
    supersedes: str | None
    compensates: str | None
    not_before: datetime | None
    created_at: datetime
    updated_at: datetime
    memo: DecisionMemo | None = None
    risks: RiskRegister | None = None
    packet: ApprovalPacket | None = None
    execution: ExecutionIntent | None = None

    @property
    def bundle(self) -> ClassBBundle | None:
        """All five papers; None where the rule asks for none, or something is missing."""
        memo, evidence, risks, packet, execution = self.memo, self.evidence, self.risks, self.packet, self.execution
        if memo is None or evidence is None or risks is None or packet is None or execution is None:
            return None
        return ClassBBundle(memo=memo, evidence_pack=evidence, risk_register=risks, approval_packet=packet, execution_intent=execution)
