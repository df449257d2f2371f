"""The gateway as a process of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from spine.stack.ports import free_port
from spine.stack.postgres import EmbeddedPostgres


def test_the_process_serves_at_its_address_without_temporal_and_ends_cleanly_on_sigterm(
    postgres: EmbeddedPostgres, database_name: str, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    environment = {
        **os.environ,
        "SPINE_HOME": str(tmp_path),
        "SPINE_DATABASE_URL": postgres.url("spine_app", database_name),
        "SPINE_GATEWAY_URL": url,
        "TEMPORAL_ADDRESS": "127.0.0.1:1",
    }
    process = subprocess.Popen([sys.executable, "-m", "spine.gateway"], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not _answers(url):
            assert process.poll() is None, "it ended by itself"
            assert time.monotonic() < deadline, "it did not come up"
            time.sleep(0.1)
        ready = httpx.get(f"{url}/health/ready", timeout=10).json()
        assert (ready["status"], ready["temporal"]) == ("degraded", "does not answer")
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
    assert process.returncode == 0, log
    assert "Traceback" not in log


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2).is_success
    except httpx.HTTPError:
        return False


def test_an_installation_that_is_wrong_is_one_line_naming_the_variable(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPINE_")} | {"SPINE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-m", "spine.gateway"], env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "SPINE_DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr
