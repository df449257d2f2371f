"""What is started here and what is elsewhere: decided from the environment, before anything runs."""

import os
import re
import socket
from pathlib import Path

import pytest
import yaml
from sqlalchemy import make_url

from spine.errors import Misconfigured
from spine.settings import Settings, variable_of
from spine.stack import dagster_home
from spine.stack.options import DEFAULT_PORTS, Options, choose_ports
from spine.stack.parts import Plan, plan, refuse_taken_ports
from spine.stack.process import Elsewhere, Process

ROOT = Path(__file__).parents[2]
DATABASES = {
    "SPINE_DATABASE_URL": "postgresql://spine_app:hidden@db.example:5433/spine",
    "SPINE_DATABASE_RELAY_URL": "postgresql://spine_relay:hidden@db.example:5433/spine",
    "SPINE_DATABASE_OWNER_URL": "postgresql://spine_owner:hidden@db.example:5433/spine",
    "SPINE_DAGSTER_DATABASE_URL": "postgresql://dagster:hidden@db.example:5433/dagster",
    "SPINE_LANGGRAPH_DATABASE_URL": "postgresql://langgraph:hidden@db.example:5433/langgraph",
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SPINE_", "TEMPORAL_", "OTEL_")):
            monkeypatch.delenv(name)


def planned(home: Path, **options: object) -> Plan:
    return plan(home, Options(ports="auto", **options))  # type: ignore[arg-type]


def started(made: Plan) -> list[str]:
    return [part.name for part in made.parts if isinstance(part, Process)]


def test_with_nothing_set_everything_runs_here_and_nothing_leaves_the_machine(tmp_path: Path) -> None:
    made = planned(tmp_path)
    assert started(made) == [
        "postgres", "migrate", "temporal", "providers", "dagster-storage", "code:definitions", "code:triggers",
        "dagster-webserver", "dagster-daemon", "worker", "gateway",
    ]  # fmt: skip
    leading_out = [name for name, value in made.environment.items() if "://" in value and "127.0.0.1" not in value]
    assert leading_out == []


@pytest.mark.parametrize(
    ("variables", "not_started"),
    [
        (DATABASES, {"postgres"}),
        ({"TEMPORAL_ADDRESS": "temporal.example:7233"}, {"temporal"}),
        ({"SPINE_GATEWAY_URL": "https://spine.example"}, {"gateway"}),
        (
            {"SPINE_DAGSTER_URL": "https://dagster.example"},
            {"dagster-storage", "code:definitions", "code:triggers", "dagster-webserver", "dagster-daemon"},
        ),
    ],
)
def test_a_part_with_an_address_is_not_started_but_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], not_started: set[str]
) -> None:
    everything = set(started(planned(tmp_path)))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    made = planned(tmp_path)
    assert everything - set(started(made)) == not_started
    assert [part for part in made.parts if isinstance(part, Elsewhere)]
    assert variables.items() <= made.environment.items(), "the other parts are told the same address"
    assert not any("hidden" in part.address for part in made.parts), "addresses for people carry no password"


def test_a_secret_file_counts_as_an_address_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in DATABASES.items():
        (tmp_path / name).write_text(value)
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    assert "postgres" not in started(planned(tmp_path))


def test_a_database_elsewhere_needs_all_its_roles_and_says_which_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINE_DATABASE_URL", DATABASES["SPINE_DATABASE_URL"])
    monkeypatch.setenv("SPINE_DATABASE_RELAY_URL", DATABASES["SPINE_DATABASE_RELAY_URL"])
    with pytest.raises(Misconfigured, match="SPINE_DATABASE_OWNER_URL, SPINE_DAGSTER_DATABASE_URL, SPINE_LANGGRAPH_DATABASE_URL"):
        planned(tmp_path)


def test_only_providers_without_an_address_are_stood_in_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINE_CRM_URL", "https://crm.example")
    made = planned(tmp_path)
    assert "SPINE_CRM_URL" not in made.environment
    assert "127.0.0.1" in made.environment["SPINE_ESIGN_URL"]


def test_the_demo_reaches_no_real_provider_whatever_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINE_CRM_URL", "https://crm.example")
    assert "127.0.0.1" in planned(tmp_path, providers=True).environment["SPINE_CRM_URL"]


