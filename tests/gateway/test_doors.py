"""Keys, tenants, problems, health: what holds for every endpoint."""

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from spine.db import Database
from spine.gateway.app import create_app
from spine.gateway.limits import MAX_BODY_BYTES
from spine.identity import revoke_key
from tests.gateway.conftest import CONTRACT, Door, services_over

Refused = Callable[..., dict[str, Any]]
TASK = {"automation": "contract-signature", "key": "D-1", "payload": {"deal_id": "D-1", "value": "10.00"}}


def test_every_endpoint_takes_a_key_and_says_how_to_present_one(door: Door, refused: Refused) -> None:
    paths = door.client.get("/openapi.json").json()["paths"]
    guarded = [(method.upper(), path) for path, methods in paths.items() for method in methods if path.startswith("/v1/")]
    for proved_otherwise in ("/v1/webhooks/{tenant_id}/{provider}", "/v1/approvals/decide-by-token"):  # by what is signed
        guarded.remove(("POST", proved_otherwise))
    assert len(guarded) > 10
    for method, path in guarded:
        for headers in ({}, {"Authorization": "Basic b21hcjpw"}):
            answer = door.client.request(method, re.sub(r"{[\w:]+}", "x", path), headers=headers, json={} if method == "POST" else None)
            refused(answer, 401, "not-authenticated", "Bearer sk.")
            assert answer.headers["www-authenticate"] == "Bearer"


def test_a_wrong_or_revoked_key_is_refused(door: Door, refused: Refused) -> None:
    key = door.key("omar")
    refused(door.client.get("/v1/events", headers={"Authorization": f"Bearer {key}x"}), 401, "not-authenticated", "mistyped")
    with door.database.tenant("acme") as conn:
        revoke_key(conn, tenant_id="acme", key_id=key.rsplit(".", 2)[1])
    refused(door.get("/v1/events", "omar"), 401, "not-authenticated", "revoked")


def test_a_request_that_names_another_tenant_is_refused_and_goes_on_record(door: Door, refused: Refused) -> None:
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "x",
        "type": "outreach.replied",
        "tenantid": "rival",
        "data": {"lead_id": "L", "contact_id": "c", "channel": "email", "message_ref": "m"},
    }
    answers = (
        door.get("/v1/events", headers={"X-Tenant-ID": "rival"}),
        door.get("/v1/approvals", params={"tenant_id": "rival"}),
        door.post("/v1/tasks", {**TASK, "tenant_id": "rival"}),
        door.post("/v1/tasks", {**TASK, "payload": {"deal_id": "D-1", "value": "1", "tenant_id": "rival"}}),
        door.post("/v1/events", event),
    )
    for number, answer in enumerate(answers, start=1):
        refused(answer, 403, "tenant-mismatch", "'rival'")
        trace = {"correlation_id": answer.headers["x-correlation-id"]}
        (violation,) = door.get("/v1/events", params=trace).json()["items"]
        assert violation["event"]["type"] == "spine.governance.policy_violation_detected.v1"
        assert violation["event"]["data"]["severity"] == "V2", number
    assert door.count("audit_log", "action = 'tenant.mismatch' and severity = 'V2'") == len(answers)
    assert door.count("events") == len(answers), "what was asked for was not done"
    assert door.count("events", tenant="rival") == door.count("audit_log", tenant="rival") == 0


def test_naming_ones_own_tenant_is_fine(door: Door) -> None:
    assert door.post("/v1/tasks", {**TASK, "tenant_id": "acme"}, headers={"X-Tenant-ID": "acme"}).status_code == 202
    assert door.get("/v1/events", params={"tenant_id": "acme"}).status_code == 200


