"""Webhook endpoints at the command line and over HTTP."""

import pytest

from spine.identity import Role
from spine.settings import Settings
from tests.cli.conftest import Spine, office, spine  # noqa: F401 - fixtures
from tests.gateway.conftest import Door, door  # noqa: F401 - fixtures

ADA = {"person": "ada", "role": Role.ADMIN}
URL = "https://93.184.216.34/hook"  # an address that asks no name service


def test_an_endpoint_is_added_listed_rotated_pinged_and_removed(spine: Spine, office: Door) -> None:  # noqa: F811
    made = spine("webhooks", "add", URL, "--event", "deal.won", "--json", **ADA).json()
    assert made["secret"].startswith("whsec_")
    (only,) = spine("webhooks", "list", "--json", person="vic", role=Role.VIEWER).json()
    assert (only["endpoint_id"], only["event_types"], only["state"]) == (made["endpoint_id"], ["deal.won"], "active")
    rotated = spine("webhooks", "rotate", made["endpoint_id"], "--json", **ADA).json()
    assert rotated["secret"] != made["secret"]
    assert spine("webhooks", "list", "--json", **ADA).json()[0]["active_secrets"] == 2
    assert "is on its way" in spine("webhooks", "ping", made["endpoint_id"], **ADA).out
    assert spine("webhooks", "deliveries", "--json", **ADA).json() == []
    assert (
        spine("webhooks", "enable", made["endpoint_id"], **ADA).code == 7 or spine("webhooks", "enable", made["endpoint_id"], **ADA).error
    )
    assert spine("webhooks", "remove", made["endpoint_id"], **ADA).code == 0
    assert spine("webhooks", "list", "--json", **ADA).json() == []
    assert office.count("audit_log", "action like 'webhook_endpoint.%' and actor_id = 'ada'") == 4


@pytest.mark.parametrize("url", ["https://127.0.0.1/x", "http://93.184.216.34/x", "https://10.0.0.1/", "nonsense"])
def test_what_may_not_be_told_is_refused_at_the_door(spine: Spine, office: Door, url: str) -> None:  # noqa: F811
    assert spine("webhooks", "add", url, **ADA).code == 6
    assert spine("webhooks", "add", URL, "--event", "no.such", **ADA).code == 6
    assert office.count("webhook_endpoints") == 0


def test_it_takes_an_admin_and_another_tenants_endpoint_is_not_there(spine: Spine) -> None:  # noqa: F811
    assert spine("webhooks", "add", URL).code == 5
    made = spine("webhooks", "add", URL, "--json", **ADA).json()
    for command in ("rotate", "remove", "ping", "enable"):
        assert spine("webhooks", command, made["endpoint_id"], tenant="rival", **ADA).code == 4, command
    assert spine("webhooks", "list", "--json", tenant="rival", **ADA).json() == []


def test_over_http_the_secret_is_shown_once_and_not_kept_with_the_answer(door: Door) -> None:  # noqa: F811
    body = {"url": URL, "event_types": ["deal.won"]}
    made = door.post("/v1/webhook-endpoints", body, "ada", role=Role.ADMIN, key="k1")
    assert made.status_code == 201, made.json()
    secret = made.json()["secret"]
    again = door.post("/v1/webhook-endpoints", body, "ada", role=Role.ADMIN, key="k1")
    assert (again.json()["endpoint_id"], again.json()["secret"]) == (made.json()["endpoint_id"], None)
    assert door.count("idempotent_calls", f"body::text like '%{secret}%'") == 0
    one = f"/v1/webhook-endpoints/{made.json()['endpoint_id']}"
    assert "secret" not in door.get(one).json()
    turned = door.post(f"{one}/rotate", {"overlap_hours": 1}, "ada", role=Role.ADMIN).json()
    assert turned["secret"].startswith("whsec_")
    assert turned["active_secrets"] == 2
    assert door.post(f"{one}/ping", {}, "ada", role=Role.ADMIN).status_code == 202
    assert door.get(f"{one}/deliveries").json() == {"items": [], "next": None}
    assert door.get("/v1/webhook-endpoints", tenant="rival").json()["items"] == []
    assert door.get(one, tenant="rival").status_code == 404
    gone = door._call("DELETE", one, "ada", "acme", Role.ADMIN, {"headers": {"Idempotency-Key": "k9"}})
    assert (gone.status_code, gone.json()["state"]) == (200, "removed")


def test_over_http_it_takes_an_admin_and_a_public_address(door: Door) -> None:  # noqa: F811
    assert not Settings().webhooks_may_be_private
    assert door.post("/v1/webhook-endpoints", {"url": URL}, "olga", role=Role.OPERATOR).status_code == 403
    for url in ("https://169.254.169.254/latest", "http://93.184.216.34/"):
        assert door.post("/v1/webhook-endpoints", {"url": url}, "ada", role=Role.ADMIN).status_code == 400, url
