"""The gateway as a process of its own, which a test may kill at a moment of its choice."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from spine.stack.ports import free_port

_DIES = """
import importlib, os, signal, sys
module, name = {place!r}.rsplit(".", 1)
home = importlib.import_module(module)
real = getattr(home, name)
def dies(*given, **named):
    {first}
    os.kill(os.getpid(), signal.SIGKILL)
setattr(home, name, dies)
from spine.gateway.__main__ import main
sys.exit(main())
"""


@contextmanager
def gateway(database_url: str, home: Path, *, dies_before: str = "", dies_after: str = "") -> Iterator[str]:
    """The address of a running gateway. It is killed (kill -9) at the end, whatever it is doing.

    `dies_before` and `dies_after` name a function, as `module.function`, at whose call the process kills itself the same way.
    """
    url = f"http://127.0.0.1:{free_port()}"
    environment = {**os.environ, "SPINE_HOME": str(home), "SPINE_DATABASE_URL": database_url, "SPINE_GATEWAY_URL": url}
    program = ["-m", "spine.gateway"]
    if place := dies_before or dies_after:
        program = ["-c", _DIES.format(place=place, first="real(*given, **named)" if dies_after else "pass")]
    process = subprocess.Popen([sys.executable, *program], env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not _answers(url):
            assert process.poll() is None, "it ended by itself"
            assert time.monotonic() < deadline, "it did not come up"
            time.sleep(0.1)
        yield url
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait(timeout=20)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2).is_success
    except httpx.HTTPError:
        return False
