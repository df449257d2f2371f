"""Rounds, verification, seals and housekeeping look at every tenant; one that breaks is named and keeps no other from its turn.

`acme` comes first, `demo` is the installation's own, `rival` comes last.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import psycopg
import pytest

from data_jobs.defs.housekeeping.assets import HOUSEKEEPING
from data_jobs.defs.sealing.assets import SEALS
from data_jobs.defs.sweeping.assets import FINDINGS
from spine import sweeper
from spine.db import Database
from spine.retention import forget_repetitions
from spine.stack.postgres import EmbeddedPostgres
from tests.audit.ledger import write
from tests.data_jobs.conftest import Plane, checks_of, failure_of, metadata_of

Break = Callable[[str], None]


@pytest.fixture
def superuser(postgres: EmbeddedPostgres, database_name: str) -> str:
    return postgres.url(database=database_name)


@pytest.fixture
def break_acme(superuser: str) -> Break:
    """Whatever reads acme's rows of a table inside its wall fails; the other tenants' rows are as they were."""

    def break_table(table: str) -> None:
        with psycopg.connect(superuser) as connection:
            connection.execute(
                "create function broken() returns boolean language plpgsql as $$ begin raise exception 'a hand broke it'; end $$"
            )
            connection.execute(
                f"create policy broken on {table} as restrictive to spine_app using (tenant_id <> 'acme' or broken())".encode()
            )

    return break_table


def table_of(metadata: dict[str, Any], name: str = "by_tenant") -> list[dict[str, Any]]:
    return [dict(record.data) for record in metadata[name].records]


def check_of(result: dg.ExecuteInProcessResult) -> tuple[dg.AssetCheckEvaluation, dict[str, Any]]:
    (checked,) = result.get_asset_check_evaluations()
    return checked, {name: value.value for name, value in checked.metadata.items()}


def open_circuit(database: Database, tenant: str) -> None:
    """A grave finding, in a tenant that is known by its audit row."""
    write(database, "a", tenant=tenant)
    with database.tenant(tenant) as conn:
        conn.execute(
            "insert into dead_letter_circuits (tenant_id, plane, consumer, error_code, state, opened_at, probe_at) "
            "values (%s, 'event', 'revenue', 'routing-failed', 'open', now(), now())",
            (tenant,),
        )


def standing(database: Database, tenant: str) -> list[str]:
    with database.tenant(tenant) as conn:
        return [one.code for one in sweeper.listing(conn, tenant_id=tenant).items]


def an_old_call(database: Database, tenant: str) -> None:
    write(database, "a", tenant=tenant)
    with database.tenant(tenant) as conn:
        conn.execute(
            "insert into idempotent_calls (tenant_id, principal_id, idempotency_key, fingerprint, status, body, created_at) "
            "values (%s, 'ops', 'k', 'f', 202, '{}', %s)",
            (tenant, datetime.now(UTC) - timedelta(days=8)),
        )


def alter_a_row(superuser: str, tenant: str) -> None:
    with psycopg.connect(superuser) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("update audit_log set actor_id = 'omar' where tenant_id = %s", (tenant,))


def test_a_round_finds_what_stands_in_another_tenant(plane: Plane, database: Database) -> None:
    open_circuit(database, "rival")
    done = plane.run("sweeping")
    assert done.success, failure_of(done)
    found = metadata_of(done, FINDINGS)
    assert (found["tenants"], found["V2"], found["raised"]) == (2, 1, 1)
    assert [(row["tenant"], row["V2"]) for row in table_of(found)] == [("demo", 0), ("rival", 1)]
    checked, told = check_of(done)
    assert (checked.passed, checked.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert [(row["tenant"], row["code"]) for row in table_of(told, "standing")] == [("rival", "circuit-open")]
    assert (standing(database, "demo"), standing(database, "rival")) == ([], ["circuit-open"])


def test_a_tenant_that_cannot_be_swept_fails_the_run_and_the_others_findings_are_told(
    plane: Plane, database: Database, break_acme: Break
) -> None:
    write(database, "a", tenant="acme")
    open_circuit(database, "acme")
    open_circuit(database, "rival")
    break_acme("dead_letter_circuits")
    done = plane.run("sweeping")
    assert not done.success
    assert "1 of 3 tenants failed, the others are done: 'acme': RaiseException: a hand broke it" in failure_of(done)
    assert done.get_asset_materialization_events() == [], "a round that left somebody out is not a fresh one"
    assert standing(database, "rival") == ["circuit-open"]
    checked, told = check_of(done)
    assert (checked.passed, checked.severity, told["failed"]) == (False, dg.AssetCheckSeverity.ERROR, 1)
    assert [row["tenant"] for row in table_of(told, "standing")] == ["rival"]
    assert "'acme'" in str(checked.description)


def test_a_tenant_that_cannot_be_swept_does_not_pass_for_one_in_which_nothing_stands(
    plane: Plane, database: Database, break_acme: Break
) -> None:
    open_circuit(database, "acme")
    break_acme("dead_letter_circuits")
    assert checks_of(plane.run("sweeping")) == {"nothing_grave": False}


def test_another_tenants_log_is_verified(plane: Plane, database: Database, superuser: str) -> None:
    for tenant in ("demo", "rival"):
        write(database, "a", tenant=tenant)
    assert plane.run("audit_sealing").success
    alter_a_row(superuser, "rival")
    checked, told = check_of(plane.run("audit_verification"))
    assert (checked.passed, checked.severity, told["faults"]) == (False, dg.AssetCheckSeverity.ERROR, 1)
    assert [(row["tenant"], row["fault"]) for row in table_of(told)] == [("demo", None), ("rival", "altered")]
    assert str(checked.description).startswith("'rival': altered: ")


def test_a_tenant_whose_whole_log_was_removed_is_verified_too(plane: Plane, database: Database, superuser: str) -> None:
    write(database, "a", tenant="rival")
    assert plane.run("audit_sealing").success
    with psycopg.connect(superuser) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("delete from audit_log where tenant_id = 'rival'")
    checked, told = check_of(plane.run("audit_verification"))
    assert not checked.passed
    assert ("rival", "removed") in [(row["tenant"], row["fault"]) for row in table_of(told)]


def test_a_log_that_cannot_be_read_fails_the_check_and_the_others_are_judged(
    plane: Plane, database: Database, superuser: str, break_acme: Break
) -> None:
    for tenant in ("acme", "demo", "rival"):
        write(database, "a", tenant=tenant)
    assert plane.run("audit_sealing").success
    break_acme("audit_seals")
    checked, told = check_of(plane.run("audit_verification"))
    assert (checked.passed, told["faults"], told["failed"]) == (False, 0, 1)
    assert "'acme': RaiseException: a hand broke it" in str(checked.description)
    alter_a_row(superuser, "rival")
    checked, told = check_of(plane.run("audit_verification"))
    assert (told["faults"], told["failed"], [row["tenant"] for row in table_of(told)]) == (1, 1, ["demo", "rival"])
    assert "'rival': altered" in str(checked.description)


def test_a_log_that_cannot_be_sealed_fails_the_run_and_the_others_are_sealed(plane: Plane, database: Database, break_acme: Break) -> None:
    for tenant in ("acme", "rival"):
        write(database, "a", tenant=tenant)
    break_acme("audit_seals")
    done = plane.run("audit_sealing")
    assert not done.success
    assert "'acme': RaiseException: a hand broke it" in failure_of(done)
    (step,) = done.get_step_failure_events()
    assert step.step_failure_data.user_failure_data is not None
    told = step.step_failure_data.user_failure_data.metadata["by_tenant"]
    assert isinstance(told, dg.TableMetadataValue)
    assert [(record.data["tenant"], record.data["rows"]) for record in told.records] == [("demo", 0), ("rival", 1)]


def test_the_heads_to_keep_elsewhere_are_told_for_each_tenant(plane: Plane, database: Database) -> None:
    for tenant in ("demo", "rival"):
        write(database, "a", tenant=tenant)
    heads = {row["tenant"]: row["head"] for row in table_of(metadata_of(plane.run("audit_sealing"), SEALS))}
    assert set(heads) == {"demo", "rival"}
    assert all(head.startswith("sha256:") for head in heads.values())
    assert heads["demo"] != heads["rival"]


def test_another_tenants_repetitions_are_forgotten(
    plane: Plane, database: Database, checkpoints_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPINE_LANGGRAPH_DATABASE_URL", checkpoints_url)
    for tenant in ("demo", "rival"):
        an_old_call(database, tenant)
    done = plane.run("housekeeping")
    assert done.success, failure_of(done)
    found = metadata_of(done, HOUSEKEEPING)
    assert (found["tenants"], found["idempotent_calls"]) == (2, 2)
    assert [(row["tenant"], row["idempotent_calls"]) for row in table_of(found)] == [("demo", 1), ("rival", 1)]
    assert forget_repetitions(database, "rival", now=datetime.now(UTC))["idempotent_calls"] == 0


@pytest.mark.parametrize("checkpoints_too", [False, True])
def test_a_tenant_that_cannot_forget_fails_the_run_and_the_others_forget(
    plane: Plane, database: Database, checkpoints_url: str, break_acme: Break, monkeypatch: pytest.MonkeyPatch, checkpoints_too: bool
) -> None:
    """Also when the checkpoints fail behind it: the run tells of both."""
    monkeypatch.delenv("SPINE_LANGGRAPH_DATABASE_URL", raising=False)
    if not checkpoints_too:
        monkeypatch.setenv("SPINE_LANGGRAPH_DATABASE_URL", checkpoints_url)
    for tenant in ("acme", "rival"):
        an_old_call(database, tenant)
    break_acme("idempotent_calls")
    done = plane.run("housekeeping")
    assert not done.success
    assert "'acme': RaiseException: a hand broke it" in failure_of(done)
    assert ("SPINE_LANGGRAPH_DATABASE_URL is not set" in failure_of(done)) is checkpoints_too
    assert forget_repetitions(database, "rival", now=datetime.now(UTC))["idempotent_calls"] == 0
