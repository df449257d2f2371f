"""Writing to the log and reading it back."""

from datetime import timedelta

import pytest

from spine.db import Database
from spine.errors import SchemaViolation, TenantMismatch, UnknownEventType
from spine.eventlog import Place, append, events_of, latest, publish, read
from spine.ids import derived_id
from tests.eventlog.events import NOW, envelope, won


def test_an_event_comes_back_as_it_was_published(database: Database) -> None:
    with database.tenant("demo") as conn:
        sent = publish(conn, won(), tenant_id="demo", source="/tests", correlation_id="flow-1", now=NOW)
    with database.tenant("demo") as conn:
        [recorded] = read(conn, tenant_id="demo")
        assert recorded.envelope == sent
        assert events_of(conn, "demo", "flow-1") == [sent]
        assert events_of(conn, "demo", "flow-2") == []


def test_an_event_of_a_transaction_that_failed_never_happened(database: Database) -> None:
    with database.tenant("demo") as conn:
        publish(conn, won(), tenant_id="demo", source="/tests", correlation_id="flow-1", now=NOW)
        conn.rollback()
    with database.tenant("demo") as conn:
        assert read(conn, tenant_id="demo") == []


def test_a_producer_that_runs_again_with_a_derived_id_adds_nothing(database: Database) -> None:
    first = envelope(id=str(derived_id("demo", "deal", "d-1")))
    second = first.model_copy(update={"time": NOW + timedelta(hours=1)})
    with database.tenant("demo") as conn:
        assert append(conn, [first]) == 1
        assert append(conn, [second, envelope()]) == 1
    with database.tenant("demo") as conn:
        assert read(conn, tenant_id="demo")[0].envelope.time == NOW


def test_an_unknown_type_is_refused_by_name_and_writes_nothing_of_the_call(database: Database) -> None:
    with database.tenant("demo") as conn:
        with pytest.raises(UnknownEventType, match=r"spine\.deal\.lost\.v1"):
            append(conn, [envelope(), envelope(type="spine.deal.lost.v1")])
        assert append(conn, []) == 0
    with database.tenant("demo") as conn:
        assert latest(conn, tenant_id="demo") == []


def test_a_payload_that_breaks_its_schema_is_refused_with_the_field_named(database: Database) -> None:
    broken = envelope()
    broken = broken.model_copy(update={"data": {**broken.data, "value": {"amount": 12.5, "currency": "SAR"}}})
    with database.tenant("demo") as conn, pytest.raises(SchemaViolation, match=r"value\.amount"):
        append(conn, [broken])


def test_an_event_of_another_tenant_is_refused(database: Database) -> None:
    with database.tenant("demo") as conn, pytest.raises(TenantMismatch, match="'other'"):
        append(conn, [envelope(tenant_id="other")])


def test_the_tail_goes_on_after_a_place_and_filters(database: Database) -> None:
    with database.tenant("demo") as conn:
        append(conn, [envelope(), envelope("d-2", correlation_id="flow-2"), envelope(correlation_id="flow-2")])
    with database.tenant("demo") as conn:
        everything = read(conn, tenant_id="demo")
        assert [r.place for r in everything] == sorted(r.place for r in everything)
        assert read(conn, tenant_id="demo", after=everything[0].place) == everything[1:]
        assert read(conn, tenant_id="demo", correlation_id="flow-2") == everything[1:]
        assert read(conn, tenant_id="demo", subject="d-2") == [everything[1]]
        assert read(conn, tenant_id="demo", event_type="spine.lead.qualified.v1") == []
        assert latest(conn, tenant_id="demo", limit=2) == everything[1:]
        assert read(conn, tenant_id="demo", after=Place(everything[-1].place.xid, everything[-1].place.position)) == []
    with database.tenant("other") as conn:
        assert read(conn, tenant_id="demo") == []
