import threading
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from data_jobs.defs.crm.cleaning import MONEY
from data_jobs.defs.crm.publishing import Published, Selected, Selection, as_of, publish, select
from data_jobs.defs.crm.scoring import SCORES_SCHEMA
from shared.events import Envelope
from spine.db import Connection, Database
from spine.errors import SchemaViolation

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
ALL = Selection(threshold=0.6, max_leads=10, max_leads_per_account=10, window_days=30, max_deals=10, currency="USD")
PRODUCTS = pl.DataFrame(
    {"product": ["Lumo Pro"], "series": ["Lumo"], "sales_price": [Decimal("4780.00")]}, schema_overrides={"sales_price": MONEY}
)


def opportunity(name: str, stage: str, **changes: Any) -> dict[str, Any]:
    closed = stage in ("Won", "Lost")
    return {
        "opportunity_id": name,
        "sales_agent": "Mara Selwick",
        "product": "Lumo Pro",
        "account": "Juno & Partners",
        "deal_stage": stage,
        "engage_date": None if stage == "Prospecting" else date(2024, 5, 1),
        "close_date": date(2024, 6, 28) if closed else None,
        "close_value": Decimal("4700.50") if stage == "Won" else None,
        **changes,
    }


def rows(*given: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(
        list(given), schema_overrides={"close_value": MONEY, "engage_date": pl.Date, "close_date": pl.Date, "account": pl.String}
    )


def scored(**by_id: float) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "opportunity_id": name,
                "part": "open",
                "won": None,
                "score": score,
                "baseline": 0.5,
                "band": "warm",
                "reasons": ["revenue: +0.10"],
            }
            for name, score in by_id.items()
        ],
        schema=dict(SCORES_SCHEMA),
    )


def selected(opportunities: pl.DataFrame, scores: pl.DataFrame, selection: Selection = ALL) -> Selected:
    found = select(opportunities, scores, PRODUCTS, selection, "crm-1")
    assert len(found.leads) + len(found.deals) + sum(found.left_out.values()) == opportunities.height
    return found


@pytest.mark.parametrize(
    ("row", "score", "reason"),
    [
        (opportunity("L", "Lost"), None, "deal_lost"),
        (opportunity("P", "Prospecting"), None, "lead_not_engaged"),
        (opportunity("W", "Won", close_date=date(2024, 5, 29)), None, "deal_outside_window"),
        (opportunity("W", "Won", account=None), None, "deal_without_account"),
        (opportunity("E", "Engaging", account=None), 0.9, "lead_without_account"),
        (opportunity("E", "Engaging"), 0.59, "lead_below_threshold"),
        (opportunity("E", "Engaging"), None, "lead_not_scored"),
    ],
)
def test_every_row_that_is_left_out_is_counted_with_its_reason(row: dict[str, Any], score: float | None, reason: str) -> None:
    newest = opportunity("newest", "Won")
    found = selected(rows(newest, row), scored(**({row["opportunity_id"]: score} if score is not None else {})))
    assert found.left_out == {reason: 1}
    assert [deal.deal_id for deal in found.deals] == ["newest"]


def test_the_best_leads_and_the_most_recent_deals_come_first_and_the_rest_is_counted() -> None:
    opportunities = rows(
        *(opportunity(f"E{n}", "Engaging") for n in range(4)),
        *(opportunity(f"W{n}", "Won", close_date=date(2024, 6, 10 + n)) for n in range(4)),
    )
    found = selected(opportunities, scored(E0=0.6, E1=0.9, E2=0.7, E3=0.9), replace(ALL, max_leads=3, max_deals=2))
    assert [lead.lead_id for lead in found.leads] == ["E1", "E3", "E2"]
    assert [deal.deal_id for deal in found.deals] == ["W3", "W2"]
    assert found.left_out == {"deal_over_limit": 2, "lead_over_limit": 1}


def test_an_account_gets_its_best_lead_only_and_the_others_are_counted() -> None:
    opportunities = rows(
        *(opportunity(f"A{n}", "Engaging", account="Juno Partners") for n in range(3)),
        opportunity("B", "Engaging", account="Globex"),
        opportunity("W", "Won"),
    )
    found = selected(opportunities, scored(A0=0.7, A1=0.9, A2=0.8, B=0.6), replace(ALL, max_leads_per_account=1))
    assert [lead.lead_id for lead in found.leads] == ["A1", "B"]
    assert found.left_out == {"lead_of_an_account_with_better_ones": 2}


