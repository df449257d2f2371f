"""Reserve, settle, and the stop in between."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from spine import budgets
from spine.budgets import Amounts, Level, Reservation, Scope
from spine.errors import BudgetExceeded, BudgetThrottled, Conflict, InvalidInput, NotFound
from spine.registry import Budget
from tests.budgets.conftest import ADMIN, NOON, Purse

MIDNIGHT = datetime(2026, 11, 22, 21, tzinfo=UTC)  # in Riyadh


def test_what_is_reserved_counts_and_what_is_settled_counts_as_what_it_was(purse: Purse) -> None:
    made = purse.reserve(1000, "0.50")
    assert (purse.book().reserved, purse.book().spent) == (Amounts(1000, Decimal("0.50")), Amounts())
    assert purse.settle(made.reservation_id, 400, "0.20")
    for scope in Scope:
        assert (purse.book(scope).reserved, purse.book(scope).spent) == (Amounts(), Amounts(400, Decimal("0.20"))), scope
    assert not purse.settle(made.reservation_id, 999, "9")  # told twice, it counts once
    assert purse.book().spent == Amounts(400, Decimal("0.20"))


@pytest.mark.parametrize(
    ("limit", "given", "asked"),
    [
        ("tenant-day", {"money": "1.00"}, {"money": "1.01"}),
        ("tenant-month", {"tokens": 10}, {"tokens": 11}),
        ("automation-day:outreach", {"money": "3.75", "currency": "SAR"}, {"money": "1.01"}),
        ("automation-month", {"tokens": 10}, {"tokens": 11}),
        ("run", {"money": "1"}, {"money": "1.000001"}),
    ],
)
def test_a_reservation_that_breaks_a_limit_is_refused_and_leaves_the_books_as_they_were(
    purse: Purse, limit: str, given: dict[str, object], asked: dict[str, object]
) -> None:
    purse.limit(limit, **given)  # type: ignore[arg-type]
    with pytest.raises(BudgetExceeded, match=limit):
        purse.reserve(**asked)  # type: ignore[arg-type]
    assert purse.sql("select from budget_reservations") == []
    assert all(book.used == Amounts() for book in purse.state().books)


def test_what_time_gives_back_says_when_and_a_run_says_never(purse: Purse) -> None:
    purse.limit("tenant-day", money="1")
    with pytest.raises(BudgetExceeded) as refused:
        purse.reserve(money="2")
    assert refused.value.next_allowed_at == MIDNIGHT
    with pytest.raises(BudgetExceeded) as refused:
        purse.reserve(money="2", run_limit=Budget(tokens=0, money=Decimal(1)))
    assert refused.value.next_allowed_at is None
    purse.now = MIDNIGHT
    purse.reserve(money="1")


def test_a_run_has_what_its_automation_declares_unless_somebody_set_another_limit(purse: Purse) -> None:
    declared = Budget(tokens=100, money=Decimal("0.50"))
    purse.reserve(100, run_limit=declared)
    with pytest.raises(BudgetExceeded, match="'run:outreach'"):
        purse.reserve(1, run_limit=declared)
    with pytest.raises(BudgetExceeded):  # kept with the run: an effect that does not know the automation is held to it too
        purse.reserve(money="0.51")
    purse.reserve(100, run="run-2", run_limit=declared)
    purse.limit("run:outreach", tokens=150)
    purse.reserve(50, run_limit=declared)


def test_one_automations_limit_is_not_anothers(purse: Purse) -> None:
    purse.limit("automation-day", money="1")
    purse.limit("automation-day:signature", money="5")
    purse.reserve(money="1", automation="outreach")
    purse.reserve(money="1", automation="research", run="run-2")
    purse.reserve(money="5", automation="signature", run="run-3")
    with pytest.raises(BudgetExceeded, match="'automation-day:outreach'"):
        purse.reserve(money="0.01", automation="outreach")


def test_what_is_not_asked_for_is_not_refused(purse: Purse) -> None:
    """An automation without tokens may still spend its money."""
    purse.reserve(money="1", run_limit=Budget(tokens=0, money=Decimal(5)))
    with pytest.raises(BudgetExceeded):
        purse.reserve(1, run_limit=Budget(tokens=0, money=Decimal(5)))


def test_many_at_once_reserve_no_more_than_there_is(purse: Purse) -> None:
    """Twenty threads, forty tries, room for ten. Without the row locks more than ten would find room."""
    purse.limit("tenant-day", money="1.00")
    won: list[object] = []

    def grab(number: int) -> None:
        try:
            won.append(purse.reserve(money="0.10", run=f"run-{number}", automation=f"automation-{number % 3}"))
        except BudgetExceeded:
            return

    with ThreadPoolExecutor(20) as threads:
        list(threads.map(grab, range(40)))
    assert len(won) == 10
    assert purse.book().reserved == Amounts(0, Decimal("1.00"))


def test_many_that_reserve_and_settle_at_once_lose_nothing_and_wait_for_nobody_in_a_circle(purse: Purse) -> None:
    def work(number: int) -> None:
        made = purse.reserve(10, "0.10", run=f"run-{number % 4}", automation=f"automation-{number % 3}")
        purse.settle(made.reservation_id, 5, "0.03")

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(work, range(60)))
    assert (purse.book().reserved, purse.book().spent) == (Amounts(), Amounts(300, Decimal("1.80")))
    assert purse.book(Scope.TENANT_MONTH).spent == Amounts(300, Decimal("1.80"))


def test_what_nobody_settles_stays_reserved_until_a_person_says_what_it_took(purse: Purse) -> None:
    lost, other = purse.reserve(100, "0.40"), purse.reserve(100, "0.60")
    purse.now += timedelta(days=2)
    with purse.database.tenant(purse.tenant) as conn:
        assert [one.reservation_id for one in budgets.held(conn, tenant_id=purse.tenant)] == [lost.reservation_id, other.reservation_id]
        for one, spent in ((lost, False), (other, True)):
            budgets.release(
                conn, tenant_id=purse.tenant, reservation_id=one.reservation_id, spent=spent, actor=ADMIN, reason="the log", now=purse.now
            )  # fmt: skip
        assert budgets.held(conn, tenant_id=purse.tenant) == []
        with pytest.raises(Conflict, match="released"):
            budgets.release(
                conn, tenant_id=purse.tenant, reservation_id=lost.reservation_id, spent=True, actor=ADMIN, reason="x", now=purse.now
            )  # fmt: skip
    purse.now = NOON  # it counts in the day in which it was reserved
    assert (purse.book().reserved, purse.book().spent) == (Amounts(), Amounts(100, Decimal("0.60")))
    assert [row["action"] for row in purse.sql("select action from audit_log order by position")] == ["budget.released"] * 2


def test_a_process_that_comes_back_after_its_reservation_was_released_still_counts(purse: Purse) -> None:
    made = purse.reserve(100, "0.40")
    with purse.database.tenant(purse.tenant) as conn:
        budgets.release(
            conn, tenant_id=purse.tenant, reservation_id=made.reservation_id, spent=False, actor=ADMIN, reason="it died", now=purse.now
        )  # fmt: skip
    assert purse.settle(made.reservation_id, 70, "0.30")
    assert (purse.book().reserved, purse.book().spent) == (Amounts(), Amounts(70, Decimal("0.30")))


def test_a_reservation_made_twice_under_one_id_is_made_once(purse: Purse) -> None:
    made = purse.reserve(10, "0.10")
    assert purse.reserve(10, "0.10", reservation_id=made.reservation_id) == made
    assert purse.book().reserved == Amounts(10, Decimal("0.10"))


def _given_back(purse: Purse, made: Reservation) -> None:
    with purse.database.tenant(purse.tenant) as conn:
        budgets.release(
            conn, tenant_id=purse.tenant, reservation_id=made.reservation_id, spent=False, actor=ADMIN, reason="it died", now=purse.now
        )  # fmt: skip


def test_what_was_given_back_is_asked_for_anew_and_refused_when_others_took_it(purse: Purse) -> None:
    """Begun again after that, it ran with nothing held: whatever the limit was, it had no say."""
    purse.limit("tenant-day", money="1.00")
    made = purse.reserve(money="0.60")
    _given_back(purse, made)
    other = purse.reserve(money="0.60")
    with pytest.raises(BudgetExceeded):
        purse.reserve(money="0.60", reservation_id=made.reservation_id)
    purse.settle(other.reservation_id, 0, "0")
    purse.now += timedelta(days=1)
    assert purse.reserve(money="0.60", reservation_id=made.reservation_id) == made
    assert purse.book().reserved == Amounts(0, Decimal("0.60")), "it counts in the day in which it was asked for anew"
    assert purse.settle(made.reservation_id, 0, "0.50")
    assert (purse.book().reserved, purse.book().spent) == (Amounts(), Amounts(0, Decimal("0.50")))
    assert purse.reserve(money="0.60", reservation_id=made.reservation_id) == made, "what is settled is not asked for again"
    assert purse.book().used == Amounts(0, Decimal("0.50"))


def test_many_that_ask_anew_at_once_for_what_was_given_back_hold_it_once(purse: Purse) -> None:
    made = purse.reserve(money="0.60")
    _given_back(purse, made)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: purse.reserve(money="0.60", reservation_id=made.reservation_id), range(8)))
    assert purse.book().reserved == Amounts(0, Decimal("0.60"))


def test_an_effect_whose_money_was_given_back_is_judged_by_the_budget_again(purse: Purse) -> None:
    intent_id = str(uuid4())
    given = {"tenant_id": purse.tenant, "intent_id": intent_id, "automation": "outreach", "workflow_id": "run-1"}
    with purse.database.tenant(purse.tenant) as conn:
        made = budgets.reserve_effect(conn, **given, price=Decimal(1), now=purse.now, low=False)  # type: ignore[arg-type]
        assert made is not None
        assert budgets.effect_standing(conn, **given, price=Decimal(1), now=purse.now) is None  # type: ignore[arg-type]
    _given_back(purse, made)
    with purse.database.tenant(purse.tenant) as conn:
        assert budgets.effect_standing(conn, **given, price=Decimal(1), now=purse.now) is not None  # type: ignore[arg-type]


def test_another_tenants_reservation_is_not_there(purse: Purse) -> None:
    made = purse.reserve(money="1")
    with pytest.raises(NotFound):
        Purse(purse.database).settle(made.reservation_id, 0, "0")


def test_levels_are_announced_once_each(purse: Purse) -> None:
    purse.limit("tenant-day", money="1.00")
    for _ in range(6):
        purse.reserve(money="0.10")
    assert (purse.book().level, purse.announced()) == (Level.OK, [])
    seventh = purse.reserve(money="0.10")
    assert (purse.book().level, purse.announced()) == (Level.WARN, [("tenant-day", "warn")])
    purse.settle(seventh.reservation_id, 0, "0")
    purse.reserve(money="0.10")  # up and down again is no news
    purse.reserve(money="0.10")
    purse.reserve(money="0.10")
    assert purse.announced() == [("tenant-day", "warn"), ("tenant-day", "throttle")]
    for _ in range(2):
        with pytest.raises(BudgetExceeded):
            purse.reserve(money="0.20")
    assert purse.announced() == [("tenant-day", level) for level in ("warn", "throttle", "exhausted")]
    purse.limit("tenant-day", money="10")
    purse.reserve(money="6.20")
    assert purse.announced()[3:] == [("tenant-day", "warn")]  # of the new limit


def test_low_work_waits_while_a_day_is_tight_and_other_work_goes_on(purse: Purse) -> None:
    purse.limit("tenant-day", money="1.00")
    purse.reserve(money="0.80", low=True)
    purse.reserve(money="0.10", low=True)  # what takes it to 90 % was still free
    with pytest.raises(BudgetThrottled) as refused:
        purse.reserve(money="0.01", low=True)
    assert refused.value.next_allowed_at == MIDNIGHT
    purse.reserve(money="0.10")
    purse.now = MIDNIGHT
    purse.reserve(money="0.01", low=True)


def test_a_run_that_nears_its_own_end_is_not_throttled(purse: Purse) -> None:
    declared = Budget(tokens=100, money=Decimal(1))
    purse.reserve(95, run_limit=declared, low=True)
    purse.reserve(5, run_limit=declared, low=True)


def test_the_state_says_beforehand_what_a_reservation_would_meet(purse: Purse) -> None:
    purse.limit("tenant-day", money="1.00")
    assert (purse.state("1.00").fits, purse.state("1.00").level) == (True, Level.OK)
    assert (purse.state("1.01").fits, purse.state("1.01").next_allowed_at) == (False, MIDNIGHT)
    purse.reserve(money="0.90")
    assert (purse.state().level, purse.state().fits, purse.state().next_allowed_at) == (Level.THROTTLE, True, MIDNIGHT)
    assert not purse.state("0.20", run_limit=Budget(tokens=0, money=Decimal("0.1"))).fits
    assert purse.state("0.20", run_limit=Budget(tokens=0, money=Decimal("0.1"))).next_allowed_at is None


def test_days_and_months_are_cut_in_the_tenants_zone(purse: Purse) -> None:
    purse.now = datetime(2026, 11, 30, 20, 59, tzinfo=UTC)
    assert [book.period for book in purse.state().books] == ["run-1", "2026-11-30", "2026-11", "2026-11-30", "2026-11"]
    assert purse.book(Scope.TENANT_MONTH).resets_at == datetime(2026, 11, 30, 21, tzinfo=UTC)
    purse.now += timedelta(minutes=1)
    assert [book.period for book in purse.state().books] == ["run-1", "2026-12-01", "2026-12", "2026-12-01", "2026-12"]
    purse.now = datetime(2026, 12, 31, 12, tzinfo=UTC)
    assert purse.book(Scope.TENANT_MONTH).resets_at == datetime(2026, 12, 31, 21, tzinfo=UTC)


def test_the_listing_shows_what_is_used_and_what_is_only_limited(purse: Purse) -> None:
    purse.limit("tenant-month", money="50")
    purse.limit("run:outreach", tokens=100)
    made = purse.reserve(80, "1.00")
    shown = purse.listing()
    assert shown["tenant-month"].limit.money == Decimal(50)
    assert (shown["tenant-month"].percent, shown["tenant-month"].level) == (2, Level.OK)
    assert shown["automation-day:outreach"].limit.money is None
    assert (shown["run:outreach"].percent, shown["run:outreach"].period) == (80, "run-1")
    purse.settle(made.reservation_id, 80, "1.00")
    assert shown["tenant-day"].resets_at == MIDNIGHT


@pytest.mark.parametrize("currency", ["EUR", "usd", ""])
def test_a_currency_without_a_rate_is_refused(purse: Purse, currency: str) -> None:
    with pytest.raises(InvalidInput, match="no rate"):
        purse.limit("tenant-day", money="1", currency=currency)


@pytest.mark.parametrize("name", ["tenant", "tenant-day:outreach", "week", ""])
def test_a_scope_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        budgets.scope_of(name)


def test_money_is_rounded_up_so_that_too_little_is_never_held() -> None:
    assert budgets.in_books(Decimal("0.01"), "SAR") == Decimal("0.002667")
    assert budgets.price_of("send_whatsapp", channel="whatsapp", plugin=None) == Decimal("0.04")
    assert budgets.price_of("crm_deal_update", channel=None, plugin="crm") == Decimal("0.002667")
    assert budgets.price_of("research", channel=None, plugin=None) == 0
