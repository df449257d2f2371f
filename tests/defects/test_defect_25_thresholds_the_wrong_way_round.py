"""Defect 25: the escalation of acquisitions was inverted: the larger the amount, the lower the person who had to agree.

The cure: thresholds are tiers in the table, and a table whose tiers ask fewer people or less authority for more is refused at load. The
shipped lines are then tried amount by amount.
"""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import Money
from spine.errors import Misconfigured
from spine.policy import PolicyTable
from spine.policy.decide import NeedApproval, decide
from spine.policy.functions import AUTHORITY, authority
from spine.policy.table import TABLE
from tests.governance.test_decide import facts, subject

POLICY = PolicyTable.load()
STEPS = ("ma_long_list", "ma_short_list", "ma_open_due_diligence", "ma_offer", "ma_sign")
TIERED = [name for name, rule in POLICY.actions.items() if rule.amount_tiers]
amounts = st.decimals(0, 100_000_000, places=2)


def asked(action: str, amount: Decimal | None) -> NeedApproval:
    money = None if amount is None else Money(amount=amount, currency="SAR")
    rule = POLICY.rule(action)
    decision = decide(subject(action, rule=rule, amount=money, ratio=Decimal(0), bundle_lacks=()), facts())
    assert isinstance(decision, NeedApproval)
    return decision


@pytest.mark.parametrize("action", TIERED)
@given(one=amounts, other=amounts)
def test_more_money_never_takes_fewer_people_or_less_authority(action: str, one: Decimal, other: Decimal) -> None:
    less, more = (asked(action, amount) for amount in sorted([one, other]))
    assert more.approvers >= less.approvers
    assert authority(more.roles) >= authority(less.roles)
    highest = [max((AUTHORITY[name] for name in decision.must_include), default=0) for decision in (less, more)]
    assert highest == sorted(highest)
    assert asked(action, None).approvers >= more.approvers, "no amount counts as above every threshold"


def test_authority_only_grows_from_step_to_step_of_an_acquisition() -> None:
    ranks = [
        max([authority(POLICY.actions[step].approver_roles), *(AUTHORITY[m] for m in POLICY.actions[step].must_include)]) for step in STEPS
    ]
    assert ranks == sorted(ranks)
    assert POLICY.actions["ma_offer"].must_include == ("board",)
    assert set(POLICY.actions["ma_sign"].must_include) == {"board", "legal"}


@pytest.mark.parametrize(
    ("inverted", "why"),
    [("approvers: 1, roles: *board", "asks 1 people, fewer than the 2"), ("approvers: 3, roles: *vp_up", "is signed by .* less authority")],
)
def test_a_table_with_an_inverted_threshold_does_not_load_and_says_where(tmp_path: Path, inverted: str, why: str) -> None:
    text = TABLE.read_text(encoding="utf-8")
    edited = text.replace('{above: "5000000", currency: SAR, approvers: 3, roles: *board', f'{{above: "5000000", currency: SAR, {inverted}')
    assert edited != text
    path = tmp_path / "actions.yaml"
    path.write_text(edited, encoding="utf-8")
    with pytest.raises(Misconfigured, match=rf"actions\.yaml:\d+: action 'ma_offer': the tier above 5000000 {why}"):
        PolicyTable.load(path)
