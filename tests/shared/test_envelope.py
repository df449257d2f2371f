"""The envelope is CloudEvents 1.0, frozen, and says which attribute is wrong."""

import json
import pickle
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.events import ActorType, ApprovalClass, DealWon, Envelope, EventData, EventSchemaError, SignatureRequested
from tests.shared.samples import EVENT_ID, NOON, SAMPLES, enveloped, named


@pytest.mark.parametrize("data", SAMPLES, ids=named)
def test_the_official_sdk_reads_our_json_and_we_read_what_it_writes(data: EventData) -> None:
    ours = enveloped(data, causation_id=EVENT_ID, approval_class=ApprovalClass.A1)
    theirs = JSONFormat().read(None, ours.to_json())
    assert isinstance(theirs, CloudEvent)
    assert (theirs.get_id(), theirs.get_type(), theirs.get_source()) == (ours.id, ours.type, ours.source)
    assert theirs.get_time() == NOON
    assert theirs.get_extension("correlationid") == "corr-1"
    assert theirs.get_extension("causationid") == EVENT_ID
    assert theirs.get_extension("approvalclass") == "A1"
    assert Envelope.from_json(JSONFormat().write(theirs)) == ours


def test_an_absent_attribute_is_left_out_because_cloudevents_has_no_null() -> None:
    written = json.loads(enveloped(SAMPLES[0], traceparent=None).to_json())
    assert "traceparent" not in written
    assert None not in written.values()


def test_a_null_inside_the_data_is_kept() -> None:
    written = json.loads(enveloped(SAMPLES[0].model_copy(update={"estimated_value": None})).to_json())
    assert written["data"]["estimated_value"] is None


def test_the_subject_is_the_events_own_and_orders_by_default() -> None:
    envelope = enveloped(SignatureRequested(deal_id="D-7", envelope_id="e", intent_id="i"))
    assert (envelope.subject, envelope.partitionkey) == ("D-7", "D-7")
    other = enveloped(SAMPLES[0], subject="elsewhere", partition_key="together")
    assert (other.subject, other.partitionkey) == ("elsewhere", "together")


def test_the_schema_named_is_the_one_exported() -> None:
    assert enveloped(SAMPLES[0]).dataschema == "urn:spine:event:lead.qualified:v1"


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1)), st.integers(-12, 14))  # noqa: DTZ001 - zoned below
def test_time_comes_back_as_the_same_moment_in_utc(local: datetime, hours: int) -> None:
    moment = local.replace(tzinfo=timezone(timedelta(hours=hours)))
    envelope = Envelope.from_json(enveloped(SAMPLES[0], time=moment).to_json())
    assert envelope.time == moment
    assert envelope.time.tzinfo == UTC


@pytest.mark.parametrize(
    ("changes", "attribute"),
    [
        ({"time": datetime(2026, 11, 22, 12)}, "time"),  # noqa: DTZ001 - the point
        ({"event_id": "evt-1"}, "id"),
        ({"tenant_id": ""}, "tenantid"),
        ({"tenant_id": "a/b"}, "tenantid"),
        ({"correlation_id": ""}, "correlationid"),
        ({"source": "line\nbreak"}, "source"),
        ({"traceparent": "00-zz"}, "traceparent"),
        ({"partition_key": ""}, "partitionkey"),
    ],
)
def test_an_attribute_that_does_not_fit_is_named(changes: dict[str, Any], attribute: str) -> None:
    with pytest.raises(EventSchemaError, match=f"'{attribute}'") as refused:
        enveloped(SAMPLES[0], **changes)
    assert refused.value.field == attribute
    assert refused.value.event_type == SAMPLES[0].TYPE


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("specversion", "0.3"),
        ("time", "2026-11-22 12:00:00Z"),
        ("time", "2026-11-22T12:00:00"),
        ("time", "1700000000"),
        ("time", 1700000000),
        ("actortype", "robot"),
        ("type", "deal.won"),
        ("data", "text"),
        ("id", 7),
    ],
)
def test_json_that_breaks_the_envelope_is_refused_by_attribute(key: str, value: object) -> None:
    broken = json.dumps(json.loads(enveloped(SAMPLES[0]).to_json()) | {key: value})
    with pytest.raises(EventSchemaError) as refused:
        Envelope.from_json(broken)
    assert refused.value.field == key


@pytest.mark.parametrize("attribute", ["specversion", "id", "source", "type", "tenantid", "correlationid", "actortype", "data"])
def test_a_missing_attribute_is_refused_by_name(attribute: str) -> None:
    broken = json.loads(enveloped(SAMPLES[0]).to_json())
    del broken[attribute]
    with pytest.raises(EventSchemaError) as refused:
        Envelope.from_json(json.dumps(broken))
    assert refused.value.field == attribute


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"'])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(EventSchemaError):
        Envelope.from_json(text)


def test_an_attribute_of_a_newer_producer_is_ignored() -> None:
    ours = enveloped(SAMPLES[0])
    assert Envelope.from_json(json.dumps(json.loads(ours.to_json()) | {"sequence": "7"})) == ours


def test_envelopes_and_events_are_frozen() -> None:
    envelope = enveloped(SAMPLES[0])
    with pytest.raises(ValidationError, match="frozen"):
        envelope.tenantid = "other"
    with pytest.raises(ValidationError, match="frozen"):
        SAMPLES[0].lead_id = "other"  # type: ignore[attr-defined]


def test_ids_may_be_given_as_uuids_and_are_written_one_way() -> None:
    assert enveloped(SAMPLES[0], event_id=uuid.UUID(EVENT_ID)).id == EVENT_ID
    assert enveloped(SAMPLES[0], event_id=EVENT_ID.upper()).id == EVENT_ID


def test_the_actor_is_a_workflow_unless_said_otherwise() -> None:
    assert enveloped(SAMPLES[0]).actortype is ActorType.AUTOMATED_WORKFLOW
    assert enveloped(SAMPLES[0], actor_type=ActorType.HUMAN).actortype is ActorType.HUMAN


def test_an_event_class_with_a_bad_type_or_subject_cannot_be_defined() -> None:
    with pytest.raises(TypeError, match=r"not spine\.<domain>"):
        type("BadType", (DealWon,), {"TYPE": "deal.won", "__module__": __name__})
    with pytest.raises(TypeError, match="none of its fields"):
        type("BadSubject", (DealWon,), {"SUBJECT": "nothing", "__module__": __name__})


def test_a_schema_error_survives_a_process_boundary() -> None:
    with pytest.raises(EventSchemaError) as refused:
        enveloped(SAMPLES[0], tenant_id="")
    copy = pickle.loads(pickle.dumps(refused.value))
    assert (str(copy), copy.field, copy.event_type) == (str(refused.value), "tenantid", SAMPLES[0].TYPE)
