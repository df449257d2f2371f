"""Each violation, planted directly in the database, is found; a clean database gives none."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from shared.events import Severity, Verdict
from spine import audit, directory, sweeper
from spine.audit import seals
from spine.errors import InvalidInput
from spine.identity import Role, issue_key
from spine.sweeper import CHECKS, Swept
from tests.governance.support import WORKFLOW, Desk

REAL_NOW = datetime.now(UTC)
Plant = Callable[[Desk], str]


def swept(desk: Desk, *, later: timedelta = timedelta(0)) -> Swept:
    with desk.database.tenant(desk.tenant) as conn:
        return sweeper.sweep(conn, tenant_id=desk.tenant, clock=desk.clock, real_now=REAL_NOW + later)


def codes(found: Swept) -> list[str]:
    return [finding.code for finding in found.standing]


def people(desk: Desk, *names: str, role: Role = Role.APPROVER) -> None:
    with desk.database.tenant(desk.tenant) as conn:
        for name in names:
            issue_key(conn, tenant_id=desk.tenant, principal_id=name, role=role)


def nobody_signs(desk: Desk) -> None:
    """A desk comes with people in its directory."""
    desk.sql("update approvers set active = false")


def executing(desk: Desk) -> str:
    intent_id = desk.runnable().intent_id
    desk.provider.perform_script = ["lose_answer"]
    with pytest.raises(Exception, match="no answer"):
        desk.execute(intent_id)
    return intent_id


def runnable_behind_a_reject(desk: Desk) -> str:
    proposed = desk.runnable()
    desk.sql("update approvals set state = 'rejected' where intent_id = %s", proposed.intent_id)
    return proposed.intent_id


def begun_though_rejected(desk: Desk) -> str:
    intent_id = executing(desk)
    desk.sql("update intents set state = 'rejected' where intent_id = %s", intent_id)
    return intent_id


def executing_for_an_hour(desk: Desk) -> str:
    intent_id = executing(desk)
    desk.sql("update intents set state = 'executing' where intent_id = %s", intent_id)
    desk.clock.advance(hours=1)
    return intent_id


def unknown_for_two_hours(desk: Desk) -> str:
    intent_id = executing(desk)
    desk.clock.advance(hours=2)
    return intent_id


def runnable_for_two_hours(desk: Desk) -> str:
    intent_id = desk.runnable().intent_id
    desk.clock.advance(hours=2)
    return intent_id


def pending_beyond_its_end(desk: Desk) -> str:
    people(desk, "ana")
    approval_id = desk.propose().approval_id
    desk.clock.advance(hours=49)
    return str(approval_id)


def pending_with_nobody_there(desk: Desk) -> str:
    nobody_signs(desk)
    people(desk, "vic", role=Role.OPERATOR)
    return str(desk.propose().approval_id)


def reserved_for_a_week(desk: Desk) -> str:
    reservation_id = str(uuid4())
    desk.sql(
        "insert into budget_reservations "
        "(tenant_id, reservation_id, automation, workflow_id, purpose, day, month, tokens, money, reserved_at) "
        "values (%s, %s, 'outreach-sequence', 'w', 'draft', '2026-11-22', '2026-11', 10, 0, %s)",
        desk.tenant, reservation_id, desk.clock.now() - timedelta(days=7),
    )  # fmt: skip
    return reservation_id


def open_circuit(desk: Desk) -> str:
    desk.sql(
        "insert into dead_letter_circuits (tenant_id, plane, consumer, error_code, state, opened_at, probe_at) "
        "values (%s, 'event', 'revenue', 'routing-failed', 'open', now(), now())",
        desk.tenant,
    )
    return "event/revenue/routing-failed"


@pytest.mark.parametrize(
    ("plant", "code", "severity"),
    [
        (runnable_behind_a_reject, "stopped-and-runnable", Severity.V3),
        (begun_though_rejected, "stopped-and-begun", Severity.V3),
        (executing_for_an_hour, "executing-too-long", Severity.V2),
        (unknown_for_two_hours, "unknown-too-long", Severity.V2),
        (runnable_for_two_hours, "runnable-unclaimed", Severity.V2),
        (pending_beyond_its_end, "approval-past-expiry", Severity.V2),
        (pending_with_nobody_there, "approval-without-owner", Severity.V2),
        (reserved_for_a_week, "reservation-kept", Severity.V1),
        (open_circuit, "circuit-open", Severity.V2),
    ],
)
def test_a_planted_violation_is_found_and_nothing_else_is(desk: Desk, plant: Plant, code: str, severity: Severity) -> None:
    about = plant(desk)
    found = swept(desk)
    assert [(one.code, one.about, one.severity) for one in found.standing] == [(code, about, severity)]
    assert found.is_grave is (severity is not Severity.V1)


def test_a_group_that_nobody_runs_is_found(desk: Desk) -> None:
    desk.propose()
    with desk.database.relay() as conn:
        conn.execute("insert into consumer_offsets (group_name) values (%s)", (f"group of {desk.tenant}",))
    try:
        found = [one for one in swept(desk, later=timedelta(minutes=10)).standing if one.code == "group-lagging"]
        assert [one.about for one in found] == [f"group of {desk.tenant}"]
    finally:
        with desk.database.relay() as conn:
            conn.execute("update consumer_offsets set xid = pg_current_xact_id(), position = 9223372036854775807")


def test_an_audit_tail_without_a_seal_is_found(desk: Desk) -> None:
    desk.runnable()
    assert "audit-unsealed" in codes(swept(desk, later=timedelta(hours=27)))

    with desk.database.tenant(desk.tenant) as conn:
        seals.seal(conn, tenant_id=desk.tenant, now=desk.clock.now())
    found = swept(desk, later=timedelta(minutes=1))
    assert "audit-unsealed" not in codes(found)


def test_every_check_is_planted_somewhere_here() -> None:
    planted = {
        "stopped-and-runnable", "stopped-and-begun", "executing-too-long", "unknown-too-long", "runnable-unclaimed", "approval-past-expiry",
        "approval-without-owner", "reservation-kept", "circuit-open", "group-lagging", "audit-unsealed",
    }  # fmt: skip
    assert {check.code for check in CHECKS} == planted


def test_a_desk_at_work_has_no_findings(desk: Desk) -> None:
    """Proposed, approved, rejected, expired, edited, cancelled, done, failed: nothing of it is a finding."""
    people(desk, "ana", "bob", "cleo")
    desk.staff("ana", "bob", "cleo")
    desk.propose()
    desk.execute(desk.runnable().intent_id)
    desk.decide(desk.propose().approval_id, "ana", Verdict.REJECT)
    asked = desk.propose()
    desk.decide(asked.approval_id, "ana", Verdict.EDIT, edited_payload={**desk.intent(asked.intent_id).payload, "subject": "Better"})
    desk.provider.perform_script = ["refuse"]
    desk.execute(desk.runnable().intent_id)
    desk.propose("send_contract_for_signature")
    found = swept(desk)
    assert (found.standing, found.raised, found.cleared) == ((), (), ())


def test_a_finding_is_said_once_while_it_stands_and_its_end_once(desk: Desk) -> None:
    intent_id = runnable_for_two_hours(desk)
    first, second = swept(desk), swept(desk)
    assert ([one.about for one in first.raised], second.raised) == ([intent_id], ())
    assert [one["code"] for one in desk.events("governance.finding_raised")] == ["runnable-unclaimed"]
    desk.execute(intent_id)
    third, fourth = swept(desk), swept(desk)
    assert ([one.about for one in third.cleared], fourth.cleared, third.standing) == ([intent_id], (), ())
    assert [one["about"] for one in desk.events("governance.finding_cleared")] == [intent_id]
    with desk.database.tenant(desk.tenant) as conn:
        page = sweeper.listing(conn, tenant_id=desk.tenant)
        gone = sweeper.listing(conn, tenant_id=desk.tenant, standing=False)
        rows = [(row.action, row.severity.value) for row in audit.rows(conn, tenant_id=desk.tenant) if row.subject_type == "finding"]
    assert (page.items, [one.code for one in gone.items]) == ((), ["runnable-unclaimed"])
    assert rows == [("finding.raised", "V2"), ("finding.cleared", "V0")]


def test_what_comes_back_is_a_new_finding(desk: Desk) -> None:
    about = open_circuit(desk)
    swept(desk)
    desk.sql("update dead_letter_circuits set state = 'closed'")
    swept(desk)
    desk.sql("update dead_letter_circuits set state = 'open'")
    assert [one.about for one in swept(desk).raised] == [about]
    assert len(desk.events("governance.finding_raised")) == 2


def test_the_requester_and_who_has_decided_are_nobodys_owner(desk: Desk) -> None:
    """Two must sign a contract: one has, and the other one left."""
    nobody_signs(desk)
    with desk.database.tenant(desk.tenant) as conn:
        for person, function in (("ana", "executive"), ("ana", "legal"), ("bob", "executive"), ("bob", "legal")):
            directory.add(conn, tenant_id=desk.tenant, person=person, function=function, actor=WORKFLOW, clock=desk.clock)
    asked = desk.propose("send_contract_for_signature")
    desk.decide(asked.approval_id, "ana")
    assert codes(swept(desk)) == []
    with desk.database.tenant(desk.tenant) as conn:
        directory.remove(conn, tenant_id=desk.tenant, person="bob", actor=WORKFLOW, clock=desk.clock)
    [found] = swept(desk).standing
    assert (found.code, found.about) == ("approval-without-owner", asked.approval_id)
    assert "executive" in found.detail


def test_findings_come_in_pages_and_a_foreign_cursor_is_refused(desk: Desk) -> None:
    for _ in range(3):
        desk.runnable()
    desk.clock.advance(hours=2)
    swept(desk)
    seen: list[str] = []
    cursor = None
    with desk.database.tenant(desk.tenant) as conn:
        while True:
            page = sweeper.listing(conn, tenant_id=desk.tenant, cursor=cursor, limit=2)
            seen += [one.about for one in page.items]
            if (cursor := page.next) is None:
                break
        with pytest.raises(InvalidInput, match="cursor"):
            sweeper.listing(conn, tenant_id=desk.tenant, cursor="nonsense")
    assert len(seen) == len(set(seen)) == 3


def _hourly(desk: Desk, count: int) -> list[str]:
    made = []
    for _ in range(count):
        made.append(desk.runnable().intent_id)
        desk.clock.advance(hours=1)
    desk.clock.advance(hours=1)
    return made


def test_more_than_are_kept_is_said_and_the_oldest_are_kept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut without an order, each round showed others, and what it did not show was told to be gone."""
    monkeypatch.setattr(sweeper.checks, "_MOST", 2)
    intents = _hourly(desk, 4)
    desk.sql("update intents set state = state where intent_id = %s", intents[0])  # its row moves to the end of the table
    first = swept(desk)
    assert {one.about for one in first.standing} == {intents[0], intents[1], "and-more"}
    assert all(one.severity is Severity.V2 for one in first.standing)
    second = swept(desk)
    assert (second.raised, second.cleared) == ((), ())
    desk.sql("update intents set updated_at = updated_at - interval '9 hours' where intent_id = %s", intents[3])
    third = swept(desk)
    assert ([one.about for one in third.raised], third.cleared) == ([intents[3]], ()), "one that is pushed out is not gone"
    for intent_id in (intents[0], intents[3]):
        desk.execute(intent_id)
    fourth = swept(desk)
    assert {one.about for one in fourth.standing} == {intents[1], intents[2]}
    assert {one.about for one in fourth.cleared} == {intents[0], intents[3], "and-more"}


