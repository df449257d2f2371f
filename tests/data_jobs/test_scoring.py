from datetime import date, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sklearn.metrics import roc_auc_score

from data_jobs.defs.crm.cleaning import clean_opportunities, clean_reference
from data_jobs.defs.crm.export import ACCOUNTS, COLUMNS, PIPELINE, PRODUCTS, SALES_TEAMS, parse
from data_jobs.defs.crm.scoring import BANDS, FEATURES, Evaluation, cut_of, evaluate, features_of, score
from data_jobs.sample.generator import generate
from spine.errors import InvalidInput


@pytest.fixture(scope="module")
def features() -> pl.DataFrame:
    frames = {name: parse(name, text.encode(), COLUMNS[name]) for name, text in generate().items()}
    reference = clean_reference(frames[ACCOUNTS], frames[PRODUCTS], frames[SALES_TEAMS])
    cleaned = clean_opportunities(frames[PIPELINE], reference, first_day=date(2015, 1, 1), last_day=date(2025, 12, 31))
    dated = cleaned.accepted.filter(pl.col("month").is_not_null())
    return features_of(dated, reference.accounts, reference.products, reference.sales_teams)


@pytest.fixture(scope="module")
def scores(features: pl.DataFrame) -> pl.DataFrame:
    return score(features)


def test_nothing_that_is_known_only_when_a_deal_closes_is_a_feature(features: pl.DataFrame, scores: pl.DataFrame) -> None:
    assert not {"close_value", "close_date", "deal_stage", "won", "opportunity_id"} & set(FEATURES)
    cut = cut_of(features)
    # Outcomes and close dates of the deals judged on may change, within their part: no score does.
    later = pl.col("close_date") >= cut
    told_otherwise = features.with_columns(
        won=pl.when(later).then(~pl.col("won")).otherwise(pl.col("won")),
        close_date=pl.when(later).then(pl.lit(cut)).otherwise(pl.col("close_date")),
    )
    assert_frame_equal(score(told_otherwise).drop("won"), scores.drop("won"))


def test_the_score_learns_only_from_deals_closed_before_the_cut(features: pl.DataFrame, scores: pl.DataFrame) -> None:
    cut = cut_of(features)
    holdout = features.filter(pl.col("won").is_not_null() & (pl.col("close_date") >= cut))
    assert set(scores.filter(pl.col("part") == "holdout")["opportunity_id"]) == set(holdout["opportunity_id"])
    assert set(scores.filter(pl.col("part") == "open")["opportunity_id"]) == set(features.filter(pl.col("won").is_null())["opportunity_id"])


def test_the_same_input_gives_the_same_scores(features: pl.DataFrame, scores: pl.DataFrame) -> None:
    assert_frame_equal(score(features), scores)


def test_open_deals_have_reasons_and_a_band_by_the_table(scores: pl.DataFrame) -> None:
    opens = scores.filter(pl.col("part") == "open")
    assert opens["reasons"].list.len().min() >= 1
    assert opens["band"].to_list() == [next(name for lowest, name in BANDS if probability >= lowest) for probability in opens["score"]]
    assert opens["band"].n_unique() == len(BANDS)


def test_an_account_or_agent_never_seen_before_gets_a_score(features: pl.DataFrame) -> None:
    stranger = features.filter(pl.col("won").is_null()).head(1)
    stranger = stranger.with_columns(
        opportunity_id=pl.lit("NEW"),
        sales_agent=pl.lit("Nobody Yet"),
        sector=pl.lit("mining"),
        revenue=pl.lit(None, pl.Float64),
        employees=pl.lit(None, pl.Float64),
        account_age_years=pl.lit(None, pl.Float64),
    )
    found = score(pl.concat([features, stranger])).filter(pl.col("opportunity_id") == "NEW")["score"][0]
    assert 0 < found < 1


@pytest.mark.parametrize("left", [0, 1, 3])
def test_too_few_closed_deals_are_refused_and_not_guessed_from(features: pl.DataFrame, left: int) -> None:
    few = pl.concat([features.filter(pl.col("won").is_not_null()).head(left), features.filter(pl.col("won").is_null())])
    with pytest.raises(InvalidInput, match="too few to learn from"):
        score(few)


def judged(wins: list[bool], scores: list[float], baseline: float = 0.5) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "opportunity_id": [f"D{n:03}" for n in range(len(wins))],
            "part": ["holdout"] * len(wins),
            "won": wins,
            "score": scores,
            "baseline": [baseline] * len(wins),
        }
    )


def test_the_evaluation_says_how_good_a_perfect_score_and_a_useless_one_are() -> None:
    wins = [n % 2 == 0 for n in range(100)]
    perfect = evaluate(judged(wins, [0.9 if won else 0.1 for won in wins]))
    assert (perfect.auc, perfect.has_skill, perfect.baseline_auc) == (1.0, True, 0.5)
    assert perfect.brier == pytest.approx(0.01)
    assert perfect.calibration_error == pytest.approx(0.1)
    assert perfect.deciles["lift"].to_list() == pytest.approx([2.0] * 5 + [0.0] * 5)
    assert perfect.deciles["deals"].sum() == 100
    useless = evaluate(judged(wins, [0.5] * 100))
    assert (useless.auc, useless.has_skill) == (0.5, False)
    assert useless.not_worse_than_baseline(0.0)
    backwards = evaluate(judged(wins, [0.1 if won else 0.9 for won in wins]))
    assert not backwards.not_worse_than_baseline(0.02)


def test_the_evaluation_is_of_the_deals_judged_on_only(scores: pl.DataFrame) -> None:
    found: Evaluation = evaluate(scores)
    holdout = scores.filter(pl.col("part") == "holdout")
    assert found.deals == holdout.height
    assert found.auc == pytest.approx(roc_auc_score(holdout["won"].to_numpy(), holdout["score"].to_numpy()))
    assert found.auc_low < found.auc < found.auc_high


def test_the_cut_leaves_about_a_quarter_of_the_closed_deals_to_judge_on(features: pl.DataFrame) -> None:
    closed = features.filter(pl.col("won").is_not_null())
    cut = cut_of(features)
    share = closed.filter(pl.col("close_date") >= cut).height / closed.height
    assert 0.2 < share < 0.3
    assert closed["close_date"].min() + timedelta(days=30) < cut < closed["close_date"].max()
