"""The lead score: how likely an open opportunity is to be won, learnt from the closed ones, and how far to believe it.

What is known on the day a deal is engaged may be a feature; its value and its close date are the outcome and may not.
The split is by time: the model learns from deals closed before the cut and is judged on those closed from then on, and the
model that is judged is the model that scores. Limit: open deals are not in the sample, so a kind of deal that stays open for
long is under-represented; and an account is blank in open deals only, so their score rests on product and agent.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from spine.errors import InvalidInput

CATEGORIES = ("product", "series", "sales_agent", "regional_office", "sector", "office_location")
NUMBERS = ("list_price", "revenue", "employees", "account_age_years")
FEATURES = (*CATEGORIES, *NUMBERS)
TRAINED_ON = 0.75  # of the closed deals, the earlier ones
BANDS = ((0.70, "hot"), (0.60, "warm"), (0.0, "cold"))
"""Lowest score → name, highest first."""
PRIOR_DEALS = 20  # the baseline trusts a product's own win rate as much as the overall one when it has this many deals

SCORES_SCHEMA: Mapping[str, pl.DataType | type[pl.DataType]] = {
    "opportunity_id": pl.String,
    "part": pl.String,
    "won": pl.Boolean,
    "score": pl.Float64,
    "baseline": pl.Float64,
    "band": pl.String,
    "reasons": pl.List(pl.String),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """On the deals closed from the cut on. `auc_low`, `auc_high`: 95 % interval (Hanley and McNeil, 1982)."""

    deals: int
    won: int
    auc: float
    auc_low: float
    auc_high: float
    brier: float
    baseline_auc: float
    baseline_brier: float
    calibration_error: float
    """Mean distance between predicted and observed win rate over the deciles."""
    deciles: pl.DataFrame
    """decile (1 = best scores), deals, mean_score, win_rate, lift."""

    @property
    def has_skill(self) -> bool:
        """Ranks better than a coin, beyond what chance explains."""
        return self.auc_low > 0.5

    def not_worse_than_baseline(self, tolerance: float) -> bool:
        return self.auc >= self.baseline_auc - tolerance and self.brier <= self.baseline_brier + tolerance


def features_of(opportunities: pl.DataFrame, accounts: pl.DataFrame, products: pl.DataFrame, sales_teams: pl.DataFrame) -> pl.DataFrame:
    """One row a dated opportunity: id, stage, dates, account, `won` (None while open) and the features."""
    return (
        opportunities.join(products, on="product", how="left", maintain_order="left")
        .join(sales_teams, on="sales_agent", how="left", maintain_order="left")
        .join(accounts, on="account", how="left", maintain_order="left")
        .select(
            "opportunity_id",
            "deal_stage",
            "account",
            "engage_date",
            "close_date",
            won=pl.when(pl.col("deal_stage").is_in(["Won", "Lost"])).then(pl.col("deal_stage") == "Won"),
            **{name: pl.col(name).fill_null("unknown") for name in CATEGORIES},
            list_price=pl.col("sales_price").cast(pl.Float64).log1p(),
            revenue=pl.col("revenue").log1p(),
            employees=pl.col("employees").cast(pl.Float64).log1p(),
            account_age_years=(pl.col("engage_date").dt.year() - pl.col("year_established")).cast(pl.Float64),
        )
    )


def cut_of(features: pl.DataFrame) -> date:
    """The day that parts the deals learnt from (closed before it) from those judged on. Raises InvalidInput for too few deals."""
    closed = features.filter(pl.col("won").is_not_null()).sort("close_date")
    if closed.height:
        cut: date = closed["close_date"][int(closed.height * TRAINED_ON)]
        earlier, later = closed.filter(pl.col("close_date") < cut), closed.filter(pl.col("close_date") >= cut)
        if earlier["won"].n_unique() == later["won"].n_unique() == 2:
            return cut
    raise InvalidInput(f"{closed.height} closed deals are too few to learn from: both the earlier and the later ones need won and lost")


def score(features: pl.DataFrame) -> pl.DataFrame:
    """Scores of the deals judged on (`part` holdout) and of the open ones (`part` open, with reasons). The same input, the same scores."""
    cut = cut_of(features)
    closed = pl.col("won").is_not_null()
    trained = features.filter(closed & (pl.col("close_date") < cut))
    rest = features.filter(~closed | (pl.col("close_date") >= cut))
    model = _model().fit(trained.select(FEATURES), trained["won"].to_numpy())
    probabilities = model.predict_proba(rest.select(FEATURES))[:, 1]
    return (
        rest.with_columns(
            part=pl.when(closed).then(pl.lit("holdout")).otherwise(pl.lit("open")),
            score=pl.Series(probabilities, dtype=pl.Float64),
            reasons=pl.Series(_reasons(model, rest), dtype=pl.List(pl.String)),
        )
        .join(_base_rates(trained), on="product", how="left", maintain_order="left")
        .with_columns(pl.col("baseline").fill_null(trained["won"].mean()))
        .with_columns(band=_band())
        .select(pl.col(name).cast(kind) for name, kind in SCORES_SCHEMA.items())
    )


def evaluate(scores: pl.DataFrame) -> Evaluation:
    judged = scores.filter(pl.col("part") == "holdout")
    won = judged["won"].to_numpy()
    auc = float(roc_auc_score(won, judged["score"].to_numpy()))
    half = 1.96 * _auc_error(auc, int(won.sum()), int((~won).sum()))
    deciles = (
        judged.sort(pl.col("score"), pl.col("opportunity_id"), descending=[True, False])
        .with_columns(decile=pl.int_range(pl.len()) * 10 // pl.len() + 1)
        .group_by("decile", maintain_order=True)
        .agg(deals=pl.len(), mean_score=pl.col("score").mean(), win_rate=pl.col("won").mean())
        .with_columns(lift=pl.col("win_rate") / float(won.mean()))
    )
    gaps = deciles.select(((pl.col("mean_score") - pl.col("win_rate")).abs() * pl.col("deals")).sum() / pl.col("deals").sum()).item()
    return Evaluation(
        deals=judged.height,
        won=int(won.sum()),
        auc=auc,
        auc_low=max(auc - half, 0.0),
        auc_high=min(auc + half, 1.0),
        brier=float(brier_score_loss(won, judged["score"].to_numpy())),
        baseline_auc=float(roc_auc_score(won, judged["baseline"].to_numpy())),
        baseline_brier=float(brier_score_loss(won, judged["baseline"].to_numpy())),
        calibration_error=float(gaps),
        deciles=deciles,
    )


def _band() -> pl.Expr:
    return pl.coalesce(*(pl.when(pl.col("score") >= lowest).then(pl.lit(name)) for lowest, name in BANDS))


def _model() -> Pipeline:
    categories = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=10, sparse_output=False)
    numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    return Pipeline(
        [
            ("features", ColumnTransformer([("is", categories, list(CATEGORIES)), ("much", numbers, list(NUMBERS))])),
            # Strong regularisation: there are dozens of indicator columns, and where they say nothing the base rate should win.
            ("model", LogisticRegression(C=0.1, max_iter=1000)),
        ]
    )


def _base_rates(trained: pl.DataFrame) -> pl.DataFrame:
    """The line to beat: the product's own win rate, drawn towards the overall one."""
    overall = float(trained["won"].to_numpy().mean())
    return trained.group_by("product").agg(baseline=(pl.col("won").sum() + PRIOR_DEALS * overall) / (pl.len() + PRIOR_DEALS))


