"""Why, and what would change it: explanations promise only what the gate would do; backtests compare tables and write nothing."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given

from shared.events import Money
from spine.contacts import NotContactable
from spine.errors import IncompleteProposal, PolicyDenied
from spine.intents import Proposal
from spine.intents.asking import refusal, what_if, why
from spine.policy import Canary, Facts, NeedApproval, PolicyTable, Reason, Subject, decide
from spine.policy.backtest import backtest, diff
from spine.policy.explain import Verdict, explain, said
from spine.policy.table import TABLE
from tests.governance.support import NOON, POLICY, WORKFLOW, Desk
from tests.governance.test_decide import LATER, facts, known_facts, subject, subjects


def changes(proposed: Subject, known: Facts) -> dict[str, str]:
    return {one.when: one.then for one in explain(proposed, known).changes}


def test_it_says_which_rule_decided_and_every_reason() -> None:
    found = explain(subject("ma_offer", amount=Money.of("6000000", "SAR"), bundle_lacks=()), facts())
    assert isinstance(found.decision, NeedApproval)
    assert (found.verdict, found.said) == (Verdict.ASK, "ask 3 approvers of board, among them board and legal and finance")
    assert found.decided_by is not None
    assert found.decided_by.code == "amount"
    assert {reason.code for reason in found.reasons} >= {"never-automatic", "irreversible", "class-b", "amount"}


def test_it_says_what_evidence_amount_confidence_and_canary_would_change() -> None:
    contract = subject("send_contract_for_signature", has_evidence=False)
    found = explain(contract, facts())
    assert (found.verdict, found.decided_by and found.decided_by.code) == (Verdict.DENY, "incomplete-bundle")
    [then] = [then for when, then in changes(contract, facts()).items() if when == "it brings the whole bundle"]
    assert then.startswith("ask 2 approvers")
    deal = subject("crm_deal_create", amount=Money.of("100001", "SAR"))
    assert changes(deal, facts())["the amount is at most 100000 SAR"] == "ask 1 approver of approver"
    assert changes(subject(), facts(canary=Canary.OUTSIDE))["the tenant is inside the canary group"] == "allow"
    assert changes(subject(), facts())["the tenant is outside an enforced canary group"] == "ask 1 approver of approver"
    assert changes(subject("void_envelope"), facts())["it compensates a completed intent"] == "allow"


def test_what_only_time_forbids_says_when_and_what_nothing_mends_is_not_offered() -> None:
    night = facts(contact=NotContactable("quiet-hours", LATER))
    assert changes(subject("send_email"), night)[f"it is sent at {LATER.isoformat()}"] == "ask 1 approver of approver"
    for known in (facts(contact=NotContactable("opted-out")),):
        assert not any(then.startswith(("allow", "ask")) for then in changes(subject("send_email"), known).values())
    assert changes(subject("bypass_auth"), facts()) == {}


def test_several_denials_are_told_with_what_mends_them_together() -> None:
    proposed = subject("nda_send", correlation_id=None, bundle_lacks=("memo",))
    found = explain(proposed, facts(kill_switch="action nda_send: drill"))
    assert [reason.code for reason in found.reasons] == ["no-correlation", "kill-switch", "incomplete-bundle"]
    together = found.changes[-1]
    assert together.when.startswith("all of these: it names a correlation id; the kill switch is released; it brings the whole bundle")
    assert together.verdict is Verdict.ASK


@given(subjects(), known_facts)
def test_an_explanation_agrees_with_the_decision_and_offers_only_what_differs(proposed: Subject, known: Facts) -> None:
    found = explain(proposed, known)
    assert found.decision == decide(proposed, known)
    assert all(change.then != found.said for change in found.changes if not change.when.startswith("all of these"))
    if found.verdict is Verdict.ALLOW:
        assert (found.decided_by, found.reasons) == (None, ())
    else:
        assert found.decided_by in found.reasons


@given(subjects(), known_facts)
def test_one_more_reason_never_makes_the_gate_more_lenient(proposed: Subject, known: Facts) -> None:
    def strictness(one: Subject, other: Facts) -> int:
        decision = decide(one, other)
        return decision.approvers if isinstance(decision, NeedApproval) else 0 if explain(one, other).verdict is Verdict.ALLOW else 1_000

    now = strictness(proposed, known)
    graver = [
        (replace(proposed, has_evidence=False), known),
        (replace(proposed, bundle_lacks=("memo",)), known),
        (replace(proposed, correlation_id=None), known),
        (replace(proposed, confidence=None), known),
        (replace(proposed, amount=None), known),
        (proposed, replace(known, kill_switch="tenant acme: drill")),
        (proposed, replace(known, canary=Canary.OUTSIDE)),
        (proposed, replace(known, contact=NotContactable("opted-out"))),
        (replace(proposed, rule=proposed.rule.model_copy(update={"never_automatic": True})), known),
    ]
    assert all(strictness(*one) >= now for one in graver)


def test_no_default_of_a_fact_allows_anything() -> None:
    for rule in POLICY.actions.values():
        nobody_looked = Facts(tenant_id="acme")
        assert explain(subject(rule.action), nobody_looked).verdict is Verdict.DENY
        declared = replace(nobody_looked, effects_allowed=None)
        assert explain(subject(rule.action), declared).verdict is not Verdict.ALLOW


# With the facts of the moment


def asked(desk: Desk, action: str, **given_changes: Any) -> Any:
    proposal = desk.proposal(action, **given_changes)
    with desk.database.tenant(desk.tenant) as conn:
        return what_if(conn, proposal, policy=POLICY, now=desk.clock.now(), effects_allowed=None)


def test_asking_writes_nothing_and_says_what_proposing_would_bring(desk: Desk) -> None:
    found = asked(desk, "send_contract_for_signature")
    assert desk.sql("select 1 as n from intents union all select 1 from audit_log where action like 'intent.%%'") == []
    proposed = desk.propose("send_contract_for_signature")
    assert isinstance(found.decision, NeedApproval)
    assert proposed.approvers_needed == found.decision.approvers
    assert [reason.code for reason in found.reasons] == [reason.code for reason in proposed.reasons]


def test_a_recorded_intent_is_explained_as_it_would_be_judged_now(desk: Desk) -> None:
    proposed = desk.propose("send_email")
    desk.clock.advance(hours=12)  # midnight in Riyadh
    with desk.database.tenant(desk.tenant) as conn:
        found = why(conn, desk.tenant, proposed.intent_id, policy=POLICY, now=desk.clock.now())
    assert found.decided_by is not None
    assert found.decided_by.code == "quiet-hours"
    assert any(one.when.startswith("it is sent at 2026-11-23T05:00") and one.verdict is Verdict.ASK for one in found.changes)


def test_what_is_left_out_and_what_is_not_allowed_are_two_errors() -> None:
    for code in ("no-correlation", "incomplete-bundle", "no-evidence"):
        assert isinstance(refusal(Reason(code, "x")), IncompleteProposal)
    assert isinstance(refusal(Reason("kill-switch", "x")), PolicyDenied)


# Another table


def candidate(tmp_path: Path, **lines: dict[str, Any]) -> PolicyTable:
    raw = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    for name, line in lines.items():
        raw["actions"][name] = {**raw["actions"].get(name, {}), **line}
    path = tmp_path / "candidate.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return PolicyTable.load(path)


def test_a_difference_is_told_by_action_and_field(tmp_path: Path) -> None:
    coffee = {"action_class": "A", "approval": "A0", "reversibility": "R0", "sensitivity": "S1", "side_effect": "none"}
    other = candidate(tmp_path, send_email={"approvers": 3}, brew_coffee=coffee)
    found = [(one.action, one.field, one.before, one.after) for one in diff(POLICY, other)]
    assert ("send_email", "approvers", "1", "3") in found
    assert ("brew_coffee", "", "not in the table: judged as unknown", "in the table") in found
    assert len(found) == 2
    assert list(diff(POLICY, POLICY)) == []


def test_a_backtest_tells_whose_verdict_changes_and_writes_nothing(desk: Desk, tmp_path: Path) -> None:
    mails = [desk.propose("send_email").intent_id for _ in range(3)]
    desk.propose("crm_deal_update")
    desk.propose("send_contract_for_signature")
    stricter = candidate(tmp_path, send_email={"approvers": 3})
    before = desk.sql("select count(*) as n, max(updated_at) as last from intents")
    heard: list[int] = []
    with desk.database.tenant(desk.tenant) as conn:
        conn.execute("set transaction read only")
        found = backtest(conn, tenant_id=desk.tenant, current=POLICY, candidate=stricter, shown=2, progress=heard.append)
    assert (found.judged, found.changed, heard) == (5, 3, [5])
    [((action, was, becomes), count)] = found.moves.items()
    assert (action, count) == ("send_email", 3)
    assert (was.split(" of ")[0], becomes.split(" of ")[0]) == ("ask 1 approver", "ask 3 approvers")
    assert [one.intent_id for one in found.moved] == mails[:0:-1]
    assert desk.sql("select count(*) as n, max(updated_at) as last from intents") == before


def test_a_table_is_not_changed_by_the_one_that_is_already_there(desk: Desk) -> None:
    for action in ("send_email", "crm_deal_update", "launch_rocket"):
        desk.propose(action)
    with desk.database.tenant(desk.tenant) as conn:
        found = backtest(conn, tenant_id=desk.tenant, current=POLICY, candidate=POLICY)
    assert (found.judged, found.changed) == (3, 0)


def test_a_ratio_is_judged_by_its_tiers_and_none_counts_as_the_highest(desk: Desk) -> None:
    def people(discount: object) -> str:
        payload = {"deal_id": "D1", **({} if discount is None else {"discount": discount})}
        proposal = Proposal(
            tenant_id=desk.tenant,
            automation="a",
            key="k",
            action="discount_grant",
            workflow_id="w",
            actor=WORKFLOW,
            payload=payload,
            correlation_id="flow",
            evidence=desk.proposal("send_contract_for_signature").evidence,
        )
        with desk.database.tenant(desk.tenant) as conn:
            return said(what_if(conn, proposal, policy=POLICY, now=NOON, effects_allowed=None).decision)

    assert people("0.1").startswith("ask 1 approver of manager")
    assert people("0.11").startswith("ask 1 approver of director")
    for highest in ("0.26", None, 0.01, "-1", "1e-3", "ten"):
        assert people(highest).startswith("ask 2 approvers of vp"), highest


def test_confidence_and_threshold_are_explained() -> None:
    unsure = subject("send_contract_for_signature", confidence=Decimal("0.2"), bundle_lacks=())
    assert "low-confidence" in {reason.code for reason in explain(unsure, facts()).reasons}


@pytest.mark.parametrize("action", ["", "  "])
def test_an_empty_action_is_explained_as_forbidden(action: str) -> None:
    found = explain(subject(action), facts())
    assert found.decided_by is not None
    assert found.decided_by.code == "forbidden"
