"""Defect 19: the first prospecting flow was stopped by its own gate at every run, the second had no gate: nobody had tried it.

The cure: a contract test between flow and gate. What each automation declares is judged with the papers that it really brings, and none
of it may be denied for what the flow left out.
"""

from datetime import date

import pytest

from orchestration.automations import AUTOMATIONS
from orchestration.workflows.contract_signature.messages import DraftContract
from orchestration.workflows.contract_signature.papers import papers_of
from shared.events import ActionClass, DealWon, Money
from spine.intents import IntentState, Proposal, Proposed
from spine.intents.bundle import papers_in
from spine.intents.propose import propose
from tests.governance.support import CONTRACT, POLICY, WORKFLOW, Desk

DEAL = DealWon(
    deal_id="D1",
    account="Acme",
    contact_id="contact/1",
    product="GTX Pro",
    sales_agent="Ana",
    value=Money.of("4514.00", "USD"),
    closed_on=date(2026, 11, 20),
)
PAYLOADS = {
    "send_email": {"contact_id": "contact/1", "subject": "Hello", "body": "…"},
    "send_contract_for_signature": CONTRACT,
    "void_envelope": {"deal_id": "D1", "envelope_id": "E1", "reason": "…"},
    "crm_deal_update": {"deal_id": "D1", "fields": {"stage": "signed"}},
    "notify_owner": {"contact_id": "contact/1", "subject": "Signed", "body": "…"},
}


@pytest.mark.parametrize(
    ("automation", "action"), [(a, effect) for a in AUTOMATIONS for effect in a.effects], ids=lambda one: getattr(one, "name", one)
)
def test_no_flow_is_denied_by_the_gate_for_what_it_brings(desk: Desk, automation, action: str) -> None:  # type: ignore[no-untyped-def]
    proposed = _propose(desk, automation.name, action, automation.effects)
    assert proposed.state in (IntentState.AWAITING_APPROVAL, IntentState.RUNNABLE), proposed.reasons


@pytest.mark.parametrize("automation", AUTOMATIONS, ids=lambda one: one.name)
def test_every_effect_of_a_flow_has_a_line_that_is_not_forbidden(automation) -> None:  # type: ignore[no-untyped-def]
    for action in automation.effects:
        assert POLICY.actions[action].action_class is not ActionClass.C


def test_no_flow_goes_round_the_gate_with_what_it_does_not_declare(desk: Desk) -> None:
    for automation in AUTOMATIONS:
        undeclared = next(action for action in PAYLOADS if action not in automation.effects) if len(automation.effects) < 5 else "nda_send"
        assert _propose(desk, automation.name, undeclared, automation.effects).reasons[0].code == "undeclared-effect"


def _propose(desk: Desk, automation: str, action: str, effects: tuple[str, ...]) -> Proposed:
    workflow_id = f"{desk.tenant}/{automation}/D1"
    papers = {}
    if action == "send_contract_for_signature":
        asked = DraftContract(tenant_id=desk.tenant, workflow_id=workflow_id, correlation_id="flow", deal=DEAL)
        memo, evidence, risks = papers_in(papers_of(asked, "sha256:" + "0" * 64))
        papers = {"memo": memo, "evidence": evidence, "risks": risks}
    given = Proposal(
        tenant_id=desk.tenant,
        automation=automation,
        key=f"{action}/1",
        action=action,
        workflow_id=workflow_id,
        actor=WORKFLOW,
        payload=PAYLOADS.get(action, {"subject_id": "S1"}),
        correlation_id="flow",
        **papers,  # type: ignore[arg-type]
    )
    with desk.database.tenant(desk.tenant) as conn:
        return propose(conn, given, policy=POLICY, clock=desk.clock, effects_allowed=effects)
