"""What comes from outside joins the flow it belongs to: one correlation id, one trace, one chain of causes."""

from typing import Any

import pytest

from shared.events import DealWon, Envelope, Money
from spine import eventlog, intents
from spine.intents import Proposal
from spine.settings import Settings
from spine.telemetry import setup_telemetry
from tests.gateway.conftest import EVIDENCE, NOON, ROBOT, Door
from tests.gateway.test_webhooks import _send
from tests.papers import RISKS, memo

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
REPORTED = {"deal_id": "D-1", "envelope_id": "env-1", "status": "delivered", "reported_by": "poll"}


@pytest.fixture(autouse=True)
def _traced() -> None:
    setup_telemetry("tests", Settings())  # without a provider a request has no trace that could be the wrong one


def _won(door: Door, *, correlation_id: str = "flow-9") -> Envelope:
    data = DealWon(
        deal_id="D-1",
        account="Globex",
        contact_id="contact/globex",
        product="Spine",
        sales_agent="Ana",
        value=Money.of("10.00", "SAR"),
        closed_on=NOON.date(),
    )
    with door.database.tenant("acme") as conn:
        return eventlog.publish(
            conn, data, tenant_id="acme", source="/test", correlation_id=correlation_id, now=NOON, traceparent=TRACEPARENT
        )


def _proposed(door: Door) -> str:
    proposal = Proposal(
        tenant_id="acme",
        automation="contract-signature",
        key="D-1",
        action="publish_statement",
        workflow_id="acme/contract-signature/D-1",
        actor=ROBOT,
        payload={"text": "We won."},
        correlation_id="flow-9",
        traceparent=TRACEPARENT,
        evidence=EVIDENCE,
        memo=memo(EVIDENCE.pack_id),
        risks=RISKS,
    )
    with door.database.tenant("acme") as conn:
        proposed = intents.propose(
            conn, proposal, policy=door.services.policy, clock=door.services.clock, effects_allowed=("publish_statement",)
        )
    assert proposed.approval_id
    return proposed.approval_id


def _traces_behind_the_door(door: Door) -> dict[str, set[Any]]:
    """By where it stands: the traces of what came in over HTTP."""
    with door.database.tenant("acme") as conn:
        audit = conn.execute(
            "select trace_id from audit_log where action like 'approval.%%' or action like 'webhook.%%' or action like 'event.%%'"
        )
        events = conn.execute("select split_part(envelope ->> 'traceparent', '-', 2) as trace_id from events")
        return {
            "audit": {row["trace_id"] for row in audit if row["trace_id"]},
            "events": {row["trace_id"] for row in events},
        }


def test_people_and_providers_do_not_break_the_trace_of_a_flow(door: Door) -> None:
    _won(door)
    approval_id = _proposed(door)
    own = set()
    for person in ("omar", "sara"):
        answer = door.post(f"/v1/approvals/{approval_id}/decisions", {"verdict": "approve", "reason": "fine"}, person)
        assert answer.status_code == 201, answer.json()
        own.add(answer.headers["x-trace-id"])
    own.add(_send(door).headers["x-trace-id"])
    assert len(own) == 3, "each request has a trace of its own"
    assert TRACE not in own
    assert _traces_behind_the_door(door) == {"audit": {TRACE}, "events": {TRACE}}


def test_a_fact_told_without_a_correlation_id_joins_the_flow_that_listens_for_it(door: Door) -> None:
    _won(door, correlation_id="an older deal of the same name")
    won = _won(door)
    answer = door.post("/v1/events", {"type": "signature.reported", "data": REPORTED})
    assert (answer.status_code, answer.json()["correlation_id"]) == (202, "flow-9")
    assert answer.headers["x-correlation-id"] == "flow-9"
    (found,) = door.get("/v1/events", params={"type": "signature.reported"}).json()["items"]
    assert (found["event"]["causationid"], found["event"]["traceparent"]) == (won.id, TRACEPARENT)


def test_a_fact_that_names_its_flow_stays_in_it(door: Door) -> None:
    _won(door)
    answer = door.post("/v1/events", {"type": "signature.reported", "data": REPORTED, "correlation_id": "flow-of-the-teller"})
    assert answer.json()["correlation_id"] == "flow-of-the-teller"
    named = door.post("/v1/events", {"type": "signature.reported", "data": REPORTED}, headers={"X-Correlation-Id": "flow-in-the-header"})
    assert named.json()["correlation_id"] == "flow-in-the-header"


def test_a_fact_of_a_flow_of_another_tenant_begins_one_of_its_own(door: Door) -> None:
    _won(door)
    answer = door.post("/v1/events", {"type": "signature.reported", "data": REPORTED}, tenant="other")
    assert answer.status_code == 202
    assert answer.json()["correlation_id"] != "flow-9"
