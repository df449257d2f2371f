"""Producers are strict, readers tolerant, and both name the field."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from shared.events import (
    ALIASES,
    CATALOG,
    GUARDS,
    DealWon,
    EventData,
    EventSchemaError,
    SignatureCompleted,
    SignatureReported,
    SignatureRequested,
    UnknownEvent,
    alias,
    check,
    data_of,
    missing_guards,
)
from shared.events.export import schema_of
from tests.shared.samples import NOON, SAMPLES, enveloped, named

DEAL: dict[str, Any] = next(event.wire() for event in SAMPLES if isinstance(event, DealWon))
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)  # NUL is refused by publisher and reader alike
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
VALIDATORS = {event_type: Draft202012Validator(schema_of(event_type)) for event_type in CATALOG}


def test_every_event_of_the_catalogue_has_a_sample_here() -> None:
    assert {event.TYPE for event in SAMPLES} == set(CATALOG)


def test_the_slice_has_its_fifteen_events() -> None:
    assert len(CATALOG) >= 15


@pytest.mark.parametrize("event", SAMPLES, ids=named)
def test_what_was_published_is_what_is_read(event: EventData) -> None:
    assert check(event.TYPE, event.wire()) == event
    assert data_of(enveloped(event)) == event


@pytest.mark.parametrize("event", SAMPLES, ids=named)
def test_names_follow_from_the_type(event: EventData) -> None:
    assert f"spine.{event.short_name()}.v{event.type_version()}" == event.TYPE
    assert event.domain() == event.short_name().split(".")[0]
    assert alias(event.short_name()) == alias(event.TYPE) == event.TYPE
    assert event.subject() == event.wire()[event.SUBJECT]


@given(st.sampled_from(SAMPLES), TEXT.filter(bool), JSON)
def test_an_unknown_field_is_refused_at_publish_and_ignored_at_consume(event: EventData, field: str, value: Any) -> None:
    if field in type(event).model_fields:
        return
    more = event.wire() | {field: value}
    with pytest.raises(EventSchemaError) as refused:
        check(event.TYPE, more)
    assert refused.value.field == field
    assert repr(field) in str(refused.value)
    assert data_of(enveloped(event).model_copy(update={"data": more})) == event


@given(st.sampled_from(SAMPLES), st.data())
def test_a_missing_field_is_refused_by_both_and_named(event: EventData, draw: st.DataObject) -> None:
    field = draw.draw(st.sampled_from([name for name, info in type(event).model_fields.items() if info.is_required()]))
    less = {name: value for name, value in event.wire().items() if name != field}
    for refuse in (lambda: check(event.TYPE, less), lambda: data_of(enveloped(event).model_copy(update={"data": less}))):
        with pytest.raises(EventSchemaError) as refused:
            refuse()
        assert refused.value.field == field


@given(st.sampled_from(SAMPLES), st.data())
def test_nothing_that_breaks_the_published_schema_gets_in_or_out(event: EventData, draw: st.DataObject) -> None:
    field = draw.draw(st.sampled_from(sorted(type(event).model_fields)))
    changed = event.wire() | {field: draw.draw(JSON)}
    if VALIDATORS[event.TYPE].is_valid(changed):
        return
    for refuse in (lambda: check(event.TYPE, changed), lambda: data_of(enveloped(event).model_copy(update={"data": changed}))):
        with pytest.raises(EventSchemaError) as refused:
            refuse()
        assert refused.value.field.split(".")[0] == field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"deal_id": ""}, "deal_id"),
        ({"deal_id": 7}, "deal_id"),
        ({"value": {"amount": 55.5, "currency": "SAR"}}, "value.amount"),
        ({"value": {"amount": "55.50", "currency": "riyal"}}, "value.currency"),
        ({"value": {"amount": "55.50", "currency": "SAR", "vat": "8"}}, "value.vat"),
        ({"closed_on": "22/11/2026"}, "closed_on"),
        ({"closed_on": "2026-11-22T00:00:00Z"}, "closed_on"),
        ({"contact_id": "someone@example.com"}, "contact_id"),
        ({"account": float("nan")}, "account"),
        ({"account": NOON}, "account"),
        ({"account": "a\x00b"}, "account"),
        ({"account": "\ud800"}, "account"),
    ],
)
def test_a_payload_that_breaks_its_schema_is_refused_with_the_field_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(EventSchemaError, match=r"'spine\.deal\.won\.v1' does not fit") as refused:
        check(DealWon.TYPE, DEAL | change)
    assert refused.value.field == field
    assert repr(field) in str(refused.value)


def test_every_field_that_is_wrong_is_in_the_message() -> None:
    with pytest.raises(EventSchemaError) as refused:
        check(DealWon.TYPE, DEAL | {"deal_id": 7, "account": 8, "more": 9})
    assert all(repr(field) in str(refused.value) for field in ("deal_id", "account", "more"))


def test_a_refusal_does_not_repeat_the_value() -> None:
    with pytest.raises(EventSchemaError) as refused:
        check(DealWon.TYPE, DEAL | {"contact_id": "someone@example.com"})
    assert "someone" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_a_payload_without_a_floor_is_refused_before_the_stack_overflows() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"deeper": deep}
    with pytest.raises(EventSchemaError, match="nested deeper"):
        check("spine.task.requested.v1", {"automation": "a", "key": "k", "payload": deep, "requested_by": "p"})


@pytest.mark.parametrize("event_type", ["spine.deal.won.v2", "spine.deal.lost.v1", "deal", ""])
def test_an_unknown_type_is_refused(event_type: str) -> None:
    with pytest.raises(UnknownEvent, match="catalogue") as refused:
        check(event_type, {})
    assert (refused.value.event_type, refused.value.field) == (event_type, "type")
    with pytest.raises(UnknownEvent):
        alias(event_type)


def test_a_short_name_where_a_type_belongs_is_answered_with_the_type() -> None:
    with pytest.raises(UnknownEvent, match=r"write 'spine\.deal\.won\.v1'"):
        check("deal.won", DEAL)


def test_an_event_is_not_completed_before_it_was_requested() -> None:
    assert missing_guards(SignatureCompleted.TYPE, []) == {SignatureRequested.TYPE}
    assert missing_guards(SignatureCompleted.TYPE, [SignatureReported.TYPE]) == {SignatureRequested.TYPE}
    assert not missing_guards(SignatureCompleted.TYPE, [SignatureRequested.TYPE])
    assert not missing_guards(DealWon.TYPE, [])
    with pytest.raises(UnknownEvent):
        missing_guards("spine.deal.lost.v1", [])


def test_guards_speak_of_known_events_with_one_subject_and_never_in_a_circle() -> None:
    for event_type, before in GUARDS.items():
        assert before, event_type
        for earlier in before:
            assert CATALOG[earlier].SUBJECT == CATALOG[event_type].SUBJECT, "the guard compares events of one subject"
    seen: list[str] = []
    pending = set(CATALOG)
    while possible := {event_type for event_type in pending if not missing_guards(event_type, seen)}:
        seen += possible
        pending -= possible
    assert not pending, "these events can never happen"


def test_aliases_are_as_many_as_the_names() -> None:
    assert set(ALIASES.values()) <= set(CATALOG)
    assert set(ALIASES) == {model.short_name() for model in CATALOG.values()}
