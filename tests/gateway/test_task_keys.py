"""A task whose payload carries the automation's event has that event's key: one lead, one workflow, however it is asked for."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from orchestration.automations import AUTOMATIONS
from spine.db import Database
from spine.gateway.app import create_app
from spine.registry import Registry
from tests.gateway.conftest import Door, services_over

Refused = Callable[..., dict[str, Any]]
LEAD = {
    "lead_id": "L-1",
    "account": "Globex",
    "contact_id": "contact/globex",
    "product": "GTX Plus Basic",
    "sales_agent": "Ana",
    "score": 0.9,
    "band": "hot",
    "dataset_version": "v1",
}
DEAL = {
    "deal_id": "D-1",
    "account": "Globex",
    "contact_id": "contact/globex",
    "product": "GTX Plus Basic",
    "sales_agent": "Ana",
    "value": {"amount": "10.00", "currency": "SAR"},
    "closed_on": "2026-11-22",
}
TASKS = [
    ({"automation": "outreach-sequence", "payload": {"lead": LEAD, "clock": ""}}, "L-1"),
    ({"automation": "contract-signature", "payload": {"deal": DEAL, "clock": ""}}, "D-1"),
]


@pytest.fixture
def shipped(database: Database) -> Door:
    """A gateway over the automations that ship."""
    services = replace(services_over(database), registry=Registry.of(AUTOMATIONS))
    return Door(TestClient(create_app(services)), services, database)


@pytest.mark.parametrize(("task", "key"), TASKS)
def test_the_key_may_be_left_out_and_is_then_the_recipes(shipped: Door, task: dict[str, Any], key: str) -> None:
    for body in (task, {**task, "key": key}):
        answer = shipped.post("/v1/tasks", body)
        assert answer.status_code == 202, answer.json()
        assert (answer.json()["key"], answer.json()["workflow_id"]) == (key, f"acme/{task['automation']}/{key}")
    asked = [item["event"]["subject"] for item in shipped.get("/v1/events").json()["items"]]
    assert asked == [key], "asked for twice, it is one task"


@pytest.mark.parametrize(("task", "key"), TASKS)
def test_another_key_than_the_payloads_is_refused_naming_the_right_one(
    shipped: Door, refused: Refused, task: dict[str, Any], key: str
) -> None:
    refused(shipped.post("/v1/tasks", {**task, "key": "another"}), 422, "schema-violation", "'another'", f"{key!r}")
    assert shipped.count("events") == shipped.count("audit_log") == 0


def test_the_root_says_where_things_are_without_a_key(door: Door) -> None:
    answer = door.client.get("/")
    assert answer.status_code == 200
    assert {"docs": "/docs", "approvals": "/v1/approvals"}.items() <= answer.json().items()
    described = door.client.get("/openapi.json").json()["paths"]
    assert {where for where in answer.json().values() if where.startswith(("/v1", "/health"))} <= set(described)
    assert door.client.get(answer.json()["docs"]).status_code == 200
