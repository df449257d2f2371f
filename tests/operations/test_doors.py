"""Findings, dead letters and circuits at the doors: who sees what, who decides what, in pages, one tenant at a time."""

import json
from uuid import uuid4

import pytest

from spine import deadletters
from spine.deadletters import planes
from spine.identity import Role
from spine.ids import new_id
from tests.cli.conftest import Spine, office, spine
from tests.eventlog.events import envelope, write
from tests.gateway.conftest import NOON, Door, door, refused
from tests.governance.support import Desk

__all__ = ["door", "office", "refused", "spine"]


def letter(door: Door, *, reference: str | None = None, plane: deadletters.Plane = "event", **changes: object) -> str:
    given = {
        "consumer": "revenue", "correlation_id": "flow-1", "error_code": "bad-data", "error": "poison", "attempts": 1, "body": {"n": 1},
        **changes,
    }  # fmt: skip
    with door.database.tenant("acme") as conn:
        added = deadletters.add(
            conn,
            tenant_id="acme",
            plane=plane,
            reference=reference or str(uuid4()),
            now=NOON,
            **given,  # type: ignore[arg-type]
        )
    return str(added)


@pytest.fixture
def event_letter(door: Door) -> str:
    """An event on the log that a consumer gave up."""
    event = envelope("d-1", tenant_id="acme")
    write(door.database, event)
    return letter(door, reference=event.id, body=json.loads(event.to_json()))


def test_letters_come_in_pages_by_kind_and_without_their_bodies(door: Door, refused) -> None:  # type: ignore[no-untyped-def]
    mine = [letter(door) for _ in range(3)]
    letter(door, error_code="other")
    first = door.get("/v1/dead-letters?error_code=bad-data&limit=2").json()
    second = door.get(f"/v1/dead-letters?error_code=bad-data&limit=2&cursor={first['next']}").json()
    assert sorted(one["dead_letter_id"] for one in (*first["items"], *second["items"])) == sorted(mine)
    assert (second["next"], {one["body"] for one in first["items"]}) == (None, {None})
    refused(door.get("/v1/dead-letters?cursor=nonsense"), 400, "invalid-input", "cursor")
    assert door.get("/v1/dead-letters", tenant="rival").json()["items"] == []


def test_one_is_shown_whole_to_operators_only_and_to_nobody_of_another_tenant(door: Door, event_letter: str, refused) -> None:  # type: ignore[no-untyped-def]
    path = f"/v1/dead-letters/{event_letter}"
    assert door.get(path, person="olga", role=Role.OPERATOR).json()["body"]["data"]["deal_id"] == "d-1"
    assert door.get(path, person="vic", role=Role.VIEWER).json()["body"] is None
    refused(door.get(path, tenant="rival"), 404, "not-found")
    refused(door.post(f"{path}/retry", {"reason": "x"}, tenant="rival"), 404, "not-found")


def test_retry_takes_an_operator_discard_and_edit_an_approver(door: Door, event_letter: str, refused) -> None:  # type: ignore[no-untyped-def]
    path = f"/v1/dead-letters/{event_letter}"
    refused(door.post(f"{path}/retry", {"reason": "x"}, person="vic", role=Role.VIEWER), 403, "not-allowed")
    refused(door.post(f"{path}/discard", {"reason": "x"}, person="olga", role=Role.OPERATOR), 403, "not-allowed")
    refused(door.post(f"{path}/edit", {"reason": "x", "body": {}}, person="olga", role=Role.OPERATOR), 403, "not-allowed")
    done = door.post(f"{path}/retry", {"reason": "mended"}, person="olga", role=Role.OPERATOR).json()
    assert (done["state"], done["resolved_by"], done["resolution"]) == ("retried", "olga", "mended")
    refused(door.post(f"{path}/discard", {"reason": "x"}), 409, "conflict", "'retried'")


