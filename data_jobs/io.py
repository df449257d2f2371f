"""Datasets as parquet files in a folder a tenant.

    <datasets>/<asset key>.parquet               an asset without partitions
    <datasets>/<asset key>/<partition>.parquet   a partition

A file is written beside its place and then moved there, so a reader sees the old version or the new one, and a run that
dies keeps the last good one. One output may carry many partitions, which is how one run writes every month. Both are why
this is not dagster-polars: see docs/decisions/0011.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote, unquote

import dagster as dg
import polars as pl

from data_jobs.resources import Platform
from spine.errors import InvalidInput, NotFound
from spine.ids import new_id

Partitioned = Mapping[str, pl.DataFrame]


class Datasets:
    """Files by asset key and partition. Not a lock: two runs that write one partition at once leave the later one's file."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, key: dg.AssetKey, frame: pl.DataFrame, partition: str | None = None) -> Path:
        path = self._path(key, partition)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{new_id()}")
        try:
            frame.write_parquet(fresh)
            os.replace(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
        return path

    def read(self, key: dg.AssetKey, partition: str | None = None) -> pl.DataFrame:
        """Raises NotFound when it was never materialized."""
        path = self._path(key, partition)
        if not path.exists():
            what = f"{key.to_user_string()!r}" + (f", partition {partition!r}" if partition else "")
            raise NotFound(f"dataset {what} has never been materialized under {str(self.root)!r}: materialize it first")
        return pl.read_parquet(path)

    def partitions(self, key: dg.AssetKey) -> list[str]:
        """Those that are there, in order."""
        return sorted(unquote(path.stem) for path in self._folder(key).glob("[!.]*.parquet"))

    def read_partitions(self, key: dg.AssetKey, wanted: Iterable[str]) -> pl.DataFrame:
        """The wanted partitions that are there, one after another in order. Raises NotFound when none is."""
        stored = [name for name in self.partitions(key) if name in set(wanted)]
        if not stored:
            raise NotFound(f"dataset {key.to_user_string()!r} has no such partition under {str(self.root)!r}: materialize one first")
        return pl.concat([self.read(key, name) for name in stored])

    def _folder(self, key: dg.AssetKey) -> Path:
        if bad := [part for part in key.path if part.strip(".") == ""]:
            raise InvalidInput(f"asset key {key.to_user_string()!r} has the part {bad[0]!r}, which names no folder: rename the asset")
        return self.root.joinpath(*(quote(part, safe="") for part in key.path))

    def _path(self, key: dg.AssetKey, partition: str | None) -> Path:
        folder = self._folder(key)
        return folder.with_name(f"{folder.name}.parquet") if partition is None else folder / f"{quote(partition, safe='')}.parquet"


class ParquetIOManager(dg.IOManager):
    """Stores a DataFrame, or a mapping partition → DataFrame; loads a DataFrame, of all partitions asked for that are there."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @property
    def datasets(self) -> Datasets:
        return Datasets(self._platform.datasets)

    def handle_output(self, context: dg.OutputContext, obj: pl.DataFrame | Partitioned) -> None:
        if isinstance(obj, pl.DataFrame):
            path = self.datasets.write(context.asset_key, obj)
            context.add_output_metadata({"path": dg.MetadataValue.path(str(path)), "dagster/row_count": obj.height})
            return
        for partition, frame in obj.items():
            path = self.datasets.write(context.asset_key, frame, partition)
            if not context.has_asset_partitions:  # the run names no partition, so Dagster does not know which were written
                context.log_event(
                    dg.AssetMaterialization(
                        context.asset_key,
                        partition=partition,
                        metadata={"path": dg.MetadataValue.path(str(path)), "dagster/partition_row_count": frame.height},
                    )
                )

    def load_input(self, context: dg.InputContext) -> pl.DataFrame:
        if context.has_asset_partitions:
            return self.datasets.read_partitions(context.asset_key, context.asset_partition_keys)
        return self.datasets.read(context.asset_key)
