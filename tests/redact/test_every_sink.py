"""A planted person and a planted secret are driven through every way out; nothing of them comes out of any, and each boundary is needed.

A sink is a function that lets the planted text in where the outside world could (an error of a provider, a reason that somebody typed,
a fact of a lead) and returns what is then readable at the other end.
"""

import importlib
import io
import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from psycopg import sql

from orchestration.failures import application_error
from orchestration.graphs import GraphRunner
from orchestration.graphs.lead_qualification.prompts import ScoreAnswer
from orchestration.graphs.models import Limits, Meter, Model, ask, flat_price
from shared.events import ActorType, PolicyViolationDetected, Severity
from spine import audit, deadletters, eventlog
from spine.audit import Actor
from spine.effects import Failed
from spine.errors import ProviderRefused, SchemaViolation
from spine.settings import Settings
from spine.telemetry import correlated, exporting, setup_logging, setup_telemetry, span
from spine.testing.models import ScriptedChatModel
from tests.gateway.conftest import Door
from tests.governance.support import NOON, Desk, ScriptedConnector
from tests.graphs.world import BUDGET, DRAFTED, LEAD, SCORED

EMAIL, PHONE, PERSON, CARD = "sara.planted@acme.example", "+966501239876", "1012345672", "4111111111111111"
KEY, PASSWORD = "sk.acme.0191f2f4.PlantedSecret0123456789", "PlantedPassword77"
PLANTED = (EMAIL, PHONE, PERSON, CARD, KEY, PASSWORD)
TEXT = f"wrote to {EMAIL}, called {PHONE}, id {PERSON}, card {CARD}, with {KEY} and password={PASSWORD}"
ROBOT = Actor(ActorType.AUTOMATED_WORKFLOW, "robot")

World = tuple[Desk, Door]


class Refusing(ScriptedConnector):
    """A provider that quotes what it was sent, as mail servers do."""

    def perform(self, tenant_id: str, payload: dict[str, Any]) -> dict[str, Any]:
        raise ProviderRefused(f"550 5.1.1 {TEXT}")


class Quoting(ScriptedConnector):
    def perform(self, tenant_id: str, payload: dict[str, Any]) -> dict[str, Any]:
        return {**super().perform(tenant_id, payload), "said": TEXT}


def rows(desk: Desk, table: str) -> str:
    return str(desk.sql(sql.SQL("select t::text from {} t").format(sql.Identifier(table)).as_string(None)))


def log(_world: World) -> str:
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    setup_logging("test", stream=stream)
    try:
        with correlated(EMAIL):
            logging.getLogger("spine.test").warning("it %s", TEXT)
        try:
            raise ValueError(TEXT)
        except ValueError:
            logging.getLogger("uvicorn.error").exception("failed")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    return stream.getvalue()


def span_of(_world: World) -> str:
    exporter = InMemorySpanExporter()
    processor = exporting(exporter)
    setup_telemetry("tests", Settings()).add_span_processor(processor)
    with span(f"send {EMAIL}", why=TEXT) as opened:
        opened.add_event(f"asked {PHONE}", {"said": TEXT})
    with trace.get_tracer("a library").start_as_current_span("call") as theirs:
        theirs.set_attributes({"http.url": f"https://user:{PASSWORD}@acme.example/?to={EMAIL}", "all": [TEXT]})
        theirs.set_status(trace.StatusCode.ERROR, TEXT)
    processor.force_flush()
    found = [finished.to_json() for finished in exporter.get_finished_spans()]
    processor.shutdown()
    return str(found)


def event(world: World) -> str:
    desk, _ = world
    data = PolicyViolationDetected(kind="planted", severity=Severity.V1, detail=TEXT)
    with desk.database.tenant(desk.tenant) as conn:
        eventlog.publish(conn, data, tenant_id=desk.tenant, source="/test", correlation_id="flow", now=NOON)
    return rows(desk, "events")


def audited(world: World) -> str:
    desk, _ = world
    with desk.database.tenant(desk.tenant) as conn:
        audit.record(
            conn,
            tenant_id=desk.tenant,
            actor=ROBOT,
            action="thing.happened",
            subject_type="request",
            subject_id=f"GET /v1/contacts/{EMAIL}",
            now=NOON,
            detail={"why": TEXT, "deep": [{"er": TEXT}], "api_key": PASSWORD, "asked_id": EMAIL},
        )
    return rows(desk, "audit_log")


def effect(world: World) -> str:
    desk, _ = world
    desk.provider = Refusing()
    refused = desk.runnable()
    desk.execute(refused.intent_id)
    desk.provider = Quoting()
    desk.execute(desk.runnable().intent_id)
    return "".join(rows(desk, table) for table in ("effects", "events", "audit_log"))


def outcome(world: World) -> str:
    """What goes back to the workflow, whose history keeps it."""
    desk, _ = world
    desk.provider = Refusing()
    ended = desk.execute(desk.runnable().intent_id)
    assert isinstance(ended, Failed)
    return ended.why


def history(_world: World) -> str:
    return str(application_error(ProviderRefused(TEXT)))


def dead_letter(world: World) -> str:
    desk, _ = world
    with desk.database.tenant(desk.tenant) as conn:
        deadletters.add(
            conn,
            tenant_id=desk.tenant,
            plane="activity",
            reference="a-1",
            consumer="worker",
            correlation_id="flow",
            error_code="provider-refused",
            error=TEXT,
            attempts=3,
            body={"note": TEXT, "password": PASSWORD, "args": [{"to": EMAIL}]},
            now=NOON,
        )
    return rows(desk, "dead_letters")


