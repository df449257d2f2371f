"""The job seals every tenant's log, and the check says whether it is still as it was sealed."""

import psycopg

from data_jobs.defs.sealing.assets import SEALS
from spine.db import Database
from spine.stack.postgres import EmbeddedPostgres
from tests.audit.ledger import write
from tests.data_jobs.conftest import Plane, failure_of, metadata_of


def test_the_job_seals_what_every_tenant_wrote_and_the_check_passes(plane: Plane, database: Database) -> None:
    write(database, "a", "b", tenant="demo")
    write(database, "c", tenant="rival")
    done = plane.run("audit_sealing")
    assert done.success, failure_of(done)
    found = metadata_of(done, SEALS)
    assert (found["rows"], found["tenants"]) == (3, 2)
    (checked,) = plane.run("audit_verification").get_asset_check_evaluations()
    assert checked.passed


def test_the_check_fails_when_a_sealed_row_was_altered(
    plane: Plane, database: Database, database_name: str, postgres: EmbeddedPostgres
) -> None:
    write(database, "a", "b", tenant="demo")
    assert plane.run("audit_sealing").success
    with psycopg.connect(postgres.url(database=database_name)) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("update audit_log set actor_id = 'omar' where subject_id = 'b'")
    (checked,) = plane.run("audit_verification").get_asset_check_evaluations()
    assert not checked.passed
    assert "altered" in str(checked.description)
