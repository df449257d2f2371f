"""Tenants are walls: two tenants seeded in every table that has a tenant; neither sees, changes or plants the other's rows."""

import psycopg
import pytest
from psycopg import sql

from spine import approvals, intents
from spine.db import Database
from spine.errors import NotFound
from tests.governance.support import Desk

TENANT_TABLES = """
select c.table_name from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
where c.column_name = 'tenant_id' and c.table_schema = 'public' and t.table_type = 'BASE TABLE' order by c.table_name
"""
ONE_OF_EACH = {
    "text": "'t'",
    "integer": "1",
    "bigint": "1",
    "numeric": "1",
    "boolean": "true",
    "jsonb": "'{}'",
    "uuid": "gen_random_uuid()",
    "timestamp with time zone": "now()",
    "ARRAY": "'{}'",
    "xid8": "'1'",
    "interval": "interval '1 hour'",
    "date": "current_date",
    "bytea": "''",
    "double precision": "1",
}
MINE, THEIRS = "wall-mine", "wall-theirs"


@pytest.fixture(scope="module")
def seeded(shared_database: Database, superuser_url: str) -> list[str]:
    """Every tenant table, each with a row of either tenant, put there without constraints by the superuser. Returns their names."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")  # no foreign keys: any row will do
        tables = [name for (name,) in connection.execute(TENANT_TABLES)]
        for table in tables:
            for tenant in (MINE, THEIRS):
                _seed(connection, table, tenant)
    return tables


def _seed(connection: psycopg.Connection[tuple[object, ...]], table: str, tenant: str) -> None:
    columns = connection.execute(
        "select column_name, data_type from information_schema.columns where table_schema = 'public' and table_name = %s "
        "and is_nullable = 'NO' and column_default is null and is_identity = 'NO' and column_name <> 'tenant_id'",
        (table,),
    ).fetchall()
    allowed = connection.execute(
        "select pg_get_constraintdef(oid) from pg_constraint where conrelid = %s::regclass and contype = 'c'", (table,)
    ).fetchall()
    values = {str(name): _value(str(name), ONE_OF_EACH[str(kind)], [str(check[0]) for check in allowed]) for name, kind in columns}
    statement = sql.SQL("insert into {} (tenant_id, {}) values ({}, {})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.Literal(tenant),
        sql.SQL(", ").join(sql.SQL(value) for value in values.values()),  # type: ignore[arg-type]
    )
    connection.execute(statement)


def _value(column: str, default: str, checks: list[str]) -> str:
    """The first value that the column's check lists, if it has one."""
    for check in checks:
        if f"({column} = ANY" in check or f"(({column})::text = ANY" in check:
            return "'" + check.split("'")[1] + "'"
    return f"'{column}' || gen_random_uuid()" if default == "'t'" else default


def test_every_tenant_table_has_forced_row_level_security(seeded: list[str], superuser_url: str) -> None:
    with psycopg.connect(superuser_url) as connection:
        walled = connection.execute(
            "select relname from pg_class where relrowsecurity and relforcerowsecurity and relname = any(%s) order by relname", (seeded,)
        ).fetchall()
    assert [name for (name,) in walled] == seeded
    assert len(seeded) >= 14


def test_neither_tenant_sees_a_row_of_the_other_in_any_table(seeded: list[str], shared_database: Database) -> None:
    for tenant in (MINE, THEIRS):
        with shared_database.tenant(tenant) as conn:
            for table in seeded:
                rows = conn.execute(sql.SQL("select tenant_id from {}").format(sql.Identifier(table))).fetchall()
                assert [row["tenant_id"] for row in rows] == [tenant], table


def test_neither_tenant_changes_or_deletes_a_row_of_the_other(seeded: list[str], shared_database: Database, superuser_url: str) -> None:
    for table in seeded:
        for attempt in ("update {} set tenant_id = tenant_id where tenant_id = %s", "delete from {} where tenant_id = %s"):
            try:
                with shared_database.tenant(MINE) as conn:
                    touched = conn.execute(sql.SQL(attempt).format(sql.Identifier(table)), (THEIRS,)).rowcount  # type: ignore[arg-type]
                assert touched == 0, (table, attempt)
            except psycopg.errors.InsufficientPrivilege:
                pass  # not even to its own rows
    with psycopg.connect(superuser_url) as connection:
        for table in seeded:
            left = connection.execute(sql.SQL("select 1 from {} where tenant_id = %s").format(sql.Identifier(table)), (THEIRS,)).fetchall()
            assert len(left) == 1, table


def test_no_row_can_be_planted_in_another_tenants_name(seeded: list[str], shared_database: Database) -> None:
    """With every column that the role may write, so that it is the wall that refuses wherever anything may be written at all."""
    for table in seeded:
        with shared_database.tenant(MINE) as conn:
            may = conn.execute(
                "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped "
                "and has_column_privilege(attrelid, attnum, 'insert')",
                (table,),
            ).fetchall()
        columns = sql.SQL(", ").join(sql.Identifier(row["attname"]) for row in may or [{"attname": "tenant_id"}])
        planted = sql.SQL(
            "insert into {table} ({columns}) select {columns} from "
            "(select (jsonb_populate_record(mine, jsonb_build_object('tenant_id', %s::text))).* from {table} as mine) as theirs"
        ).format(table=sql.Identifier(table), columns=columns)
        refused = "row-level security" if may else "permission denied"
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=refused), shared_database.tenant(MINE) as conn:
            conn.execute(planted, (THEIRS,))


def test_without_a_tenant_nothing_is_visible(seeded: list[str], shared_database: Database) -> None:
    with psycopg.connect(shared_database.app_url) as connection:
        for table in seeded:
            assert connection.execute(sql.SQL("select 1 from {}").format(sql.Identifier(table))).fetchall() == [], table


def test_services_do_not_find_the_other_tenants_work(shared_database: Database) -> None:
    mine, other = Desk(shared_database), Desk(shared_database)
    mine.contact()
    proposed = mine.runnable()
    with shared_database.tenant(other.tenant) as conn:
        assert intents.listing(conn, tenant_id=mine.tenant).items == ()
        assert approvals.listing(conn, tenant_id=mine.tenant, state=None).items == ()
        for tenant in (mine.tenant, other.tenant):
            with pytest.raises(NotFound):
                intents.read(conn, tenant, proposed.intent_id)
            with pytest.raises(NotFound):
                approvals.show(conn, tenant, proposed.approval_id or "")
    with pytest.raises(NotFound):
        other.execute(proposed.intent_id)
    assert other.provider.performed == 0
