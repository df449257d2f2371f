"""After a bad deploy nearly nothing dies: what fails alike waits, is probed, and goes on when the cause is mended."""

import time
from datetime import timedelta

import pytest

from shared.events import ActorType
from spine import audit, deadletters
from spine.audit import Actor
from spine.db import Database
from spine.deadletters import circuits
from spine.deadletters.circuits import Cause, CircuitRule
from spine.errors import InvalidInput, NotFound
from spine.eventlog.groups import ConsumerGroup
from spine.eventlog.outcomes import Delivered, Event, Failed, Outcome, Refused, RetryRule, one_after_the_other
from tests.eventlog.events import NOW, WON, envelope, write

ANA = Actor(ActorType.HUMAN, "ana")
QUICK = CircuitRule(letters=10, first_probe=timedelta(milliseconds=50), longest=timedelta(milliseconds=200), probing=timedelta(seconds=1))
SLOW = CircuitRule(letters=3, first_probe=timedelta(hours=1))
CAUSE = Cause(tenant_id="demo", plane="event", consumer="revenue", error_code="routing-failed")


class Deploy:
    """An automation whose code is broken until it is mended. Remembers what it took."""

    def __init__(self, *, sick: object = None) -> None:
        self.is_mended = False
        self.taken: list[str] = []
        self.tried = 0
        self.sick = sick or (lambda subject: True)

    def __call__(self, event: Event) -> Outcome:
        self.tried += 1
        if not self.is_mended and self.sick(event.envelope.subject):  # type: ignore[operator]
            return Refused("routing-failed", "the automation's key or payload function raised AttributeError")
        self.taken.append(event.envelope.subject)
        return Delivered("started", f"demo/x/{event.envelope.subject}")


def group(database: Database, deploy: object, rule: CircuitRule = QUICK, **more: object) -> ConsumerGroup:
    dispatch = one_after_the_other(deploy)  # type: ignore[arg-type]
    return ConsumerGroup(database=database, name="revenue", types=frozenset({WON}), dispatch=dispatch, circuit=rule, **more)  # type: ignore[arg-type]


def letters(database: Database, state: deadletters.State = "open") -> list[deadletters.DeadLetter]:
    with database.tenant("demo") as conn:
        return list(deadletters.listing(conn, tenant_id="demo", state=state, limit=500).items)


def open_circuits(database: Database, tenant_id: str = "demo") -> list[circuits.Circuit]:
    with database.tenant(tenant_id) as conn:
        return circuits.listing(conn, tenant_id=tenant_id)


def wait_for_probe(database: Database, deploy: Deploy) -> None:
    time.sleep(0.25)
    group(database, deploy).drain()


def test_two_hundred_events_of_a_bad_deploy_leave_ten_letters_and_all_are_delivered_after_the_fix(database: Database) -> None:
    write(database, *(envelope(f"d-{n}") for n in range(200)))
    deploy = Deploy()
    report = group(database, deploy).drain()
    assert report.outcomes["dead"] == 10
    [circuit] = open_circuits(database)
    assert (circuit.consumer, circuit.error_code, circuit.held) == ("revenue", "routing-failed", 190)

    tried = deploy.tried
    wait_for_probe(database, deploy)
    assert tried < deploy.tried < tried + 10, "a probe, not all of them"
    assert open_circuits(database)[0].trips > 1

    deploy.is_mended = True
    wait_for_probe(database, deploy)
    assert open_circuits(database) == []
    assert len(deploy.taken) == 190
    with database.tenant("demo") as conn:
        kind = deadletters.Filter(plane="event", error_code="routing-failed")
        done = deadletters.bulk(
            conn, tenant_id="demo", filter=kind, verdict="retry", reason="mended", actor=ANA, now=NOW, expected=10
        )  # fmt: skip
    assert len(done.done) == 10
    group(database, deploy).drain()
    assert sorted(deploy.taken) == sorted(f"d-{n}" for n in range(200))
    assert letters(database) == []


def test_without_a_circuit_all_of_them_would_have_died(database: Database) -> None:
    """What the cure cures."""
    write(database, *(envelope(f"d-{n}") for n in range(20)))
    assert group(database, Deploy(), CircuitRule(letters=1000)).drain().outcomes["dead"] == 20


