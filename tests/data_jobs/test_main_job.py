"""The main job on an ephemeral instance, with a real database."""

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from data_jobs.defs.crm.export import PIPELINE
from shared.events import Envelope
from spine.db import Database
from spine.settings import Settings
from tests.data_jobs.conftest import Plane, checks_of, failure_of, keys, metadata_of

PER_ROW = ("rows_read", "rows_kept", "rows_repaired", "rows_quarantined")


def logged(tenant: str = "demo") -> list[Envelope]:
    with Database.from_settings(Settings.load()) as database, database.tenant(tenant) as connection:
        return [
            Envelope.model_validate(row["envelope"])
            for row in connection.execute("select envelope from events order by position").fetchall()
        ]


def months_of(plane: Plane) -> set[str]:
    return plane.instance.get_materialized_partitions(keys.OPPORTUNITIES)


def test_one_run_covers_every_month_accounts_for_every_row_and_publishes_once(plane: Plane) -> None:
    first = plane.run(config={"max_leads": 5, "max_deals": 3})
    assert first.success, failure_of(first)
    assert all(checks_of(first).values())

    counts = [metadata_of(first, keys.SNAPSHOT)[name] for name in PER_ROW]
    assert counts == [620, 420, 194, 6]
    assert metadata_of(first, keys.SNAPSHOT)["repairs"] == {
        "blank_account": 100,
        "country_spelling": 2,
        "day_first_date": 998,
        "product_spelling": 112,
        "sector_spelling": 4,
    }
    assert plane.read(keys.QUARANTINE)["reason"].to_list() == [
        "bad_date",
        "duplicate_id",
        "unknown_product",
        "unknown_stage",
        "negative_value",
        "bad_date",
    ]
    snapshot = plane.read(keys.SNAPSHOT)
    assert months_of(plane) == set(snapshot["month"].drop_nulls()) == set(plane.datasets.partitions(keys.OPPORTUNITIES))
    assert plane.read(keys.PROSPECTS).height == snapshot["month"].null_count() > 0

    told = metadata_of(first, keys.PUBLICATIONS)
    assert (told["leads_published"], told["deals_published"]) == (5, 3)
    assert sum(told["not_published"].values()) + 8 == snapshot.height
    events = logged()
    assert sorted({event.type for event in events}) == ["spine.dataset.published.v1", "spine.deal.won.v1", "spine.lead.qualified.v1"]
    assert len({event.traceparent for event in events}) == len(events) == 9  # a trace each
    assert None not in {event.traceparent for event in events}
    assert {event.source for event in events} == {f"/data_jobs/crm/runs/{first.run_id}"}, "a journey leads back to its run by this"

    again = plane.run(config={"max_leads": 5, "max_deals": 3})
    assert again.success, failure_of(again)
    told = metadata_of(again, keys.PUBLICATIONS)
    assert (told["leads_published"], told["deals_published"], told["already_published"]) == (0, 0, 8)
    assert logged() == events


def test_a_run_may_name_months_and_writes_those_only(plane: Plane) -> None:
    assert plane.run().success
    folder = plane.datasets.root / "crm" / "opportunities"
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    tags = {"dagster/asset_partition_range_start": "2024-02", "dagster/asset_partition_range_end": "2024-03"}
    ranged = plane.run(tags=tags)
    assert ranged.success, failure_of(ranged)
    single = plane.run(partition_key="2024-05")
    assert single.success, failure_of(single)
    after = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"2024-02.parquet", "2024-03.parquet", "2024-05.parquet"}


def test_months_of_another_export_stop_the_score(plane: Plane, export_folder: Path) -> None:
    assert plane.run().success
    pipeline = export_folder / PIPELINE
    pipeline.write_text(pipeline.read_text(encoding="utf-8").replace(",Won,", ",Lost,", 40), encoding="utf-8")
    result = plane.run(folder=export_folder, partition_key="2024-05")
    assert not result.success
    assert not checks_of(result)["months_hold_the_snapshot"]
    assert keys.LEAD_SCORES not in made_by(result)


