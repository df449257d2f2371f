"""Dirt, by name.

Every change to a cell is a row of the repair ledger (file, line, column, kind, found, became), so that a count can be
checked against the export. What cannot be repaired without guessing goes to quarantine with its reason. Nothing is dropped:
kept + repaired + quarantined = read.

A row counts as *repaired* when a value in it was replaced. Day-first dates are in the ledger too, each one, but writing
20-10-2016 as 2016-10-20 changes the notation and not the value, and every dated row has one: alone it leaves a row *kept*.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from data_jobs.defs.crm import cells
from data_jobs.defs.crm.export import ACCOUNTS, PIPELINE, PRODUCTS, SALES_TEAMS
from spine.errors import BadExport

STAGES = ("Prospecting", "Engaging", "Won", "Lost")
SECTORS = frozenset(
    {
        "employment",
        "entertainment",
        "finance",
        "marketing",
        "medical",
        "retail",
        "services",
        "software",
        "technology",
        "telecommunications",
    }
)
# Corrections are listed, not guessed: a new misspelling shows as unknown in a check until somebody adds it here.
SECTOR_SPELLING: Mapping[str, str] = {"technolgy": "technology"}
COUNTRY_SPELLING: Mapping[str, str] = {"Philipines": "Philippines", "Korea": "South Korea"}
NO_ACCOUNT = ("", "null")  # how the export writes "not known"

NOTATION = frozenset({"day_first_date"})  # kinds of repair that change how a value is written, not the value
_AMOUNT = r"^-?\d{1,12}(\.\d{1,2})?$"
MONEY = pl.Decimal(15, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The three small files. Everything else is judged by them, so one bad cell in them is a bad export."""

    accounts: pl.DataFrame
    products: pl.DataFrame
    sales_teams: pl.DataFrame
    repairs: pl.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Opportunities:
    """`accepted` has `disposition` kept or repaired, and `month` (None for a row without engage date)."""

    read: int
    accepted: pl.DataFrame
    quarantine: pl.DataFrame
    repairs: pl.DataFrame

    def counts(self) -> dict[str, int]:
        kept = self.accepted.filter(pl.col("disposition") == "kept").height
        return {
            "rows_read": self.read,
            "rows_kept": kept,
            "rows_repaired": self.accepted.height - kept,
            "rows_quarantined": self.quarantine.height,
        }


@dataclass(frozen=True, slots=True)
class Rule:
    """A reason for quarantine. `broken` is true for the rows it catches; the first rule that catches a row names its reason."""

    reason: str
    column: str
    broken: pl.Expr
    cure: str


def repairs_by_kind(*ledgers: pl.DataFrame) -> dict[str, int]:
    counted = pl.concat([ledger.select("kind") for ledger in ledgers])["kind"].value_counts().sort("kind")
    return dict(zip(counted["kind"].to_list(), counted["count"].to_list(), strict=True))


def clean_reference(accounts: pl.DataFrame, products: pl.DataFrame, sales_teams: pl.DataFrame) -> Reference:
    """Raises BadExport for a name that is blank or there twice, and for a number that is not one."""
    tidy_accounts, tidy_products, tidy_teams = cells.tidy(accounts), cells.tidy(products), cells.tidy(sales_teams)
    cells.require_distinct(ACCOUNTS, tidy_accounts, "account")
    cells.require_distinct(PRODUCTS, tidy_products, "product")
    cells.require_distinct(SALES_TEAMS, tidy_teams, "sales_agent")
    spelled = tidy_accounts.with_columns(pl.col("sector").replace(SECTOR_SPELLING), pl.col("office_location").replace(COUNTRY_SPELLING))
    return Reference(
        accounts=spelled.select(
            "account",
            cells.blank_as_null("sector"),
            cells.number(ACCOUNTS, spelled, "year_established", pl.Int32),
            cells.number(ACCOUNTS, spelled, "revenue", pl.Float64),
            cells.number(ACCOUNTS, spelled, "employees", pl.Int64),
            cells.blank_as_null("office_location"),
            cells.blank_as_null("subsidiary_of"),
        ),
        products=tidy_products.select(
            "product", cells.blank_as_null("series"), cells.number(PRODUCTS, tidy_products, "sales_price", MONEY)
        ),
        sales_teams=tidy_teams.select("sales_agent", cells.blank_as_null("manager"), cells.blank_as_null("regional_office")),
        repairs=pl.concat(
            [
                cells.spaces(ACCOUNTS, accounts, tidy_accounts),
                cells.spaces(PRODUCTS, products, tidy_products),
                cells.spaces(SALES_TEAMS, sales_teams, tidy_teams),
                cells.changes(ACCOUNTS, tidy_accounts, "sector", "sector_spelling", spelled["sector"]),
                cells.changes(ACCOUNTS, tidy_accounts, "office_location", "country_spelling", spelled["office_location"]),
            ]
        ),
    )


