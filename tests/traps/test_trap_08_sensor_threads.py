"""Sensors run one after another unless `sensors.use_threads` is on, and it is off by default.

Our trigger sensors wait in their ticks by design: without threads one of them would hold up all the others.
"""

from pathlib import Path

import yaml
from dagster import DagsterInstance
from dagster._core.instance_for_test import instance_for_test

from spine.stack import dagster_home


def test_the_default_is_one_sensor_after_another() -> None:
    with DagsterInstance.ephemeral() as instance:
        assert not (instance.get_settings("sensors") or {}).get("use_threads", False)


def test_the_stacks_instance_gives_each_waiting_sensor_a_thread(tmp_path: Path) -> None:
    folder = dagster_home.write(tmp_path, {"data_jobs.triggers": 4000})
    written = yaml.safe_load((folder / "dagster.yaml").read_text())
    with instance_for_test(overrides={"sensors": written["sensors"]}) as instance:
        settings = instance.get_settings("sensors")
    assert settings["use_threads"] is True
    assert settings["num_workers"] >= 2 * 7, "two members for each of the seven tracks wait at the same time"