def test_what_does_not_fail_goes_on_while_the_circuit_is_open(database: Database) -> None:
    deploy = Deploy(sick=lambda subject: subject.startswith("sick"))
    write(database, *(envelope(f"sick-{n}") for n in range(6)), envelope("well-1"))
    report = group(database, deploy, SLOW).drain()
    assert (report.outcomes["dead"], report.outcomes["held"], report.outcomes["started"]) == (3, 3, 1)
    write(database, envelope("well-2"), envelope("sick-6"))
    report = group(database, deploy, SLOW).drain()
    assert (report.outcomes["held"], report.outcomes["started"], report.outcomes["dead"]) == (1, 1, 0)


def test_later_events_of_a_key_that_is_held_wait_behind_it(database: Database) -> None:
    deploy = Deploy()
    write(database, *(envelope(f"d-{n}") for n in range(4)))
    group(database, deploy, SLOW).drain()
    write(database, envelope("d-3"))
    deploy.is_mended = True
    group(database, deploy, SLOW).drain()
    assert deploy.taken == []
    with database.tenant("demo") as conn:
        circuits.reset(conn, cause=CAUSE, actor=ANA, reason="rolled back", now=NOW)
    group(database, deploy, SLOW).drain()
    assert deploy.taken == ["d-3", "d-3"]


def test_an_event_that_exhausted_its_retries_is_held_and_gets_all_its_attempts_anew(database: Database) -> None:
    class Away:
        is_mended = False

        def __call__(self, event: Event) -> Outcome:
            return Delivered("started", "t") if self.is_mended else Failed("temporal-internal", "down")

    away, retry = Away(), RetryRule(first=timedelta(milliseconds=1), longest=timedelta(milliseconds=2), attempts=2)
    write(database, *(envelope(f"d-{n}") for n in range(5)))
    assert group(database, away, SLOW, retry=retry).drain().outcomes["held"] == 2
    away.is_mended = True
    with database.tenant("demo") as conn:
        cause = Cause(tenant_id="demo", plane="event", consumer="revenue", error_code="temporal-internal")
        circuits.reset(conn, cause=cause, actor=ANA, reason="up again", now=NOW)
    assert group(database, away, SLOW, retry=retry).drain().outcomes == {"started": 2}


def test_a_circuit_is_its_tenants_own_and_its_opening_and_reset_are_on_record(database: Database) -> None:
    write(database, *(envelope(f"d-{n}") for n in range(5)), envelope("d-9", tenant_id="other"))
    group(database, Deploy(), SLOW).drain()
    assert open_circuits(database, "other") == []
    with database.tenant("other") as conn, pytest.raises(NotFound):
        circuits.reset(conn, cause=CAUSE, actor=ANA, reason="not mine", now=NOW)
    with database.tenant("demo") as conn, pytest.raises(InvalidInput, match="reason"):
        circuits.reset(conn, cause=CAUSE, actor=ANA, reason=" ", now=NOW)
    with database.tenant("demo") as conn:
        circuits.reset(conn, cause=CAUSE, actor=ANA, reason="mended", now=NOW)
        said = [
            (row.action, row.severity.value, row.actor.id) for row in audit.rows(conn, tenant_id="demo") if row.subject_type == "circuit"
        ]
    assert said == [("circuit.opened", "V2", "consumer:revenue"), ("circuit.reset", "V1", "ana")]


def test_a_probe_that_was_lost_with_its_process_is_sent_again(database: Database) -> None:
    rule = CircuitRule(letters=1, first_probe=timedelta(0), probing=timedelta(milliseconds=100))
    deploy = Deploy()
    write(database, envelope("d-0"), envelope("d-1"))
    group(database, deploy, CircuitRule(letters=1, first_probe=timedelta(milliseconds=1))).drain(at_most=timedelta(seconds=1))
    deploy.is_mended = True
    time.sleep(0.05)
    with database.relay() as conn:  # a member took the probe and died before it tried anything
        assert len(circuits.probes(conn, plane="event", consumer="revenue", rule=rule)) == 1
    time.sleep(0.2)
    group(database, deploy, rule).drain()
    assert deploy.taken == ["d-1"]