def require_day_first(pipeline: pl.DataFrame) -> None:
    """One date that is none is a bad row; a column of which half are none is a bad export. Raises BadExport for the latter."""
    for column in ("engage_date", "close_date"):
        filled = cells.tidy(pipeline).filter(pl.col(column) != "")
        wrong = filled.filter(cells.day_first(column).is_null())
        if wrong.height * 2 > filled.height:
            line, found = wrong.row(0, named=True)["line"], wrong.row(0, named=True)[column]
            raise BadExport(
                f"{PIPELINE!r} column {column!r}: {wrong.height} of {filled.height} dates are not day-first dates, "
                f"the first on line {line}: {found!r}; export dates as DD-MM-YYYY, such as 20-10-2016"
            )


def clean_opportunities(pipeline: pl.DataFrame, reference: Reference, *, first_day: date, last_day: date) -> Opportunities:
    """Split rows into accepted and quarantined. Total: never raises for what is in a cell. Dates must lie within the days given."""
    tidy = cells.tidy(pipeline)
    has_account = ~pl.col("account").str.to_lowercase().is_in(NO_ACCOUNT)
    judged = tidy.with_columns(
        product_=cells.spelled(tidy, "product", reference.products["product"]),
        agent_=cells.spelled(tidy, "sales_agent", reference.sales_teams["sales_agent"]),
        account_=pl.when(has_account).then(cells.spelled(tidy, "account", reference.accounts["account"])),
        engaged_=cells.day_first("engage_date"),
        closed_=cells.day_first("close_date"),
        value_=pl.when(pl.col("close_value").str.contains(_AMOUNT)).then(pl.col("close_value")).cast(MONEY, strict=False),
    )
    rules = _rules(has_account, first_day, last_day)
    places = (pl.when(rule.broken.fill_null(False)).then(pl.lit(place, pl.Int32)) for place, rule in enumerate(rules))
    judged = judged.with_columns(rule_=pl.coalesce(*places, pl.lit(None, pl.Int32)))
    good = judged.filter(pl.col("rule_").is_null())
    ledger = _ledger_of(pipeline, good)
    repaired = ledger.filter(~pl.col("kind").is_in(NOTATION))["line"].unique()
    accepted = good.select(
        "opportunity_id",
        "line",
        sales_agent="agent_",
        product="product_",
        account="account_",
        deal_stage="deal_stage",
        engage_date="engaged_",
        close_date="closed_",
        close_value="value_",
        month=pl.col("engaged_").dt.strftime("%Y-%m"),
        disposition=pl.when(pl.col("line").is_in(repaired.implode())).then(pl.lit("repaired")).otherwise(pl.lit("kept")),
    )
    quarantine = _explained(pipeline, judged.filter(pl.col("rule_").is_not_null()), rules)
    return Opportunities(read=pipeline.height, accepted=accepted, quarantine=quarantine, repairs=ledger)


