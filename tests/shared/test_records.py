"""Incomplete class B work cannot be written down."""

from typing import Any

import pytest
from pydantic import ValidationError

from shared.events.records import (
    ApprovalPacket,
    AuditMetadata,
    ClassBBundle,
    DecisionMemo,
    EvidencePack,
    ExecutionIntent,
    Risk,
    RiskRegister,
    Source,
)
from tests.shared.samples import NOON

AUDIT: dict[str, Any] = {"verified": False, "policy_check_passed": True, "agent_id": "lead-qualification", "timestamp": NOON}
SOURCE = Source(source="crm", uri="crm://deals/D-1", excerpt_digest="sha256:" + "a" * 64, retrieved_at=NOON)
PACK: dict[str, Any] = {
    "pack_id": "ep-1",
    "sources": (SOURCE,),
    "assumptions": ("the buyer may sign alone",),
    "freshness_utc": NOON,
    "compliance_notes": "consent on record",
    "alternatives": ("wait for the renewal",),
    "rollback": "void the envelope until it is signed by both",
    "provenance_score": 80,
}
INTENT: dict[str, Any] = {
    "workflow_key": "demo/contract-signature/D-1",
    "idempotency_key": "send:r1",
    "requested_side_effect_class": "external_commitment",
    "correlation_id": "corr-1",
    "payload_summary": "contract for MG Special, 55.50 SAR",
}
PACKET: dict[str, Any] = {
    "approval_class": "A3",
    "reversibility_class": "R3",
    "sensitivity_class": "S2",
    "actor_type": "automated_workflow",
    "approvers_required": ("approver", "approver"),
}
MEMO: dict[str, Any] = {
    "memo_id": "memo-1",
    "objective": "a signed contract",
    "decision_context": "the deal was won",
    "inputs_used": ("D-1",),
    "assumptions": (),
    "recommendation": "send it",
    "alternatives_considered": (),
    "confidence_score": 90,
    "required_approvals": ("approver",),
    "next_best_action": "send_contract_for_signature",
    "rollback_plan": "void",
    "evidence_links": ("ep-1",),
    "audit_metadata": AUDIT,
}


def bundle(**changes: Any) -> ClassBBundle:
    parts = {
        "memo": MEMO,
        "evidence_pack": PACK,
        "risk_register": RiskRegister(risks=(Risk(risk="wrong signer", severity="V2", mitigation="the signer is the contact of record"),)),
        "approval_packet": PACKET,
        "execution_intent": INTENT,
    }
    return ClassBBundle.model_validate(parts | changes)


def test_a_complete_bundle_survives_json() -> None:
    assert ClassBBundle.model_validate_json(bundle().model_dump_json()) == bundle()


@pytest.mark.parametrize("part", ["memo", "evidence_pack", "risk_register", "approval_packet", "execution_intent"])
def test_a_bundle_without_one_of_its_five_parts_is_refused(part: str) -> None:
    with pytest.raises(ValidationError, match=part):
        bundle(**{part: None})


@pytest.mark.parametrize(
    "changes",
    [{"memo": MEMO | {"required_approvals": ()}}, {"approval_packet": PACKET | {"approvers_required": ()}}],
    ids=["memo", "packet"],
)
def test_a_bundle_in_which_nobody_is_asked_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="names its approvers"):
        bundle(**changes)


@pytest.mark.parametrize("effect", ["external_message", "external_commitment"])
@pytest.mark.parametrize("correlation_id", [None, "", "   "])
def test_what_leaves_the_company_needs_a_correlation_id(effect: str, correlation_id: str | None) -> None:
    with pytest.raises(ValidationError, match="correlation_id"):
        ExecutionIntent.model_validate(INTENT | {"requested_side_effect_class": effect, "correlation_id": correlation_id})


@pytest.mark.parametrize("effect", ["none", "internal_write"])
def test_what_stays_inside_may_go_without_one(effect: str) -> None:
    assert ExecutionIntent.model_validate(INTENT | {"requested_side_effect_class": effect, "correlation_id": None})


def test_evidence_rests_on_at_least_one_source() -> None:
    with pytest.raises(ValidationError, match="sources"):
        EvidencePack.model_validate(PACK | {"sources": ()})


@pytest.mark.parametrize("score", [-1, 101])
def test_scores_are_percentages(score: int) -> None:
    with pytest.raises(ValidationError, match="provenance_score"):
        EvidencePack.model_validate(PACK | {"provenance_score": score})
    with pytest.raises(ValidationError, match="confidence_score"):
        DecisionMemo.model_validate(MEMO | {"confidence_score": score})


def test_a_claim_without_proof_is_not_verified() -> None:
    with pytest.raises(ValidationError, match="tool_proof_id"):
        AuditMetadata.model_validate(AUDIT | {"verified": True})
    assert AuditMetadata.model_validate(AUDIT | {"verified": True, "tool_proof_id": "run-1"}).verified


def test_a_correction_is_a_new_record() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        EvidencePack.model_validate(PACK).provenance_score = 100


def test_an_approval_packet_lacking_a_class_is_refused() -> None:
    with pytest.raises(ValidationError, match="reversibility_class"):
        ApprovalPacket.model_validate({name: value for name, value in PACKET.items() if name != "reversibility_class"})
