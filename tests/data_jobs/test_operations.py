"""The sweeper's round in Dagster, and failed runs among the dead letters."""

import dagster as dg

from data_jobs.dead_letters import bury_failed_runs
from data_jobs.defs.sweeping.assets import FINDINGS
from data_jobs.resources import Platform
from spine import deadletters
from spine.db import Database
from tests.data_jobs.conftest import Plane, checks_of, failure_of, metadata_of


def letters(database: Database, tenant: str = "demo") -> list[deadletters.DeadLetter]:
    with database.tenant(tenant) as conn:
        return list(deadletters.listing(conn, tenant_id=tenant, state=None).items)


def circuit(database: Database) -> None:
    with database.tenant("demo") as conn:
        conn.execute(
            "insert into dead_letter_circuits (tenant_id, plane, consumer, error_code, state, opened_at, probe_at) "
            "values ('demo', 'event', 'revenue', 'routing-failed', 'open', now(), now())"
        )


def test_a_round_that_finds_nothing_passes_its_check_and_one_that_does_fails_it(plane: Plane, database: Database) -> None:
    calm = plane.run("sweeping")
    assert calm.success, failure_of(calm)
    assert (metadata_of(calm, FINDINGS)["V2"], checks_of(calm)) == (0, {"nothing_grave": True})
    circuit(database)
    loud = plane.run("sweeping")
    assert (metadata_of(loud, FINDINGS)["V2"], metadata_of(loud, FINDINGS)["raised"]) == (1, 1)
    assert checks_of(loud) == {"nothing_grave": False}


def bury(plane: Plane, result: dg.ExecuteInProcessResult, **tags: str) -> None:
    event = next(one for one in result.all_events if one.event_type is dg.DagsterEventType.PIPELINE_FAILURE)
    run = plane.instance.get_run_by_id(result.run_id)
    assert run is not None
    context = dg.build_run_status_sensor_context("bury_failed_runs", event, plane.instance, run.with_tags({**run.tags, **tags}))
    bury_failed_runs(context.for_run_failure(), platform=Platform())


def test_a_run_that_failed_is_one_letter_with_what_a_second_launch_needs(plane: Plane, database: Database) -> None:
    failed = plane.run("housekeeping")  # the setting of its checkpoints is missing
    assert not failed.success
    tags = {"spine/correlation_id": "flow-1", "spine/run_key": "demo/x/1", "dagster/partition": "2026-11", "user": "ana"}
    bury(plane, failed, **tags)
    bury(plane, failed, **tags)
    [letter] = letters(database)
    assert (letter.plane, letter.consumer, letter.reference, letter.state) == ("data_job", "dagster/housekeeping", failed.run_id, "open")
    assert (letter.error_code, letter.correlation_id) == ("Misconfigured", "flow-1")
    assert "SPINE_LANGGRAPH_DATABASE_URL is not set" in letter.error
    assert letter.body["job"] == "housekeeping"
    assert letter.body["tags"] == {"spine/correlation_id": "flow-1", "dagster/partition": "2026-11"}


def test_a_run_that_dagster_retries_itself_is_not_dead_yet(plane: Plane, database: Database) -> None:
    bury(plane, plane.run("housekeeping"), **{"dagster/will_retry": "true"})
    assert letters(database) == []


def test_a_run_is_its_tenants_letter(plane: Plane, database: Database) -> None:
    bury(plane, plane.run("housekeeping"), **{"spine/tenant": "rival"})
    assert letters(database) == []
    assert len(letters(database, "rival")) == 1