def _rules(has_account: pl.Expr, first_day: date, last_day: date) -> tuple[Rule, ...]:
    stage, engaged, closed, value = pl.col("deal_stage"), pl.col("engaged_"), pl.col("closed_"), pl.col("value_")
    is_closed = stage.is_in(["Won", "Lost"])
    date_cure = "write DD-MM-YYYY, such as 20-10-2016"
    range_cure = f"dates lie between {first_day.isoformat()} and {last_day.isoformat()}"
    return (
        Rule("missing_id", "opportunity_id", pl.col("opportunity_id") == "", "every opportunity has an id"),
        # Nobody knows which copy is right; the first stays, so that a re-export of the same file decides alike.
        Rule("duplicate_id", "opportunity_id", ~pl.col("opportunity_id").is_first_distinct(), "an id is given once"),
        Rule("unknown_stage", "deal_stage", ~stage.is_in(STAGES), f"a stage is one of {', '.join(STAGES)}"),
        Rule("unknown_product", "product", pl.col("product_").is_null(), f"add it to {PRODUCTS}, or correct it"),
        Rule("unknown_agent", "sales_agent", pl.col("agent_").is_null(), f"add the agent to {SALES_TEAMS}, or correct it"),
        Rule("unlisted_account", "account", has_account & pl.col("account_").is_null(), f"add it to {ACCOUNTS}, or leave it blank"),
        Rule("bad_date", "engage_date", (pl.col("engage_date") != "") & engaged.is_null(), date_cure),
        Rule("bad_date", "close_date", (pl.col("close_date") != "") & closed.is_null(), date_cure),
        Rule("date_out_of_range", "engage_date", ~engaged.is_between(first_day, last_day), range_cure),
        Rule("date_out_of_range", "close_date", ~closed.is_between(first_day, last_day), range_cure),
        Rule("missing_engage_date", "engage_date", (stage != "Prospecting") & engaged.is_null(), "only a prospect may have none"),
        Rule("missing_close_date", "close_date", is_closed & closed.is_null(), "a deal that is won or lost has one"),
        Rule("closes_before_engaged", "close_date", closed < engaged, "a deal is closed on or after the day it was engaged"),
        Rule("bad_value", "close_value", (pl.col("close_value") != "") & value.is_null(), "write an amount such as 1054 or 1054.50"),
        Rule("negative_value", "close_value", value < 0, "a value is zero or more"),
        Rule("missing_close_value", "close_value", (stage == "Won") & value.is_null(), "a won deal has a value"),
    )


def _ledger_of(raw: pl.DataFrame, good: pl.DataFrame) -> pl.DataFrame:
    came = raw.join(good.select("line"), on="line", how="semi", maintain_order="left")
    unknown = good["account"].str.to_lowercase().is_in(NO_ACCOUNT)
    return pl.concat(
        [
            cells.spaces(PIPELINE, came, good),
            cells.changes(PIPELINE, good, "product", "product_spelling", good["product_"]),
            cells.changes(PIPELINE, good, "sales_agent", "agent_spelling", good["agent_"]),
            cells.changes(PIPELINE, good.filter(~unknown), "account", "account_spelling", good.filter(~unknown)["account_"]),
            cells.changes(
                PIPELINE, good.filter(unknown), "account", "blank_account", pl.Series([None] * int(unknown.sum()), dtype=pl.String)
            ),
            cells.changes(PIPELINE, good, "engage_date", "day_first_date", good["engaged_"].dt.to_string().fill_null("")),
            cells.changes(PIPELINE, good, "close_date", "day_first_date", good["closed_"].dt.to_string().fill_null("")),
        ]
    )


def _explained(raw: pl.DataFrame, bad: pl.DataFrame, rules: tuple[Rule, ...]) -> pl.DataFrame:
    """The rows as they came, with reason, column and a sentence that says where, what and how to mend it."""
    by_place = pl.DataFrame(
        {
            "rule_": range(len(rules)),
            "reason": [rule.reason for rule in rules],
            "column": [rule.column for rule in rules],
            "cure": [rule.cure for rule in rules],
        },
        schema={"rule_": pl.Int32, "reason": pl.String, "column": pl.String, "cure": pl.String},
    )
    columns = [name for name in raw.columns if name != "line"]
    cell = pl.coalesce(*(pl.when(pl.col("column") == name).then(pl.col(name)) for name in columns))
    return (
        raw.join(bad.select("line", "rule_"), on="line", maintain_order="left")
        .join(by_place, on="rule_", maintain_order="left")
        .with_columns(
            message=pl.format("{} line {}: {} is '{}'; {}", pl.lit(PIPELINE), "line", "column", cell, "cure"),
        )
        .select("line", *columns, "reason", "column", "message")
    )


def unknown_values(values: Iterable[str | None], known: Iterable[str]) -> list[str]:
    """Those that are filled and not known, sorted."""
    return sorted({value for value in values if value} - set(known))
