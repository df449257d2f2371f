"""A row's place in what is read in order comes from the database: no role of ours can put one behind what was read or sealed."""

from collections.abc import Iterator
from contextlib import AbstractContextManager

import psycopg
import pytest
from psycopg import sql

from shared.events import ActorType
from spine import audit
from spine.audit import Actor, seals
from spine.db import Connection, Database, head_revision, migrate, revision_of
from spine.eventlog import latest
from spine.stack.postgres import EmbeddedPostgres
from tests.eventlog.events import NOW, envelope, write

CLERK = Actor(ActorType.HUMAN, "ana")
# What a process of ours would have to write: each of the tables with all that it asks for.
WRITTEN = {
    "events": (
        "tenant_id, event_id, source, type, subject, partition_key, correlation_id, occurred_at, envelope",
        "'demo', gen_random_uuid(), '/x', 'x', 'x', 'x', 'x', now(), '{}'",
    ),
    "audit_log": (
        "tenant_id, audit_id, occurred_at, actor_type, actor_id, action, subject_type, subject_id",
        "'demo', gen_random_uuid(), now(), 'human', 'x', 'x', 'x', 'x'",
    ),
    "webhook_endpoints": (
        "tenant_id, endpoint_id, url, event_types, created_by, created_at",
        "'demo', gen_random_uuid(), 'https://x.example', '{}', 'x', now()",
    ),
}
PLACES = {"xid": "'1'", "position": "1", "recorded_at": "now() - interval '1 year'", "since": "'1'"}
FILLED_IN = """
select c.relname, a.attname, has_column_privilege(r.rolname, c.oid, a.attnum, 'insert, update') as may
from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum, pg_roles r
where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and r.rolname in ('spine_app', 'spine_relay')
and (a.attidentity <> '' or pg_get_expr(d.adbin, d.adrelid) like '%pg_current_xact_id%' or a.attname = 'recorded_at')
"""


def put(conn: Connection, table: str, **place: str) -> None:
    columns, values = WRITTEN[table]
    names, given = "".join(f", {name}" for name in place), "".join(f", {value}" for value in place.values())
    conn.execute(f"insert into {table} ({columns}{names}) overriding system value values ({values}{given})".encode())


@pytest.mark.parametrize(
    ("role", "table", "place"),
    [
        *(("app", table, place) for table in ("events", "audit_log") for place in ("xid", "position", "recorded_at")),
        *(("relay", "audit_log", place) for place in ("xid", "position", "recorded_at")),
        ("app", "webhook_endpoints", "since"),
    ],
)
def test_a_role_writes_a_row_and_never_its_place(database: Database, role: str, table: str, place: str) -> None:
    def opened() -> AbstractContextManager[Connection]:
        return database.tenant("demo") if role == "app" else database.relay()

    with opened() as conn:
        put(conn, table)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"permission denied for table {table}"), opened() as conn:
        put(conn, table, **{place: PLACES[place]})


def test_what_the_database_fills_in_is_in_nobodys_hands_in_any_table(postgres: EmbeddedPostgres, database_name: str) -> None:
    with psycopg.connect(postgres.url(database=database_name)) as connection:
        found = connection.execute(FILLED_IN).fetchall()
    tables = {(table, column) for table, column, _ in found}
    assert {("events", "xid"), ("audit_log", "xid"), ("audit_log", "position"), ("webhook_endpoints", "since")} <= tables
    assert [(table, column) for table, column, may in found if may] == []


@pytest.fixture
def older(postgres: EmbeddedPostgres, database_name: str) -> Iterator[Database]:
    """A database at 0011."""
    name = f"{database_name}_older"
    with psycopg.connect(postgres.url(database="postgres"), autocommit=True) as connection:
        postgres.create_database(connection, name)
        migrate(postgres.url("spine_owner", name), "0011")
        with Database(app_url=postgres.url("spine_app", name), relay_url=postgres.url("spine_relay", name)) as opened:
            yield opened
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def test_a_database_at_0011_keeps_its_rows_and_goes_on(older: Database, postgres: EmbeddedPostgres) -> None:
    def record(subject: str) -> None:
        with older.tenant("demo") as conn:
            audit.record(conn, tenant_id="demo", actor=CLERK, action="thing.happened", subject_type="thing", subject_id=subject, now=NOW)

    write(older, envelope("d-1"))
    record("before")
    with older.tenant("demo") as conn:
        put(conn, "audit_log", xid="'1'")  # what nobody would have read
    owner_url = postgres.url("spine_owner", older.app_url.rpartition("/")[2])
    assert migrate(owner_url) == head_revision() == revision_of(owner_url)
    write(older, envelope("d-2"))
    record("after")
    with older.tenant("demo") as conn:
        assert {event.envelope.subject for event in latest(conn, tenant_id="demo")} == {"d-1", "d-2"}
        assert [row.subject_id for row in audit.rows(conn, tenant_id="demo")] == ["before", "x", "after"]
        assert seals.seal(conn, tenant_id="demo", now=NOW) is not None
    with pytest.raises(psycopg.errors.InsufficientPrivilege), older.tenant("demo") as conn:
        put(conn, "audit_log", xid="'1'")
