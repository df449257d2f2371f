"""Idempotency keys: a call that is sent again is one call, and gets the answer that the first one got."""

import threading
from typing import Any

import pytest

from spine import identity
from spine.gateway import idempotency
from spine.gateway.routes import tasks
from spine.identity import Role, issue_key, list_keys, revoke_key
from tests.gateway.conftest import Door
from tests.gateway.test_doors import TASK, Refused


def test_an_unsafe_call_without_a_key_is_refused(door: Door, refused: Refused) -> None:
    headers = {"Authorization": f"Bearer {door.key('omar')}"}
    refused(door.client.post("/v1/tasks", json=TASK, headers=headers), 400, "invalid-input", "Idempotency-Key", "fresh one")
    assert door.count("events") == 0


def test_the_same_call_again_is_one_task_and_the_same_answer(door: Door) -> None:
    first = door.post("/v1/tasks", TASK, key="again")
    again = door.post("/v1/tasks", dict(reversed(TASK.items())), key='"again"')  # quoted, and in another order: the same call
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    assert door.count("events") == door.count("intents") == door.count("audit_log", "action = 'task.requested'") == 1


def test_the_same_key_for_another_payload_or_path_is_refused(door: Door, refused: Refused) -> None:
    door.post("/v1/tasks", TASK, key="again")
    refused(door.post("/v1/tasks", {**TASK, "key": "D-2"}, key="again"), 422, "idempotency-conflict", "'again'", "new key")
    fact = {"type": "outreach.replied", "data": {"lead_id": "L", "contact_id": "c", "channel": "email", "message_ref": "m"}}
    refused(door.post("/v1/events", fact, key="again"), 422, "idempotency-conflict", "'again'")
    assert door.post("/v1/tasks", {**TASK, "key": "D-2"}, "sara", key="again").status_code == 202, "another person's keys are their own"


def test_a_call_that_failed_may_be_sent_again_under_its_key(door: Door) -> None:
    assert door.post("/v1/tasks", {**TASK, "automation": "nope"}, key="again").status_code == 404
    assert door.post("/v1/tasks", TASK, key="again").status_code == 202


def test_a_repeated_decision_is_one_decision_and_the_same_answer(door: Door) -> None:
    path = f"/v1/approvals/{door.message()}/decisions"
    first, again = (door.post(path, {"verdict": "approve", "reason": "ok"}, key="once") for _ in range(2))
    assert (again.status_code, again.json()) == (201, first.json())
    assert door.count("approval_decisions") == 1


def test_of_two_calls_at_once_one_works_and_the_other_is_told_to_wait(
    door: Door, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work, go_on = threading.Event(), threading.Event()
    asked = tasks.request_task

    def slow(*arguments: Any, **named: Any) -> Any:
        at_work.set()
        assert go_on.wait(10)
        return asked(*arguments, **named)

    monkeypatch.setattr(tasks, "request_task", slow)
    door.key("omar")
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(door.post("/v1/tasks", TASK, key="both")))
    thread.start()
    assert at_work.wait(10)
    second = door.post("/v1/tasks", TASK, key="both")
    go_on.set()
    thread.join()
    refused(second, 409, "call-in-progress", "'both'")
    assert second.headers["retry-after"] == "1"
    assert answers[0].status_code == 202
    assert door.post("/v1/tasks", TASK, key="both").json() == answers[0].json()
    assert door.count("events") == 1


@pytest.mark.parametrize("wrong", ["secret", "revoked"])
def test_whoever_is_not_the_principal_holds_up_none_of_its_calls(
    door: Door, refused: Refused, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """The id of a key and what a call is known by are no secrets: with these alone, anybody made its owner wait."""
    presented = door.key("omar").rpartition(".")[0] + ".forged"
    if wrong == "revoked":
        with door.database.tenant("acme") as conn:
            presented = issue_key(conn, tenant_id="acme", principal_id="omar", role=Role.APPROVER)
            revoke_key(conn, tenant_id="acme", key_id=list_keys(conn, "acme")[-1].key_id)
    judge, meanwhile = identity.principal_in, []

    def judging(row: Any, conn: Any, key: str) -> Any:
        if key == presented:
            meanwhile.append(door.post("/v1/tasks", TASK, key="pay"))
        return judge(row, conn, key)

    monkeypatch.setattr(identity, "principal_in", judging)
    headers = {"Authorization": f"Bearer {presented}", "Idempotency-Key": "pay"}
    refused(door.client.post("/v1/tasks", json=TASK, headers=headers), 401, "not-authenticated")
    assert [answer.status_code for answer in meanwhile] == [202]


def test_many_calls_at_once_with_one_key_are_one_task(door: Door) -> None:
    door.key("omar", role=Role.APPROVER)
    start, answers = threading.Barrier(8), []

    def call() -> None:
        start.wait()
        answers.append(door.post("/v1/tasks", TASK, key="storm"))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.json()["event_id"] for answer in answers if answer.status_code == 202}) == 1
    assert door.count("events") == door.count("idempotent_calls") == 1


def test_a_call_whose_twin_ended_a_moment_ago_leaves_nothing_and_says_where_the_answer_is(
    door: Door, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.post("/v1/tasks", TASK, key="again")
    with monkeypatch.context() as patched:
        patched.setattr(idempotency, "recalled", lambda *_given, **_named: None)  # what it sees that looked before the other's commit
        other = {**TASK, "key": "D-7"}
        refused(door.post("/v1/tasks", other, key="again"), 409, "call-in-progress", "'again'", "ask again")
    assert door.count("intents") == door.count("events") == door.count("idempotent_calls") == 1
    assert door.post("/v1/tasks", TASK, key="again").headers["idempotent-replayed"] == "true"