def test_an_event_carries_the_contact_by_reference_and_exact_money() -> None:
    found = selected(rows(opportunity("E", "Engaging"), opportunity("W", "Won")), scored(E=0.75))
    lead, deal = found.leads[0], found.deals[0]
    assert lead.contact_id == deal.contact_id == "contact/juno-partners"
    assert (str(lead.estimated_value), str(deal.value)) == ("4,780.00 USD", "4,700.50 USD")
    assert (lead.band, lead.reasons, lead.dataset_version) == ("warm", ("revenue: +0.10",), "crm-1")
    assert deal.closed_on == date(2024, 6, 28)


def test_as_of_is_the_latest_day_of_the_export() -> None:
    assert as_of(rows(opportunity("E", "Engaging", engage_date=date(2024, 7, 2)), opportunity("W", "Won"))) == date(2024, 7, 2)
    assert as_of(rows(opportunity("P", "Prospecting"))) is None


def test_an_export_without_dates_has_nothing_to_publish() -> None:
    assert selected(rows(opportunity("P", "Prospecting")), scored()).left_out == {"lead_not_engaged": 1}


TWO = selected(rows(opportunity("E", "Engaging"), opportunity("W", "Won")), scored(E=0.75))


def published(database: Database, what: Selected = TWO, *, tenant: str = "demo", version: str = "crm-1") -> Published:
    with database.tenant(tenant) as connection:
        return publish(connection, what, tenant_id=tenant, version=version, rows=2, now=NOW)


def events(database: Database, tenant: str = "demo") -> list[Envelope]:
    with database.tenant(tenant) as connection:
        found = connection.execute("select envelope from events order by position").fetchall()
    return [Envelope.model_validate(row["envelope"]) for row in found]


def records(connection: Connection) -> list[tuple[str, str, str]]:
    found = connection.execute("select dataset, record_key, version from publications order by dataset, record_key").fetchall()
    return [(row["dataset"], row["record_key"], row["version"]) for row in found]


def test_a_second_publication_of_the_same_dataset_publishes_nothing(database: Database) -> None:
    first, second = published(database), published(database)
    assert (first.leads, first.deals, first.already) == (1, 1, 0)
    assert (second.leads, second.deals, second.already) == (0, 0, 2)
    assert sorted(event.type for event in events(database)) == [
        "spine.dataset.published.v1",
        "spine.deal.won.v1",
        "spine.lead.qualified.v1",
    ]


def test_a_new_export_publishes_only_what_is_new_and_tells_its_version(database: Database) -> None:
    published(database)
    more = selected(rows(opportunity("E", "Engaging"), opportunity("E2", "Engaging"), opportunity("W", "Won")), scored(E=0.9, E2=0.8))
    found = published(database, more, version="crm-2")
    assert (found.leads, found.deals, found.already) == (1, 0, 2)
    assert [event.subject for event in events(database)][-2:] == ["E2", "crm"]
    told = [event.data for event in events(database) if event.type == "spine.dataset.published.v1"]
    assert [(data["version"], data["events_published"]) for data in told] == [("crm-1", 2), ("crm-2", 1)]


def test_records_and_events_are_one_transaction(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise SchemaViolation("the log refused")

    with monkeypatch.context() as broken:
        broken.setattr("data_jobs.defs.crm.publishing.append", refuse)
        with pytest.raises(SchemaViolation):
            published(database)
    with database.tenant("demo") as connection:
        assert records(connection) == []
    assert published(database).leads == 1
    with database.tenant("demo") as connection:
        assert records(connection) == [("crm", "crm-1", "crm-1"), ("crm/deals", "W", "crm-1"), ("crm/leads", "E", "crm-1")]


def test_each_event_starts_a_flow_and_is_the_one_that_was_recorded(database: Database) -> None:
    found = published(database)
    by_id = {event.id: event for event in events(database)}
    assert {event.correlationid for event in by_id.values()} == set(found.correlation_ids)
    assert len(set(found.correlation_ids)) == 3
    with database.tenant("demo") as connection:
        recorded = {str(row["event_id"]) for row in connection.execute("select event_id from publications").fetchall()}
    assert recorded == set(by_id)


def test_two_runs_at_once_publish_each_row_once(database: Database) -> None:
    results: list[Published] = []
    other = threading.Thread(target=lambda: results.append(published(database)))
    with database.tenant("demo") as connection:
        publish(connection, TWO, tenant_id="demo", version="crm-1", rows=2, now=NOW)
        other.start()
        other.join(0.3)
        assert other.is_alive()  # it waits for the records that are not committed yet
    other.join(10)
    assert [(found.leads, found.deals) for found in results] == [(0, 0)]
    assert len(events(database)) == 3


def test_tenants_publish_apart(database: Database) -> None:
    assert published(database).leads == published(database, tenant="other").leads == 1
    assert {event.tenantid for event in events(database, "other")} == {"other"}
