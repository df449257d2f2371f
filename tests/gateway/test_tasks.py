"""A task from the door to the log: judged, recorded and published in one transaction, or not at all."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.events import ActorType, Verdict
from spine import audit
from spine.audit import Actor
from spine.errors import SchemaViolation
from spine.gateway import idempotency
from spine.identity import Role
from spine.intents import gate, internal
from spine.policy import canary, engage, release
from spine.policy.canary import Group
from spine.policy.switches import Scope
from tests.gateway.conftest import NOON, Door

Refused = Callable[..., dict[str, Any]]
TASK = {"automation": "contract-signature", "key": "D-1", "payload": {"deal_id": "D-1", "value": "10.00"}}
REQUESTED = "type = 'spine.task.requested.v1'"
ADA = Actor(ActorType.HUMAN, "ada")
EVERYTHING = ("intents", "audit_log", "events", "approvals", "idempotent_calls")


def canary_of(door: Door, *tenants: str) -> None:
    with door.database.relay() as conn:
        canary.put(conn, Group(automation="contract-signature", tenants=tenants), tenant_id="operator", actor=ADA, now=NOON)


@pytest.fixture
def outside_the_canary(door: Door) -> None:
    """An enforced group with nobody in it: a person is asked, although the action is class A."""
    canary_of(door)


def stop(door: Door, scope: Scope, target: str) -> None:
    with door.database.tenant("acme") as conn:
        engage(conn, tenant_id="acme", scope=scope, target=target, reason="an incident", actor=ADA, now=NOON)


def counts(door: Door) -> dict[str, int]:
    return {table: door.count(table) for table in EVERYTHING}


def test_a_task_is_an_intent_that_ended_completed_with_its_audit_rows_and_its_event(door: Door) -> None:
    said = door.post("/v1/tasks", TASK).json()
    intent = door.get(f"/v1/intents/{said['intent_id']}").json()
    assert (intent["state"], intent["action"], intent["key"], intent["action_class"]) == ("completed", "start_automation", "task/D-1", "A")
    assert intent["payload"] == {"automation": "contract-signature", "key": "D-1", "input": TASK["payload"]}
    (event,) = door.get("/v1/events").json()["items"]
    assert (event["event"]["id"], event["event"]["data"]["payload"]) == (said["event_id"], TASK["payload"])
    with door.database.tenant("acme") as conn:
        rows = audit.rows(conn, tenant_id="acme", correlation_id=said["correlation_id"])
    assert [row.action for row in rows] == ["intent.proposed", "intent.judged", "intent.moved", "task.requested"]


def test_the_same_task_asked_for_again_is_one_task_with_one_answer(door: Door, refused: Refused) -> None:
    first, again = (door.post("/v1/tasks", TASK, person).json() for person in ("omar", "sara"))
    assert first == again
    assert door.count("events") == door.count("intents") == 1
    other = {**TASK, "payload": {"deal_id": "D-1", "value": "11.00"}}
    refused(door.post("/v1/tasks", other), 422, "idempotency-conflict", "its own key")


def test_what_a_task_says_does_not_get_into_the_servers_log(door: Door, engines_home: Path) -> None:
    """Asked for again, the first try's statement fails, with the payload in it: no erasure and no redaction reaches a log."""
    said = {"automation": "contract-signature", "key": "told", "payload": {"deal_id": "for-no-log", "value": "10.00"}}
    assert [door.post("/v1/tasks", said, person).status_code for person in ("omar", "sara")] == [202, 202]
    log = (engines_home / "postgres.log").read_text()
    assert "intents_tenant_id_automation_key_revision_key" in log, "the error itself is told"
    assert "for-no-log" not in log


@pytest.mark.parametrize(
    ("scope", "target"), [(Scope.TENANT, "acme"), (Scope.AUTOMATION, "contract-signature"), (Scope.ACTION, "start_automation")]
)
def test_a_kill_switch_denies_a_task_on_record_and_a_fresh_call_after_its_release_is_judged_anew(
    door: Door, refused: Refused, scope: Scope, target: str
) -> None:
    stop(door, scope, target)
    problem = refused(door.post("/v1/tasks", TASK, key="stopped"), 403, "policy-denied", "an incident")
    assert problem["reason"] == "kill-switch"
    assert door.get(f"/v1/intents/{problem['intent_id']}").json()["state"] == "denied"
    assert door.count("events", REQUESTED) == 0
    assert door.count("audit_log", "action = 'intent.judged'") == 1
    replay = door.post("/v1/tasks", TASK, key="stopped")
    assert (replay.headers["idempotent-replayed"], refused(replay, 403, "policy-denied")["intent_id"]) == ("true", problem["intent_id"])
    with door.database.tenant("acme") as conn:
        release(conn, tenant_id="acme", scope=scope, target=target, actor=ADA, now=NOON)
    assert door.post("/v1/tasks", TASK).json()["state"] == "completed"
    assert door.count("intents") == 2


@pytest.mark.usefixtures("outside_the_canary")
def test_a_task_that_people_must_allow_is_published_by_the_approval_and_not_before(door: Door) -> None:
    said = door.post("/v1/tasks", TASK, headers={"X-Correlation-ID": "flow-9"}).json()
    assert (said["state"], said["event_id"]) == ("awaiting_approval", None)
    assert door.get("/v1/events", params={"type": "task.requested"}).json()["items"] == []
    assert door.post("/v1/tasks", TASK).json() == said, "asked for again while it waits, it is the same request"
    decided = door.post(f"/v1/approvals/{said['approval_id']}/decisions", {"verdict": "approve", "reason": "ok"}, "sara")
    assert (decided.status_code, decided.json()["intent_state"]) == (201, "completed"), decided.json()
    (event,) = door.get("/v1/events", params={"type": "task.requested"}).json()["items"]
    assert (event["event"]["correlationid"], event["event"]["data"]["requested_by"]) == ("flow-9", "omar")
    assert door.get(f"/v1/approvals/{said['approval_id']}").json()["state"] == "consumed"
    assert door.post("/v1/tasks", TASK).json()["event_id"] == event["event"]["id"]


