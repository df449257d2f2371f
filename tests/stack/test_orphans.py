"""A home has one holder, and what a killed holder leaves behind is found and ended."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from spine.stack.orphans import AlreadyRunning, end_orphans, lock, supervisor_pid, write_private
from tests.stack.test_supervisor import SLEEPER, gone

T = TypeVar("T")

SUPERVISOR = """
    import asyncio, sys
    from pathlib import Path
    from spine.stack.orphans import lock
    from spine.stack.process import Process
    from spine.stack.supervisor import Supervisor

    home = Path(sys.argv[1])
    sleep = "import time; time.sleep(600)"
    child = [sys.executable, "-c", f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleep!r}]); {sleep}"]

    async def main():
        parts = [Process(name="base", command=lambda: child), Process(name="upper", command=lambda: child, after=("base",))]
        await Supervisor(parts, home=home).start()
        print("ready", flush=True)
        await asyncio.sleep(600)

    with lock(home):
        asyncio.run(main())
"""


def eventually(look: Callable[[], T], good: Callable[[T], bool], seconds: float = 10) -> T:
    """What `look` sees once it is `good`; a failure with what it saw last if that takes too long."""
    deadline = time.monotonic() + seconds
    while not good(seen := look()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.05)
    return seen


@contextmanager
def supervisor(home: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(SUPERVISOR), str(home)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def test_a_second_stack_on_the_same_home_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    with supervisor(tmp_path) as first:
        assert supervisor_pid(tmp_path) == first.pid
        with pytest.raises(AlreadyRunning, match=rf"pid {first.pid}\): `spine status` shows it"):
            lock(tmp_path)
    end_orphans(tmp_path)


def test_what_a_killed_supervisor_left_behind_is_ended_with_all_its_descendants(tmp_path: Path) -> None:
    with supervisor(tmp_path) as first:
        family = eventually(lambda: psutil.Process(first.pid).children(recursive=True), lambda found: len(found) == 4)
    assert supervisor_pid(tmp_path) is None, "the kernel let go of the lock"
    assert not any(gone(process.pid) for process in family), "kill -9 of the parent leaves its children running"
    with lock(tmp_path):
        assert end_orphans(tmp_path) == ["upper", "base"]
    eventually(lambda: [gone(process.pid) for process in family], all)
    assert not (tmp_path / "processes.json").exists()


def test_a_process_that_was_given_the_same_number_later_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEPER], start_new_session=True) as innocent:
        row = {"name": "worker", "pid": innocent.pid, "created": psutil.Process(innocent.pid).create_time() - 60, "signal": signal.SIGTERM}
        write_private(tmp_path / "processes.json", json.dumps([row]))
        assert end_orphans(tmp_path) == []
        assert innocent.poll() is None
        innocent.kill()


def test_a_group_whose_founder_died_is_still_ended(tmp_path: Path) -> None:
    grandchild = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], stdout=subprocess.DEVNULL)"
    founder = f"import subprocess, sys; print({grandchild}.pid)"
    done = subprocess.Popen([sys.executable, "-c", founder], start_new_session=True, stdout=subprocess.PIPE, text=True)
    survivor = int(done.communicate(timeout=10)[0])
    write_private(tmp_path / "processes.json", json.dumps([{"name": "code", "pid": done.pid, "created": 0.0, "signal": signal.SIGTERM}]))
    assert not gone(survivor)
    assert end_orphans(tmp_path) == ["code"]
    eventually(lambda: gone(survivor), bool)


def test_the_files_that_name_secrets_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    write_private(tmp_path / "stack.json", "{}")
    assert os.stat(tmp_path / "stack.json").st_mode & 0o777 == 0o600