def _reasons(model: Pipeline, rows: pl.DataFrame) -> list[list[str]]:
    """For open rows the three features that moved the score most, as the log-odds they added; for others nothing."""
    names = [_readable(name) for name in model["features"].get_feature_names_out()]
    pushes: Any = model["features"].transform(rows.select(FEATURES)) * model["model"].coef_[0]
    return [
        [f"{names[place]}: {row[place]:+.2f}" for place in sorted(range(len(names)), key=lambda place: -abs(row[place]))[:3] if row[place]]
        if won is None
        else []
        for row, won in zip(pushes, rows["won"].to_list(), strict=True)
    ]


def _readable(name: str) -> str:
    """`is__product_GTX Pro` → `product GTX Pro`; `much__revenue` → `revenue`."""
    kind, _, rest = name.partition("__")
    column = next((column for column in CATEGORIES if kind == "is" and rest.startswith(f"{column}_")), None)
    if column is None:
        return rest
    value = rest.removeprefix(f"{column}_")
    return f"rare {column}" if value == "infrequent_sklearn" else f"{column} {value}"


def _auc_error(auc: float, positives: int, negatives: int) -> float:
    """Standard error of an AUC."""
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (positives - 1) * (q1 - auc**2) + (negatives - 1) * (q2 - auc**2)
    return math.sqrt(variance / (positives * negatives))
