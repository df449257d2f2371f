"""A second tenant with a row in every table that has tenants, each text of it marked, so that a leak shows wherever it comes out."""

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from tests.governance.test_walls import ONE_OF_EACH, TENANT_TABLES

MARK = "zzrival"
THEIRS = "rival"


@dataclass(frozen=True, slots=True)
class Marked:
    """`values` are what the marked tenant's rows hold, by column: to ask for, and to look for."""

    tables: tuple[str, ...]
    values: dict[str, list[str]]

    def ids(self) -> set[str]:
        """Whatever names exactly one of its records."""
        return {value for name, values in self.values.items() if name.endswith("_id") for value in values if len(value) == 36}


def mark(superuser_url: str) -> Marked:
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")  # no foreign keys and no triggers: any row will do
        tables = tuple(name for (name,) in connection.execute(TENANT_TABLES))
        values: dict[str, list[str]] = {}
        for table in tables:
            _fill(connection, table)
            _collect(connection, table, values)
        return Marked(tables, values)


def _fill(connection: psycopg.Connection[Any], table: str) -> None:
    columns = connection.execute(
        "select column_name, data_type, is_nullable = 'NO' and column_default is null from information_schema.columns "
        "where table_schema = 'public' and table_name = %s and is_identity = 'NO' and is_generated = 'NEVER' "
        "and column_name <> 'tenant_id'",
        (table,),
    ).fetchall()
    checks = [
        str(check)
        for (check,) in connection.execute(
            "select pg_get_constraintdef(oid) from pg_constraint where conrelid = %s::regclass and contype = 'c'", (table,)
        )
    ]
    needed = {name: _value(name, kind, checks) for name, kind, must in columns if must}
    free = {name: _value(name, kind, checks) for name, kind, must in columns if not must and kind in ("text", "jsonb")}
    try:
        _insert(connection, table, {**needed, **free})
    except psycopg.errors.CheckViolation:
        _insert(connection, table, needed)  # some columns exclude each other


def _insert(connection: psycopg.Connection[Any], table: str, values: dict[str, str]) -> None:
    connection.execute(
        sql.SQL("insert into {} (tenant_id, {}) values ({}, {})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.Literal(THEIRS),
            sql.SQL(", ").join(sql.SQL(value) for value in values.values()),  # type: ignore[arg-type]
        )
    )


def _value(column: str, kind: str, checks: list[str]) -> str:
    for check in checks:
        if f"({column} = ANY" in check or f"(({column})::text = ANY" in check or f"({column} = '" in check:
            return "'" + check.split("'")[1] + "'"
    if kind == "text":
        return f"'{MARK}-{column.replace('_', '-')}'"
    return f'\'{{"{MARK}": "{MARK}"}}\'' if kind == "jsonb" else ONE_OF_EACH[kind]


def _collect(connection: psycopg.Connection[Any], table: str, values: dict[str, list[str]]) -> None:
    found = connection.execute(sql.SQL("select * from {} where tenant_id = %s").format(sql.Identifier(table)), (THEIRS,))
    names = [column.name for column in found.description or ()]
    for row in found:
        for name, value in zip(names, row, strict=True):
            if value is not None and not isinstance(value, (dict, list, bytes)) and str(value) != THEIRS:
                values.setdefault(name, []).append(str(value))
