"""Two tenants with rows in every table: neither sees one of the other through any endpoint, page or command, or changes one.

The endpoints, the pages and the commands are walked, not listed: whoever adds one is tested by it. Only what has no end (the streams)
or no tenant (the stack's own commands) is named.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
import typer
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from psycopg import sql
from starlette.routing import Mount
from typer.testing import CliRunner

from spine.cli import app as command_line
from spine.db import Database
from spine.errors import SpineError
from spine.gateway import openapi
from spine.gateway.app import create_app
from spine.identity import Role
from spine.policy.table import TABLE
from spine.registry import Registry
from spine.stack.postgres import EmbeddedPostgres
from tests.gateway.conftest import NOON, Door, registry, services_over
from tests.gateway.marked import MARK, THEIRS, Marked, mark
from tests.gateway.test_openapi import routes_of

ENDLESS = ("/v1/stream", "/stream")  # tests.gateway.test_stream holds two tenants apart in those


@pytest.fixture
def marked(postgres: EmbeddedPostgres, database_name: str, door: Door) -> Marked:
    """Tenant `acme` in the middle of its work, and `rival` with a marked row in every table besides records of its own making."""
    for tenant in ("acme", THEIRS):
        said = MARK if tenant == THEIRS else "mine"
        door.message(tenant=tenant, key=f"lead-{said}", correlation_id=f"flow-{said}")
        task = {"automation": "contract-signature", "key": f"D-{said}", "payload": {"deal_id": f"D-{said}", "value": "1.00"}}
        assert door.post("/v1/tasks", task, tenant=tenant).is_success
    return mark(postgres.url(database=database_name))


def leaks(text: str, marked: Marked, *asked: str) -> list[str]:
    """What of the other tenant a text shows; what was asked for by name may be named in a refusal."""
    for value in sorted(asked, key=len, reverse=True):
        text = text.replace(value, "")
    return sorted({found for found in (MARK, *marked.ids()) if found in text})


def theirs(name: str, marked: Marked) -> list[str]:
    """Values of the other tenant for a parameter of this name."""
    return list(dict.fromkeys(marked.values.get(name, [f"{MARK}-{name}"])))[:6]


def test_every_table_with_a_tenant_is_seeded_for_both_walls(marked: Marked, postgres: EmbeddedPostgres, database_name: str) -> None:
    with psycopg.connect(postgres.url(database=database_name)) as connection:
        for table in marked.tables:
            counted = sql.SQL("select count(*) from {} where tenant_id = %s").format(sql.Identifier(table))
            row = connection.execute(counted, (THEIRS,)).fetchone()
            assert row is not None
            assert row[0] > 0, f"nothing of the other tenant in {table!r}: a leak of it would not be seen"
    assert {"intents", "events", "audit_log", "api_keys", "budget_books", "approvers", "console_sessions"} <= set(marked.tables)


def test_no_endpoint_shows_anything_of_the_other_tenant(door: Door, marked: Marked) -> None:
    asked = 0
    for method, path, operation in openapi.operations(door.client.get("/openapi.json").json()):
        if method != "get" or path in ENDLESS:
            continue
        parameters = operation.get("parameters", ())
        for values in _filled(path, parameters, marked):
            answer = door.get(values[0], "root", role=Role.ADMIN, params=values[1])
            assert answer.status_code < 500, (values, answer.text)
            assert leaks(answer.text, marked, *values[2]) == [], (path, values, answer.text)
            asked += 1
    assert asked > 60


def _filled(path: str, parameters: Any, marked: Marked) -> Iterator[tuple[str, dict[str, str], list[str]]]:
    """Addresses with the other tenant's ids in them: path, query, and what was asked for by name."""
    inside = [one["name"] for one in parameters if one["in"] == "path"]
    if not inside:
        yield path, {}, []
        for one in parameters:
            if one["in"] == "query" and one["name"] not in ("limit", "cursor", "tenant_id"):
                for value in theirs(one["name"], marked):
                    yield path, {one["name"]: value}, [value]
        return
    for value in theirs(inside[0], marked):
        filled = path
        for name in inside:
            filled = filled.replace(f"{{{name}}}", value)
        yield filled, {}, [value]


def test_no_write_reaches_a_record_of_the_other_tenant(door: Door, marked: Marked, postgres: EmbeddedPostgres, database_name: str) -> None:
    records = ("intents", "approvals", "dead_letters", "webhook_endpoints")

    def all_of_theirs() -> list[Any]:
        whole = "select t::text from {} t where tenant_id = %s order by 1"
        with psycopg.connect(postgres.url(database=database_name)) as connection:
            return [connection.execute(sql.SQL(whole).format(sql.Identifier(one)), (THEIRS,)).fetchall() for one in records]

    before, tried = all_of_theirs(), 0
    for method, path, operation in openapi.operations(door.client.get("/openapi.json").json()):
        names = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "path" and one["name"].endswith("_id")]
        if method == "get" or not names or not operation.get("security"):
            continue
        media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        for value in theirs(names[0], marked):
            headers = {"Authorization": f"Bearer {door.key('root', role=Role.ADMIN)}", "Idempotency-Key": f"{path}-{value}"}
            address = path.replace(f"{{{names[0]}}}", value)
            answer = door.client.request(method.upper(), address, headers=headers, json=media.get("example"))
            assert answer.status_code == 404, (method, address, answer.text)
            tried += 1
    assert tried > 10
    assert all_of_theirs() == before


