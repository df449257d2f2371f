"""The gate's judgement, by table and by property."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import ActionClass, ApprovalClass, Money, ReversibilityClass, SensitivityClass, SideEffectClass
from shared.events.classes import is_external
from spine.contacts import Contactable, NotContactable
from spine.policy import (
    ActionRule,
    Allow,
    AmountTier,
    BudgetState,
    Canary,
    Decision,
    Deny,
    Facts,
    NeedApproval,
    PolicyTable,
    Requires,
    Subject,
    decide,
)

TABLE = PolicyTable.load()
LATER = datetime(2026, 11, 23, 5, tzinfo=UTC)


def subject(action: str = "crm_deal_update", **changes: Any) -> Subject:
    rule = changes.pop("rule", None) or TABLE.rule(action)
    given: dict[str, Any] = {
        "tenant_id": "acme",
        "automation": "a",
        "action": action,
        "rule": rule,
        "approval": rule.approval,
        "reversibility": rule.reversibility,
        "sensitivity": rule.sensitivity,
        "side_effect": rule.side_effect,
        "correlation_id": "flow",
        "has_evidence": True,
        "bundle_lacks": (),
        "confidence": Decimal("0.9"),
    }
    return Subject(**(given | changes))


def facts(**changes: Any) -> Facts:
    given: dict[str, Any] = {"tenant_id": "acme", "effects_allowed": None, "contact": Contactable(), "canary": Canary.NOT_ENFORCED}
    return Facts(**(given | changes))


def codes(decision: Decision) -> set[str]:
    match decision:
        case Allow(why) | NeedApproval(_, _, why):
            return {reason.code for reason in why}
        case Deny(reason):
            return {reason.code}


def everything_wrong() -> tuple[Subject, Facts]:
    """Denied for every reason at once; the first one in the order of the page wins."""
    rule = TABLE.rule("send_email").model_copy(update={"action_class": ActionClass.C, "requires": Requires.EVIDENCE})
    wrong = subject("", rule=rule, tenant_id="other", approval=None, correlation_id=" ", has_evidence=False)
    known = facts(
        effects_allowed=frozenset(),
        kill_switch="tenant acme: drill",
        contact=NotContactable("opted-out"),
        budget=BudgetState.EXHAUSTED,
    )
    return wrong, known


def test_the_reasons_to_deny_come_in_the_order_of_the_page_and_the_first_one_wins() -> None:
    proposed, known = everything_wrong()
    order = []
    mends: dict[str, Any] = {
        "tenant-mismatch": lambda s, f: (replace(s, tenant_id="acme"), f),
        "forbidden": lambda s, f: (replace(s, rule=s.rule.model_copy(update={"action_class": ActionClass.B})), f),
        "empty-action": lambda s, f: (replace(s, action="send_email"), f),
        "undeclared-effect": lambda s, f: (s, replace(f, effects_allowed=frozenset({"send_email"}))),
        "unclassified": lambda s, f: (replace(s, approval=ApprovalClass.A1), f),
        "no-correlation": lambda s, f: (replace(s, correlation_id="flow"), f),
        "kill-switch": lambda s, f: (s, replace(f, kill_switch=None)),
        "opted-out": lambda s, f: (s, replace(f, contact=Contactable())),
        "no-evidence": lambda s, f: (replace(s, has_evidence=True), f),
        "budget-exhausted": lambda s, f: (s, replace(f, budget=BudgetState.WITHIN)),
    }
    while isinstance(decision := decide(proposed, known), Deny):
        order.append(decision.reason.code)
        proposed, known = mends[decision.reason.code](proposed, known)
    assert order == list(mends)


@pytest.mark.parametrize(
    ("proposed", "known", "expected"),
    [
        (subject(), facts(), Allow()),
        (subject("send_email"), facts(), 1),
        (subject("send_contract_for_signature"), facts(), 2),
        (subject("void_envelope", is_undo=True), facts(), Allow()),
        (subject("void_envelope"), facts(), 1),
        (subject("launch_rocket"), facts(), 2),
        (subject("launch_rocket", has_evidence=False), facts(), "incomplete-bundle"),
        (subject("send_contract_for_signature", has_evidence=False), facts(), "incomplete-bundle"),
        (subject("bypass_auth"), facts(), "forbidden"),
        (subject(""), facts(), "forbidden"),
        (subject("send_email", correlation_id=None), facts(), "no-correlation"),
        (subject("send_email"), facts(effects_allowed=frozenset({"notify_owner"})), "undeclared-effect"),
        (subject("send_email"), Facts(tenant_id="acme", effects_allowed=None), "no-consent"),
        (subject(), facts(canary=Canary.OUTSIDE), 1),
        (subject(), facts(canary=Canary.INSIDE), Allow()),
        (subject("crm_deal_create", amount=Money.of("100000", "SAR")), facts(), 1),
        (subject("crm_deal_create", amount=Money.of("100000.01", "SAR")), facts(), 2),
        (subject("crm_deal_create", amount=Money.of("1", "USD")), facts(), 2),
        (subject("crm_deal_create", amount=None), facts(), 2),
        (subject("nda_send"), facts(), 2),
    ],
)
def test_what_the_gate_says(proposed: Subject, known: Facts, expected: Allow | int | str) -> None:
    decision = decide(proposed, known)
    match expected:
        case Allow():
            assert decision == expected
        case int():
            assert isinstance(decision, NeedApproval)
            assert decision.approvers == expected
        case str():
            assert codes(decision) == {expected}


def test_all_reasons_to_ask_are_listed_and_the_strictest_number_wins() -> None:
    decision = decide(subject("nda_send", confidence=Decimal("0.1")), facts(canary=Canary.OUTSIDE))
    assert isinstance(decision, NeedApproval)
    assert decision.approvers == 2
    expected = {"never-automatic", "irreversible", "no-lawful-basis", "low-confidence", "outside-canary", "class-b", "approval-class"}
    assert codes(decision) == expected


def test_a_denial_for_now_says_when_to_come_back() -> None:
    decision = decide(subject("send_email"), facts(contact=NotContactable("quiet-hours", LATER)))
    assert decision == Deny(decision.reason, LATER) if isinstance(decision, Deny) else False


@pytest.mark.parametrize(("confidence", "asks"), [(Decimal("0.6"), False), (Decimal("0.59"), True), (None, True)])
def test_confidence_that_is_low_or_not_stated_brings_a_person_in_when_stakes_are_high(confidence: Decimal | None, asks: bool) -> None:
    decision = decide(subject("send_contract_for_signature", confidence=confidence), facts())
    assert ("low-confidence" in codes(decision)) is asks


rules = st.builds(
    lambda action_class, approval, reversibility, sensitivity, effect, extra: ActionRule.model_construct(
        **{
            **TABLE.rule("crm_deal_update").model_dump(),
            "action": "some_action",
            "action_class": action_class,
            "approval": approval,
            "reversibility": reversibility,
            "sensitivity": sensitivity,
            "side_effect": effect,
            "approvers": TABLE.approvers[approval] + extra,
        }
    ),
    st.sampled_from(ActionClass),
    st.sampled_from(ApprovalClass),
    st.sampled_from(ReversibilityClass),
    st.sampled_from(SensitivityClass),
    st.sampled_from(SideEffectClass),
    st.integers(0, 2),
)
tiers = st.just(()) | st.builds(lambda n: (AmountTier(above=Decimal("10"), currency="SAR", approvers=n),), st.integers(1, 4))


@st.composite
def subjects(draw: st.DrawFn) -> Subject:
    rule = draw(rules).model_copy(
        update={
            "amount_tiers": draw(tiers),
            "requires": draw(st.sampled_from(Requires)),
            "never_automatic": draw(st.booleans()),
            "high_stakes": draw(st.booleans()),
        }
    )
    return subject(
        draw(st.sampled_from(["some_action", "", " "])),
        rule=rule,
        tenant_id=draw(st.sampled_from(["acme", "acme", "other", ""])),
        approval=draw(st.sampled_from([rule.approval, rule.approval, None])),
        correlation_id=draw(st.sampled_from(["flow", None, "", " "])),
        has_evidence=draw(st.booleans()),
        bundle_lacks=draw(st.sampled_from([(), ("memo",)])),
        confidence=draw(st.none() | st.decimals(0, 1, places=2)),
        amount=draw(st.none() | st.builds(lambda n: Money.of(str(n), "SAR"), st.integers(0, 20))),
        is_undo=draw(st.booleans()),
    )


known_facts = st.builds(
    lambda canary, budget, contact, switch: facts(canary=canary, budget=budget, contact=contact, kill_switch=switch),
    st.sampled_from(Canary),
    st.sampled_from(BudgetState),
    st.sampled_from([Contactable(), NotContactable("opted-out"), NotContactable("quiet-hours", LATER)]),
    st.sampled_from([None, "tenant acme: drill"]),
)


def strictness(decision: Decision) -> int:
    match decision:
        case Allow():
            return 0
        case NeedApproval(approvers):
            return approvers
        case Deny():
            return 1_000


@given(subjects(), known_facts, st.sampled_from(ReversibilityClass), st.sampled_from(SensitivityClass))
def test_a_graver_class_never_asks_for_less(
    proposed: Subject, known: Facts, reversibility: ReversibilityClass, sensitivity: SensitivityClass
) -> None:
    assert proposed.reversibility is not None
    assert proposed.sensitivity is not None
    graver = replace(proposed, reversibility=max(reversibility, proposed.reversibility), sensitivity=max(sensitivity, proposed.sensitivity))
    assert strictness(decide(graver, known)) >= strictness(decide(proposed, known))


@given(subjects(), known_facts, st.sampled_from(ApprovalClass))
def test_a_higher_approval_class_never_asks_for_less(proposed: Subject, known: Facts, approval: ApprovalClass) -> None:
    if proposed.approval is not None:
        higher = replace(proposed, approval=max(approval, proposed.approval))
        assert strictness(decide(higher, known)) >= strictness(decide(proposed, known))


@given(subjects(), known_facts)
def test_what_is_allowed_or_asked_has_nothing_against_it(proposed: Subject, known: Facts) -> None:
    decision = decide(proposed, known)
    if isinstance(decision, Deny):
        return
    assert proposed.tenant_id == known.tenant_id == "acme"
    assert proposed.rule.action_class is not ActionClass.C
    assert proposed.action.strip()
    assert known.kill_switch is None
    assert known.budget is not BudgetState.EXHAUSTED or proposed.is_undo
    assert (proposed.correlation_id or "").strip() or not is_external(proposed.side_effect)
    if isinstance(decision, Allow):
        assert proposed.rule.action_class is ActionClass.A
        assert known.canary is not Canary.OUTSIDE or proposed.is_undo
        assert not proposed.rule.never_automatic
        assert proposed.approval is ApprovalClass.A0
    else:
        assert decision.approvers >= 1
        assert decision.why


@given(st.text(), known_facts, st.booleans())
def test_an_unknown_action_is_never_simply_allowed(action: str, known: Facts, has_evidence: bool) -> None:
    if action not in TABLE.actions:
        assert not isinstance(decide(subject(action, has_evidence=has_evidence), known), Allow)


@given(subjects(), known_facts)
def test_the_same_values_give_the_same_answer(proposed: Subject, known: Facts) -> None:
    assert decide(proposed, known) == decide(proposed, known)