def test_a_mended_event_is_a_new_one_judged_again_caused_by_the_old_and_both_digests_are_on_record(
    door: Door, event_letter: str, refused
) -> None:  # type: ignore[no-untyped-def]
    path = f"/v1/dead-letters/{event_letter}"
    body = door.get(path).json()["body"]
    bad = {**body, "data": {**body["data"], "value": {"amount": 12, "currency": "SAR"}}}
    refused(door.post(f"{path}/edit", {"reason": "price", "body": bad}), 422, "schema-violation", "value")
    refused(door.post(f"{path}/edit", {"reason": "price", "body": {**body, "tenantid": "rival"}}), 400, "invalid-input", "'tenantid'")
    refused(door.post(f"{path}/edit", {"reason": "price", "body": body}), 400, "invalid-input", "nothing was edited")
    other_deal = {**body, "data": {**body["data"], "deal_id": "d-2"}}
    refused(door.post(f"{path}/edit", {"reason": "price", "body": other_deal}), 400, "invalid-input", "about")
    good = {**body, "data": {**body["data"], "product": "GTX Plus Pro"}}
    done = door.post(f"{path}/edit", {"reason": "the product's name", "body": good}).json()
    assert done["state"] == "edited"
    with door.database.tenant("acme") as conn:
        row = conn.execute("select envelope from events where event_id = %s", (done["successor"],)).fetchone()
        said = conn.execute("select detail from audit_log where action = 'dead_letter.edited'").fetchone()
    assert row is not None
    assert said is not None
    assert (row["envelope"]["causationid"], row["envelope"]["correlationid"]) == (body["id"], body["correlationid"])
    assert row["envelope"]["data"]["product"] == "GTX Plus Pro"
    assert said["detail"]["digest_before"] != said["detail"]["digest_after"]
    refused(door.post(f"{path}/edit", {"reason": "again", "body": good}), 409, "conflict", "'edited'")


def test_what_was_hidden_from_the_editor_and_left_alone_is_what_the_log_holds() -> None:
    """A mark that he left as he saw it is not published as somebody's name."""
    original = {"account": "Acme (ceo@acme.example)", "notes": ["+966501234567", "call"], "product": "GTX Pro"}
    shown = {"account": "Acme ([email])", "notes": ["[phone]", "call"], "product": "GTX Pro"}
    edited = {**shown, "notes": ["[phone]", "write"], "product": "GTX Basic"}
    meant = planes._restored(edited, shown, original)
    assert meant == {"account": "Acme (ceo@acme.example)", "notes": ["+966501234567", "write"], "product": "GTX Basic"}


@pytest.mark.parametrize("plane", ["delivery", "activity", "graph", "data_job"])
def test_what_has_no_input_in_the_letter_cannot_be_edited_and_says_what_else_to_do(door: Door, plane: deadletters.Plane, refused) -> None:  # type: ignore[no-untyped-def]
    found = letter(door, plane=plane)
    refused(door.post(f"/v1/dead-letters/{found}/edit", {"reason": "x", "body": {"n": 2}}), 409, "conflict", "retry it")


def test_error_and_body_hold_nothing_secret(door: Door) -> None:
    found = letter(
        door, error="Bearer abcdefgh12345678 refused for x@y.example", body={"token": "sk.acme.k1.secretsecret", "to": ["x@y.example"]}
    )
    shown = json.dumps(door.get(f"/v1/dead-letters/{found}").json())
    assert not {word for word in ("abcdefgh12345678", "x@y.example", "secretsecret") if word in shown}


