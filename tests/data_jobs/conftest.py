from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from data_jobs.definitions import definitions
from data_jobs.defs.crm import keys
from data_jobs.io import Datasets
from data_jobs.resources import Platform
from data_jobs.sample.generator import generate
from spine.stack.postgres import EmbeddedPostgres


@dataclass
class Plane:
    """The data plane on an ephemeral instance, with folders of its own."""

    instance: dg.DagsterInstance
    home: Path
    tenant: str = "demo"

    @property
    def datasets(self) -> Datasets:
        return Datasets(self.home / "data" / self.tenant)

    def run(
        self, job: str = "crm_to_commitments", *, folder: Path | None = None, config: dict[str, Any] | None = None, **how: Any
    ) -> dg.ExecuteInProcessResult:
        ops = {"read_crm_export": {"config": {"folder": str(folder) if folder else None}}} if job == "crm_to_commitments" else {}
        if config:
            ops["crm__publications"] = {"config": config}
        resolved = definitions(Platform()).resolve_job_def(job)
        return resolved.execute_in_process(instance=self.instance, run_config={"ops": ops}, raise_on_error=False, **how)

    def read(self, key: dg.AssetKey) -> pl.DataFrame:
        return self.datasets.read(key)


def metadata_of(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> dict[str, Any]:
    found = [event.materialization for event in result.get_asset_materialization_events() if event.asset_key == key and not event.partition]
    return {name: value.value for name, value in found[-1].metadata.items()}


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """What the UI shows for the steps that failed."""
    return "\n".join(event.step_failure_data.error_display_string for event in result.get_step_failure_events())


@pytest.fixture
def plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres: EmbeddedPostgres, database_name: str) -> Iterator[Plane]:
    monkeypatch.setenv("SPINE_HOME", str(tmp_path))
    monkeypatch.setenv("SPINE_DATABASE_URL", postgres.url("spine_app", database_name))
    monkeypatch.setenv("SPINE_DATABASE_RELAY_URL", postgres.url("spine_relay", database_name))
    for name in ("SPINE_CRM_EXPORT", "SPINE_DATA_DIR", "SPINE_TENANT", "SPINE_CLOCK"):
        monkeypatch.delenv(name, raising=False)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Plane(instance=instance, home=tmp_path)


@pytest.fixture
def export_folder(tmp_path: Path) -> Path:
    """A copy of the sample that a test may spoil."""
    folder = tmp_path / "export"
    folder.mkdir()
    for name, text in generate().items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


__all__ = ["Plane", "checks_of", "failure_of", "keys", "metadata_of"]
