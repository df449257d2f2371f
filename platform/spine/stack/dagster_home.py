"""The files by which Dagster's processes find each other: `dagster.yaml` and the stack's own `workspace.yaml`."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

# Location name → module. Two, so that a broken asset does not stop business triggers; the same as in the committed workspace.yaml.
LOCATIONS: Mapping[str, str] = {"data_jobs.definitions": "data_jobs.definitions", "data_jobs.triggers": "data_jobs.triggers"}
URL_VARIABLE = "SPINE_DAGSTER_SQLALCHEMY_URL"
# A trigger's tick waits on the log and holds a thread of its code server, whose pool is cores + 4 by default (traps 18a).
GRPC_WORKERS = 64
_STORAGE_NOTE = "storage-version"

_INSTANCE = f"""\
# Written by `spine up` at every start; changes here are lost.
storage:
  postgres:
    postgres_url:
      env: {URL_VARIABLE}
# One thread a sensor: the members of the trigger groups wait in their ticks, and would hold up each other and everyone (traps 8).
sensors: {{use_threads: true, num_workers: 32, num_submit_workers: 4}}
schedules: {{use_threads: true, num_workers: 4}}
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
  config: {{dequeue_interval_seconds: 1, dequeue_use_threads: true}}
concurrency:
  runs: {{max_concurrent_runs: 4}}
# A run whose process died with its code server is found by the monitor and started once more. Repeating is safe: an asset replaces
# its own partition, and a publication is recorded by its key, so what was published before the death is not published again. A run
# that failed by itself, such as one over a bad export, would only fail again and is left alone. Whether a run that had begun still
# lives is a question that Dagster's local launcher cannot answer: only the last limit, an hour, ends one that does not.
run_monitoring: {{enabled: true, start_timeout_seconds: 60, poll_interval_seconds: 10, max_runtime_seconds: 3600}}
run_retries: {{enabled: true, max_retries: 1, retry_on_asset_or_op_failure: false}}
retention:
  sensor: {{purge_after_days: {{skipped: 1, success: 7, failure: 30}}}}
  schedule: {{purge_after_days: 30}}
freshness: {{enabled: true}}
telemetry: {{enabled: false}}
"""


def sqlalchemy_url(libpq_url: str) -> str:
    """Dagster's storage speaks psycopg2 only, and a bare `postgresql://` means psycopg 3 since SQLAlchemy 2.1 (traps 1)."""
    return "postgresql+psycopg2://" + libpq_url.partition("://")[2]


def write(home: Path, code_servers: Mapping[str, int]) -> Path:
    """Write both files into `<home>/dagster`, which is DAGSTER_HOME; `code_servers` is location → port. Returns that folder."""
    folder = home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    paths = {
        "local_artifact_storage": {
            "module": "dagster.core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(folder / "storage")},
        },
        "compute_logs": {
            "module": "dagster.core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": str(folder / "compute_logs")},
        },
    }
    # JSON is YAML, and quotes whatever the home's path may contain.
    (folder / "dagster.yaml").write_text(_INSTANCE + "".join(f"{key}: {json.dumps(value)}\n" for key, value in paths.items()))
    servers = [{"grpc_server": {"host": "127.0.0.1", "port": port, "location_name": location}} for location, port in code_servers.items()]
    (folder / "workspace.yaml").write_text(json.dumps({"load_from": servers}, indent=2))
    return folder


def storage_is_current(folder: Path) -> str | None:
    """That this home's own Dagster database was brought to the installed version, if it was: it needs no second look then."""
    note = folder / _STORAGE_NOTE
    return note.read_text() if note.exists() and note.read_text() == _storage_note() else None


def note_storage(folder: Path) -> None:
    (folder / _STORAGE_NOTE).write_text(_storage_note())


def _storage_note() -> str:
    versions = (f"{name} {version(name)}" for name in ("dagster", "dagster-postgres"))
    return f"dagster: storage was brought up to {', '.join(versions)}"