def test_two_tenants_see_nothing_of_each_other_at_any_endpoint(door: Door, refused: Refused) -> None:
    approvals = {tenant: door.message(tenant=tenant, correlation_id="shared-flow") for tenant in ("acme", "rival")}
    for tenant, other in (("acme", "rival"), ("rival", "acme")):
        mine = {"tenant": tenant}
        assert door.post("/v1/tasks", TASK, **mine).status_code == 202
        assert {i["event"]["tenantid"] for i in door.get("/v1/events", params={"limit": 200}, **mine).json()["items"]} == {tenant}
        assert [i["approval_id"] for i in door.get("/v1/approvals", **mine).json()["items"]] == [approvals[tenant]]
        intent_id = door.get(f"/v1/approvals/{approvals[tenant]}", **mine).json()["intent_id"]
        waiting = door.get("/v1/intents", params={"state": "awaiting_approval"}, **mine).json()["items"]
        assert [i["intent_id"] for i in waiting] == [intent_id]
        theirs = {"tenant": other}
        refused(door.get(f"/v1/approvals/{approvals[tenant]}", **theirs), 404, "not-found")
        refused(door.get(f"/v1/intents/{intent_id}", **theirs), 404, "not-found")
        decision = {"verdict": "approve", "reason": "not mine"}
        refused(door.post(f"/v1/approvals/{approvals[tenant]}/decisions", decision, **theirs), 404, "not-found")
        journey = door.get("/v1/journeys/shared-flow", **mine).json()
        assert journey["tenant_id"] == tenant
        assert approvals[other] not in str(journey)
    assert {door.count("approval_decisions", tenant=tenant) for tenant in approvals} == {0}


def test_the_same_idempotency_key_in_two_tenants_is_two_calls(door: Door) -> None:
    answers = [door.post("/v1/tasks", TASK, tenant=tenant, key="one") for tenant in ("acme", "rival")]
    assert [answer.json()["workflow_id"].split("/")[0] for answer in answers] == ["acme", "rival"]


def test_automations_are_listed_with_what_does_not_fit(door: Door) -> None:
    answer = door.get("/v1/automations").json()
    contract, thinking = answer["items"]
    assert (contract["name"], contract["runs"], contract["on"]) == ("contract-signature", "workflow contract-signature", ["deal.won"])
    assert contract["listens"] == ["signature.reported → envelope-reported"]
    assert thinking["name"] == "thinking"
    assert [finding["what"] for finding in answer["findings"]] == [
        "effect 'crm_deal_update' is carried out by plugin 'crm', which is not installed or does not know it"
    ]
    assert CONTRACT.name == answer["findings"][0]["automation"]


def test_an_unknown_path_and_a_wrong_method_are_problems_too(door: Door, refused: Refused) -> None:
    refused(door.get("/v1/nothing"), 404, "no-such-resource", "'/v1/nothing'")
    answer = door.client.delete("/v1/tasks")
    refused(answer, 405, "method-not-allowed", "it takes POST")
    assert "POST" in answer.headers["allow"]


def test_a_path_beyond_use_is_told_by_its_beginning(door: Door, refused: Refused) -> None:
    """It is looked through for identities before anybody is known, so how much of it there is must not be the stranger's choice."""
    segment = "a" * 290
    for path, told in (
        (f"/v1/{segment}", f"/v1/{segment}"),
        (f"/v1/{'ab@cd.ef;' * 1000}", "/v1/…"),
        (f"/v1/{segment}/9665012345678", f"/v1/{segment}/…"),
        (f"/v1/{segment}/050/123/4567", f"/v1/{segment}/…"),
        (f"/{'1' * 400}", "/…"),
    ):
        for answer in (door.client.get(path), door.client.put(path)):
            problem = refused(answer, 404, "no-such-resource", f"{told!r}")
            assert problem["instance"] == told
    answer = door.client.delete(f"/v1/events?{'a' * 1000}")
    assert refused(answer, 405, "method-not-allowed", "'/v1/events'")["instance"] == "/v1/events"


def test_a_body_that_is_not_json_is_a_problem_with_the_place(door: Door, refused: Refused) -> None:
    headers = {"Authorization": f"Bearer {door.key('omar')}", "Idempotency-Key": "k", "Content-Type": "application/json"}
    refused(door.client.post("/v1/tasks", content=b'{"automation": ', headers=headers), 400, "invalid-input", "not JSON", "at character")
    refused(door.client.post("/v1/tasks", content=b"\xff\xfe", headers=headers), 400, "invalid-input")
    refused(door.client.post("/v1/tasks", content=b"[" * 100_000, headers=headers), 400, "invalid-input")
    refused(door.client.post("/v1/tasks", content=b"[1]", headers=headers), 422, "schema-violation")


