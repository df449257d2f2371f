"""kill -9 in the middle of a node, and another process that goes on."""

import json
import signal
import subprocess
import sys
from pathlib import Path


def run(url: str, ledger: Path, fate: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tests.graphs.dying", url, str(ledger), fate], capture_output=True, text=True, timeout=60)


def test_after_kill_9_another_process_goes_on_and_repeats_no_finished_node(checkpoints_url: str, tmp_path: Path) -> None:
    ledger = tmp_path / "questions"
    assert run(checkpoints_url, ledger, "die").returncode == -signal.SIGKILL
    assert ledger.read_text().split() == ["score", "write"]
    second = run(checkpoints_url, ledger, "live")
    assert second.returncode == 0, second.stderr
    assert ledger.read_text().split() == ["score", "write", "write"]
    proposal = json.loads(second.stdout)
    assert (proposal["outcome"], proposal["score"], proposal["used"]) == ("proposed", 72, "test:scripted")
    assert proposal["tokens"] == 300


def test_naming_the_graphs_loads_no_engine() -> None:
    heavy = ("langgraph", "langchain", "langchain_core", "openai", "genai_prices", "temporalio", "dagster", "httpx", "sqlalchemy")
    program = f"import sys, orchestration.graphs; print([m for m in {heavy!r} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "[]"
