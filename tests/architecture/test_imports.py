"""The arrows between the packages hold, and the check that holds them can fail."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _fresh(code: str, *, home: Path) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter that has imported nothing of ours and whose environment names nothing of ours."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SPINE_", "TEMPORAL_", "DAGSTER_"))}
    environment |= {"SPINE_HOME": str(home), "DAGSTER_HOME": str(home)}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=home, check=False)


def test_platform_is_a_source_root_and_never_a_package() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists(), "it would shadow the standard library's platform module"


def test_the_import_rules_hold() -> None:
    done = subprocess.run([_lint_imports()], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ("shared/events/leads.py", "import spine.errors"),
        ("platform/spine/intents.py", "import orchestration.automations"),
        ("orchestration/governed.py", "import data_jobs.definitions"),
        ("data_jobs/triggers.py", "import orchestration.plugins.email"),
        ("orchestration/governed.py", "import orchestration.plugins.email"),
    ],
)
def test_an_import_that_crosses_an_arrow_fails_the_check(tmp_path: Path, broken: str, line: str) -> None:
    copy = _copy_of_the_sources(tmp_path)
    target = copy / broken
    if not target.exists():  # a module may have become a package of the same name
        target = copy / broken.removesuffix(".py") / "__init__.py"
    target.write_text(target.read_text() + f"\n{line}  # noqa\n")
    environment = {**os.environ, "PYTHONPATH": f"{copy}{os.pathsep}{copy / 'platform'}"}
    done = subprocess.run([_lint_imports(), "--no-cache"], cwd=copy, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode != 0, f"{line!r} in {broken} was not noticed"
    assert "BROKEN" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("location", ["data_jobs.definitions", "data_jobs.triggers"])
def test_a_code_location_loads_in_a_fresh_interpreter_that_knows_no_address(location: str, tmp_path: Path) -> None:
    code = f"import sys; sys.argv = ['dagster', 'definitions', 'validate', '-m', {location!r}]; from dagster.__main__ import main; main()"
    done = _fresh(code, home=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_naming_the_automations_brings_in_no_engine(tmp_path: Path) -> None:
    heavy = "'dagster', 'langgraph', 'langchain_core', 'httpx', 'psycopg', 'sqlalchemy', 'fastapi', 'smtplib'"
    code = f"import sys, orchestration.automations; print([m for m in ({heavy}) if m in sys.modules])"
    done = _fresh(code, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_the_lock_file_names_no_address_and_every_package_has_a_hash() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    blocks = [block for block in lock.replace("\\\n", " ").splitlines() if "==" in block]
    assert blocks
    assert all("--hash=sha256:" in block for block in blocks)
    assert not (ROOT / "uv.lock").exists()


def test_the_wheel_ships_every_package_and_no_test() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert packages == ["orchestration", "data_jobs", "shared", "platform/spine"]


def _lint_imports() -> str:
    return str(Path(sys.executable).with_name("lint-imports"))


def _copy_of_the_sources(tmp_path: Path) -> Path:
    tracked = subprocess.run(
        ["git", "ls-files", "*.py", "pyproject.toml"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    for name in tracked:
        if not name.startswith(("tests/", "benchmarks/")) and (ROOT / name).exists():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    return tmp_path
