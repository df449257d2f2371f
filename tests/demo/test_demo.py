"""The main job as a newcomer runs it: the command, its exit code, its JSON, and what it leaves behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

SPINE = [sys.executable, "-m", "spine.cli"]


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("SPINE_", "TEMPORAL_", "DAGSTER_", "OTEL_"))}


def _run(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SPINE, *arguments], capture_output=True, text=True, env=_clean_environment(), timeout=timeout, check=False)


@pytest.mark.long
@pytest.mark.timeout(480)
def test_the_demo_keeps_every_promise_and_leaves_no_process_behind(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = _run("demo", "--home", str(home), "--json", timeout=460)
    assert done.returncode == 0, done.stderr[-4000:]
    outcome = json.loads(done.stdout)
    assert outcome["passed"]
    assert [each["name"] for each in outcome["invariants"] if not each["holds"]] == []
    table = outcome["table"]
    assert table["rows read"] == table["rows kept"] + table["rows repaired"] + table["rows quarantined"]
    assert table["effects made"] == table["effects seen by the providers"] > 0
    assert table["duplicates"] == table["runnable intents left by rejects"] == 0
    assert table["edits judged again"] == table["edited"] > 0 < table["rejected"]
    assert _processes_of(home) == []


def test_the_demo_wipes_no_folder_that_it_did_not_make(tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("years of work")
    done = _run("demo", "--home", str(tmp_path))
    assert done.returncode == 7
    assert str(tmp_path) in done.stderr
    assert precious.read_text() == "years of work"


def test_an_export_that_is_not_a_folder_is_named(tmp_path: Path) -> None:
    done = _run("demo", "--home", str(tmp_path / "home"), "--crm", str(tmp_path / "nowhere"))
    assert done.returncode == 7
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr


def _processes_of(home: Path) -> list[str]:
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        line = " ".join(process.info["cmdline"] or ())
        if str(home) in line or str(home) in (process.info["environ"] or {}).get("SPINE_HOME", ""):
            found.append(line)
    return found
