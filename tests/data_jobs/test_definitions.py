import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from data_jobs.definitions import defs
from data_jobs.defs.crm import keys

LOCATIONS = ("data_jobs.definitions", "data_jobs.triggers")
LOADS = """
import importlib, sys
from spine.settings import Settings
def refuse(**_):
    raise AssertionError("settings were read at import")
Settings.load = refuse
import dagster as dg
module = importlib.import_module(sys.argv[1])
found = module.defs
dg.Definitions.validate_loadable(found if isinstance(found, dg.Definitions) else found())
"""


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_code_location_loads_in_a_fresh_interpreter_and_reads_no_settings(location: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SPINE_", "TEMPORAL_", "DAGSTER_"))}
    environment |= {"DAGSTER_HOME": "", "HOME": str(tmp_path)}
    command = [sys.executable, "-W", "error", "-c", LOADS, location]
    done = subprocess.run(command, env=environment, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr


def test_every_asset_has_an_owner_a_group_a_kind_and_a_description() -> None:
    for node in defs.resolve_asset_graph().asset_nodes:
        lacking = [name for name in ("owners", "group_name", "kinds", "description") if not getattr(node, name)]
        assert not lacking, f"{node.key.to_user_string()} lacks {lacking}"
        assert node.group_name != "default"


def test_lineage_goes_from_the_export_to_the_commitments() -> None:
    graph = defs.resolve_asset_graph()
    for commitment in (keys.OUTREACH, keys.SIGNATURE):
        assert not graph.get(commitment).is_materializable
        assert {keys.RAW_PIPELINE, keys.OPPORTUNITIES, keys.LEAD_SCORES, keys.EVALUATION} <= graph.get_ancestor_asset_keys(commitment)


def test_every_blocking_check_stops_the_publication() -> None:
    """A blocking check holds back what is downstream of its own asset, so that asset must lead to the publication."""
    graph = defs.resolve_asset_graph()
    leads_there = graph.get_ancestor_asset_keys(keys.PUBLICATIONS)
    blocking = [key for key in graph.asset_check_keys if graph.get_check_spec(key).blocking]
    assert len(blocking) >= 7
    assert {key.asset_key for key in blocking} <= leads_there


def test_heartbeat_and_housekeeping_run_from_the_start_and_the_nightly_job_waits_to_be_turned_on() -> None:
    repository = defs.get_repository_def()
    statuses = {schedule.name: schedule.default_status for schedule in repository.schedule_defs}
    assert statuses == {
        "heartbeat_every_ten_minutes": dg.DefaultScheduleStatus.RUNNING,
        "housekeeping_daily": dg.DefaultScheduleStatus.RUNNING,
        "audit_sealing_every_ten_minutes": dg.DefaultScheduleStatus.RUNNING,
        "audit_verification_daily": dg.DefaultScheduleStatus.RUNNING,
        "sweeping_every_quarter_hour": dg.DefaultScheduleStatus.RUNNING,
        "canary_watch_every_quarter_hour": dg.DefaultScheduleStatus.RUNNING,
        "crm_to_commitments_nightly": dg.DefaultScheduleStatus.STOPPED,
    }
    assert repository.has_job("crm_to_commitments")
