"""Metadata that people look at: counts, and markdown tables for the asset page."""

from collections.abc import Mapping

import dagster as dg
import polars as pl

from data_jobs.defs.crm.scoring import Evaluation

_BAR = "█"


def counted(values: pl.Series) -> dict[str, int]:
    """How often each value stands there, in the order of the values."""
    counts = values.value_counts().sort(values.name)
    return {str(value): int(count) for value, count in counts.iter_rows()}


def counts_table(counts: Mapping[str, int], what: str) -> dg.MarkdownMetadataValue:
    rows = "\n".join(f"| {name} | {count:,} |" for name, count in counts.items())
    return dg.MetadataValue.md(f"| {what} | rows |\n| :-- | --: |\n{rows}")


def months_table(dated: pl.DataFrame) -> dg.MarkdownMetadataValue:
    """Rows a month with a bar."""
    months = dated.group_by("month").len().sort("month")
    most = max(months["len"].to_list(), default=1)
    rows = "\n".join(f"| {month} | {rows:,} | {_BAR * round(20 * rows / most)} |" for month, rows in months.iter_rows())
    return dg.MetadataValue.md(f"| month | opportunities | |\n| :-- | --: | :-- |\n{rows}")


def quarantine_table(quarantine: pl.DataFrame, most: int = 20) -> dg.MarkdownMetadataValue:
    rows = "\n".join(f"| {row['reason']} | {row['message']} |" for row in quarantine.head(most).iter_rows(named=True))
    rest = f"\n\n… and {quarantine.height - most:,} more" if quarantine.height > most else ""
    return dg.MetadataValue.md(f"| reason | where, what, cure |\n| :-- | :-- |\n{rows}{rest}")


def evaluation_table(evaluation: Evaluation) -> dg.MarkdownMetadataValue:
    """The verdict in a sentence, then the deciles."""
    verdict = "ranks better than chance" if evaluation.has_skill else "**does not rank better than chance**; read it as a base rate"
    lines = [
        f"On {evaluation.deals:,} deals closed after the cut the score {verdict}: AUC {evaluation.auc:.3f} "
        f"({evaluation.auc_low:.3f} to {evaluation.auc_high:.3f}), baseline {evaluation.baseline_auc:.3f}; "
        f"Brier {evaluation.brier:.4f}, baseline {evaluation.baseline_brier:.4f}.",
        "",
        "| decile | deals | mean score | win rate | lift | |",
        "| --: | --: | --: | --: | --: | :-- |",
    ]
    for row in evaluation.deciles.iter_rows(named=True):
        bar = _BAR * round(20 * row["win_rate"])
        lines.append(f"| {row['decile']} | {row['deals']} | {row['mean_score']:.3f} | {row['win_rate']:.3f} | {row['lift']:.2f} | {bar} |")
    return dg.MetadataValue.md("\n".join(lines))