def test_every_check_that_could_find_many_has_an_order() -> None:
    unordered = [check.code for check in CHECKS if isinstance(check.query, str) and "order by" not in check.query.strip().splitlines()[-1]]
    assert unordered == ["audit-unsealed"], "which finds one"


def test_an_approval_without_owner_is_found_behind_any_number_that_have_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper.checks, "_MOST", 2)
    people(desk, "ana")
    asked = [desk.propose().approval_id for _ in range(3)]
    desk.clock.advance(minutes=1)
    lonely = desk.propose("send_contract_for_signature").approval_id
    desk.sql("update approvals set expires_at = expires_at + interval '9 hours' where approval_id = %s", lonely)
    desk.sql("update approvers set active = false where function <> 'sales'")
    assert len(asked) == 3
    assert [one.about for one in swept(desk).standing if one.code == "approval-without-owner"] == [lonely]


def test_one_tenants_findings_are_not_anothers(desk: Desk, superuser_url: str) -> None:
    runnable_for_two_hours(desk)
    swept(desk)
    other = Desk(desk.database)
    with other.database.tenant(other.tenant) as conn:
        assert sweeper.listing(conn, tenant_id=desk.tenant).items == ()
    with psycopg.connect(superuser_url) as conn:
        assert conn.execute("select count(*) from findings where tenant_id = %s", (desk.tenant,)).fetchone() == (1,)
