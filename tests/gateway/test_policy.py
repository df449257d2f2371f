"""The policy's doors: the table, one line of it, and an explanation that writes nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from spine.identity import Role
from tests.gateway.conftest import EVIDENCE, Door
from tests.papers import RISKS, memo

Refused = Callable[..., dict[str, Any]]
URL = "/v1/policy/explain"


def test_the_table_pages_by_name_and_every_line_comes_once(door: Door) -> None:
    policy, seen, cursor = door.services.policy, list[str](), None
    while True:
        page = door.get("/v1/policy", params={"limit": 40, **({"cursor": cursor} if cursor else {})}, role=Role.VIEWER).json()
        assert page["version"] == policy.version
        seen += [line["action"] for line in page["items"]]
        if (cursor := page["next"]) is None:
            break
    assert seen == sorted(policy.actions)


def test_a_line_is_shown_and_an_unknown_name_as_what_it_is_judged_as(door: Door) -> None:
    contract = door.get("/v1/policy/send_contract_for_signature").json()
    assert (contract["approval"], contract["requires"], contract["compensation"]) == ("A3", "bundle", "void_envelope")
    unknown = door.get("/v1/policy/launch_rocket").json()
    assert (unknown["action"], unknown["action_class"], unknown["unknown_to_table"]) == ("launch_rocket", "B", True)


def test_a_viewer_is_told_why_and_what_would_change_it_and_nothing_is_written(door: Door) -> None:
    body = {"action": "publish_statement", "payload": {"text": "We won."}, "correlation_id": "flow-1"}
    answer = door.post(URL, body, "vera", role=Role.VIEWER)
    assert answer.status_code == 200, answer.json()
    found = answer.json()
    assert (found["verdict"], found["decided_by"]["code"]) == ("deny", "incomplete-bundle")
    assert "missing: evidence_pack, memo, risk_register" in found["decided_by"]["text"]
    [change] = [one for one in found["changes"] if one["when"] == "it brings the whole bundle"]
    assert change["verdict"] == "ask"
    whole = {
        **body,
        "evidence": EVIDENCE.model_dump(mode="json"),
        "memo": memo(EVIDENCE.pack_id).model_dump(mode="json"),
        "risks": RISKS.model_dump(mode="json"),
    }
    asked = door.post(URL, whole, "vera", role=Role.VIEWER).json()
    assert (asked["verdict"], asked["approvers"], asked["said"]) == ("ask", 2, change["then"])
    with door.database.tenant("acme") as conn:
        for table in ("intents", "approvals", "events", "idempotent_calls"):
            assert conn.execute(f"select 1 from {table}").fetchone() is None, table  # type: ignore[arg-type]


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_blank_correlation_id_of_an_external_effect_is_refused(door: Door, refused: Refused, blank: str | None) -> None:
    body = {"action": "nda_send", "payload": {"subject_id": "S1"}, "correlation_id": blank}
    refused(door.post(URL, body), 422, "incomplete-proposal", "correlation_id", "external_commitment")
    assert door.post(URL, {**body, "action": "crm_deal_update"}).json()["verdict"] == "allow"


def test_an_automation_is_asked_for_what_it_declares(door: Door, refused: Refused) -> None:
    body = {"action": "notify_owner", "automation": "contract-signature", "correlation_id": "flow-1"}
    found = door.post(URL, body).json()
    declared = door.services.registry.automation("contract-signature").effects
    assert (found["verdict"] == "allow") is ("notify_owner" in declared)
    refused(door.post(URL, {**body, "automation": "nonsense"}), 404, "not-found", "'nonsense'")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "schema-violation"),
        ({"action": "send_email", "colour": "red"}, 422, "schema-violation"),
        ({"action": "send_email", "tenant_id": "rival"}, 422, "schema-violation"),
        ({"action": "send_email", "confidence": 2}, 422, "schema-violation"),
        ({"action": "send_email", "correlation_id": "f", "payload": {"address": "x@y.example"}}, 400, "invalid-input"),
    ],
)
def test_what_does_not_fit_is_refused(door: Door, refused: Refused, body: dict[str, Any], status: int, code: str) -> None:
    refused(door.post(URL, body), status, code)
