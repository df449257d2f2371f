"""What must hold before the next reader sees the data. Blocking, unless a reader is only worse off and not misled."""

from importlib.resources import files

import dagster as dg
import polars as pl

from data_jobs.defs.crm import keys
from data_jobs.defs.crm.cleaning import SECTORS, unknown_values
from data_jobs.defs.crm.scoring import evaluate

MOST_QUARANTINED = 0.05  # above one row in twenty something is wrong with the export, not with the rows
TOLERANCE = 0.02  # of AUC and of Brier score: the noise of a few hundred deals
_LEDGERED = ("sales_agent", "product", "account", "deal_stage", "engage_date", "close_date")


@dg.asset_check(
    asset=keys.SNAPSHOT,
    blocking=True,
    additional_ins={"pipeline": dg.AssetIn(keys.RAW_PIPELINE), "quarantine": dg.AssetIn(keys.QUARANTINE)},
)
def every_row_is_accounted_for(snapshot: pl.DataFrame, pipeline: pl.DataFrame, quarantine: pl.DataFrame) -> dg.AssetCheckResult:
    """kept + repaired + quarantined = read, line by line: each line of the export is in one of them, once."""
    lines = pl.concat([snapshot["line"], quarantine["line"]])
    kept, repaired = (snapshot.filter(pl.col("disposition") == name).height for name in ("kept", "repaired"))
    return dg.AssetCheckResult(
        passed=lines.sort().equals(pipeline["line"].sort()) and kept + repaired == snapshot.height,
        metadata={"read": pipeline.height, "kept": kept, "repaired": repaired, "quarantined": quarantine.height},
    )


@dg.asset_check(
    asset=keys.SNAPSHOT,
    blocking=True,
    additional_ins={"pipeline": dg.AssetIn(keys.RAW_PIPELINE), "repairs": dg.AssetIn(keys.REPAIRS)},
)
def every_change_is_in_the_ledger(snapshot: pl.DataFrame, pipeline: pl.DataFrame, repairs: pl.DataFrame) -> dg.AssetCheckResult:
    """No silent repair, and none that did not happen: the cells that differ from the export are those of the ledger.

    Names, stages and dates; a value is compared as a number by whoever needs it, and blank stays blank.
    """
    came = _cells(pipeline.join(snapshot, on="line", how="semi"), "came")
    now = _cells(snapshot.with_columns(pl.col("engage_date", "close_date").dt.to_string().fill_null("")), "is")
    differ = came.join(now, on=["line", "column"]).filter(pl.col("came").ne_missing(pl.col("is"))).select("line", "column")
    told = repairs.filter(pl.col("file") == "sales_pipeline.csv", pl.col("column").is_in(_LEDGERED)).select("line", "column").unique()
    silent = differ.join(told, on=["line", "column"], how="anti").height
    invented = told.join(differ, on=["line", "column"], how="anti").height
    return dg.AssetCheckResult(
        passed=silent == invented == 0, metadata={"changed_cells": differ.height, "silent": silent, "invented": invented}
    )


@dg.asset_check(asset=keys.SNAPSHOT, blocking=True, additional_ins={"products": dg.AssetIn(keys.PRODUCTS)})
def products_are_known(snapshot: pl.DataFrame, products: pl.DataFrame) -> dg.AssetCheckResult:
    unknown = unknown_values(snapshot["product"].to_list(), products["product"].to_list())
    return dg.AssetCheckResult(passed=not unknown, metadata={"unknown": dg.MetadataValue.json(unknown)})


@dg.asset_check(asset=keys.SNAPSHOT, blocking=True, additional_ins={"quarantine": dg.AssetIn(keys.QUARANTINE)})
def quarantine_is_small(snapshot: pl.DataFrame, quarantine: pl.DataFrame) -> dg.AssetCheckResult:
    """A check of the snapshot, because that is what readers depend on: blocking stops only what is downstream of its asset."""
    rows = snapshot.height + quarantine.height
    share = quarantine.height / max(rows, 1)
    return dg.AssetCheckResult(
        passed=share <= MOST_QUARANTINED,
        description=f"{quarantine.height:,} of {rows:,} rows are in quarantine; at most {MOST_QUARANTINED:.0%} may be",
        metadata={"share": share},
    )