def test_a_part_can_be_left_out_and_those_after_it_wait_for_what_it_waited_for(tmp_path: Path) -> None:
    made = planned(tmp_path, without=frozenset({"dagster-storage", "providers"}))
    after = {part.name: part.after for part in made.parts}
    assert after["code:definitions"] == ("migrate", "postgres")
    assert after["worker"] == ("migrate", "temporal")
    with pytest.raises(Misconfigured, match=r"no parts \['wroker'\] to leave out: there are \['postgres'"):
        planned(tmp_path, without=frozenset({"wroker"}))


def test_business_time_carries_its_anchor_so_that_every_process_shares_it(tmp_path: Path) -> None:
    clock = planned(tmp_path, environment={"SPINE_CLOCK": "2026-11-22T09:00:00+03:00@7200"}).environment["SPINE_CLOCK"]
    assert clock.startswith("2026-11-22T09:00:00+03:00@7200@20")


def test_an_occupied_port_is_named_with_its_part_and_its_holder(tmp_path: Path) -> None:
    made = planned(tmp_path)
    gateway = next(part for part in made.parts if part.name == "gateway")
    assert isinstance(gateway, Process)
    named = pytest.raises(Misconfigured, match=rf"{gateway.ports[0]} for gateway: held by .* \(pid {os.getpid()}\)")
    with socket.create_server(("127.0.0.1", gateway.ports[0])), named as refused:
        refuse_taken_ports(made.parts)
    assert "--ports auto" in str(refused.value)
    refuse_taken_ports(made.parts)


def test_ports_are_distinct_whatever_way_they_are_chosen() -> None:
    for how in ("default", "auto", "21000"):
        chosen = choose_ports(how)
        assert chosen.keys() == DEFAULT_PORTS.keys()
        assert len(set(chosen.values())) == len(chosen)
    with pytest.raises(Misconfigured, match="'80' is none of default, auto"):
        choose_ports("80")


def test_trap_01_dagster_s_storage_names_the_driver_that_it_works_with() -> None:
    url = make_url(dagster_home.sqlalchemy_url("postgresql://dagster:p@127.0.0.1:5432/dagster"))
    assert url.get_driver_name() == "psycopg2"
    assert make_url("postgresql://dagster:p@127.0.0.1:5432/dagster").get_driver_name() != "psycopg2", "the default changed back"


def test_trap_08_sensors_have_a_thread_each_and_trap_18a_so_have_their_ticks_in_the_code_server(tmp_path: Path) -> None:
    folder = dagster_home.write(tmp_path, {"data_jobs.triggers": 14002})
    instance = yaml.safe_load((folder / "dagster.yaml").read_text())
    assert instance["sensors"]["use_threads"]
    assert instance["sensors"]["num_workers"] >= 16
    assert instance["sensors"]["num_workers"] < dagster_home.GRPC_WORKERS
    assert instance["telemetry"] == {"enabled": False}


def test_dagster_accepts_the_instance_that_is_written_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster._core.instance.config import dagster_instance_config

    monkeypatch.setenv(dagster_home.URL_VARIABLE, "postgresql+psycopg2://d:p@127.0.0.1:1/d")
    config, _ = dagster_instance_config(str(dagster_home.write(tmp_path, {})))
    assert config["storage"]


def test_a_run_whose_process_died_is_started_again_and_one_that_failed_by_itself_is_not(tmp_path: Path) -> None:
    instance = yaml.safe_load((dagster_home.write(tmp_path, {}) / "dagster.yaml").read_text())
    assert instance["run_retries"] == {"enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False}
    monitoring = instance["run_monitoring"]
    assert monitoring["start_timeout_seconds"] + 2 * monitoring["poll_interval_seconds"] <= 90, "nobody waits for minutes"


def test_the_committed_workspace_has_the_locations_that_the_stack_serves() -> None:
    entries = [entry["python_module"] for entry in yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]]
    assert {entry["location_name"]: entry["module_name"] for entry in entries} == dagster_home.LOCATIONS


def test_the_example_environment_names_every_setting_and_no_other() -> None:
    text = (ROOT / ".env.example").read_text()
    named = set(re.findall(r"^#([A-Z_]+)=", text, re.MULTILINE))
    assert named == {variable_of(name) for name in Settings.model_fields}
