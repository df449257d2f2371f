"""Asking for work and telling facts: what is accepted is on the log with its audit row, what is refused leaves nothing."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from spine.identity import Role
from tests.gateway.conftest import Door

Refused = Callable[..., dict[str, Any]]

TASK = {"automation": "contract-signature", "key": "D-1", "payload": {"deal_id": "D-1", "value": "10.00"}}
REPLIED = {"lead_id": "L-1", "contact_id": "contact/globex", "channel": "email", "message_ref": "inbound-1"}


def test_a_task_is_on_the_log_with_its_audit_row_and_says_where_to_look(door: Door) -> None:
    answer = door.post("/v1/tasks", TASK, headers={"X-Correlation-ID": "flow-9"})
    assert answer.status_code == 202
    assert answer.json()["workflow_id"] == "acme/contract-signature/D-1"
    assert answer.headers["location"] == "/v1/journeys/flow-9"
    assert answer.headers["x-correlation-id"] == "flow-9"
    (event,) = door.get("/v1/events", params={"type": "task.requested"}).json()["items"]
    assert event["event"]["data"]["requested_by"] == "omar"
    assert event["event"]["correlationid"] == "flow-9"
    assert event["event"]["actortype"] == "human"
    assert door.count("audit_log", "action = 'task.requested' and actor_id = 'omar'") == 1
    planes = {step["plane"] for step in door.get(answer.headers["location"]).json()["steps"]}
    assert planes == {"intents", "events", "audit"}


BAD_TASKS: list[tuple[dict[str, Any], int, str, str]] = [
    ({"automation": "contract-signatur"}, 404, "not-found", "there are: contract-signature, thinking"),
    ({"automation": "thinking"}, 400, "invalid-input", "runs a graph"),
    ({"key": "a/b"}, 400, "invalid-input", "'a/b'"),
    ({"payload": {"deal_id": "D-1"}}, 422, "schema-violation", "'value'"),
    ({"payload": {"deal_id": "D-1", "value": "much"}}, 422, "schema-violation", "'value'"),
    ({"payload": {"deal_id": "D-1", "value": "1", "colour": "red"}}, 422, "schema-violation", "'colour'"),
    ({"colour": "red"}, 422, "schema-violation", "'colour': there is no such field"),
    ({"key": None}, 422, "schema-violation", "'key'"),
]


def test_a_task_that_does_not_fit_is_refused_by_name_and_leaves_nothing(door: Door, refused: Refused) -> None:
    for change, status, code, says in BAD_TASKS:
        refused(door.post("/v1/tasks", {**TASK, **change}), status, code, says)
    assert door.count("events") == door.count("audit_log") == door.count("idempotent_calls") == 0


def test_an_event_may_be_told_by_its_short_name_and_gets_its_source_from_the_key(door: Door) -> None:
    answer = door.post("/v1/events", {"type": "outreach.replied", "data": REPLIED})
    assert answer.status_code == 202, answer.json()
    (found,) = door.get("/v1/events").json()["items"]
    assert found["event"]["type"] == "spine.outreach.replied.v1"
    assert found["event"]["source"] == "/gateway/omar"
    assert found["event"]["subject"] == "L-1"


def test_an_unknown_event_type_is_refused_with_the_nearest_one(door: Door, refused: Refused) -> None:
    refused(
        door.post("/v1/events", {"type": "outreach.repied", "data": REPLIED}), 422, "unknown-event-type", "did you mean 'outreach.replied'?"
    )
    refused(
        door.post("/v1/events", {"type": "spine.outreach.replied.v9", "data": REPLIED}), 422, "unknown-event-type", "'outreach.replied'"
    )
    refused(door.get("/v1/events", params={"type": "outreach.repied"}), 422, "unknown-event-type", "did you mean")
    assert door.count("events") == 0


BAD_FACTS: list[tuple[dict[str, Any], str]] = [
    ({**REPLIED, "channel": "pigeon"}, "'channel'"),
    ({name: value for name, value in REPLIED.items() if name != "lead_id"}, "'lead_id'"),
    ({**REPLIED, "contact_id": "buyer@globex.example"}, "'contact_id'"),
    ({**REPLIED, "mood": "good"}, "'mood'"),
]


def test_a_payload_that_breaks_its_schema_is_refused_with_the_field_and_without_its_value(door: Door, refused: Refused) -> None:
    for data, says in BAD_FACTS:
        problem = refused(door.post("/v1/events", {"type": "outreach.replied", "data": data}), 422, "schema-violation", says)
        assert "globex.example" not in str(problem)
    assert door.count("events") == 0


def test_the_same_cloudevent_told_twice_under_two_keys_is_one_event(door: Door) -> None:
    event = {
        "specversion": "1.0",
        "id": "mail-4711",
        "source": "https://mail.example/inbox",
        "type": "spine.outreach.replied.v1",
        "subject": "L-1",
        "time": "2026-11-22T11:00:00Z",
        "datacontenttype": "application/json",
        "correlationid": "flow-7",
        "somebodyelses": "extension",
        "data": REPLIED,
    }
    headers = {"Content-Type": "application/cloudevents+json"}
    first, second = (door.post("/v1/events", event, headers=headers) for _ in range(2))
    assert (first.status_code, first.json()["new"], second.json()["new"]) == (202, True, False)
    assert first.json()["event_id"] == second.json()["event_id"]
    (found,) = door.get("/v1/events").json()["items"]
    assert found["event"]["source"] == "/gateway/omar#https://mail.example/inbox"
    assert found["event"]["time"] == "2026-11-22T11:00:00Z"
    assert door.count("audit_log") == 1


def test_nobody_outside_can_say_what_only_the_platform_knows(door: Door, refused: Refused) -> None:
    data = {"approval_id": str(uuid4()), "intent_id": str(uuid4()), "workflow_id": "acme/x/y", "resolution": "approved"}
    refused(door.post("/v1/events", {"type": "approval.resolved", "data": data}), 403, "not-allowed", "'approval.resolved'")
    assert door.count("events") == 0


def test_an_event_whose_past_is_missing_is_refused(door: Door, refused: Refused) -> None:
    data = {"deal_id": "D-1", "envelope_id": "E-1", "signed_at": "2026-11-22T11:00:00Z"}
    refused(door.post("/v1/events", {"type": "signature.completed", "data": data}), 409, "conflict", "'signature.requested'")


def test_a_subject_that_contradicts_the_data_is_refused(door: Door, refused: Refused) -> None:
    refused(
        door.post("/v1/events", {"type": "outreach.replied", "data": REPLIED, "subject": "L-2"}), 422, "schema-violation", "'L-2'", "'L-1'"
    )


def test_the_log_is_read_page_by_page_without_gap_or_repetition(door: Door, refused: Refused) -> None:
    for number in range(5):
        assert door.post("/v1/events", {"type": "outreach.replied", "data": {**REPLIED, "lead_id": f"L-{number}"}}).status_code == 202
    items, cursor = [], {}
    while cursor is not None:
        page = door.get("/v1/events", params={"limit": 2, **cursor}).json()
        items += page["items"]
        cursor = {"cursor": page["next"]} if page["next"] else None
    assert [item["event"]["subject"] for item in items] == [f"L-{number}" for number in range(5)]
    assert door.get("/v1/events", params={"cursor": items[-1]["place"]}).json() == {"items": [], "next": None}
    door.post("/v1/events", {"type": "outreach.replied", "data": {**REPLIED, "lead_id": "L-later"}})
    later = door.get("/v1/events", params={"cursor": items[-1]["place"]}).json()["items"]
    assert [item["event"]["subject"] for item in later] == ["L-later"], "the place of the last event is where to go on"
    assert [i["event"]["subject"] for i in door.get("/v1/events", params={"subject": "L-3"}).json()["items"]] == ["L-3"]
    refused(door.get("/v1/events", params={"cursor": "yesterday"}), 400, "invalid-input", "'yesterday'")
    refused(door.get("/v1/events", params={"limit": 0}), 422, "schema-violation", "limit")
    refused(door.get("/v1/events", params={"colour": "red"}), 422, "schema-violation", "colour")


def test_a_viewer_reads_and_asks_for_nothing(door: Door, refused: Refused) -> None:
    assert door.get("/v1/events", "vic", role=Role.VIEWER).status_code == 200
    refused(door.post("/v1/tasks", TASK, "vic", role=Role.VIEWER), 403, "not-allowed", "'vic' is 'viewer'", "takes 'operator'")
    refused(
        door.post("/v1/events", {"type": "outreach.replied", "data": REPLIED}, "vic", role=Role.VIEWER), 403, "not-allowed", "'operator'"
    )
    assert door.count("events") == 0


def test_text_that_the_database_cannot_hold_is_refused_and_not_a_crash(door: Door, refused: Refused) -> None:
    body = {**TASK, "payload": {"deal_id": "nul \x00 byte", "value": "1"}}
    refused(door.post("/v1/tasks", body), 422, "schema-violation", "'payload.deal_id'")
    refused(door.get("/v1/journeys/a%00b"), 422, "invalid-input", "NUL")