@dg.asset_check(asset=keys.ACCOUNTS)
def sectors_and_countries_are_known(accounts: pl.DataFrame) -> dg.AssetCheckResult:
    """A warning: the score treats a new spelling as a new value. Countries by ISO 3166, as the time zone database spells them."""
    unknown = unknown_values(accounts["sector"].to_list(), SECTORS) + unknown_values(accounts["office_location"].to_list(), _countries())
    return dg.AssetCheckResult(
        passed=not unknown,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"unknown: {', '.join(unknown)}; correct the spelling in cleaning.py, or add the sector" if unknown else None,
    )


@dg.asset_check(asset=keys.OPPORTUNITIES, blocking=True, additional_ins={"snapshot": dg.AssetIn(keys.SNAPSHOT)})
def months_hold_the_snapshot(opportunities: pl.DataFrame, snapshot: pl.DataFrame) -> dg.AssetCheckResult:
    """Every dated row of the export is in the partition of its month, as it is in the snapshot, and nothing else is there.

    It fails when some months are older than the export: materialize those months too, or run the job without a partition.
    """
    dated = snapshot.filter(pl.col("month").is_not_null())
    same = opportunities.sort("line").equals(dated.sort("line"))
    return dg.AssetCheckResult(passed=same, metadata={"in_months": opportunities.height, "in_snapshot": dated.height})


@dg.asset_check(asset=keys.LEAD_SCORES, blocking=True, additional_ins={"features": dg.AssetIn(keys.FEATURES)})
def open_deals_have_probabilities(lead_scores: pl.DataFrame, features: pl.DataFrame) -> dg.AssetCheckResult:
    scored = lead_scores.filter(pl.col("part") == "open")
    is_probability = scored["score"].is_between(0, 1).all() and not scored["score"].is_nan().any()
    opens = features.filter(pl.col("won").is_null())
    return dg.AssetCheckResult(
        passed=bool(is_probability) and scored["opportunity_id"].sort().equals(opens["opportunity_id"].sort()),
        metadata={"open": opens.height, "scored": scored.height},
    )


@dg.asset_check(asset=keys.EVALUATION, blocking=True, additional_ins={"lead_scores": dg.AssetIn(keys.LEAD_SCORES)})
def score_is_not_worse_than_baseline(lead_scores: pl.DataFrame) -> dg.AssetCheckResult:
    """A score that ranks or estimates worse than the product's own win rate stops the publication."""
    found = evaluate(lead_scores)
    return dg.AssetCheckResult(
        passed=found.not_worse_than_baseline(TOLERANCE),
        metadata={"auc": found.auc, "baseline_auc": found.baseline_auc, "brier": found.brier, "baseline_brier": found.baseline_brier},
    )


@dg.asset_check(asset=keys.EVALUATION, additional_ins={"lead_scores": dg.AssetIn(keys.LEAD_SCORES)})
def score_has_skill(lead_scores: pl.DataFrame) -> dg.AssetCheckResult:
    """A warning: without skill the order of leads means little, though none of them is wrong to call."""
    found = evaluate(lead_scores)
    return dg.AssetCheckResult(
        passed=found.has_skill,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"AUC {found.auc:.3f}, 95 % interval {found.auc_low:.3f} to {found.auc_high:.3f}; chance is 0.5",
    )


@dg.asset_check(
    asset=keys.PUBLICATIONS,
    additional_ins={"opportunities": dg.AssetIn(keys.OPPORTUNITIES), "prospects": dg.AssetIn(keys.PROSPECTS)},
)
def every_row_is_published_or_explained(
    publications: pl.DataFrame, opportunities: pl.DataFrame, prospects: pl.DataFrame
) -> dg.AssetCheckResult:
    """Nothing is left out in silence."""
    accepted, told = opportunities.height + prospects.height, sum(publications["rows"].to_list())
    return dg.AssetCheckResult(passed=accepted == told, metadata={"accepted": accepted, "told": told})


def _cells(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    return frame.select("line", *_LEDGERED).unpivot(index="line", variable_name="column", value_name=name)


def _countries() -> set[str]:
    table = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text(encoding="utf-8")
    names = {line.split("\t")[1] for line in table.splitlines() if line and not line.startswith("#")}
    return names | {"United Kingdom", "South Korea"}  # the table writes Britain (UK) and Korea (South)


CHECKS = (
    every_row_is_accounted_for,
    every_change_is_in_the_ledger,
    products_are_known,
    quarantine_is_small,
    sectors_and_countries_are_known,
    months_hold_the_snapshot,
    open_deals_have_probabilities,
    score_is_not_worse_than_baseline,
    score_has_skill,
    every_row_is_published_or_explained,
)
