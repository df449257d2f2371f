"""Budgets at the command line and over HTTP: who may, what it says, and that it is on record."""

from uuid import uuid4

import pytest

from spine import budgets
from spine.identity import Role
from tests.cli.conftest import Spine, office, spine  # noqa: F401 - fixtures
from tests.gateway.conftest import NOON, Door, door  # noqa: F401 - fixtures

ADA = {"person": "ada", "role": Role.ADMIN}


def put(door: Door, name: str, body: dict[str, object], person: str = "ada", role: Role = Role.ADMIN, key: str | None = None):  # type: ignore[no-untyped-def]  # noqa: F811
    headers = {"Idempotency-Key": key or str(uuid4())}
    return door._call("PUT", f"/v1/budgets/{name}", person, "acme", role, {"json": body, "headers": headers})


def test_a_limit_is_set_listed_shown_and_lifted_by_an_admin_and_on_record(spine: Spine, office: Door) -> None:  # noqa: F811
    assert "at most 50 USD" in spine("budgets", "set", "tenant-month", "--money", "50", **ADA).out
    (only,) = spine("budgets", "list", "--json", person="vic", role=Role.VIEWER).json()
    assert (only["budget"], only["limit"]["money"], only["level"]) == ("tenant-month", "50", "ok")
    assert "tenant-month" in spine("budgets", "show", "tenant-month", **ADA).out
    assert spine("budgets", "remove", "tenant-month", **ADA).code == 0
    assert spine("budgets", "show", "tenant-month", **ADA).code == 4
    for action in ("budget.limited", "budget.unlimited"):
        assert office.count("audit_log", f"action = '{action}' and actor_id = 'ada' and subject_id = 'tenant-month'") == 1


def test_only_an_admin_sets_limits_and_nonsense_is_refused(spine: Spine, office: Door) -> None:  # noqa: F811
    assert spine("budgets", "set", "tenant-day", "--money", "1").code == 5
    for arguments in (
        ("tenant-day",),
        ("week", "--money", "1"),
        ("tenant-day", "--money", "much"),
        ("run", "--money", "1", "--currency", "EUR"),
    ):
        assert spine("budgets", "set", *arguments, **ADA).code == 6, arguments
    assert office.count("budget_limits") == 0


def test_a_reservation_that_nobody_settled_is_shown_and_released(spine: Spine, office: Door) -> None:  # noqa: F811
    from decimal import Decimal

    with office.database.tenant("acme") as conn:
        made = budgets.reserve(
            conn, tenant_id="acme", automation="thinking", workflow_id="acme/thinking/1", purpose="model/x", tokens=5, money=Decimal(1),
            now=NOON,
        )  # fmt: skip
    (held,) = spine("budgets", "held", "--json", **ADA).json()
    assert held["reservation_id"] == str(made.reservation_id)
    assert "0 reservation" in spine("budgets", "sweep", **ADA).out
    done = spine("budgets", "release", held["reservation_id"], "--not-spent", "--reason", "the provider's bill", **ADA)
    assert "given back" in done.out
    assert spine("budgets", "held", "--json", **ADA).json() == []


def test_over_http_limits_are_put_listed_by_pages_and_deleted(door: Door) -> None:  # noqa: F811
    for name in ("tenant-day", "tenant-month", "run:thinking"):
        answer = put(door, name, {"money": "50.00", "currency": "SAR"})
        assert answer.status_code == 200, answer.json()
    first = door.get("/v1/budgets?limit=2").json()
    second = door.get(f"/v1/budgets?limit=2&cursor={first['next']}").json()
    assert [one["budget"] for one in first["items"] + second["items"]] == ["run:thinking", "tenant-day", "tenant-month"]
    assert second["next"] is None
    assert first["items"][0]["limit"] == {"tokens": None, "money": "13.333334", "currency": "USD"}
    gone = door._call("DELETE", "/v1/budgets/tenant-day", "ada", "acme", Role.ADMIN, {"headers": {"Idempotency-Key": "k"}})
    assert gone.status_code == 200
    assert door.count("budget_limits") == 2
    assert door.count("audit_log", "action = 'budget.limited'") == 3


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("tenant-day", {}, 400),
        ("tenant-day", {"money": "-1"}, 422),
        ("tenant-day", {"money": 1.5}, 422),
        ("tenant-day", {"money": "1", "currency": "EUR"}, 400),
        ("week", {"tokens": 1}, 400),
        ("tenant-day:x", {"tokens": 1}, 400),
    ],
)
def test_over_http_nonsense_is_refused(door: Door, name: str, body: dict[str, object], status: int) -> None:  # noqa: F811
    answer = put(door, name, body)
    assert (answer.status_code in (400, 422), answer.json()["status"]) == (True, answer.status_code), answer.json()
    assert door.count("budget_limits") == 0


def test_over_http_it_takes_an_admin_and_another_tenant_sees_nothing(door: Door) -> None:  # noqa: F811
    assert put(door, "tenant-day", {"tokens": 1}, person="olga", role=Role.OPERATOR).status_code == 403
    assert put(door, "tenant-day", {"tokens": 1}).status_code == 200
    assert door.get("/v1/budgets", tenant="rival").json()["items"] == []
