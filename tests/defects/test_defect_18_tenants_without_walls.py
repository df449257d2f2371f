"""Defect 18: row-level security was written and never applied, tables had no tenant at all, and idempotency keys were shared by everybody.

So one company's key could fetch the answer that another company had been given. Here a tenant is part of every key that makes something
unique, a table without a wall does not pass, and the same key of two tenants is two calls.
"""

from collections.abc import Iterator

import psycopg
import pytest
from fastapi.testclient import TestClient

from spine.db import Database
from spine.errors import NotFound
from spine.gateway.app import create_app
from spine.intents import read
from spine.stack.postgres import EmbeddedPostgres
from tests.gateway.conftest import Door, services_over

WITHOUT_TENANT = {  # the installation's own: nothing in them is any tenant's
    "alembic_version",
    "canary_groups",
    "consumer_offsets",
}
TASK = {"automation": "contract-signature", "key": "D-1", "payload": {"deal_id": "D-1", "value": "10.00"}}


@pytest.fixture
def connection(postgres: EmbeddedPostgres, database_name: str) -> Iterator[psycopg.Connection[tuple[str, ...]]]:
    with psycopg.connect(postgres.url(database=database_name), autocommit=True) as opened:
        yield opened


@pytest.fixture
def door(database: Database) -> Door:
    services = services_over(database)
    return Door(TestClient(create_app(services)), services, database)


def test_the_tenant_is_in_every_table_and_in_every_key_that_makes_a_row_unique(connection: psycopg.Connection[tuple[str, ...]]) -> None:
    tables = {name for (name,) in connection.execute("select tablename from pg_tables where schemaname = 'public'")}
    with_tenant = connection.execute(
        "select table_name from information_schema.columns where table_schema = 'public' and column_name = 'tenant_id'"
    )
    assert tables - {name for (name,) in with_tenant} <= WITHOUT_TENANT
    unique = connection.execute(
        "select tablename, indexname, indexdef from pg_indexes where schemaname = 'public' and indexdef like 'CREATE UNIQUE%'"
    ).fetchall()
    shared = {name for table, name, definition in unique if table not in WITHOUT_TENANT and "tenant_id" not in definition}
    assert shared <= GENERATED, "a key without its tenant is everybody's"


GENERATED = {"events_pkey", "audit_log_pkey", "deliveries_pkey", "audit_log_audit_id_key", "dead_letters_pkey"}
"""Keys that the platform draws, numbers of the database and UUIDs: no caller chooses one, so no tenant can meet another there."""


def test_no_wall_is_only_written_down(connection: psycopg.Connection[tuple[str, ...]]) -> None:
    bare = connection.execute(
        "select c.relname from pg_class c join information_schema.columns i on i.table_name = c.relname and i.column_name = 'tenant_id' "
        "where c.relkind = 'r' and i.table_schema = 'public' and not (c.relrowsecurity and c.relforcerowsecurity "
        "and exists (select from pg_policy p where p.polrelid = c.oid))"
    ).fetchall()
    assert bare == []


def test_the_same_idempotency_key_of_two_tenants_is_two_calls_with_two_answers(door: Door) -> None:
    answers = {tenant: door.post("/v1/tasks", TASK, "omar", tenant=tenant, key="the-same") for tenant in ("acme", "rival")}
    assert [answer.status_code for answer in answers.values()] == [202, 202]
    assert all("idempotent-replayed" not in answer.headers for answer in answers.values())
    assert answers["acme"].json()["intent_id"] != answers["rival"].json()["intent_id"]
    for tenant, answer in answers.items():
        assert door.count("intents", tenant=tenant) == door.count("idempotent_calls", tenant=tenant) == 1
        assert answer.json()["workflow_id"].startswith(f"{tenant}/")


def test_naming_the_other_tenants_record_finds_nothing_even_from_inside_the_code(door: Door, database: Database) -> None:
    theirs = door.post("/v1/tasks", TASK, tenant="rival").json()["intent_id"]
    for asked_as in ("acme", "rival"):
        with database.tenant("acme") as conn, pytest.raises(NotFound):
            read(conn, asked_as, theirs)
