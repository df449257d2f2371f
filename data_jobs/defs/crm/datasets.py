"""The datasets of the domain: an export taken in whole, named clean, split into months."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from data_jobs.defs.crm import keys
from data_jobs.defs.crm.cleaning import clean_opportunities, clean_reference, repairs_by_kind, require_day_first
from data_jobs.defs.crm.export import ACCOUNTS, PIPELINE, PRODUCTS, SALES_TEAMS, read_export
from data_jobs.defs.crm.partitions import MONTHS, days_covered
from data_jobs.defs.crm.shown import counted, counts_table, months_table, quarantine_table
from data_jobs.failures import told_to_dagster
from data_jobs.io import Datasets, Partitioned
from data_jobs.resources import Platform

DATA = "team:data-platform"
Result = dg.MaterializeResult[Any]
Results = Iterator[Result]
Metadata = dict[str, dg.MetadataValue[Any] | str | int | float | None]


def _out(key: dg.AssetKey, description: str, *kinds: str) -> tuple[str, dg.AssetOut]:
    return key.path[-1], dg.AssetOut(key=key, description=description, group_name="crm", owners=[DATA], kinds={"parquet", *kinds})


class CrmExport(dg.Config):
    folder: str | None = Field(default=None, description="Folder of the four CSV files; default: SPINE_CRM_EXPORT, or the sample.")


@dg.multi_asset(
    name="read_crm_export",
    outs=dict(
        [
            _out(keys.RAW_PIPELINE, "sales_pipeline.csv as it came, each row with its line number.", "csv"),
            _out(keys.RAW_ACCOUNTS, "accounts.csv as it came.", "csv"),
            _out(keys.RAW_PRODUCTS, "products.csv as it came.", "csv"),
            _out(keys.RAW_SALES_TEAMS, "sales_teams.csv as it came.", "csv"),
            _out(keys.MANIFEST, "Which export this is: its version (a digest of the bytes) and the rows of each file."),
        ]
    ),
)
def read_crm_export(config: CrmExport, platform: dg.ResourceParam[Platform]) -> Results:
    """Take in an export whole, or refuse it whole with the file, the place and the cure."""
    folder = Path(config.folder) if config.folder else platform.crm_export
    with told_to_dagster():
        export = read_export(folder)
    where: Metadata = {"folder": dg.MetadataValue.path(str(folder.absolute())), "export_version": export.version}
    by_key = {
        keys.RAW_PIPELINE: PIPELINE,
        keys.RAW_ACCOUNTS: ACCOUNTS,
        keys.RAW_PRODUCTS: PRODUCTS,
        keys.RAW_SALES_TEAMS: SALES_TEAMS,
    }
    for key, name in by_key.items():
        yield dg.MaterializeResult(key, value=export.frames[name], metadata={**where, "file": name})
    rows = [{"file": name, "rows": frame.height, "version": export.version} for name, frame in export.frames.items()]
    yield dg.MaterializeResult(keys.MANIFEST, value=pl.DataFrame(rows), metadata=where)


@dg.multi_asset(
    name="clean_crm_export",
    ins={
        "pipeline": dg.AssetIn(keys.RAW_PIPELINE),
        "accounts": dg.AssetIn(keys.RAW_ACCOUNTS),
        "products": dg.AssetIn(keys.RAW_PRODUCTS),
        "sales_teams": dg.AssetIn(keys.RAW_SALES_TEAMS),
    },
    outs=dict(
        [
            _out(keys.ACCOUNTS, "Companies, sectors and countries spelt one way.", "polars"),
            _out(keys.PRODUCTS, "Products and list prices.", "polars"),
            _out(keys.SALES_TEAMS, "Agents, managers, regional offices.", "polars"),
            _out(keys.SNAPSHOT, "Every accepted opportunity of the export, kept as it came or repaired.", "polars"),
            _out(keys.QUARANTINE, "Rows beyond repair without guessing, as they came, each with reason and cure.", "polars"),
            _out(keys.REPAIRS, "The ledger of every changed cell: file, line, column, kind, found, became.", "polars"),
        ]
    ),
)
def clean_crm_export(pipeline: pl.DataFrame, accounts: pl.DataFrame, products: pl.DataFrame, sales_teams: pl.DataFrame) -> Results:
    """Name the dirt. kept + repaired + quarantined = read."""
    with told_to_dagster():
        reference = clean_reference(accounts, products, sales_teams)
        require_day_first(pipeline)
    first_day, last_day = days_covered()
    cleaned = clean_opportunities(pipeline, reference, first_day=first_day, last_day=last_day)
    counts, repairs = cleaned.counts(), repairs_by_kind(reference.repairs, cleaned.repairs)
    yield dg.MaterializeResult(keys.ACCOUNTS, value=reference.accounts)
    yield dg.MaterializeResult(keys.PRODUCTS, value=reference.products)
    yield dg.MaterializeResult(keys.SALES_TEAMS, value=reference.sales_teams)
    yield dg.MaterializeResult(
        keys.SNAPSHOT,
        value=cleaned.accepted,
        metadata={**counts, "repairs": dg.MetadataValue.json(repairs), "account_of_rows": counts_table(counts, "what became of the rows")},
    )
    yield dg.MaterializeResult(
        keys.QUARANTINE,
        value=cleaned.quarantine,
        metadata={"reasons": dg.MetadataValue.json(counted(cleaned.quarantine["reason"])), "rows": quarantine_table(cleaned.quarantine)},
    )
    yield dg.MaterializeResult(
        keys.REPAIRS,
        value=pl.concat([reference.repairs, cleaned.repairs]),
        metadata={"repairs": dg.MetadataValue.json(repairs), "by_kind": counts_table(repairs, "kind of repair")},
    )


@dg.asset(
    key=keys.OPPORTUNITIES,
    partitions_def=MONTHS,
    group_name="crm",
    owners=[DATA],
    kinds={"polars", "parquet"},
    ins={"snapshot": dg.AssetIn(keys.SNAPSHOT)},
)
def _opportunities(context: dg.AssetExecutionContext, snapshot: pl.DataFrame, platform: dg.ResourceParam[Platform]) -> Result:
    """Accepted opportunities, one partition a month by engage date. A run that names no month writes every month of the export.

    Prospects have no engage date, hence no month: they are in `crm/prospects`.
    """
    dated = snapshot.filter(pl.col("month").is_not_null())
    by_month: dict[str, pl.DataFrame] = {str(name[0]): rows for name, rows in dated.partition_by("month", as_dict=True).items()}
    names_months = context.has_partition_key or context.has_partition_key_range
    if names_months:
        months = list(context.partition_keys)
    else:  # an export is the whole CRM: a month that an earlier one had and this one has not is empty now
        months = sorted({*by_month, *Datasets(platform.datasets).partitions(keys.OPPORTUNITIES)})
    written: Partitioned = {month: by_month.get(month, dated.clear()) for month in months}
    if names_months:
        for month, rows in written.items():
            context.add_asset_metadata({"dagster/partition_row_count": rows.height}, partition_key=month)
    covered = dated.filter(pl.col("month").is_in(months))
    return dg.MaterializeResult(
        value=written, metadata={"rows": covered.height, "months": len(months), "rows_by_month": months_table(covered)}
    )


# Set here and not in the decorator, where the parameter warns that it is beta, in every process that loads the location.
opportunities = _opportunities.with_attributes(backfill_policy=dg.BackfillPolicy.single_run())


@dg.asset(key=keys.PROSPECTS, group_name="crm", owners=[DATA], kinds={"polars", "parquet"}, ins={"snapshot": dg.AssetIn(keys.SNAPSHOT)})
def prospects(snapshot: pl.DataFrame) -> pl.DataFrame:
    """Accepted opportunities that nobody has engaged yet. They have no date, so no month could hold them; they are replaced whole."""
    return snapshot.filter(pl.col("month").is_null())
