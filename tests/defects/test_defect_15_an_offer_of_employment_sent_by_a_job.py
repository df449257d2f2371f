"""Defect 15: ten deals in a month, and a job promised salary, insurance and a commission: an offer of employment, approved by nobody.

The cure: it is in the table as A3/R3, never automatic, with the whole bundle, executives and legal; the table refuses to be weakened.
"""

from pathlib import Path

import pytest

from shared.events import ActionClass, ApprovalClass, ReversibilityClass, SensitivityClass
from spine.errors import Misconfigured
from spine.intents import IntentState, Proposal
from spine.intents.propose import propose
from spine.policy import PolicyTable
from spine.policy.table import TABLE
from tests.governance.support import EVIDENCE, POLICY, WORKFLOW, Desk
from tests.papers import RISKS, memo

ACTION = "employment_offer_send"


def test_an_offer_of_employment_waits_for_executives_and_legal(desk: Desk) -> None:
    rule = POLICY.actions[ACTION]
    assert (rule.action_class, rule.approval, rule.reversibility) == (ActionClass.B, ApprovalClass.A3, ReversibilityClass.R3)
    assert rule.sensitivity is SensitivityClass.S3
    assert rule.never_automatic
    proposed = _offered(desk, evidence=EVIDENCE, memo=memo(EVIDENCE.pack_id), risks=RISKS, confidence=None)
    assert (proposed.state, proposed.approvers_needed) == (IntentState.AWAITING_APPROVAL, 2)
    assert "never-automatic" in {reason.code for reason in proposed.reasons}
    assert "legal" in rule.must_include
    assert type(desk.execute(proposed.intent_id)).__name__ == "NotRunnable"


def test_without_evidence_it_is_denied_whoever_is_sure(desk: Desk) -> None:
    assert _offered(desk).reasons[0].code == "incomplete-bundle"


@pytest.mark.parametrize("weaker", ["approval: A1", "approvers: 1", "requires: nothing", "action_class: A"])
def test_a_table_that_lets_it_go_more_easily_is_refused(tmp_path: Path, weaker: str) -> None:
    text = TABLE.read_text(encoding="utf-8")
    edited = text.replace(f"{ACTION}: {{<<: *binding,", f"{ACTION}: {{<<: *binding, {weaker},")
    assert edited != text
    path = tmp_path / "actions.yaml"
    path.write_text(edited, encoding="utf-8")
    with pytest.raises(Misconfigured, match=f"action '{ACTION}'"):
        PolicyTable.load(path)


def _offered(desk: Desk, **papers: object):  # type: ignore[no-untyped-def]
    given = Proposal(
        tenant_id=desk.tenant,
        automation="affiliates",
        key="offer",
        action=ACTION,
        workflow_id="w",
        actor=WORKFLOW,
        payload={"subject_id": "affiliate/7", "salary": "8000.00"},
        correlation_id="flow",
        **papers,  # type: ignore[arg-type]
    )
    with desk.database.tenant(desk.tenant) as conn:
        return propose(conn, given, policy=POLICY, clock=desk.clock, effects_allowed=None)
