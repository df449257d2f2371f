from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from data_jobs.io import Datasets
from spine.errors import InvalidInput, NotFound

KEY = dg.AssetKey(["crm", "opportunities"])
ONE, TWO = pl.DataFrame({"n": [1]}), pl.DataFrame({"n": [2]})


def test_a_partition_is_read_back_and_the_others_stay(tmp_path: Path) -> None:
    datasets = Datasets(tmp_path)
    datasets.write(KEY, ONE, "2024-01")
    datasets.write(KEY, TWO, "2024-02")
    datasets.write(KEY, TWO, "2024-01")
    assert datasets.partitions(KEY) == ["2024-01", "2024-02"]
    assert datasets.read_partitions(KEY, ["2024-02", "2024-01", "2023-12"])["n"].to_list() == [2, 2]
    assert datasets.read(KEY, "2024-02").equals(TWO)


def test_a_write_that_dies_leaves_the_last_good_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = Datasets(tmp_path)
    datasets.write(KEY, ONE)

    def half(self: pl.DataFrame, file: Path) -> None:
        Path(file).write_bytes(b"PAR1 and then the power went")
        raise OSError("no space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", half)
    with pytest.raises(OSError, match="no space left"):
        datasets.write(KEY, TWO)
    assert datasets.read(KEY).equals(ONE)
    assert [path.name for path in (tmp_path / "crm").iterdir()] == ["opportunities.parquet"]


def test_a_dataset_that_was_never_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"'crm/opportunities'.*materialize it first"):
        Datasets(tmp_path).read(KEY)
    with pytest.raises(NotFound, match=r"'crm/opportunities'.*materialize one first"):
        Datasets(tmp_path).read_partitions(KEY, ["2024-01"])


def test_a_key_cannot_leave_the_tenants_folder(tmp_path: Path) -> None:
    datasets = Datasets(tmp_path / "demo")
    with pytest.raises(InvalidInput, match=r"'\.\.'.*rename the asset"):
        datasets.write(dg.AssetKey(["..", "other", "leads"]), ONE)
    written = datasets.write(dg.AssetKey(["../other", "a/b"]), ONE, "../c")
    assert written.resolve().is_relative_to(tmp_path / "demo")
