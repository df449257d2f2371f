"""The lineage of the domain: export → clean datasets → months → features → score → evaluation → publication → commitments."""

import dagster as dg
import polars as pl
from pydantic import Field

from data_jobs.defs.crm import keys
from data_jobs.defs.crm.datasets import DATA, Result, clean_crm_export, opportunities, prospects, read_crm_export
from data_jobs.defs.crm.publishing import ALREADY_PUBLISHED, Selection, publish, select
from data_jobs.defs.crm.scoring import BANDS, cut_of, evaluate, features_of, score
from data_jobs.defs.crm.shown import counted, counts_table, evaluation_table
from data_jobs.failures import told_to_dagster
from data_jobs.resources import Platform
from data_jobs.telemetry import traced

REVENUE = "team:revenue-operations"


@dg.asset(
    key=keys.FEATURES,
    group_name="crm",
    owners=[DATA],
    kinds={"polars", "parquet"},
    ins={
        "opportunities": dg.AssetIn(keys.OPPORTUNITIES),
        "accounts": dg.AssetIn(keys.ACCOUNTS),
        "products": dg.AssetIn(keys.PRODUCTS),
        "sales_teams": dg.AssetIn(keys.SALES_TEAMS),
    },
)
def features(opportunities: pl.DataFrame, accounts: pl.DataFrame, products: pl.DataFrame, sales_teams: pl.DataFrame) -> pl.DataFrame:
    """What was known of each dated opportunity on the day it was engaged, and how it ended if it has."""
    return features_of(opportunities, accounts, products, sales_teams)


@dg.asset(
    key=keys.LEAD_SCORES, group_name="crm", owners=[DATA], kinds={"scikitlearn", "parquet"}, ins={"features": dg.AssetIn(keys.FEATURES)}
)
def lead_scores(features: pl.DataFrame) -> Result:
    """Estimated probability of winning, learnt from deals closed before the cut: for open deals, and for the later ones to judge it by."""
    with told_to_dagster():
        scores, cut = score(features), cut_of(features)
    return dg.MaterializeResult(
        value=scores,
        metadata={
            "cut": cut.isoformat(),
            "trained_on": features.filter(pl.col("won").is_not_null() & (pl.col("close_date") < cut)).height,
            "parts": dg.MetadataValue.json(counted(scores["part"])),
            "open_by_band": counts_table(counted(scores.filter(pl.col("part") == "open")["band"]), "band of open deals"),
            "bands": dg.MetadataValue.json({name: lowest for lowest, name in BANDS}),
        },
    )


@dg.asset(
    key=keys.EVALUATION,
    group_name="crm",
    owners=[DATA],
    kinds={"scikitlearn", "parquet"},
    ins={"lead_scores": dg.AssetIn(keys.LEAD_SCORES)},
)
def lead_score_evaluation(lead_scores: pl.DataFrame) -> Result:
    """How good the score is on deals it has not seen: ranking, calibration, lift by decile, against the product's own win rate."""
    evaluation = evaluate(lead_scores)
    figures = ("deals", "won", "auc", "auc_low", "auc_high", "brier", "baseline_auc", "baseline_brier", "calibration_error")
    return dg.MaterializeResult(
        value=evaluation.deciles,
        metadata={
            **{name: getattr(evaluation, name) for name in figures},
            "has_skill": evaluation.has_skill,
            "report": evaluation_table(evaluation),
        },
    )


class PublicationConfig(dg.Config):
    threshold: float = Field(default=0.6, ge=0, le=1, description="Leads below this score are not worked on.")
    max_leads: int = Field(default=20, ge=0, description="At most so many leads of one export, best first.")
    max_leads_per_account: int = Field(default=1, ge=1, description="At most so many of one account, best first: they share a contact.")
    window_days: int = Field(default=30, ge=0, description="Deals won longer before the export's latest day have had their contract.")
    max_deals: int = Field(default=8, ge=0, description="At most so many deals of one export, most recent first.")
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$", description="ISO 4217; the export names none.")

    def selection(self) -> Selection:
        return Selection(
            threshold=self.threshold,
            max_leads=self.max_leads,
            max_leads_per_account=self.max_leads_per_account,
            window_days=self.window_days,
            max_deals=self.max_deals,
            currency=self.currency,
        )


@dg.asset(
    key=keys.PUBLICATIONS,
    group_name="crm",
    owners=[REVENUE],
    kinds={"postgres"},
    ins={
        "opportunities": dg.AssetIn(keys.OPPORTUNITIES),
        "prospects": dg.AssetIn(keys.PROSPECTS),
        "lead_scores": dg.AssetIn(keys.LEAD_SCORES),
        "products": dg.AssetIn(keys.PRODUCTS),
        "manifest": dg.AssetIn(keys.MANIFEST),
    },
    deps=[keys.EVALUATION],  # a score that fails its evaluation is not published
    retry_policy=dg.RetryPolicy(max_retries=2, delay=1, backoff=dg.Backoff.EXPONENTIAL),  # safe: nothing is published twice
)
def publications(
    context: dg.AssetExecutionContext,
    config: PublicationConfig,
    opportunities: pl.DataFrame,
    prospects: pl.DataFrame,
    lead_scores: pl.DataFrame,
    products: pl.DataFrame,
    manifest: pl.DataFrame,
    platform: dg.ResourceParam[Platform],
) -> Result:
    """`lead.qualified` and `deal.won` in the event log, each once, in one transaction with the record that it was published."""
    version: str = manifest["version"][0]
    rows = pl.concat([opportunities, prospects])
    with told_to_dagster(), traced(platform.settings):
        selected = select(rows, lead_scores, products, config.selection(), version)
        with platform.database() as database, database.tenant(platform.tenant) as connection:
            now = platform.settings.business_clock().now()
            published = publish(
                connection, selected, tenant_id=platform.tenant, version=version, rows=rows.height, now=now, run_id=context.run.run_id
            )
    not_published = {**selected.left_out, ALREADY_PUBLISHED: published.already}
    outcomes = {"lead_published": published.leads, "deal_published": published.deals, **not_published}
    frame = pl.DataFrame([*outcomes.items()], schema={"outcome": pl.String, "rows": pl.Int64}, orient="row")
    return dg.MaterializeResult(
        value=frame,
        metadata={
            "leads_published": published.leads,
            "deals_published": published.deals,
            "already_published": published.already,
            "not_published": dg.MetadataValue.json(not_published),
            "outcomes": counts_table(outcomes, "what became of the accepted rows"),
            "export_version": version,
            "tenant": platform.tenant,
        },
    )


def _commitment(key: dg.AssetKey, description: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        key, deps=[keys.PUBLICATIONS], description=description, group_name="commitments", owners=[REVENUE], kinds={"temporal"}
    )


outreach = _commitment(keys.OUTREACH, "Outreach sequences in Temporal, one a qualified lead. Each outcome is observed here.")
signature = _commitment(keys.SIGNATURE, "Contract signatures in Temporal, one a won deal. Each outcome is observed here.")

ASSETS = (
    read_crm_export,
    clean_crm_export,
    opportunities,
    prospects,
    features,
    lead_scores,
    lead_score_evaluation,
    publications,
    outreach,
    signature,
)
