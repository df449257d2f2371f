"""People decide over HTTP: what is bound, what is refused, and that a refusal loses nothing."""

from collections.abc import Callable
from typing import Any

from spine.identity import Role
from tests.gateway.conftest import Door

Refused = Callable[..., dict[str, Any]]
APPROVE = {"verdict": "approve", "reason": "as proposed"}


def _decide(door: Door, approval_id: str, body: dict[str, Any], person: str, **more: Any) -> Any:
    return door.post(f"/v1/approvals/{approval_id}/decisions", body, person, **more)


def test_an_approval_shows_what_would_happen_on_what_evidence_and_who_else_must_sign(door: Door) -> None:
    approval_id = door.statement()
    (listed,) = door.get("/v1/approvals").json()["items"]
    assert (listed["approval_id"], listed["approvers_needed"]) == (approval_id, 2)
    assert "payload" not in listed
    assert _decide(door, approval_id, APPROVE, "omar").status_code == 201
    shown = door.get(f"/v1/approvals/{approval_id}").json()
    assert shown["payload"] == {"text": "We won."}
    assert shown["evidence"]["pack_id"] == "pack-1"
    assert {"unknown-action"} & {why["code"] for why in shown["why"]} or shown["why"]
    waiting = shown["waiting_for"]
    assert (waiting["approvals"], waiting["roles"], waiting["not_from"]) == (1, shown["roles"], ["test-automation", "omar"])
    assert (waiting["can_be_given"], [one["person"] for one in waiting["people"]]) == (True, ["vera"])
    assert shown["digest"].startswith("sha256:")
    assert [decided["decided_by"] for decided in shown["decisions"]] == ["omar"]
    assert "approval.decided" in [row["action"] for row in shown["history"]]


def test_a_viewer_sees_the_request_but_neither_payload_nor_evidence(door: Door) -> None:
    shown = door.get(f"/v1/approvals/{door.statement()}", "vic", role=Role.VIEWER).json()
    assert shown["payload"] is None
    assert shown["evidence"] is None
    intent = door.get(f"/v1/intents/{shown['intent_id']}", "vic", role=Role.VIEWER).json()
    assert intent["payload"] is None
    assert door.get(f"/v1/intents/{shown['intent_id']}").json()["payload"] == {"text": "We won."}


def test_two_people_make_an_a2_intent_runnable(door: Door) -> None:
    approval_id = door.statement()
    first = _decide(door, approval_id, APPROVE, "omar").json()
    assert (first["state"], first["approvals_remaining"], first["delivered"]) == ("pending", 1, None)
    second = _decide(door, approval_id, APPROVE, "sara").json()
    assert (second["state"], second["intent_state"], second["delivered"]) == ("approved", "runnable", False)
    assert [intent["state"] for intent in door.get("/v1/intents", params={"state": "runnable"}).json()["items"]] == ["runnable"]
    assert door.get("/v1/approvals").json() == {"items": [], "next": None}


def test_a_second_approval_by_the_same_person_is_refused_and_the_first_one_stands(door: Door, refused: Refused) -> None:
    approval_id = door.statement()
    _decide(door, approval_id, APPROVE, "omar")
    refused(_decide(door, approval_id, APPROVE, "omar"), 409, "approval-refused", "'omar' has decided this approval already")
    assert door.get(f"/v1/approvals/{approval_id}").json()["approvals_remaining"] == 1
    assert door.count("approval_decisions") == 1


def test_the_editor_of_an_a2_payload_cannot_approve_it_and_two_others_can(door: Door, refused: Refused) -> None:
    edited = _decide(door, door.statement(), {"verdict": "edit", "reason": "modesty", "payload": {"text": "We are glad."}}, "omar").json()
    assert (edited["state"], edited["intent_state"]) == ("edited", "superseded")
    successor = edited["successor"]
    assert (successor["revision"], successor["state"], successor["approvers_needed"]) == (2, "awaiting_approval", 2)
    refused(
        _decide(door, successor["approval_id"], APPROVE, "omar"), 409, "approval-refused", "'omar' asked for this and cannot approve it"
    )
    assert _decide(door, successor["approval_id"], APPROVE, "sara").json()["state"] == "pending"
    assert _decide(door, successor["approval_id"], APPROVE, "vera").json()["intent_state"] == "runnable"
    assert door.get(f"/v1/intents/{successor['intent_id']}").json()["payload"] == {"text": "We are glad."}


def test_an_edit_of_an_a1_message_is_the_editors_own_approval(door: Door) -> None:
    payload = {"contact_id": "contact/globex", "subject": "Hello again", "body": "Shall we talk?"}
    edited = _decide(door, door.message(), {"verdict": "edit", "reason": "we met", "payload": payload}, "omar").json()
    assert edited["successor"]["state"] == "runnable"