@pytest.mark.usefixtures("outside_the_canary")
def test_whoever_asked_for_a_task_does_not_approve_it(door: Door, refused: Refused) -> None:
    said = door.post("/v1/tasks", TASK, "sara").json()
    decision = {"verdict": "approve", "reason": "mine"}
    refused(door.post(f"/v1/approvals/{said['approval_id']}/decisions", decision, "sara"), 409, "approval-refused", "'sara'")
    assert door.count("events", REQUESTED) == 0


@pytest.mark.usefixtures("outside_the_canary")
def test_a_rejected_task_is_never_published_and_may_be_asked_for_anew(door: Door) -> None:
    said = door.post("/v1/tasks", TASK).json()
    door.post(f"/v1/approvals/{said['approval_id']}/decisions", {"verdict": "reject", "reason": "not now"}, "sara")
    assert door.count("events", REQUESTED) == 0
    anew = door.post("/v1/tasks", TASK).json()
    assert anew["approval_id"] not in (None, said["approval_id"])
    assert door.get(f"/v1/intents/{anew['intent_id']}").json()["revision"] == 2


@pytest.mark.usefixtures("outside_the_canary")
def test_an_approval_while_a_kill_switch_is_engaged_is_refused_and_the_task_goes_on_waiting(door: Door, refused: Refused) -> None:
    said = door.post("/v1/tasks", TASK).json()
    stop(door, Scope.AUTOMATION, "contract-signature")
    decide = f"/v1/approvals/{said['approval_id']}/decisions"
    refused(door.post(decide, {"verdict": "approve", "reason": "ok"}, "sara"), 409, "approval-refused", "release the switch")
    assert door.get(f"/v1/approvals/{said['approval_id']}").json()["state"] == "pending"
    assert door.count("events", REQUESTED) == 0


@pytest.mark.usefixtures("outside_the_canary")
def test_an_edited_task_is_held_to_its_automation_and_keeps_its_key(door: Door, refused: Refused) -> None:
    said = door.post("/v1/tasks", TASK).json()
    decide = f"/v1/approvals/{said['approval_id']}/decisions"
    whole: Mapping[str, Any] = door.get(f"/v1/approvals/{said['approval_id']}").json()["payload"]

    def edited(**change: Any) -> dict[str, Any]:
        return {"verdict": Verdict.EDIT, "reason": "other value", "payload": {**whole, **change}}

    wrong = {"deal_id": "D-1", "value": "much"}
    refused(door.post(decide, edited(input=wrong), "sara"), 422, SchemaViolation.code, "'value'")
    refused(door.post(decide, edited(key="D-2"), "sara"), 409, "approval-refused", "'key'")
    refused(door.post(decide, edited(more=1), "sara"), 422, SchemaViolation.code, "`input`")
    canary_of(door, "acme")  # the edit is judged inside the group
    assert door.post(decide, edited(input={"deal_id": "D-1", "value": "9.00"}), "sara").json()["successor"]["state"] == "completed"
    (event,) = door.get("/v1/events", params={"type": "task.requested"}).json()["items"]
    assert event["event"]["data"]["payload"]["value"] == "9.00"


@pytest.mark.parametrize("blank", ["", " ", "\t\n", "  "])
def test_a_blank_correlation_id_is_refused(door: Door, refused: Refused, blank: str) -> None:
    for path, body in (
        ("/v1/tasks", TASK),
        ("/v1/events", {"type": "outreach.replied", "data": {"lead_id": "L", "contact_id": "c", "channel": "email", "message_ref": "m"}}),
    ):
        refused(door.post(path, {**body, "correlation_id": blank}), 422, "schema-violation", "'correlation_id'")
    assert counts(door) == dict.fromkeys(EVERYTHING, 0)


class Killed(BaseException):
    """What a process that dies leaves its transaction to: nothing that runs afterwards catches it."""


@pytest.mark.parametrize("place", ["gate.judge", "gate.enter", "internal.done", "at_once.write", "audit.written", "idempotency.remember"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_task_that_dies_at_any_stage_leaves_nothing_and_may_be_sent_again(
    door: Door, monkeypatch: pytest.MonkeyPatch, place: str, after: bool
) -> None:
    module, name = place.split(".")
    home = {"gate": gate, "internal": internal, "at_once": gate.at_once, "audit": audit, "idempotency": idempotency}[module]
    real = getattr(home, name)

    def dies(*given: Any, **named: Any) -> Any:
        if after:
            real(*given, **named)
        raise Killed(place)

    door.key("omar")
    with monkeypatch.context() as patched:
        patched.setattr(home, name, dies)
        with pytest.raises(BaseException, match=place):
            door.post("/v1/tasks", TASK, key="once")
    assert counts(door) == dict.fromkeys(EVERYTHING, 0)
    assert door.post("/v1/tasks", TASK, key="once", role=Role.OPERATOR).json()["state"] == "completed"
    assert counts(door) == {"intents": 1, "audit_log": 4, "events": 1, "approvals": 0, "idempotent_calls": 1}
