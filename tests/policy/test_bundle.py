"""The papers of class B work: required where the table says, completed by the platform, kept, and renewed by an edit."""

from typing import Any

import pytest

from shared.events import ApprovalClass, Verdict
from shared.events.records import ClassBBundle
from spine.intents import IntentState
from tests.governance.support import CONTRACT, EVIDENCE, POLICY, Desk
from tests.papers import RISKS, memo

ACTION = "send_contract_for_signature"


def test_the_platform_completes_the_bundle_and_keeps_all_five_papers_with_the_intent(desk: Desk) -> None:
    proposed = desk.propose(ACTION)
    intent = desk.intent(proposed.intent_id)
    bundle = intent.bundle
    assert isinstance(bundle, ClassBBundle)
    assert (bundle.memo, bundle.evidence_pack, bundle.risk_register) == (memo("ep_1"), EVIDENCE, RISKS)
    assert bundle.approval_packet.approval_class is ApprovalClass.A3
    rule = POLICY.rule(ACTION)
    assert set(bundle.approval_packet.approvers_required) == {*rule.approver_roles, *rule.must_include}
    assert bundle.approval_packet.policy_notes == tuple(reason.text for reason in intent.reasons)
    assert (bundle.execution_intent.workflow_key, bundle.execution_intent.correlation_id) == ("contract-signature", intent.correlation_id)
    assert intent.digest in bundle.execution_intent.payload_summary
    assert CONTRACT["terms"] not in bundle.model_dump_json()


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"memo": None}, "memo"),
        ({"risks": None}, "risk_register"),
        ({"evidence": None, "memo": None, "risks": None}, "evidence_pack, memo, risk_register"),
        ({"memo": memo("another pack")}, "memo.evidence_links (the pack that it rests on)"),
        ({"memo": memo("ep_1").model_copy(update={"required_approvals": ()})}, "memo.required_approvals (who is to agree)"),
    ],
)
def test_an_incomplete_bundle_is_denied_and_says_what_is_missing(desk: Desk, changes: dict[str, Any], missing: str) -> None:
    proposed = desk.propose(ACTION, **changes)
    assert (proposed.state, proposed.approval_id) == (IntentState.DENIED, None)
    [reason] = proposed.reasons
    assert reason.code == "incomplete-bundle"
    assert reason.text.endswith(f"missing: {missing}")
    assert [event["kind"] for event in desk.events("governance.policy_violation_detected")] == ["incomplete-bundle"]


def test_what_an_incomplete_proposal_did_bring_is_kept_for_whoever_asks_why(desk: Desk) -> None:
    intent = desk.intent(desk.propose(ACTION, memo=None).intent_id)
    assert (intent.memo, intent.risks, intent.bundle) == (None, RISKS, None)


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_blank_correlation_id_on_an_external_effect_is_denied(desk: Desk, blank: str | None) -> None:
    for action in (ACTION, "send_email"):
        assert desk.propose(action, correlation_id=blank).reasons[0].code == "no-correlation"


def test_an_action_that_needs_no_bundle_takes_no_harm_from_having_none(desk: Desk) -> None:
    intent = desk.intent(desk.propose("send_email").intent_id)
    assert (intent.state, intent.bundle, intent.packet) == (IntentState.AWAITING_APPROVAL, None, None)


def test_an_edit_brings_a_new_pack_that_names_the_edited_payload_and_leaves_the_old_one(desk: Desk) -> None:
    proposed = desk.propose(ACTION)
    first = desk.intent(proposed.intent_id)
    successor = desk.decide(proposed.approval_id, "ana", Verdict.EDIT, edited_payload={**CONTRACT, "terms": "net 60"}).successor
    assert successor is not None
    edited, again = desk.intent(successor.intent_id), desk.intent(proposed.intent_id)
    assert (again.evidence, again.memo) == (first.evidence, first.memo)
    new, old = edited.bundle, first.bundle
    assert new is not None
    assert old is not None
    assert new.evidence_pack.pack_id != old.evidence_pack.pack_id
    assert new.evidence_pack.sources == (*old.evidence_pack.sources, new.evidence_pack.sources[-1])
    assert new.evidence_pack.sources[-1].excerpt_digest == edited.digest != first.digest
    assert new.evidence_pack.freshness_utc == old.evidence_pack.freshness_utc
    assert new.memo.memo_id != old.memo.memo_id
    assert new.memo.evidence_links == (new.evidence_pack.pack_id,)
    assert (new.memo.audit_metadata.agent_id, new.memo.audit_metadata.verified) == ("ana", False)
    assert "edited by ana" in new.memo.decision_context
    assert edited.digest in new.execution_intent.payload_summary
    assert new.execution_intent.idempotency_key != old.execution_intent.idempotency_key
