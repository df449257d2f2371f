"""Which rows become events, and writing those events once.

Selecting is a pure function of the data and of `Selection`; every row that is not published is counted with its reason.
Writing puts the events and their publication records into one transaction: whoever runs it again, or at the same time,
finds the records and adds nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

import polars as pl

from shared.events import DatasetPublished, DealWon, Envelope, EventData, LeadQualified, Money
from shared.events.keys import contact_ref
from spine.db import Connection
from spine.eventlog import append
from spine.ids import new_id
from spine.telemetry import current_traceparent, span

SOURCE = "/data_jobs/crm"
LEADS = "crm/leads"
DEALS = "crm/deals"
DATASET = "crm"

ALREADY_PUBLISHED = "already_published"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """`threshold` is a probability; the export names no currency, so it is given here.

    `max_leads_per_account`: an account is one contact, and sequences to one contact share its weekly cap of two messages; more
    of them at once would only wait for each other, for weeks.
    """

    threshold: float
    max_leads: int
    max_leads_per_account: int
    window_days: int
    max_deals: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """Best or most recent first. `left_out` counts every other accepted row by reason."""

    leads: tuple[LeadQualified, ...]
    deals: tuple[DealWon, ...]
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    leads: int
    deals: int
    already: int
    correlation_ids: tuple[str, ...]


def as_of(opportunities: pl.DataFrame) -> date | None:
    """The latest day the export knows of: "today", for whoever looks at it. None for an export without dates."""
    latest: date | None = opportunities.select(pl.max_horizontal(pl.col("engage_date").max(), pl.col("close_date").max())).item()
    return latest


def select(opportunities: pl.DataFrame, scores: pl.DataFrame, products: pl.DataFrame, selection: Selection, version: str) -> Selected:
    """`opportunities` are all accepted rows, with month or without."""
    today = as_of(opportunities) or date.max  # without a date there is no deal to be too old
    opens = scores.filter(pl.col("part") == "open").select("opportunity_id", "score", "band", "reasons")
    rows = opportunities.join(opens, on="opportunity_id", how="left", maintain_order="left").join(
        products.select("product", "sales_price"), on="product", how="left", maintain_order="left"
    )
    judged = rows.with_columns(why=_why_not(selection, today))
    ranked = judged.filter(pl.col("why").is_null() & (pl.col("deal_stage") == "Engaging")).sort(
        pl.col("score"), pl.col("opportunity_id"), descending=[True, False]
    )
    leads = ranked.filter(pl.int_range(pl.len()).over("account") < selection.max_leads_per_account)
    deals = judged.filter(pl.col("why").is_null() & (pl.col("deal_stage") == "Won")).sort(
        pl.col("close_date"), pl.col("opportunity_id"), descending=[True, False]
    )
    left_out = Counter(judged["why"].drop_nulls().to_list())
    left_out["lead_of_an_account_with_better_ones"] = ranked.height - leads.height
    left_out["lead_over_limit"] = max(leads.height - selection.max_leads, 0)
    left_out["deal_over_limit"] = max(deals.height - selection.max_deals, 0)
    return Selected(
        leads=tuple(_lead(row, selection, version) for row in leads.head(selection.max_leads).iter_rows(named=True)),
        deals=tuple(_deal(row, selection) for row in deals.head(selection.max_deals).iter_rows(named=True)),
        left_out={reason: count for reason, count in sorted(left_out.items()) if count},
    )


def publish(
    connection: Connection, selected: Selected, *, tenant_id: str, version: str, rows: int, now: datetime, run_id: str | None = None
) -> Published:
    """Append what was not published before, and record it, in the transaction of `connection`.

    Each event starts a business flow, so each has a correlation id and a trace of its own. A new dataset version, or
    anything new of an old one, is told by one dataset.published. `run_id` is Dagster's: a journey leads back to the run by it.
    """
    source = f"{SOURCE}/runs/{run_id}" if run_id else SOURCE
    candidates: dict[tuple[str, str], EventData] = {(LEADS, lead.lead_id): lead for lead in selected.leads}
    candidates |= {(DEALS, deal.deal_id): deal for deal in selected.deals}
    new = _record(connection, tenant_id, version, list(candidates))
    envelopes = [_wrapped(candidates[key], tenant_id, source, event_id, now) for key, event_id in new.items()]
    told = _record(connection, tenant_id, version, [(DATASET, version)])
    if envelopes or told:
        event = DatasetPublished(dataset=DATASET, version=version, rows=rows, events_published=len(envelopes))
        envelopes.append(_wrapped(event, tenant_id, source, next(iter(told.values()), str(new_id())), now))
    append(connection, envelopes)
    return Published(
        leads=sum(dataset == LEADS for dataset, _ in new),
        deals=sum(dataset == DEALS for dataset, _ in new),
        already=len(candidates) - len(new),
        correlation_ids=tuple(envelope.correlationid for envelope in envelopes),
    )


def _why_not(selection: Selection, today: date) -> pl.Expr:
    stage = pl.col("deal_stage")
    oldest = today - timedelta(days=selection.window_days)
    return (
        pl.when(stage == "Lost")
        .then(pl.lit("deal_lost"))
        .when(stage == "Prospecting")
        .then(pl.lit("lead_not_engaged"))
        .when((stage == "Won") & (pl.col("close_date") <= oldest))
        .then(pl.lit("deal_outside_window"))
        .when(pl.col("account").is_null())
        .then(pl.when(stage == "Won").then(pl.lit("deal_without_account")).otherwise(pl.lit("lead_without_account")))
        .when((stage == "Engaging") & pl.col("score").is_null())
        .then(pl.lit("lead_not_scored"))
        .when((stage == "Engaging") & (pl.col("score") < selection.threshold))
        .then(pl.lit("lead_below_threshold"))
    )


def _lead(row: Mapping[str, object], selection: Selection, version: str) -> LeadQualified:
    price = row["sales_price"]
    return LeadQualified.model_validate(
        {
            "lead_id": row["opportunity_id"],
            "account": row["account"],
            "contact_id": contact_ref(str(row["account"])),
            "product": row["product"],
            "sales_agent": row["sales_agent"],
            "score": round(float(str(row["score"])), 6),
            "band": row["band"],
            "estimated_value": None if price is None else Money.of(Decimal(str(price)), selection.currency),
            "dataset_version": version,
            "reasons": row["reasons"] or (),
        }
    )


def _deal(row: Mapping[str, object], selection: Selection) -> DealWon:
    return DealWon.model_validate(
        {
            "deal_id": row["opportunity_id"],
            "account": row["account"],
            "contact_id": contact_ref(str(row["account"])),
            "product": row["product"],
            "sales_agent": row["sales_agent"],
            "value": Money.of(Decimal(str(row["close_value"])), selection.currency),
            "closed_on": row["close_date"],
        }
    )


def _record(connection: Connection, tenant_id: str, version: str, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Take the keys that nobody has taken; waits for a transaction that is taking the same. Key → event id, in the given order."""
    offered = {key: str(new_id()) for key in keys}
    taken = connection.execute(
        """
        insert into publications (tenant_id, dataset, record_key, version, event_id)
        select %s, dataset, record_key, %s, event_id
        from unnest(%s::text[], %s::text[], %s::uuid[]) as offered (dataset, record_key, event_id)
        order by dataset, record_key  -- one order for all: two runs at once wait for each other instead of deadlocking
        on conflict (tenant_id, dataset, record_key) do nothing
        returning dataset, record_key
        """,
        (tenant_id, version, [dataset for dataset, _ in keys], [key for _, key in keys], list(offered.values())),
    ).fetchall()
    new = {(row["dataset"], row["record_key"]) for row in taken}
    return {key: event_id for key, event_id in offered.items() if key in new}


def _wrapped(data: EventData, tenant_id: str, source: str, event_id: str, now: datetime) -> Envelope:
    correlation_id = str(new_id())
    with span(f"publish {data.short_name()}", correlation_id=correlation_id, event_id=event_id):
        return Envelope.of(
            data,
            tenant_id=tenant_id,
            source=source,
            correlation_id=correlation_id,
            event_id=event_id,
            time=now,
            traceparent=current_traceparent(),
        )
