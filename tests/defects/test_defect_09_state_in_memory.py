"""Defect 9: approvals, escalations, runs and receipts were kept in the memory of the process that served them.

A restart forgot who had been asked and what had been done, and what was under way was neither done nor undone. Here everything that
the gateway answers with is a row that was committed before the answer, and an answer that was never given left no row.
"""

from pathlib import Path
from typing import Any

import httpx
import pytest

from spine.clock import BusinessClock
from spine.db import Database
from spine.identity import Role, issue_key
from spine.policy import engage
from spine.policy.switches import Scope
from spine.stack.postgres import EmbeddedPostgres
from tests.gateway.conftest import ROBOT
from tests.gateway.process import gateway
from tests.gateway.test_task_keys import LEAD

TASK = {"automation": "outreach-sequence", "payload": {"lead": LEAD, "clock": ""}}
TABLES = ("intents", "events", "audit_log", "idempotent_calls")


class Caller:
    def __init__(self, database: Database) -> None:
        self.database = database
        with database.tenant("acme") as conn:
            self._key = issue_key(conn, tenant_id="acme", principal_id="omar", role=Role.OPERATOR)

    def post(self, url: str, key: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._key}", "Idempotency-Key": key}
        return httpx.post(f"{url}/v1/tasks", json=TASK, headers=headers, timeout=30)

    def get(self, url: str, path: str) -> Any:
        return httpx.get(f"{url}{path}", headers={"Authorization": f"Bearer {self._key}"}, timeout=30).raise_for_status().json()

    def counts(self) -> tuple[int, ...]:
        with self.database.tenant("acme") as conn:
            rows = [conn.execute(f"select count(*) as n from {table}").fetchone() for table in TABLES]
        return tuple(int(row["n"]) for row in rows if row)


def test_what_was_answered_survives_a_kill_of_the_gateway(
    postgres: EmbeddedPostgres, database_name: str, database: Database, tmp_path: Path
) -> None:
    caller, address = Caller(database), postgres.url("spine_app", database_name)
    with gateway(address, tmp_path) as url:
        first = caller.post(url, "task-1").json()
        with database.tenant("acme") as conn:
            engage(conn, tenant_id="acme", scope=Scope.TENANT, target="acme", reason="incident", actor=ROBOT, now=BusinessClock().now())
        refused = caller.post(url, "task-2")
    with gateway(address, tmp_path) as url:
        assert caller.get(url, f"/v1/intents/{first['intent_id']}")["state"] == "completed"
        assert [step["plane"] for step in caller.get(url, f"/v1/journeys/{first['correlation_id']}")["steps"]].count("audit") == 4
        again = caller.post(url, "task-1")
        assert (again.json(), again.headers["idempotent-replayed"]) == (first, "true"), "the answer is remembered, not the work repeated"
        assert (refused.status_code, caller.post(url, "task-2").status_code) == (202, 202), "asked for before: the same task"


@pytest.mark.parametrize(
    "moment",
    [{"dies_before": "spine.gateway.idempotency.remember"}, {"dies_after": "spine.gateway.idempotency.remember"}],
    ids=["before the answer is kept", "before the commit"],
)
def test_a_kill_in_the_middle_of_a_task_leaves_nothing_of_it_and_the_same_call_does_it_once(
    postgres: EmbeddedPostgres, database_name: str, database: Database, tmp_path: Path, moment: dict[str, str]
) -> None:
    caller, address = Caller(database), postgres.url("spine_app", database_name)
    with gateway(address, tmp_path, **moment) as url, pytest.raises(httpx.HTTPError):
        caller.post(url, "once")
    assert caller.counts() == (0, 0, 0, 0)
    with gateway(address, tmp_path) as url:
        assert caller.post(url, "once").json()["state"] == "completed"
    assert caller.counts() == (1, 1, 4, 1)
