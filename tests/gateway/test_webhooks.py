"""What the e-signature provider reports: by signature, once, and never lost."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from standardwebhooks import Webhook

from shared.events import SignatureRequested
from spine import eventlog
from spine.db import Database
from spine.errors import Conflict, InvalidInput, Misconfigured
from spine.gateway.app import create_app
from spine.ids import new_id
from spine.intake import webhook_secrets
from tests.gateway.conftest import NOON, ROBOT, SECRET, Door, services_over

Refused = Callable[..., dict[str, Any]]
REPORT: dict[str, Any] = {
    "type": "envelope.completed",
    "timestamp": "2026-11-22T12:00:00Z",
    "data": {"envelope_id": "env-1", "status": "completed", "deal_id": "D-1", "tenant_id": "acme"},
}


def _send(
    door: Door,
    report: object = REPORT,
    *,
    webhook_id: str = "msg-1",
    at: datetime | None = None,
    secret: str = SECRET,
    to: str = "/v1/webhooks/acme/esign",
    **headers: str,
) -> Response:
    for tenant in ("acme", "rival"):
        door.key("sara", tenant=tenant)  # a tenant is there when somebody has a key of it
    body, at = json.dumps(report), at or datetime.now(UTC)
    signed = {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(webhook_id, at, body),
        "Content-Type": "application/json",
    }
    return door.client.post(to, content=body, headers={**signed, **headers})


def test_a_signed_report_becomes_an_event_of_the_deals_own_flow(door: Door) -> None:
    with door.database.tenant("acme") as conn:
        requested = eventlog.publish(
            conn,
            SignatureRequested(deal_id="D-1", envelope_id="env-1", intent_id=str(new_id())),
            tenant_id="acme",
            source="/test",
            correlation_id="flow-3",
            now=NOON,
        )
    answer = _send(door)
    assert (answer.status_code, answer.json()["outcome"], answer.json()["correlation_id"]) == (202, "published", "flow-3")
    assert answer.headers["x-correlation-id"] == "flow-3"
    (found,) = door.get("/v1/events", params={"type": "signature.reported"}).json()["items"]
    event = found["event"]
    assert event["data"] == {"deal_id": "D-1", "envelope_id": "env-1", "status": "completed", "reported_by": "webhook"}
    assert (event["correlationid"], event["causationid"], event["actortype"]) == ("flow-3", requested.id, "executor_system")
    assert door.count("audit_log", "action = 'webhook.received' and actor_id = 'esign'") == 1


def test_the_effects_own_flow_comes_before_anything_else_about_the_deal(door: Door) -> None:
    door.message(key="deal-1", correlation_id="flow-of-effect")
    with door.database.tenant("acme") as conn:
        conn.execute(
            "insert into effects (tenant_id, effect_id, intent_id, action, plugin, idempotency_key, digest, state, attempt_token, "
            "provider_reference, started_at) "
            "select tenant_id, %s, intent_id, action, 'esign', 'k', digest, 'completed', %s, 'env-1', now() "
            "from intents",
            (new_id(), new_id()),
        )
    assert _send(door).json()["correlation_id"] == "flow-of-effect"


def test_a_report_that_comes_again_changes_nothing(door: Door) -> None:
    assert _send(door).json()["outcome"] == "published"
    assert _send(door, at=datetime.now(UTC) - timedelta(minutes=1)).json()["outcome"] == "known"
    assert door.count("events") == door.count("audit_log") == door.count("webhooks_received") == 1


def test_a_report_without_a_valid_signature_is_refused_and_leaves_nothing(door: Door, refused: Refused) -> None:
    now = datetime.now(UTC)
    other = "whsec_" + "A" * 43 + "="
    bad = [
        (_send(door, secret=other), "No matching signature"),
        (_send(door, at=now - timedelta(minutes=6)), "too old"),
        (_send(door, at=now + timedelta(minutes=6)), "too new"),
        (_send(door, **{"webhook-signature": "v1,AAAA"}), "No matching signature"),
        (_send(door, **{"webhook-signature": "nonsense"}), "malformed"),
        (_send(door, **{"webhook-timestamp": "yesterday"}), "Invalid Signature Headers"),
        (_send(door, **{"webhook-id": "msg-2"}), "No matching signature"),
        (door.client.post("/v1/webhooks/acme/esign", json=REPORT), "Missing required headers"),
        (door.client.post("/v1/webhooks/acme/esign", content=b"\xff", headers={"webhook-id": "1"}), "malformed"),
    ]
    for answer, says in bad:
        refused(answer, 401, "not-authenticated", says, "Standard Webhooks")
    assert door.count("events") == door.count("webhooks_received") == 0


def test_a_report_for_another_tenant_is_refused_on_record_and_may_still_reach_its_own(door: Door, refused: Refused) -> None:
    _give(door, "rival", SECRET)
    refused(_send(door, to="/v1/webhooks/rival/esign"), 403, "tenant-mismatch", "'acme'", "'rival'")
    assert door.count("audit_log", "action = 'tenant.mismatch' and severity = 'V2'", tenant="rival") == 1
    assert door.count("webhooks_received", tenant="rival") == 0
    assert _send(door).json()["outcome"] == "published"


def test_a_signed_report_that_cannot_be_understood_is_kept_for_a_person(door: Door) -> None:
    strange = {**REPORT, "data": {**REPORT["data"], "status": "exploded"}}
    assert _send(door, strange).json()["outcome"] == "dead_letter"
    assert _send(door, {"type": "ping"}, webhook_id="msg-2").json()["outcome"] == "dead_letter"
    assert _send(door, strange).json()["outcome"] == "known"
    with door.database.tenant("acme") as conn:
        letters = conn.execute("select reference, error, body from dead_letters order by reference").fetchall()
    assert [letter["reference"] for letter in letters] == ["msg-1", "msg-2"]
    assert "'status'" in letters[0]["error"]
    assert letters[0]["body"] == strange
    assert door.count("events") == 0


def test_what_is_no_webhook_of_ours_is_named(door: Door, refused: Refused) -> None:
    refused(_send(door, to="/v1/webhooks/acme/fax"), 404, "not-found", "'fax'", "esign")
    refused(_send(door, ["a", "list"]), 400, "invalid-input", "not a JSON object")
    refused(door.client.get("/v1/webhooks/acme/esign"), 405, "method-not-allowed")


def test_a_tenant_that_shares_no_secret_is_refused_like_a_wrong_signature_and_nothing_is_kept(door: Door, refused: Refused) -> None:
    for tenant in ("nobody", "rival"):
        report = {**REPORT, "data": {**REPORT["data"], "tenant_id": tenant}}
        refused(_send(door, report, to=f"/v1/webhooks/{tenant}/esign"), 401, "not-authenticated", "No matching signature")
        assert door.count("webhooks_received", tenant=tenant) == door.count("events", tenant=tenant) == 0


def test_the_stacks_own_tenant_has_to_be_there(database: Database, refused: Refused) -> None:
    services = services_over(database, settings={"tenant": "nobody"})
    door = Door(TestClient(create_app(services)), services, database)
    report = {**REPORT, "data": {**REPORT["data"], "tenant_id": "nobody"}}
    refused(_send(door, report, to="/v1/webhooks/nobody/esign"), 404, "not-found", "'nobody'")


def test_each_tenant_has_its_own_secret_and_anothers_opens_nothing(door: Door, refused: Refused) -> None:
    theirs = _give(door, "rival")
    mine = _give(door, "acme")
    report = {**REPORT, "data": {**REPORT["data"], "tenant_id": "rival"}}
    refused(_send(door, report, to="/v1/webhooks/rival/esign", secret=mine), 401, "not-authenticated")
    refused(_send(door, report, to="/v1/webhooks/rival/esign", secret=SECRET), 401, "not-authenticated")
    assert _send(door, report, to="/v1/webhooks/rival/esign", secret=theirs).json()["outcome"] == "published"
    refused(_send(door, secret=theirs), 401, "not-authenticated")
    assert _send(door, secret=mine).json()["outcome"] == "published"


def test_while_a_secret_changes_both_hold_and_afterwards_only_the_new_one(door: Door, refused: Refused) -> None:
    old = _give(door, "rival")
    report = {**REPORT, "data": {**REPORT["data"], "tenant_id": "rival"}}
    with door.database.tenant("rival") as conn:
        new = webhook_secrets.rotate(conn, door.services.settings, **_whose(door, "rival"))

    def sent(secret: str, webhook_id: str) -> int:
        return _send(door, report, to="/v1/webhooks/rival/esign", secret=secret, webhook_id=webhook_id).status_code

    assert (sent(old, "1"), sent(new, "2")) == (202, 202)
    with door.database.tenant("rival") as conn:
        conn.execute("update webhook_secrets set expires_at = now() where expires_at is not null")
    assert (sent(old, "3"), sent(new, "4")) == (401, 202)
    with door.database.tenant("rival") as conn:
        [held] = [one for one in webhook_secrets.listing(conn, tenant_id="rival") if one.holds]
        webhook_secrets.revoke(conn, secret_id=held.secret_id, tenant_id="rival", actor=ROBOT, clock=door.services.clock)
    assert sent(new, "5") == 401


def test_a_third_secret_at_once_is_refused_and_what_is_kept_is_sealed_to_its_row(door: Door) -> None:
    secret = _give(door, "rival")
    _give(door, "rival")
    with pytest.raises(Conflict, match="2 secrets"):
        _give(door, "rival")
    with pytest.raises(InvalidInput, match="whsec_"):
        _give(door, "acme", "swordfish")
    with door.database.tenant("rival") as conn:
        rows = conn.execute("select * from webhook_secrets order by secret_id").fetchall()
        assert secret.removeprefix("whsec_") not in str(rows)
        conn.execute("update webhook_secrets set sealed = %s where secret_id = %s", (rows[0]["sealed"], rows[1]["secret_id"]))
        with pytest.raises(Misconfigured, match="cannot be opened"):
            webhook_secrets.active(conn, door.services.settings, tenant_id="rival", provider="esign")
    assert door.count("audit_log", "action = 'webhook_secret.added'", tenant="rival") == 2


def _whose(door: Door, tenant: str) -> dict[str, Any]:
    return {"tenant_id": tenant, "provider": "esign", "actor": ROBOT, "clock": door.services.clock}


def _give(door: Door, tenant: str, secret: str | None = None) -> str:
    with door.database.tenant(tenant) as conn:
        return webhook_secrets.add(conn, door.services.settings, given=secret, **_whose(door, tenant))
