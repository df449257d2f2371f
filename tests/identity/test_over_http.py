"""The gateway's door: a key or a token, counted, of one tenant only."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from spine.db import Database
from spine.errors import Misconfigured
from spine.gateway.app import create_app
from spine.gateway.rates import Rates
from spine.identity import Role
from spine.identity.oidc import Oidc
from spine.settings import Settings
from spine.testing.issuer import FakeIssuer
from tests.gateway.conftest import Door, services_over

Refused = Callable[..., dict[str, Any]]
EVENT = {"type": "deal.won", "data": {}}


@pytest.fixture
def trusting(database: Database, issuer: FakeIssuer, oidc: Oidc) -> Door:
    """A gateway that takes keys, and tokens of one issuer."""
    services = services_over(database, settings=issuer.settings(), oidc=oidc)
    return Door(TestClient(create_app(services)), services, database)


def limited(database: Database, **limits: str) -> Door:
    services = services_over(database, rates=Rates.from_settings(Settings.model_validate(limits)))
    return Door(TestClient(create_app(services)), services, database)


def _bearing(door: Door, token: str, path: str = "/v1/approvals", **more: Any) -> Any:
    return door.client.get(path, headers={"Authorization": f"Bearer {token}"}, **more)


def test_a_token_of_the_issuer_opens_its_own_tenant_and_no_other(trusting: Door, issuer: FakeIssuer) -> None:
    trusting.message()
    trusting.message(tenant="rival")
    [mine] = _bearing(trusting, issuer.token()).json()["items"]
    [theirs] = _bearing(trusting, issuer.token(tenant="rival")).json()["items"]
    assert mine["approval_id"] != theirs["approval_id"]


@pytest.mark.parametrize("key_id", [["key-1"], {"id": "key-1"}, 1, True])
def test_a_token_whose_key_id_is_no_text_is_refused_and_is_no_fault_of_ours(trusting: Door, refused: Refused, key_id: object) -> None:
    header = urlsafe_b64encode(json.dumps({"alg": "RS256", "kid": key_id}).encode()).decode().rstrip("=")
    refused(_bearing(trusting, f"{header}.e30.AA"), 401, "not-authenticated", "JWT")


def test_a_person_is_the_same_person_by_token_and_by_key(trusting: Door, issuer: FakeIssuer, refused: Refused) -> None:
    approval_id = trusting.statement()
    headers = {"Authorization": f"Bearer {issuer.token()}", "Idempotency-Key": "one"}
    path = f"/v1/approvals/{approval_id}/decisions"
    first = trusting.client.post(path, json={"verdict": "approve"}, headers=headers)
    assert (first.status_code, first.json()["approvals_remaining"]) == (201, 1)
    refused(trusting.post(path, {"verdict": "approve"}, "ana"), 409, "approval-refused", "'ana' has decided")


def test_a_program_with_a_token_decides_nothing(trusting: Door, issuer: FakeIssuer, refused: Refused) -> None:
    headers = {"Authorization": f"Bearer {issuer.token(gty='client-credentials')}", "Idempotency-Key": "one"}
    answer = trusting.client.post(f"/v1/approvals/{trusting.message()}/decisions", json={"verdict": "approve"}, headers=headers)
    refused(answer, 403, "not-allowed", "people decide")


def test_a_token_that_does_not_hold_is_401_and_an_issuer_that_is_away_503(trusting: Door, issuer: FakeIssuer, refused: Refused) -> None:
    refused(_bearing(trusting, issuer.token(aud="else")), 401, "not-authenticated", "another audience")
    issuer.is_down = True
    fresh = Oidc(trusting.services.oidc.config) if trusting.services.oidc else None
    door = Door(TestClient(create_app(services_over(trusting.database, oidc=fresh))), trusting.services, trusting.database)
    answer = _bearing(door, issuer.token())
    refused(answer, 503, "provider-unavailable", "try again")
    assert answer.headers["retry-after"]
    assert door.get("/v1/approvals").status_code == 200, "keys need no issuer"


def test_without_an_issuer_a_token_is_no_key(door: Door, issuer: FakeIssuer, refused: Refused) -> None:
    refused(_bearing(door, issuer.token()), 401, "not-authenticated", "not an API key")


@pytest.mark.parametrize(
    "named",
    [
        {"tenant_id": "rival"},
        {"payload": {"tenant_id": "rival"}},
        {"payload": {"tenantId": "rival"}},
        {"payload": {"cross_tenant_context": True}},
    ],
)
def test_a_tenant_named_anywhere_in_a_task_is_the_keys_own_or_a_security_event(door: Door, refused: Refused, named: dict[str, Any]) -> None:
    body = {"automation": "contract-signature", "key": "D-1", **named}
    refused(door.post("/v1/tasks", body), 403, "tenant-mismatch")
    assert door.count("audit_log", "action = 'tenant.mismatch' and severity = 'V2'") == 1
    assert door.count("events", "type = 'spine.governance.policy_violation_detected.v1' or type like '%violation%'") == 1
    assert door.count("intents") == 0


def test_the_same_in_an_events_data_in_the_query_and_in_the_header(door: Door, refused: Refused) -> None:
    data = {"deal_id": "D-1", "tenant_id": "rival"}
    refused(door.post("/v1/events", {"type": "deal.won", "data": data}), 403, "tenant-mismatch", "'rival'")
    refused(door.get("/v1/approvals", params={"tenant_id": "rival"}), 403, "tenant-mismatch")
    refused(door.get("/v1/approvals", headers={"X-Tenant-Id": "rival"}), 403, "tenant-mismatch")
    assert door.get("/v1/approvals", params={"tenant_id": "acme"}, headers={"X-Tenant-Id": "acme"}).status_code == 200


def test_a_key_has_its_share_and_the_answer_says_when_there_is_more(database: Database, refused: Refused) -> None:
    door = limited(database, rate_limit="3/minute")
    assert [door.get("/v1/approvals", "ana").status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = door.get("/v1/approvals", "ana")
    refused(answer, 429, "rate-limited", "as many calls")
    assert 0 < int(answer.headers["retry-after"]) <= 61
    assert answer.headers["ratelimit-policy"] == '"key";q=3;w=60'
    assert answer.headers["ratelimit"].startswith('"key";r=0;t=')
    assert door.get("/v1/approvals", "bob").status_code == 200, "another key has a share of its own"


def test_a_task_that_was_asked_for_before_takes_two_transactions_and_one_call_of_the_share(database: Database) -> None:
    door = limited(database, rate_limit="3/minute")
    task = {"automation": "contract-signature", "key": "D-1", "payload": {"deal_id": "D-1", "value": "10.00"}}
    answers = [door.post("/v1/tasks", task, key=f"call-{number}") for number in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert len({answer.json()["intent_id"] for answer in answers[:3]}) == 1


def test_who_guesses_is_stopped_and_who_is_known_here_is_not(database: Database, refused: Refused) -> None:
    door = limited(database, failure_limit="3/minute")
    assert door.get("/v1/approvals", "ana").status_code == 200
    guess = door.key("ana")[:-3] + "AAA"
    assert [_bearing(door, guess).status_code for _ in range(4)] == [401, 401, 401, 429]
    refused(_bearing(door, guess), 429, "rate-limited", "wrong credentials")
    refused(_bearing(door, door.key("new")), 429, "rate-limited", "wrong credentials")
    assert door.get("/v1/approvals", "ana").status_code == 200
    assert _bearing(door, "nonsense").status_code == 401, "what has no form of a key is no guess at one"


def test_wrong_tokens_count_as_guesses_too(database: Database, refused: Refused) -> None:
    door = limited(database, failure_limit="3/minute")
    door.message()
    codes = [
        door.client.post("/v1/approvals/decide-by-token", json={"token": f"a.b.{n}", "verdict": "approve"}).status_code for n in range(5)
    ]
    assert codes == [401, 401, 401, 429, 429]


def test_a_limit_that_cannot_be_read_is_named() -> None:
    with pytest.raises(Misconfigured, match="SPINE_RATE_LIMIT='often'"):
        Rates.from_settings(Settings.model_validate({"rate_limit": "often"}))
    Rates.from_settings(Settings.model_validate({"rate_limit": "off", "failure_limit": "off"})).admit("key", "address")


def test_only_an_admin_writes_the_directory_and_each_change_is_on_record(door: Door, refused: Refused) -> None:
    body = {"person": "lea", "function": "legal", "delegate": "sam"}
    refused(door.post("/v1/approvers", body, "ana"), 403, "not-allowed", "takes 'admin'")
    root = {"person": "root", "role": Role.ADMIN}
    added = door.post("/v1/approvers", body, **root)
    assert (added.status_code, added.json()["delegate"]) == (201, "sam")
    refused(door.post("/v1/approvers", {**body, "function": "wizard"}, **root), 400, "invalid-input", "wizard")
    away = {"person": "lea", "absent_from": "2026-11-22T00:00:00Z", "absent_until": "2026-12-01T00:00:00Z"}
    assert door.post("/v1/approvers/absences", away, **root).json()["items"][0]["absent_until"] == "2026-12-01T00:00:00Z"
    assert door.post("/v1/approvers/delegations", {"person": "lea", "delegate": None}, **root).json()["items"][0]["delegate"] is None
    door.post("/v1/approvers", {"person": "eva", "function": "executive"}, **root)
    page = door.get("/v1/approvers", params={"limit": 1}).json()
    rest = door.get("/v1/approvers", params={"limit": 1, "cursor": page["next"]}).json()
    assert [one["person"] for one in (*page["items"], *rest["items"])] == ["eva", "lea"]
    assert rest["next"] is None
    assert door.post("/v1/approvers/removals", {"person": "lea"}, **root).json()["items"][0]["active"] is False
    refused(door.post("/v1/approvers/removals", {"person": "lea"}, **root), 404, "not-found", "'lea'")
    assert door.get("/v1/approvers", tenant="rival").json() == {"items": [], "next": None}
    assert door.count("audit_log", "action like 'approver.%' and actor_id = 'root'") == 5
