"""The graph's meter and an effect's cost, in the books."""

from decimal import Decimal

import pytest

from orchestration.graphs.models import Meter
from spine.budgets import Amounts, Scope, books_by_run
from spine.errors import BudgetExceeded, OutcomeUnknown, ProviderRefused, ProviderUnavailable
from spine.registry import Budget
from tests.budgets.conftest import NOON, Purse
from tests.governance.support import StillClock

DECLARED = Budget(tokens=1000, money=Decimal("1.00"))


def meter_of(purse: Purse, run: str = "run-1") -> Meter:
    open_books = books_by_run(purse.database, StillClock(NOON), {"outreach": DECLARED})
    return Meter(Budget(tokens=10_000, money=Decimal(10)), books=open_books(purse.tenant, f"{purse.tenant}/outreach/{run}"))


def used(purse: Purse) -> tuple[Amounts, Amounts]:
    return purse.book(Scope.AUTOMATION_DAY).reserved, purse.book(Scope.AUTOMATION_DAY).spent


def test_a_call_is_reserved_before_and_settled_after_with_what_it_took(purse: Purse) -> None:
    with meter_of(purse).reserve(500, Decimal("0.50")) as call:
        assert used(purse) == (Amounts(500, Decimal("0.50")), Amounts())
        call.settle(120, Decimal("0.011"))
    assert used(purse) == (Amounts(), Amounts(120, Decimal("0.011")))


def test_without_any_limit_a_run_may_take_what_its_automation_declares(purse: Purse) -> None:
    meter = meter_of(purse)
    with meter.reserve(800, Decimal("0.10")) as call:
        call.settle(800, Decimal("0.10"))
    with pytest.raises(BudgetExceeded, match="'run:outreach'"), meter.reserve(300, Decimal("0.10")):
        pytest.fail("the call was made")
    assert meter.spent.tokens == 800
    with meter_of(purse, "run-2").reserve(300, Decimal("0.10")) as call:
        call.settle(1, Decimal(0))


def test_a_tenants_limit_stops_a_graph_and_is_announced(purse: Purse) -> None:
    purse.limit("tenant-day", tokens=400)
    with pytest.raises(BudgetExceeded), meter_of(purse).reserve(500, Decimal("0.50")):
        pytest.fail("the call was made")
    assert purse.announced() == [("tenant-day", "exhausted")]


@pytest.mark.parametrize("error", [ProviderUnavailable("no answer"), OutcomeUnknown("?"), KeyboardInterrupt()])
def test_a_call_of_which_nobody_knows_what_it_took_stays_reserved(purse: Purse, error: BaseException) -> None:
    meter = meter_of(purse)
    with pytest.raises(type(error)), meter.reserve(500, Decimal("0.50")):
        raise error
    assert used(purse) == (Amounts(500, Decimal("0.50")), Amounts())


def test_a_call_that_was_refused_cost_nothing(purse: Purse) -> None:
    with pytest.raises(ProviderRefused), meter_of(purse).reserve(500, Decimal("0.50")):
        raise ProviderRefused("the key is wrong")
    assert used(purse) == (Amounts(), Amounts())


def test_the_calls_of_a_process_that_died_count_for_the_next_one(purse: Purse) -> None:
    try:
        with meter_of(purse).reserve(900, Decimal("0.50")):
            raise SystemExit
    except SystemExit:
        pass
    with pytest.raises(BudgetExceeded), meter_of(purse).reserve(200, Decimal("0.10")):
        pytest.fail("the call was made")
