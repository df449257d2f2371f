"""Canary groups: who is inside, who may know it, and what a hold does."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.events import ActorType, EffectRecorded
from spine import eventlog
from spine.audit import Actor
from spine.db import Connection, Database
from spine.errors import InvalidInput, NotFound
from spine.intents import IntentState
from spine.policy import Canary, canary
from spine.policy.canary import Group, Settled, bucket, judged, tripped
from tests.governance.support import NOON, Desk

ANA = Actor(ActorType.HUMAN, "ana")
tenants = st.text("abcdefghij-0123456789", min_size=1, max_size=12)
shares = st.integers(0, 10_000).map(lambda hundredths: Decimal(hundredths) / 100)
_numbers = itertools.count(1)


@pytest.fixture
def automation() -> str:
    return f"automation-{next(_numbers)}"


@contextmanager
def operating(database: Database) -> Iterator[Connection]:
    with database.relay() as conn:
        yield conn


def put(desk: Desk, automation: str, **changes: Any) -> Group:
    with desk.database.relay() as conn:
        return canary.put(conn, Group(automation=automation, **changes), tenant_id=desk.tenant, actor=ANA, now=desk.clock.now())


def hold(desk: Desk, automation: str, reason: str = "it broke") -> Group:
    with desk.database.relay() as conn:
        return canary.hold(conn, automation=automation, reason=reason, tenant_id=desk.tenant, actor=ANA, now=desk.clock.now())


def release(desk: Desk, automation: str, reason: str = "mended") -> Group:
    with desk.database.relay() as conn:
        return canary.release(conn, automation=automation, reason=reason, tenant_id=desk.tenant, actor=ANA, now=desk.clock.now())


def state(desk: Desk, automation: str) -> Canary:
    with desk.database.tenant(desk.tenant) as conn:
        return canary.state(conn, desk.tenant, automation, desk.clock.now())


# Who is inside


@given(tenants, st.booleans())
def test_an_empty_list_and_nought_per_cent_mean_nobody(tenant: str, by_list: bool) -> None:
    empty = Group(automation="a", tenants=()) if by_list else Group(automation="a", percentage=Decimal(0))
    assert judged(empty, tenant, NOON) is Canary.OUTSIDE


@given(tenants, shares, shares)
def test_a_share_that_grows_puts_nobody_out_and_a_whole_takes_everybody(tenant: str, one: Decimal, other: Decimal) -> None:
    small, large = sorted([one, other])
    if judged(Group(automation="a", percentage=small), tenant, NOON) is Canary.INSIDE:
        assert judged(Group(automation="a", percentage=large), tenant, NOON) is Canary.INSIDE
    assert judged(Group(automation="a", percentage=Decimal(100)), tenant, NOON) is Canary.INSIDE


def test_where_a_tenant_stands_never_changes_and_differs_between_automations() -> None:
    assert [bucket("outreach-sequence", name) for name in ("acme", "globex")] == [5169, 8930]
    places = {bucket(f"automation-{number}", "acme") for number in range(50)}
    assert len(places) > 40


def test_a_tenth_is_about_a_tenth() -> None:
    inside = sum(judged(Group(automation="a", percentage=Decimal(10)), f"tenant-{n}", NOON) is Canary.INSIDE for n in range(5_000))
    assert 400 < inside < 600


@given(tenants, shares)
def test_a_hold_puts_everybody_outside_whatever_the_group_says(tenant: str, share: Decimal) -> None:
    for enforced in (True, False):
        held = Group(automation="a", enforced=enforced, percentage=share, held_at=NOON, held_because="x", held_by="y")
        assert judged(held, tenant, NOON) is Canary.OUTSIDE


def test_outside_the_window_nobody_is_inside() -> None:
    group = Group(automation="a", tenants=("acme",), opens_at=NOON, closes_at=NOON + timedelta(hours=1))
    moments = [timedelta(seconds=-1), timedelta(0), timedelta(minutes=59), timedelta(hours=1)]
    assert [judged(group, "acme", NOON + at) is Canary.INSIDE for at in moments] == [False, True, True, False]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(tenants, max_size=3),
    st.none() | shares,
    st.booleans(),
    st.sampled_from([(None, None), (-1, None), (1, None), (None, -1), (None, 1), (-1, 1), (-2, -1), (0, 1), (-1, 0)]),
    st.booleans(),
    tenants,
)
def test_the_database_says_of_a_tenant_what_the_rule_says(
    shared_database: Database,
    listed: list[str],
    share: Decimal | None,
    enforced: bool,
    window: tuple[int | None, int | None],
    held: bool,
    tenant: str,
) -> None:
    opens, closes = (None if hours is None else NOON + timedelta(hours=hours) for hours in window)
    group = Group(
        automation=f"same-{next(_numbers)}",
        enforced=enforced,
        percentage=share,
        tenants=tuple(listed) if share is None else None,
        opens_at=opens,
        closes_at=closes,
    )
    with shared_database.relay() as conn:
        kept = canary.put(conn, group, tenant_id="operator", actor=ANA, now=NOON)
        if held:
            kept = canary.hold(conn, automation=group.automation, reason="x", tenant_id="operator", actor=ANA, now=NOON)
    for who in {tenant, *listed}:
        with shared_database.tenant(who) as conn:
            assert canary.state(conn, who, group.automation, NOON) is judged(kept, who, NOON)


# Who may know it


def test_a_tenant_learns_of_itself_only(desk: Desk, automation: str) -> None:
    put(desk, automation, tenants=("somebody else", desk.tenant))
    assert state(desk, automation) is Canary.INSIDE
    for query in ("select * from canary_groups", "update canary_groups set enforced = false", "delete from canary_groups"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            desk.sql(query)
    with desk.database.tenant(desk.tenant) as conn, pytest.raises(InvalidInput, match="its own tenant"):
        canary.state(conn, "somebody else", automation, NOON)


# What it does


def test_outside_an_enforced_group_even_class_a_waits_for_a_person(desk: Desk, automation: str) -> None:
    put(desk, automation, tenants=("somebody else",))
    proposed = desk.propose("crm_deal_update", automation=automation)
    assert (proposed.state, proposed.approvers_needed) == (IntentState.AWAITING_APPROVAL, 1)
    assert [reason.code for reason in proposed.reasons] == ["outside-canary"]
    desk.decide(proposed.approval_id, "bob")
    assert type(desk.execute(proposed.intent_id)).__name__ == "Completed"
    put(desk, automation, tenants=("somebody else", desk.tenant))
    assert desk.propose("crm_deal_update", automation=automation).state is IntentState.RUNNABLE


def test_a_group_that_is_not_enforced_asks_nobody_until_it_is_held(desk: Desk, automation: str) -> None:
    put(desk, automation, enforced=False, tenants=())
    assert desk.propose("crm_deal_update", automation=automation).state is IntentState.RUNNABLE
    hold(desk, automation)
    assert desk.propose("crm_deal_update", automation=automation).state is IntentState.AWAITING_APPROVAL


def test_a_hold_keeps_its_first_reason_and_only_a_release_ends_it(desk: Desk, automation: str) -> None:
    put(desk, automation, percentage=Decimal(100))
    assert state(desk, automation) is Canary.INSIDE
    hold(desk, automation, "the first")
    assert hold(desk, automation, "the second").held_because == "the first"
    put(desk, automation, percentage=Decimal(100))  # a change is no release
    assert state(desk, automation) is Canary.OUTSIDE
    release(desk, automation)
    assert state(desk, automation) is Canary.INSIDE
    assert desk.audited(automation) == ["canary.set", "canary.held", "canary.set", "canary.released"]


def test_what_was_allowed_before_a_hold_waits_and_is_not_lost(desk: Desk, automation: str) -> None:
    proposed = desk.propose("crm_deal_update", automation=automation)
    put(desk, automation, percentage=Decimal(100))
    hold(desk, automation)
    deferred = desk.execute(proposed.intent_id)
    assert (type(deferred).__name__, desk.provider.performed) == ("Deferred", 0)
    release(desk, automation)
    assert type(desk.execute(proposed.intent_id)).__name__ == "Completed"


def test_an_undo_waits_for_no_canary(desk: Desk) -> None:
    done = desk.runnable("send_contract_for_signature")
    completed = desk.execute(done.intent_id)
    put(desk, "contract-signature", tenants=())
    try:
        payload = {"deal_id": "D1", "envelope_id": completed.reference}  # type: ignore[union-attr]
        undo = desk.propose("void_envelope", automation="contract-signature", payload=payload, compensates=done.intent_id)
        assert undo.state is IntentState.RUNNABLE
    finally:
        with desk.database.relay() as conn:
            conn.execute("delete from canary_groups where automation = 'contract-signature'")


# The stop-loss


@pytest.mark.parametrize(
    ("settled", "holds"),
    [(Settled(9, 1), False), (Settled(8, 2), True), (Settled(1, 3), False), (Settled(0, 0), False)],
)
def test_a_stop_loss_trips_above_its_share_and_only_with_enough_to_judge_by(settled: Settled, holds: bool) -> None:
    group = Group(automation="a", percentage=Decimal(10), stop_loss=Decimal("0.1"), stop_loss_from=5)
    assert (tripped(group, settled) is not None) is holds
    assert tripped(Group(automation="a", percentage=Decimal(10)), Settled(0, 100)) is None


def _ended(desk: Desk, automation: str, outcome: str, count: int) -> None:
    with desk.database.tenant(desk.tenant) as conn:
        for _ in range(count):
            data = EffectRecorded.model_validate(
                {"intent_id": f"intent-{next(_numbers)}", "action": "crm_deal_update", "automation": automation, "outcome": outcome}
            )
            eventlog.publish(conn, data, tenant_id=desk.tenant, source="/test", correlation_id="flow", now=desk.clock.now())


def _watch(desk: Desk) -> dict[str, str]:
    with desk.database.relay() as conn:
        return dict(canary.watch(conn, tenant_id=desk.tenant, actor=ANA, now=desk.clock.now()))


def test_the_watch_holds_a_group_whose_effects_fail_too_often_once(desk: Desk, automation: str) -> None:
    put(desk, automation, percentage=Decimal(100), stop_loss=Decimal("0.2"), stop_loss_from=10)
    _ended(desk, automation, "completed", 8)
    _ended(desk, automation, "failed", 1)
    assert automation not in _watch(desk)
    _ended(desk, automation, "failed", 2)
    assert _watch(desk)[automation] == "stop-loss: 3 of 11 effects failed (27.3%), and the limit is 20.0%"
    assert state(desk, automation) is Canary.OUTSIDE
    assert automation not in _watch(desk)
    desk.clock.advance(minutes=5)
    release(desk, automation)
    assert automation not in _watch(desk), "what failed before the release does not hold it again"
    desk.clock.advance(minutes=5)
    _ended(desk, automation, "failed", 10)
    assert automation in _watch(desk)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"percentage": Decimal(10), "tenants": ("a",)},
        {"percentage": Decimal(101)},
        {"percentage": Decimal("0.001")},
        {"tenants": (" ",)},
        {"tenants": (), "opens_at": NOON, "closes_at": NOON},
        {"tenants": (), "stop_loss": Decimal(1)},
        {"tenants": (), "stop_loss_from": 0},
    ],
)
def test_a_group_that_means_nothing_is_refused(desk: Desk, automation: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        put(desk, automation, **changes)


def test_what_is_not_there_cannot_be_held_and_a_hold_says_why(desk: Desk, automation: str) -> None:
    with pytest.raises(NotFound, match="spine canary set"):
        hold(desk, automation)
    put(desk, automation, tenants=())
    with pytest.raises(InvalidInput, match="says why"):
        hold(desk, automation, " ")
