"""The doctor names what is wrong and the cure; each test breaks one thing."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from spine.settings import Settings
from spine.stack import doctor
from spine.stack.doctor import Finding, Level
from spine.stack.options import DEFAULT_PORTS
from spine.stack.orphans import write_private
from spine.stack.ports import free_port
from spine.stack.postgres import EmbeddedPostgres
from tests.stack.test_supervisor import SLEEPER


def found(findings: Iterator[Finding], check: str) -> Finding:
    return next(finding for finding in findings if finding.check == check)


def test_a_healthy_database_and_server_have_no_problems(
    postgres: EmbeddedPostgres, database_name: str, temporal: str, tmp_path: Path
) -> None:
    settings = Settings(
        home=tmp_path,
        database_url=postgres.url("spine_app", database_name),
        database_owner_url=postgres.url("spine_owner", database_name),
        temporal_address=temporal,
    )
    problems = [finding for finding in doctor.examine(settings) if finding.level is Level.PROBLEM]
    assert [finding.check for finding in problems] == ["worker"], "nobody polls, and that is said"
    assert "commitments wait" in problems[0].detail


def test_the_transaction_that_holds_readers_back_is_named(
    postgres: EmbeddedPostgres, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_HORIZON_ALLOWED", doctor.timedelta(0))
    url = postgres.url("spine_owner", database_name)
    with psycopg.connect(url, application_name="bulk load") as slow:
        slow.execute("create table held (n int)")
        pid = slow.info.backend_pid
        finding = doctor.safe_horizon(url)
        slow.rollback()
    assert finding.level is Level.PROBLEM
    assert f"backend {pid} (spine_owner on {database_name}, bulk load" in finding.detail
    assert f"pg_terminate_backend({pid})" in finding.cure


def test_another_role_s_transaction_is_seen_too(postgres: EmbeddedPostgres, database_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_HORIZON_ALLOWED", doctor.timedelta(0))
    with psycopg.connect(postgres.url("dagster", "dagster")) as slow:
        slow.execute("create temporary table held (n int)")
        finding = doctor.safe_horizon(postgres.url("spine_owner", database_name))
        slow.rollback()
    assert "dagster on dagster" in finding.detail


def test_a_database_that_was_never_migrated_is_behind(postgres: EmbeddedPostgres) -> None:
    finding = doctor.migrations(postgres.url("spine_owner", "spine"))
    assert finding.level is Level.PROBLEM
    assert "is at nothing, this version expects" in finding.detail
    assert "python -m spine.stack.migrate spine" in finding.cure


def test_what_waits_for_people_is_counted_with_the_command_that_lists_it(
    postgres: EmbeddedPostgres, database_name: str, tmp_path: Path
) -> None:
    url = postgres.url("spine_app", database_name)
    settings = Settings(home=tmp_path, database_url=url)
    assert list(doctor.left_to_people(settings)) == []
    with psycopg.connect(url) as connection:
        connection.execute("select set_config('spine.tenant_id', %s, true)", (settings.tenant,))
        connection.execute(
            "insert into dead_letters (dead_letter_id, tenant_id, plane, reference, consumer, error_code, error, attempts, body) "
            "values (gen_random_uuid(), %s, 'webhook', 'msg-1', 'c', 'e', 'e', 1, '{}')",
            (settings.tenant,),
        )
    (finding,) = doctor.left_to_people(settings)
    assert (finding.check, finding.level) == ("dead letters", Level.WARNING)
    assert "1 of plane webhook" in finding.detail
    assert "spine dead-letters list" in finding.cure


def test_an_unreachable_database_and_server_are_problems_with_a_cure(tmp_path: Path) -> None:
    nobody = free_port()
    settings = Settings(
        home=tmp_path, database_url=f"postgresql://spine_app:p@127.0.0.1:{nobody}/spine", temporal_address=f"127.0.0.1:{nobody}"
    )
    findings = {finding.check: finding for finding in doctor.examine(settings)}
    for check in ("database", "temporal"):
        assert findings[check].level is Level.PROBLEM
        assert "spine up" in findings[check].cure
    assert "worker" not in findings, "what cannot be known is not claimed"


def test_a_taken_default_port_is_named_with_its_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setattr(doctor, "DEFAULT_PORTS", {**DEFAULT_PORTS, "gateway": other.getsockname()[1]})
        finding = found(doctor.examine(Settings(home=tmp_path)), "ports")
    assert f"(gateway) by {psutil.Process().name()} (pid {os.getpid()})" in finding.detail


def test_a_missing_binary_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.temporal_server, "binary", lambda: tmp_path / "temporal")
    finding = found(doctor.examine(Settings(home=tmp_path)), "Temporal")
    assert finding.level is Level.PROBLEM
    assert "lock file" in finding.cure


def test_processes_that_a_killed_stack_left_running_are_found(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEPER]) as left:
        created = psutil.Process(left.pid).create_time()
        row = {"name": "worker", "state": "ready", "note": "", "pid": left.pid, "created": created, "signal": signal.SIGTERM}
        write_private(tmp_path / "processes.json", json.dumps([row]))
        finding = found(doctor.examine(Settings(home=tmp_path)), "stack")
        left.kill()
    assert finding.level is Level.PROBLEM
    assert "left running: worker" in finding.detail
    assert "spine down" in finding.cure


def test_every_problem_and_warning_has_a_cure(tmp_path: Path) -> None:
    for finding in doctor.examine(Settings(home=tmp_path, temporal_address=f"127.0.0.1:{free_port()}")):
        assert finding.level is Level.OK or finding.cure, finding