def test_many_are_counted_first_then_decided_and_each_is_on_record(door: Door, refused) -> None:  # type: ignore[no-untyped-def]
    for _ in range(3):
        letter(door)
    kept = letter(door, error_code="other")
    body = {"verdict": "discard", "error_code": "bad-data", "reason": "test orders"}
    assert door.post("/v1/dead-letters/bulk", body).json() == {"matched": 3, "done": [], "refused": []}
    letter(door)
    refused(door.post("/v1/dead-letters/bulk", {**body, "expected": 3}), 409, "conflict", "count them again")
    refused(door.post("/v1/dead-letters/bulk", {"verdict": "discard", "reason": "all"}), 400, "invalid-input", "needs a kind")
    refused(door.post("/v1/dead-letters/bulk", body, person="olga", role=Role.OPERATOR), 403, "not-allowed")
    assert len(door.post("/v1/dead-letters/bulk", {**body, "expected": 4}).json()["done"]) == 4
    assert door.count("audit_log", "action = 'dead_letter.discarded'") == 4
    assert [one["dead_letter_id"] for one in door.get("/v1/dead-letters").json()["items"]] == [kept]


def test_one_of_many_that_cannot_be_retried_is_named_and_stops_no_other(door: Door) -> None:
    letter(door, plane="data_job", reference="r-1", consumer="dagster", body={"job": "nightly", "tags": {}})
    stuck = letter(door, plane="data_job", reference="r-2", consumer="dagster", body={"job": "__ASSET_JOB"})
    done = door.post("/v1/dead-letters/bulk", {"verdict": "retry", "plane": "data_job", "reason": "up again", "expected": 2}).json()
    assert (len(done["done"]), [one["dead_letter_id"] for one in done["refused"]]) == (1, [stuck])
    assert door.count("events", "type = 'spine.governance.dead_letter_retried.v1'") == 1


def test_circuits_are_shown_and_reset_with_a_reason(door: Door, refused) -> None:  # type: ignore[no-untyped-def]
    with door.database.tenant("acme") as conn:
        conn.execute(
            "insert into dead_letter_circuits (tenant_id, plane, consumer, error_code, state, opened_at, probe_at) "
            "values ('acme', 'event', 'revenue', 'routing-failed', 'open', now(), now())"
        )
    [shown] = door.get("/v1/dead-letters/circuits").json()["items"]
    assert (shown["consumer"], shown["state"], shown["held"]) == ("revenue", "open", 0)
    assert door.get("/v1/dead-letters/circuits", tenant="rival").json()["items"] == []
    body = {"plane": "event", "consumer": "revenue", "error_code": "routing-failed", "reason": "rolled back"}
    refused(door.post("/v1/dead-letters/circuits/reset", body, tenant="rival"), 404, "not-found")
    assert door.post("/v1/dead-letters/circuits/reset", body, person="olga", role=Role.OPERATOR).json()["state"] == "closed"
    assert door.get("/v1/dead-letters/circuits").json()["items"] == []


def test_a_sweep_exits_with_1_when_something_is_felt_and_findings_are_read_over_http(spine: Spine, office: Door, door: Door) -> None:
    quiet = spine("sweep", person="olga", role=Role.OPERATOR)
    assert (quiet.code, "nothing is wrong" in quiet.out) == (0, True)
    desk = Desk(office.database, tenant="acme")
    desk.contact()
    intent_id = desk.runnable().intent_id
    desk.sql("update intents set updated_at = updated_at - interval '3 hours'")
    loud = spine("sweep", "--json", person="olga", role=Role.OPERATOR)
    assert loud.code == 1
    assert [(one["code"], one["about"], one["severity"]) for one in json.loads(loud.out)] == [("runnable-unclaimed", intent_id, "V2")]
    assert "1 gone" not in spine("sweep", person="olga", role=Role.OPERATOR).out
    [found] = door.get("/v1/findings").json()["items"]
    assert (found["about"], found["cleared_at"]) == (intent_id, None)
    assert door.get("/v1/findings", tenant="rival").json()["items"] == []
    assert spine("sweep", person="vic", role=Role.VIEWER).code == 5


def test_an_id_that_is_none_is_not_found(door: Door, refused) -> None:  # type: ignore[no-untyped-def]
    refused(door.get(f"/v1/dead-letters/{new_id()}"), 404, "not-found")