def made_by(result: dg.ExecuteInProcessResult) -> set[dg.AssetKey]:
    return {event.asset_key for event in result.get_asset_materialization_events() if event.asset_key}


def test_a_month_that_a_new_export_no_longer_has_is_empty_and_not_left_over(plane: Plane, export_folder: Path) -> None:
    assert plane.run().success
    pipeline = export_folder / PIPELINE
    header, *lines = pipeline.read_text(encoding="utf-8").splitlines()
    gone = [line for line in lines if line.split(",")[5][3:] == "07-2023"]
    pipeline.write_text("\n".join([header, *(line for line in lines if line not in gone)]), encoding="utf-8")
    result = plane.run(folder=export_folder)
    assert result.success, failure_of(result)
    assert gone
    assert plane.datasets.read(keys.OPPORTUNITIES, "2023-07").is_empty()
    assert plane.read(keys.FEATURES)["engage_date"].dt.strftime("%Y-%m").min() == "2023-08"


@pytest.mark.parametrize("loss", ["missing file", "wrong notation"])
def test_a_bad_export_fails_the_run_with_the_cure_and_loses_nothing(plane: Plane, export_folder: Path, loss: str) -> None:
    assert plane.run().success
    good, events = {key: plane.read(key) for key in (keys.SNAPSHOT, keys.PROSPECTS, keys.LEAD_SCORES)}, logged()
    months = {month: plane.datasets.read(keys.OPPORTUNITIES, month) for month in plane.datasets.partitions(keys.OPPORTUNITIES)}
    pipeline = export_folder / PIPELINE
    if loss == "missing file":
        pipeline.unlink()
    else:
        pipeline.write_text(pipeline.read_text(encoding="utf-8").replace("-2023,", "/2023,").replace("-2024,", "/2024,"), encoding="utf-8")
    result = plane.run(folder=export_folder)
    assert not result.success
    shown = failure_of(result)
    assert "'sales_pipeline.csv'" in shown
    assert ("export it again" if loss == "missing file" else "DD-MM-YYYY") in shown
    assert all(plane.read(key).equals(frame) for key, frame in good.items())
    assert all(plane.datasets.read(keys.OPPORTUNITIES, month).equals(frame) for month, frame in months.items())
    assert logged() == events


def test_too_much_quarantine_stops_the_run_before_anything_is_published(plane: Plane, export_folder: Path) -> None:
    pipeline = export_folder / PIPELINE
    pipeline.write_text(pipeline.read_text(encoding="utf-8").replace("Kite Advanced", "Kite Unheard"), encoding="utf-8")
    result = plane.run(folder=export_folder)
    assert not result.success
    assert not checks_of(result)["quarantine_is_small"]
    assert checks_of(result)["every_row_is_accounted_for"]
    assert keys.OPPORTUNITIES not in made_by(result)
    assert logged() == []


def test_a_score_worse_than_its_baseline_is_not_published(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    from data_jobs.defs.crm import assets

    def upside_down(features: pl.DataFrame) -> pl.DataFrame:
        return score(features).with_columns(score=1 - pl.col("score"))

    score = assets.score
    monkeypatch.setattr(assets, "score", upside_down)
    result = plane.run()
    assert not result.success
    assert not checks_of(result)["score_is_not_worse_than_baseline"]
    assert logged() == []


def test_another_tenants_data_is_in_another_folder_and_behind_its_wall(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINE_TENANT", "other")
    assert plane.run(config={"max_leads": 1, "max_deals": 1}).success
    assert not plane.datasets.root.exists()
    assert len(logged("other")) == 3
    assert logged("demo") == []


def test_the_heartbeat_is_recorded(plane: Plane) -> None:
    result = plane.run("heartbeat")
    assert result.success, failure_of(result)
    event = plane.instance.get_latest_materialization_event(dg.AssetKey(["operations", "heartbeat"]))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["run_id"].value == result.run_id
