"""What a contract is decided on: the memo, the evidence and the risks that its approvers are shown.

Deterministic: the same deal gives the same papers, as of the day it was closed, so a retry drafts nothing new. They hold references
and figures, never a person's name or address.
"""

from datetime import UTC, datetime, time
from typing import Any

from orchestration.workflows.contract_signature.messages import NAME, DraftContract
from shared.events import Severity
from shared.events.records import (
    AuditMetadata,
    DecisionMemo,
    EvidencePack,
    FinancialImpact,
    Risk,
    RiskRegister,
    Source,
)
from spine.ids import derived_id

_ALTERNATIVES = ("sign on paper", "renegotiate")
_ASSUMPTIONS = ("price and product are those of the won deal",)
_ROLLBACK = "Until everybody has signed, the envelope can be voided. A signature cannot be undone."


def papers_of(asked: DraftContract, contract_digest: str) -> dict[str, Any]:
    """The three papers as one document, under the names of the class B bundle."""
    pack = _evidence(asked, contract_digest)
    papers = {"memo": _memo(asked, pack), "evidence_pack": pack, "risk_register": _risks()}
    return {name: paper.model_dump(mode="json") for name, paper in papers.items()}


def _closed(asked: DraftContract) -> datetime:
    return datetime.combine(asked.deal.closed_on, time(), UTC)


def _id(asked: DraftContract, what: str) -> str:
    return str(derived_id(asked.tenant_id, asked.workflow_id, what))


def _evidence(asked: DraftContract, contract_digest: str) -> EvidencePack:
    uri = f"urn:spine:deal:{asked.deal.deal_id}"
    return EvidencePack(
        pack_id=_id(asked, "evidence"),
        sources=(Source(source="crm deal", uri=uri, excerpt_digest=contract_digest, retrieved_at=_closed(asked)),),
        assumptions=_ASSUMPTIONS,
        freshness_utc=_closed(asked),
        compliance_notes="The contact is the one on the deal; the address is read inside the effect only.",
        alternatives=_ALTERNATIVES,
        rollback=_ROLLBACK,
        provenance_score=90,
    )


def _memo(asked: DraftContract, pack: EvidencePack) -> DecisionMemo:
    deal = asked.deal
    return DecisionMemo(
        memo_id=_id(asked, "memo"),
        objective=f"A signed contract for deal {deal.deal_id}",
        decision_context=f"{deal.account} bought {deal.product} on {deal.closed_on.isoformat()}; the terms are the standard ones.",
        inputs_used=(f"urn:spine:deal:{deal.deal_id}",),
        assumptions=_ASSUMPTIONS,
        recommendation="Send the contract to both sides for signature.",
        alternatives_considered=_ALTERNATIVES,
        expected_financial_impact=FinancialImpact(revenue_upside=deal.value),
        confidence_score=100,  # a won deal is a fact, not an estimate
        required_approvals=("approver",),
        next_best_action="Wait for the signers; after seven days void the envelope and offer a renegotiation.",
        rollback_plan=_ROLLBACK,
        evidence_links=(pack.pack_id,),
        audit_metadata=AuditMetadata(verified=False, policy_check_passed=False, agent_id=NAME, timestamp=_closed(asked)),
    )


def _risks() -> RiskRegister:
    return RiskRegister(
        risks=(
            Risk(
                risk="The contract names a price or a product that was not agreed.",
                severity=Severity.V2,
                mitigation="Two people compare it with the deal before it is sent; until both sides signed it can be voided.",
            ),
            Risk(
                risk="It reaches somebody who may not sign for the company.",
                severity=Severity.V2,
                mitigation="The contact is fixed by the deal; an edit cannot change it.",
            ),
        )
    )
