"""The records of governed work: what a person is shown before an effect, and what an auditor reads after it.

Class B work carries all five (`ClassBBundle`): the memo that recommends, the evidence it rests on, the risks, the approval
it needs and the effect it asks for. Fields: domain.md §1.7. All are frozen: a correction is a new record. None carries personal
data or payloads: people are references, payloads are summaries and digests.
"""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from shared.events.classes import (
    ActorType,
    ApprovalClass,
    ReversibilityClass,
    SensitivityClass,
    Severity,
    SideEffectClass,
    is_external,
)
from shared.events.wire import Digest, Instant, Money, Name, Ref, Text, Wire

Score = Annotated[int, Field(ge=0, le=100)]


class AuditMetadata(Wire):
    """Who made a record, and what proves it. `trace_id` is the trace of the flow that the record belongs to."""

    verified: bool
    """True only where a tool's own receipt confirms the claim; a claim without proof is contradicted, not unverified."""
    tool_proof_id: Ref | None = None
    policy_check_passed: bool
    agent_id: Ref
    timestamp: Instant
    trace_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = None
    span_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")] | None = None

    @model_validator(mode="after")
    def _verified_by_something(self) -> Self:
        if self.verified and self.tool_proof_id is None:
            raise ValueError("verified needs a tool_proof_id: a claim without proof is not verified")
        return self


class Source(Wire):
    """Where one fact came from. The excerpt itself stays where it was; its digest proves what was read."""

    source: Name
    uri: Ref
    excerpt_digest: Digest
    retrieved_at: Instant


class EvidencePack(Wire):
    """What a recommendation rests on. Without one, A2 and above and R3 are denied. Immutable: a correction is a new pack."""

    pack_id: Ref
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    assumptions: tuple[Text, ...]
    freshness_utc: Instant
    """As of when the facts held: the oldest of them."""
    compliance_notes: Text
    alternatives: tuple[Text, ...]
    rollback: Text
    """How the effect is undone, or that it cannot be."""
    provenance_score: Score
    tool_proof_ids: tuple[Ref, ...] = ()


class Risk(Wire):
    risk: Text
    severity: Severity
    mitigation: Text


class RiskRegister(Wire):
    risks: tuple[Risk, ...]
    """Possibly empty: then somebody looked and found none."""


class ApprovalPacket(Wire):
    """How an action is classed and who has to say yes."""

    approval_class: ApprovalClass
    reversibility_class: ReversibilityClass
    sensitivity_class: SensitivityClass
    actor_type: ActorType
    approvers_required: tuple[Name, ...]
    """Roles, not people."""
    policy_notes: tuple[Text, ...] = ()


class ExecutionIntent(Wire):
    """The effect that is asked for, as it is shown; the ledger's own row is `spine.intents`.

    A correlation id is mandatory for whatever leaves the company.
    """

    workflow_key: Ref
    idempotency_key: Ref
    requested_side_effect_class: SideEffectClass
    correlation_id: Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"\S")] | None = None
    payload_summary: Text

    @model_validator(mode="after")
    def _correlated_when_external(self) -> Self:
        if is_external(self.requested_side_effect_class) and self.correlation_id is None:
            raise ValueError(f"correlation_id is mandatory for {self.requested_side_effect_class.value!r}")
        return self


class FinancialImpact(Wire):
    revenue_upside: Money | None = None
    cost_downside: Money | None = None
    capital_at_risk: Money | None = None


class DecisionMemo(Wire):
    """What is recommended and why, in words a person can disagree with."""

    memo_id: Ref
    objective: Text
    decision_context: Text
    inputs_used: tuple[Ref, ...]
    assumptions: tuple[Text, ...]
    recommendation: Text
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")] = "en"
    alternatives_considered: tuple[Text, ...]
    expected_financial_impact: FinancialImpact = FinancialImpact()
    confidence_score: Score
    required_approvals: tuple[Name, ...]
    next_best_action: Text
    rollback_plan: Text
    evidence_links: tuple[Ref, ...]
    audit_metadata: AuditMetadata


class ClassBBundle(Wire):
    """All that class B work has to show. Incomplete is refused: who approves must be named, in the memo and in the packet alike."""

    memo: DecisionMemo
    evidence_pack: EvidencePack
    risk_register: RiskRegister
    approval_packet: ApprovalPacket
    execution_intent: ExecutionIntent

    @model_validator(mode="after")
    def _somebody_is_asked(self) -> Self:
        if not self.memo.required_approvals or not self.approval_packet.approvers_required:
            raise ValueError("class B work names its approvers: memo.required_approvals and approval_packet.approvers_required")
        return self
