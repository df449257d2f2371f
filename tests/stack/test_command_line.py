"""`spine` as a person types it: exit codes, JSON, and the whole stack once."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from spine.cli import exit_code
from spine.cli.stack import hide_keys
from spine.errors import BadExport, Misconfigured, NotFound, PolicyDenied, ProviderUnavailable
from spine.stack import AlreadyRunning, StackFailed
from spine.stack.orphans import lock
from tests.stack.test_orphans import eventually
from tests.stack.test_supervisor import gone

ROOT = Path(__file__).parents[2]
INHERITED = {name: value for name, value in os.environ.items() if not name.startswith(("SPINE_", "TEMPORAL_", "DAGSTER_"))}


def spine(*arguments: str, home: Path, answer: str = "") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "spine.cli", "--home", str(home), *arguments]
    return subprocess.run(command, capture_output=True, text=True, input=answer, env=INHERITED, cwd=home.parent, timeout=120)


def test_each_kind_of_error_has_its_exit_code() -> None:
    errors = [
        StackFailed("x"),
        AlreadyRunning("x"),
        NotFound("x"),
        PolicyDenied("x"),
        BadExport("x"),
        Misconfigured("x"),
        ProviderUnavailable("x"),
    ]
    assert [exit_code(error) for error in errors] == [1, 3, 4, 5, 6, 7, 8]


def test_status_without_a_stack_says_so_in_json_and_by_its_exit_code(tmp_path: Path) -> None:
    done = spine("status", "--json", home=tmp_path)
    assert done.returncode == 3
    assert json.loads(done.stdout)["state"] == "stopped"


def test_a_held_home_refuses_up_and_reset(tmp_path: Path) -> None:
    with lock(tmp_path):
        for command in (("up", "--ports", "auto"), ("up", "--detach"), ("reset", "--yes")):
            done = spine(*command, home=tmp_path)
            assert done.returncode == 3, done
            assert "already-running" in done.stderr


def test_down_without_a_stack_is_fine(tmp_path: Path) -> None:
    done = spine("down", home=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"no stack runs in {str(tmp_path)!r}\n")


def test_reset_asks_first_and_leaves_what_is_not_ours(tmp_path: Path) -> None:
    for name in ("postgres/base", "logs/x", "secrets/y", "notes/mine"):
        (tmp_path / name).mkdir(parents=True)
    refused = spine("reset", home=tmp_path, answer="n\n")
    assert refused.returncode == 1
    assert (tmp_path / "postgres").exists()
    assert spine("reset", home=tmp_path, answer="y\n").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_a_wrong_option_and_a_wrong_value_are_told_apart(tmp_path: Path) -> None:
    assert spine("up", "--prots", "auto", home=tmp_path).returncode == 2
    done = spine("up", "--ports", "many", home=tmp_path)
    assert done.returncode == 7
    assert "'many' is none of default, auto" in done.stderr


def test_a_home_that_cannot_be_a_folder_is_one_line_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        for command in (("up",), ("up", "--detach"), ("demo", "--home", str(home)), ("status",), ("down",)):
            done = spine("--home", str(home), *command, home=tmp_path)
            if command == ("status",) and home.name == "below":
                continue  # what is not there has no stack; that it cannot be there is said by `up`
            assert (done.returncode, len(done.stderr.splitlines())) == (7, 1), (command, done)
            assert repr(str(home)) in done.stderr
            assert "SPINE_HOME" in done.stderr


def test_no_command_offers_shell_completion_of_its_own(tmp_path: Path) -> None:
    for command in ("up", "approvals", "demo", "journey"):
        assert "--install-completion" not in spine(command, "--help", home=tmp_path).stdout, command


def test_make_without_a_fitting_python_says_what_to_install(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    done = subprocess.run(["make", "install", "PYTHON="], cwd=tmp_path, capture_output=True, text=True, env=INHERITED)
    assert done.returncode != 0
    assert "no Python from 3.11 to 3.14" in done.stderr


def test_keys_that_were_shown_once_do_not_stay_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "stack.log"
    shown = "  API key, admin   sk.demo.56b8b4135f9f.ZVx4ECM-itZ9_Dtx\n  these keys are shown this once\n"
    log.write_text(shown)
    with open(log, "ab") as writer:
        hide_keys(log)
        writer.write(b"worker restarting\n")
    assert log.read_text() == shown.replace("ZVx4ECM-itZ9_Dtx", "*" * 16) + "worker restarting\n"


@pytest.fixture
def reachable() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="spine-stack-"))
    folder.chmod(0o711)
    yield folder / "home"
    spine("down", home=folder / "home")
    spine("reset", "--yes", home=folder / "home")
    folder.rmdir()


def test_the_whole_stack_comes_up_heals_and_leaves_nothing_behind(reachable: Path) -> None:
    up = spine("up", "--ports", "auto", "--detach", home=reachable)
    assert up.returncode == 0, up.stdout + up.stderr
    assert "shown this once" in up.stdout
    log = reachable / "logs" / "stack.log"
    assert (log.stat().st_mode & 0o777, "shown this once" in log.read_text()) == (0o600, True)

    status = json.loads(spine("status", "--json", home=reachable).stdout)
    assert {part["state"] for part in status["parts"]} == {"ready", "done"}, status
    assert [part["note"] for part in status["parts"] if part["note"]] == [], "both code locations load"
    assert httpx.get(f"{status['addresses']['gateway']}/health", trust_env=False).is_success
    stack = json.loads((reachable / "stack.json").read_text())
    assert (reachable / "stack.json").stat().st_mode & 0o777 == 0o600
    assert stack["environment"]["SPINE_API_KEY"] in up.stdout
    assert stack["environment"]["SPINE_API_KEY"] not in log.read_text()

    doctor = spine("doctor", "--json", home=reachable)
    assert [finding for finding in json.loads(doctor.stdout) if finding["level"] == "problem"] == []
    assert spine("up", "--ports", "auto", home=reachable).returncode == 3

    pids = {part["name"]: part["pid"] for part in status["parts"] if part["pid"]}
    family = [pids[name] for name in pids] + [child.pid for pid in pids.values() for child in psutil.Process(pid).children(recursive=True)]
    os.kill(pids["worker"], signal.SIGKILL)

    def worker() -> dict[str, object]:
        parts = json.loads(spine("status", "--json", home=reachable).stdout)["parts"]
        return next(part for part in parts if part["name"] == "worker")

    healed = eventually(worker, lambda part: part["state"] == "ready" and part["pid"] != pids["worker"], seconds=60)
    assert healed["restarts"] == 1

    os.kill(status["pid"], signal.SIGTERM)
    eventually(lambda: gone(status["pid"]), bool, seconds=40)
    assert [pid for pid in (*family, healed["pid"]) if not gone(int(str(pid)))] == []
    assert not (reachable / "stack.json").exists()