def test_what_cannot_be_parsed_is_told_what_is_wrong_with_it_and_where(door: Door, refused: Refused) -> None:
    headers = {"Authorization": f"Bearer {door.key('omar')}", "Idempotency-Key": "k", "Content-Type": "application/json"}
    for content, said in (
        ('{"key": "é"}'.encode("latin-1"), ["byte 0xe9 at position 9", "UTF-8"]),
        (b"[" * 100_000, ["nested too deeply"]),
        (b'{"key": ' + b"9" * 5000 + b"}", ["thousands of digits"]),
    ):
        refused(door.client.post("/v1/tasks", content=content, headers=headers), 400, "invalid-input", *said)
    for content, kind in ((b"[1]", "list"), (b'"hello"', "text")):
        answer = door.client.post("/v1/events", content=content, headers=headers)
        refused(answer, 422, "schema-violation", f"a JSON {kind}, not an object")
        assert "Body" not in answer.text


def test_a_wrong_method_is_told_every_method_of_the_path(door: Door, refused: Refused) -> None:
    answer = door.client.delete("/v1/events")
    refused(answer, 405, "method-not-allowed", "GET, POST")
    assert answer.headers["allow"] == "GET, POST"


def test_the_page_at_docs_needs_no_network_and_runs_nothing(door: Door) -> None:
    answer = door.client.get("/docs")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "<script" not in answer.text
    assert re.findall(r'(?:src|href)="(?:[a-z]+:)?//', answer.text) == []
    for path, methods in door.client.get("/openapi.json").json()["paths"].items():
        for method in methods:
            assert f"<code>{method.upper()} {path}</code>" in answer.text
    assert door.client.get("/redoc").status_code == 404


def test_every_call_in_the_openapi_document_says_its_refusals_are_problems(door: Door) -> None:
    document = door.client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for operation in methods.values():
            for status in ("400", "401", "403", "404", "409", "413", "422"):
                (media_type,) = operation["responses"][status]["content"]
                assert media_type == "application/problem+json", (path, status)
    assert "ValidationError" not in str(document)


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(door: Door, refused: Refused) -> None:
    body = {**TASK, "payload": {"deal_id": "x" * (MAX_BODY_BYTES + 1), "value": "1"}}
    refused(door.post("/v1/tasks", body), 413, "body-too-large", "reference")

    def endless() -> Any:
        for _ in range(MAX_BODY_BYTES // 1000 + 2):
            yield b" " * 1000

    headers = {"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
    refused(door.client.post("/v1/webhooks/acme/esign", content=endless(), headers=headers), 413, "body-too-large")


def test_our_own_fault_tells_the_caller_nothing_and_the_log_everything(
    door: Door, refused: Refused, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr("spine.eventlog.read", broken)
    with caplog.at_level(logging.ERROR):
        answer = door.get("/v1/events")
    refused(answer, 500, "internal", "on record")
    assert "hunter2" not in answer.text
    assert answer.headers["x-correlation-id"]
    assert "hunter2" in caplog.text


def test_a_database_that_is_away_is_a_problem_that_may_be_tried_again(refused: Refused) -> None:
    with Database("postgresql://spine_app@127.0.0.1:1/spine?connect_timeout=1") as nowhere:
        nowhere._app.timeout = 0.3
        client = TestClient(create_app(services_over(nowhere)))
        answer = client.get("/v1/events", headers={"Authorization": "Bearer sk.acme.k.s"})
        refused(answer, 503, "database-unavailable", "same Idempotency-Key")
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/health/ready").status_code == 503


def test_the_trace_of_the_caller_is_continued_into_the_event(door: Door) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    door.post("/v1/tasks", TASK, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    (event,) = door.get("/v1/events").json()["items"]
    assert event["event"]["traceparent"].split("-")[1] == trace
    assert door.count("audit_log", f"trace_id = '{trace}'") == door.count("audit_log") > 0
    assert door.count("intents", f"traceparent like '%{trace}%'") == 1


def test_a_broken_correlation_id_is_replaced_and_a_body_s_own_wins(door: Door) -> None:
    answer = door.get("/v1/events", headers={"X-Correlation-ID": "two words"})
    assert answer.headers["x-correlation-id"] not in ("two words", "")
    answer = door.post("/v1/tasks", {**TASK, "correlation_id": "mine"}, headers={"X-Correlation-ID": "header"})
    assert (answer.headers["x-correlation-id"], answer.json()["correlation_id"]) == ("mine", "mine")


def test_ready_tells_a_missing_temporal_from_a_missing_migration(door: Door) -> None:
    answer = door.client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "degraded", "database": "ok", "migrations": "ok", "temporal": "not configured"},
    )