def test_an_edited_payload_is_held_to_the_connectors_own_model(door: Door, refused: Refused) -> None:
    approval_id = door.message()
    payload = {"contact_id": "contact/globex", "subject": "Hello", "text": "?"}
    body = {"verdict": "edit", "reason": "shorter", "payload": payload}
    refused(_decide(door, approval_id, body, "omar"), 422, "schema-violation", "'payload.body'", "'payload.text'")
    refused(_decide(door, approval_id, {**APPROVE, "payload": payload}, "omar"), 400, "invalid-input", "'edit' only")
    refused(_decide(door, approval_id, {"verdict": "edit"}, "omar"), 400, "invalid-input", "whole payload")
    assert door.get(f"/v1/approvals/{approval_id}").json()["state"] == "pending"


def test_a_reject_says_why_and_leaves_no_runnable_intent(door: Door, refused: Refused) -> None:
    approval_id = door.message()
    refused(_decide(door, approval_id, {"verdict": "reject"}, "omar"), 400, "invalid-input", "'reason'")
    answer = _decide(door, approval_id, {"verdict": "reject", "reason": "they asked us to wait"}, "omar").json()
    assert (answer["state"], answer["intent_state"]) == ("rejected", "rejected")
    assert door.count("intents", "state in ('proposed', 'awaiting_approval', 'runnable', 'executing')") == 0
    refused(_decide(door, approval_id, APPROVE, "sara"), 409, "approval-refused", "'rejected' already")


def test_an_approval_of_something_else_than_was_looked_at_is_refused(door: Door, refused: Refused) -> None:
    approval_id = door.message()
    refused(_decide(door, approval_id, {**APPROVE, "digest": "sha256:" + "0" * 64}, "omar"), 409, "approval-refused", "look at it again")
    digest = door.get(f"/v1/approvals/{approval_id}").json()["digest"]
    assert _decide(door, approval_id, {**APPROVE, "digest": digest}, "omar").status_code == 201


def test_an_operator_may_not_decide(door: Door, refused: Refused) -> None:
    refused(_decide(door, door.message(), APPROVE, "olga", role=Role.OPERATOR), 403, "not-allowed", "takes 'approver'")
    assert door.count("approval_decisions") == 0


def test_what_does_not_exist_is_named(door: Door, refused: Refused) -> None:
    refused(door.get("/v1/approvals/nope"), 404, "not-found", "'nope'")
    refused(door.get("/v1/intents/nope"), 404, "not-found", "'nope'")
    refused(door.get("/v1/journeys/nope"), 404, "not-found", "'nope'")
    refused(_decide(door, "nope", APPROVE, "omar"), 404, "not-found", "'nope'")
    refused(_decide(door, door.message(), {"verdict": "perhaps"}, "omar"), 422, "schema-violation", "'verdict'")


def test_a_journey_shows_every_plane_in_order_with_one_trace_and_links(door: Door) -> None:
    approval_id = door.message(correlation_id="flow-5")
    _decide(door, approval_id, APPROVE, "omar")
    with door.database.relay() as conn:
        event = conn.execute("select position, event_id, partition_key from events order by position limit 1").fetchone()
        assert event is not None
        conn.execute(
            "insert into deliveries (group_name, position, tenant_id, event_id, partition_key, state, outcome, target) "
            "values ('triggers/revenue', %s, 'acme', %s, %s, 'delivered', 'started', 'acme/contract-signature/lead-1')",
            (event["position"], event["event_id"], event["partition_key"]),
        )
    journey = door.get("/v1/journeys/flow-5").json()
    planes = [step["plane"] for step in journey["steps"]]
    assert set(planes) == {"events", "dispatch", "intents", "approvals", "audit"}
    assert [step["time"] for step in journey["steps"]] == sorted(step["time"] for step in journey["steps"])
    said = [step["what"] for step in journey["steps"]]
    assert any("approve by omar (approver)" in what for what in said), said
    assert any("started acme/contract-signature/lead-1" in what for what in said), said
    assert journey["workflow_ids"] == ["acme/contract-signature/lead-1"]
    assert journey["links"][0]["url"] == "http://temporal.test/namespaces/default/workflows/acme%2Fcontract-signature%2Flead-1"
    assert "globex.example" not in str(journey)


def test_a_journey_says_how_its_commitment_ended(door: Door) -> None:
    door.ended("expired", "nobody decided in time")
    (step,) = door.get("/v1/journeys/flow-1").json()["steps"]
    assert step["what"] == "workflow.ended of acme/contract-signature/D-1; expired"
    assert step["state"] == step["detail"]["outcome"] == "expired"
    assert step["detail"]["why"] == "nobody decided in time"
