"""Who is a tenant, and that one's failure ends nobody else's turn."""

from datetime import timedelta

import psycopg
import pytest

from spine import deadletters
from spine.audit import seals
from spine.db import Database
from spine.errors import Misconfigured, TenantMismatch
from spine.stack.postgres import EmbeddedPostgres
from spine.tenants import every_tenant, look_at_each
from tests.audit.ledger import NOON, write
from tests.eventlog import events


def test_whoever_left_a_row_is_a_tenant_and_the_installations_own_is_one_from_the_start(
    database: Database, database_name: str, postgres: EmbeddedPostgres
) -> None:
    assert every_tenant(database, own="demo") == ("demo",)
    write(database, "a", "b", tenant="with-audit-rows")
    events.write(database, events.envelope(tenant_id="with-events"))
    with database.tenant("with-letters") as conn:
        deadletters.add(
            conn, tenant_id="with-letters", plane="event", reference="r", consumer="revenue", correlation_id=None, error_code="bad",
            error="", attempts=1, body={}, now=NOON - timedelta(days=1),
        )  # fmt: skip
    write(database, "a", tenant="without-its-log")
    seals.seal_all(database, tenant_id="without-its-log", now=NOON)
    with psycopg.connect(postgres.url(database=database_name)) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("delete from audit_log where tenant_id = 'without-its-log'")
    there = ("demo", "with-audit-rows", "with-events", "with-letters", "without-its-log")
    assert every_tenant(database, own="demo") == there
    assert every_tenant(database, own="with-events") == there[1:]


def test_only_the_relays_role_sees_who_is_there(database: Database) -> None:
    with Database(database.app_url) as walled, pytest.raises(Misconfigured, match="SPINE_DATABASE_RELAY_URL"):
        every_tenant(walled, own="demo")


def test_one_that_fails_keeps_no_other_from_its_turn_and_is_named(database: Database) -> None:
    write(database, "a", tenant="acme")

    def rows_of(tenant_id: str) -> int:
        with database.tenant("" if tenant_id == "blank" else tenant_id) as conn:
            return len(conn.execute("select from audit_log").fetchall())

    looked = look_at_each(("acme", "blank", "rival"), rows_of)
    assert (looked.found, list(looked.failed), looked.count) == ({"acme": 1, "rival": 0}, ["blank"], 3)
    assert isinstance(looked.failed["blank"], TenantMismatch)
    assert looked.why.startswith("1 of 3 tenants failed, the others are done: 'blank': TenantMismatch: no tenant was given")
    assert look_at_each(("acme",), rows_of).why == ""