def test_no_page_of_the_console_shows_anything_of_the_other_tenant(door: Door, marked: Marked) -> None:
    browser = TestClient(create_app(services_over(door.database)), follow_redirects=True)
    assert browser.post("/console/login", data={"key": door.key("root", role=Role.ADMIN), "next": ""}).is_success
    (console,) = [route.app for route in browser.app.routes if isinstance(route, Mount)]  # type: ignore[attr-defined]
    opened = 0
    for route in routes_of(console.routes):
        if "GET" not in route.methods or route.path in ENDLESS or route.path.startswith(("/static", "/login")):
            continue
        for address, asked in _pages(route, marked):
            answer = browser.get(address)
            assert answer.status_code < 500, (address, answer.text[:2000])
            assert leaks(answer.text, marked, *asked) == [], (address, leaks(answer.text, marked, *asked))
            opened += 1
    assert opened > 15


def _pages(route: APIRoute, marked: Marked) -> Iterator[tuple[str, list[str]]]:
    names = re.findall(r"{(\w+)", route.path)
    if not names:
        yield f"/console{route.path}", []
        for field in route.dependant.query_params:
            for value in theirs(field.name, marked):
                yield f"/console{route.path}?{field.name}={value}", [value]
        return
    for value in theirs(names[0], marked):
        yield "/console" + re.sub(r"{[\w:]+}", value, route.path), [value]


OF_THE_STACK = {"up", "down", "status", "doctor", "reset", "demo"}
WRITES = {
    *("contacts add", "contacts consent", "contacts opt-out", "contacts erase", "contacts rewrap", "contacts received", "contacts bounce"),
    *("contacts complaint", "contacts resume", "contacts template", "events publish", "approvals approve", "approvals edit"),
    *("approvals reject", "intents reconcile", "intents settle", "dead-letters retry", "dead-letters discard", "dead-letters edit"),
    *("dead-letters bulk", "dead-letters reset", "canary set", "canary hold", "canary release", "switches engage", "switches release"),
    *("budgets set", "budgets remove", "budgets release", "budgets sweep", "audit seal", "sweep", "approvers add", "approvers absent"),
    *("approvers present", "approvers delegate", "approvers remove", "webhooks add", "webhooks rotate", "webhooks enable"),
    *("webhooks remove", "webhooks ping", "keys issue", "keys revoke", "keys rotate", "keys webhook-secret add"),
    *("keys webhook-secret rotate", "keys webhook-secret revoke"),
}
GIVEN = {"name": "contract-signature", "automation": "contract-signature", "event_type": "deal.won", "candidate": str(TABLE)}


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """The leaves of the command line's tree, by what is typed."""
    if not hasattr(command, "list_commands"):
        yield " ".join(path), command
        return
    for name in command.list_commands(click.Context(command)):
        yield from commands(command.get_command(click.Context(command), name), (*path, name))


def test_no_command_that_reads_shows_anything_of_the_other_tenant(
    door: Door, database: Database, marked: Marked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Registry, "load", registry)
    monkeypatch.setattr("spine.telemetry.shutdown", lambda: None)
    monkeypatch.chdir(tmp_path)
    environment = {
        "SPINE_HOME": str(tmp_path),
        "SPINE_TENANT": "acme",
        "SPINE_DATABASE_URL": database.app_url,
        "SPINE_API_KEY": door.key("root", role=Role.ADMIN),
        "SPINE_CLOCK": f"{NOON.isoformat()}@1",
    }
    ran = []
    for typed, command in commands(typer.main.get_command(command_line)):
        if typed in OF_THE_STACK | WRITES:
            continue
        for arguments, asked in _arguments(command, marked, tmp_path):
            for flags in ([], ["--json"]) if any("--json" in one.opts for one in command.params) else ([],):
                done = CliRunner().invoke(command_line, [*typed.split(), *arguments, *flags], env=environment)
                if done.exception is not None and not isinstance(done.exception, (SpineError, SystemExit)):
                    raise done.exception
                assert done.exit_code != 2, f"`spine {typed}` is not typed like this, or it is a write: {done.output}"
                written = "".join(file.read_text(errors="replace") for file in tmp_path.rglob("*") if file.is_file())
                said = f"{done.output}{done.exception or ''}{written}"
                assert leaks(said, marked, *asked) == [], (typed, arguments, said)
        ran.append(typed)
    assert len(ran) > 20, ran


def _arguments(command: Any, marked: Marked, folder: Path) -> Iterator[tuple[list[str], list[str]]]:
    needed = [one for one in command.params if one.required]
    if not needed:
        yield [], []
        return
    for value in theirs(needed[0].name, marked) if needed[0].name not in GIVEN else [GIVEN[needed[0].name]]:
        typed: list[str] = []
        for one in needed:
            word = str(folder / "export") if one.name == "to" else GIVEN.get(one.name, value)
            typed += [word] if one.param_type_name == "argument" else [one.opts[0], word]
        yield typed, [value]
