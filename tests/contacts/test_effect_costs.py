"""What effects cost: reserved when they begin, settled when they end, kept while nobody knows."""

from datetime import timedelta
from decimal import Decimal

import pytest

from shared.events import ActorType
from spine import budgets
from spine.audit import Actor
from spine.budgets import Amounts, Book, Scope
from spine.effects import Completed, Deferred, Failed
from spine.errors import OutcomeUnknown
from tests.governance.support import WORKER, Desk

ADMIN = Actor(ActorType.HUMAN, "ada")
EMAIL = Decimal("0.005334")  # 0.02 SAR


def book(desk: Desk, scope: Scope = Scope.TENANT_DAY) -> Book:
    with desk.database.tenant(desk.tenant) as conn:
        state = budgets.state(
            conn, tenant_id=desk.tenant, automation="outreach-sequence", workflow_id="any", now=desk.clock.now()
        )  # fmt: skip
    return next(one for one in state.books if one.scope is scope)


def limit(desk: Desk, money: str, name: str = "tenant-day") -> None:
    scope, automation = budgets.scope_of(name)
    with desk.database.tenant(desk.tenant) as conn:
        budgets.set_limit(
            conn, tenant_id=desk.tenant, scope=scope, automation=automation, tokens=None, money=Decimal(money), currency="SAR",
            actor=ADMIN, now=desk.clock.now(),
        )  # fmt: skip


def test_an_effect_that_happened_is_spent(desk: Desk) -> None:
    assert isinstance(desk.execute(desk.runnable().intent_id), Completed)
    assert (book(desk).reserved, book(desk).spent) == (Amounts(), Amounts(0, EMAIL))


def test_one_that_was_refused_cost_nothing(desk: Desk) -> None:
    desk.provider.perform_script = ["refuse"]
    assert isinstance(desk.execute(desk.runnable().intent_id), Failed)
    assert (book(desk).reserved, book(desk).spent) == (Amounts(), Amounts())


def test_an_unknown_outcome_keeps_its_reservation_until_it_is_known(desk: Desk) -> None:
    intent_id = desk.runnable().intent_id
    desk.provider.perform_script = ["lose_answer"]
    with pytest.raises(OutcomeUnknown):
        desk.execute(intent_id)
    assert book(desk).reserved == Amounts(0, EMAIL)
    with desk.database.tenant(desk.tenant) as conn:
        assert budgets.sweep(conn, tenant_id=desk.tenant, now=desk.clock.now() + timedelta(days=3)) == 0  # the ledger does not know either
    assert isinstance(desk.effects.reconcile(desk.tenant, intent_id, actor=WORKER), Completed)
    assert (book(desk).reserved, book(desk).spent) == (Amounts(), Amounts(0, EMAIL))


def test_a_second_attempt_reserves_nothing_more(desk: Desk) -> None:
    intent_id = desk.runnable().intent_id
    desk.provider.perform_script = ["lose_answer"]
    desk.provider.find_script = ["unavailable"]
    for _ in range(2):
        with pytest.raises(Exception, match=r"no answer|busy"):
            desk.execute(intent_id)
    assert book(desk).reserved == Amounts(0, EMAIL)


def test_what_is_over_but_was_never_settled_is_found_by_asking_the_ledger(desk: Desk) -> None:
    intent_id = desk.runnable().intent_id
    desk.execute(intent_id)
    desk.sql("update budget_reservations set state = 'held', tokens_spent = null, money_spent = null, settled_at = null")
    desk.sql("update budget_books set money_reserved = money_spent, money_spent = 0")
    desk.clock.advance(hours=2)
    with desk.database.tenant(desk.tenant) as conn:
        assert budgets.sweep(conn, tenant_id=desk.tenant, now=desk.clock.now()) == 1
    assert (book(desk).reserved, book(desk).spent) == (Amounts(), Amounts(0, EMAIL))


def test_a_proposal_that_the_day_cannot_pay_is_denied_with_the_time_when_it_can(desk: Desk) -> None:
    limit(desk, "0.01")
    proposed = desk.propose()
    assert (proposed.state.value, proposed.reasons[0].code) == ("denied", "budget-exhausted")
    assert proposed.not_before == desk.clock.now().replace(hour=21)


def test_when_the_rest_was_spent_meanwhile_the_effect_waits_for_the_next_day(desk: Desk) -> None:
    limit(desk, "0.03")
    first, second = desk.runnable(), desk.runnable()
    assert isinstance(desk.execute(first.intent_id), Completed)
    waits = desk.execute(second.intent_id)
    assert isinstance(waits, Deferred)
    assert waits.code == "budget-exhausted"
    assert desk.provider.performed == 1
    desk.clock.at = waits.not_before + timedelta(hours=11)
    assert isinstance(desk.execute(second.intent_id), Completed)


def test_a_run_that_has_spent_its_own_budget_stops(desk: Desk) -> None:
    limit(desk, "0.03", "run")
    run = {"workflow_id": f"{desk.tenant}/outreach-sequence/one"}
    first, second = desk.runnable(**run), desk.runnable(**run)
    assert isinstance(desk.execute(first.intent_id), Completed)
    stopped = desk.execute(second.intent_id)
    assert isinstance(stopped, Failed)
    assert (stopped.code, desk.state(second.intent_id)) == ("budget-exhausted", "cancelled")


def test_low_work_is_proposed_while_a_budget_is_tight_and_waits_when_it_is_to_be_sent(desk: Desk) -> None:
    limit(desk, "1.00")
    with desk.database.tenant(desk.tenant) as conn:
        budgets.reserve(
            conn, tenant_id=desk.tenant, automation="other", workflow_id="other", purpose="test", tokens=0, money=Decimal("0.92"),
            currency="SAR", now=desk.clock.now(),
        )  # fmt: skip
    proposed = desk.runnable()
    tomorrow = desk.clock.now().replace(hour=21)
    assert proposed.not_before == tomorrow
    assert desk.execute(proposed.intent_id) == Deferred(tomorrow, "budget-throttled")
    assert (book(desk).spent, desk.provider.performed) == (Amounts(), 0)