def problem(world: World) -> str:
    _, door = world
    answers = [door.get(f"/v1/intents/{planted}") for planted in (EMAIL, PHONE, KEY)]
    answers.append(door.get("/v1/intents", headers={"X-Correlation-Id": EMAIL}))
    assert [answer.status_code for answer in answers] == [404, 404, 404, 200]
    return "".join(answer.text + str(answer.headers) for answer in answers)


def _graph(is_private: bool = False) -> tuple[ScriptedChatModel, InMemorySaver]:
    chat, saver = ScriptedChatModel([SCORED, DRAFTED]), InMemorySaver()

    def make(_limits: Limits) -> ScriptedChatModel:
        return chat

    def factory(types: Any) -> InMemorySaver:
        saver.serde = JsonPlusSerializer(allowed_msgpack_modules=list(types))
        return saver

    model = Model(name="test:scripted", price=flat_price("1/1"), make=make, is_private=is_private)
    lead = LEAD.model_copy(update={"reasons": (TEXT,), "account": f"Acme ({PHONE})"})
    GraphRunner(Settings(), factory, model).qualify_lead(
        tenant_id="acme", workflow_id="acme/outreach-sequence/L1", step=0, lead=lead, heartbeat=lambda: None
    )
    return chat, saver


def checkpoint(_world: World) -> str:
    _, saver = _graph()
    kept = f"{saver.blobs}{dict(saver.writes)}{dict(saver.storage)}"
    assert "Acme (" in kept
    return kept


def prompt(_world: World) -> str:
    """To an endpoint that is not private: what the model received, with facts that somehow came in unredacted."""
    chat = ScriptedChatModel([SCORED])

    def make(_limits: Limits) -> ScriptedChatModel:
        return chat

    limits = Limits(temperature=0, max_tokens=100, timeout=timedelta(seconds=5))
    ask(
        Model(name="test:scripted", price=flat_price("1/1"), make=make),
        Meter(BUDGET),
        system=TEXT,
        human=TEXT,
        answer=ScoreAnswer,
        limits=limits,
    )
    return str(chat.calls)


SINKS: dict[str, Callable[[World], str]] = {
    one.__name__: one for one in (log, span_of, event, audited, effect, outcome, history, dead_letter, problem, checkpoint, prompt)
}
BOUNDARIES = [
    ("spine.telemetry", "redact", "log"),
    ("spine.telemetry", "redact_reference", "log"),
    ("spine.redact.spans", "redact", "span_of"),
    ("spine.eventlog.cleaning", "redact", "event"),
    ("spine.audit", "redacted", "audited"),
    ("spine.audit", "redact_reference", "audited"),
    ("spine.effects.ledger", "redacted", "effect"),
    ("spine.effects.settle", "redact", "outcome"),
    ("orchestration.failures", "redact", "history"),
    ("spine.deadletters.store", "redact", "dead_letter"),
    ("spine.deadletters.store", "redacted", "dead_letter"),
    ("spine.gateway.problems", "redact", "problem"),
    ("spine.gateway.tracing", "redact_reference", "problem"),
    ("orchestration.graphs.runner", "redacted", "checkpoint"),
    ("orchestration.graphs.models", "redact", "prompt"),
]


@pytest.fixture
def world(desk: Desk, door: Door) -> World:
    return desk, door


@pytest.mark.parametrize("sink", SINKS)
def test_nothing_that_was_planted_comes_out(sink: str, world: World) -> None:
    out = SINKS[sink](world)
    assert [planted for planted in PLANTED if planted in out] == []
    assert "[email]" in out, "the planted text has to have gone this way at all"


@pytest.mark.parametrize(("module", "name", "sink"), BOUNDARIES, ids=lambda part: part)
def test_without_its_boundary_a_sink_lets_it_out(module: str, name: str, sink: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test above is worth."""
    monkeypatch.setattr(importlib.import_module(module), name, lambda value: value)
    out = SINKS[sink](world)
    assert [planted for planted in PLANTED if planted in out] != []


def test_a_private_model_gets_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestration.graphs.runner.redacted", lambda value: value)
    private, _ = _graph(is_private=True)
    assert EMAIL in str(private.calls)
    assert Settings(model="openai:x", model_is_private=True, model_price="0/0").model_is_private


@pytest.mark.parametrize("planted", [EMAIL, KEY])
def test_an_event_that_names_a_record_by_a_person_or_a_secret_is_refused(planted: str, desk: Desk) -> None:
    data = PolicyViolationDetected(kind="x", severity=Severity.V1, detail="", intent_id=planted)
    for given in ({"correlation_id": "flow"}, {"correlation_id": planted}):
        with desk.database.tenant(desk.tenant) as conn, pytest.raises(SchemaViolation, match="names a record by"):
            eventlog.publish(conn, data, tenant_id=desk.tenant, source="/test", now=NOON, **given)


def test_ids_in_events_keep_their_digits(desk: Desk) -> None:
    data = PolicyViolationDetected(kind="x", severity=Severity.V1, detail=f"about {PERSON}", intent_id=PERSON)
    with desk.database.tenant(desk.tenant) as conn:
        eventlog.publish(conn, data, tenant_id=desk.tenant, source="/test", correlation_id="flow", now=NOON)
    (found,) = (json.loads(json.dumps(one)) for one in desk.events("governance.policy_violation_detected"))
    assert (found["intent_id"], found["detail"]) == (PERSON, "about [national-id]")
