"""The supervisor, on children small enough to start in a tenth of a second."""

import asyncio
import signal
import socket
import sys
import textwrap
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest

from spine.stack.ports import free_port
from spine.stack.process import Change, Process, StackFailed, State
from spine.stack.supervisor import Supervisor

SLEEPER = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"
)
SERVER = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(600)"


def child(name: str, program: str = SLEEPER, *arguments: str, **more: Any) -> Process:
    return Process(name=name, command=lambda: [sys.executable, "-c", textwrap.dedent(program), *arguments], **more)


def run(home: Path, parts: list[Process], play: Callable[[Supervisor], Coroutine[Any, Any, None]]) -> list[Change]:
    """Start `parts`, `play`, stop; the changes that were reported."""
    changes: list[Change] = []

    async def main() -> None:
        supervisor = Supervisor(parts, home=home, report=changes.append)
        try:
            await supervisor.start()
            await play(supervisor)
        finally:
            await supervisor.stop()

    asyncio.run(main())
    return changes


async def nothing(_supervisor: Supervisor) -> None:
    return


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_parts_start_in_order_of_dependency_and_stop_in_reverse(tmp_path: Path) -> None:
    parts = [child("worker", after=("server",)), child("server", after=("migrate",)), child("migrate", "pass", once=True)]
    changes = run(tmp_path, parts, nothing)
    up = [change.part for change in changes if change.state in (State.READY, State.DONE)]
    down = [change.part for change in changes if change.state is State.STOPPED]
    assert up == ["migrate", "server", "worker"]
    assert down == ["worker", "server"]


def test_a_part_that_is_killed_is_started_again_and_its_dependents_live_on(tmp_path: Path) -> None:
    pids: list[dict[str, int]] = []

    async def play(supervisor: Supervisor) -> None:
        pids.append(supervisor.pids)
        assert await supervisor.kill("server") == pids[0]["server"]
        await supervisor.wait_ready("server", 10)
        pids.append(supervisor.pids)

    changes = run(tmp_path, [child("server"), child("worker", after=("server",))], play)
    assert pids[1]["server"] != pids[0]["server"]
    assert pids[1]["worker"] == pids[0]["worker"]
    assert [change.note for change in changes if change.state is State.RESTARTING] == ["ended by signal 9; again in 0.2 s"]


def test_a_restart_on_purpose_is_clean_and_at_once(tmp_path: Path) -> None:
    async def play(supervisor: Supervisor) -> None:
        before = supervisor.pids["server"]
        await supervisor.restart("server")
        assert supervisor.pids["server"] != before
        assert gone(before)

    run(tmp_path, [child("server")], play)


def test_no_process_is_left_behind_by_children_that_ignore_signals_or_found_groups(tmp_path: Path) -> None:
    family = f"""
        import subprocess, sys
        subprocess.Popen([sys.executable, "-c", {STUBBORN!r}])
        subprocess.Popen([sys.executable, "-c", {STUBBORN!r}], start_new_session=True)
        {STUBBORN}
    """
    pids: list[int] = []

    async def play(supervisor: Supervisor) -> None:
        parent = psutil.Process(supervisor.pids["stubborn"])
        while len(children := parent.children()) < 2:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        pids.extend([parent.pid, *(child.pid for child in children)])

    run(tmp_path, [child("stubborn", family, stop_timeout=0.2)], play)
    assert len(pids) == 3
    assert all(gone(pid) for pid in pids)


def test_a_stale_server_on_the_port_does_not_pass_for_ours(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stale:
        part = child("server", SLEEPER, ports=(stale.getsockname()[1],), start_timeout=0.6)
        with pytest.raises(StackFailed, match=r"server was not ready after 0\.6 s"):
            run(tmp_path, [part], nothing)


def test_a_part_is_ready_only_when_its_own_process_listens(tmp_path: Path) -> None:
    port = free_port()
    changes = run(tmp_path, [child("server", SERVER, str(port), ports=(port,))], nothing)
    assert changes[1].state is State.READY


def test_a_part_that_ends_at_once_fails_the_start_with_the_end_of_its_log(tmp_path: Path) -> None:
    seen: list[Change] = []
    parts = [child("good"), child("bad", "import sys; sys.exit('SPINE_CRM_URL is not set')", ready=lambda _pid: False)]
    with pytest.raises(StackFailed, match=r"(?s)bad ended with 1 before it was ready.*bad\.log.*SPINE_CRM_URL is not set"):
        seen = run(tmp_path, parts, nothing)
    assert seen == []
    assert not (tmp_path / "processes.json").exists()


def test_a_failed_step_keeps_those_after_it_from_starting(tmp_path: Path) -> None:
    marker = tmp_path / "started"
    parts = [
        child("migrate", "import sys; sys.exit(3)", once=True),
        child("worker", f"open({str(marker)!r}, 'w')", after=("migrate",)),
    ]
    with pytest.raises(StackFailed, match="migrate ended with 3"):
        run(tmp_path, parts, nothing)
    assert not marker.exists()


def test_what_a_part_settles_is_done_before_its_dependents_start_and_after_each_restart(tmp_path: Path) -> None:
    settled: list[str] = []

    async def play(supervisor: Supervisor) -> None:
        await supervisor.kill("database")
        await supervisor.wait_ready("database", 10)

    parts = [
        child("database", settle=lambda: settled.append("settled")),
        child("reader", after=("database",), ready=lambda _pid: settled.append("reader ready") is None),
    ]
    run(tmp_path, parts, play)
    assert settled == ["settled", "reader ready", "settled"]


def test_a_part_that_dies_again_while_it_settles_is_started_once_more(tmp_path: Path) -> None:
    settled: list[str] = []

    def settle() -> None:
        settled.append("once")
        if len(settled) == 2:
            raise StackFailed("it went away")

    async def play(supervisor: Supervisor) -> None:
        await supervisor.kill("server")
        await supervisor.wait_ready("server", 10)

    run(tmp_path, [child("server", settle=settle)], play)
    assert len(settled) == 3


def test_a_part_may_be_stopped_by_a_call_instead_of_a_signal(tmp_path: Path) -> None:
    asked: list[str] = []
    program = f"import os, time\nwhile not os.path.exists({str(tmp_path / 'stop')!r}): time.sleep(0.02)"

    def ask() -> None:
        asked.append("asked")
        (tmp_path / "stop").touch()

    run(tmp_path, [child("code", program, stop=ask)], nothing)
    assert asked == ["asked"]


def test_a_log_shows_each_start_and_what_was_printed(tmp_path: Path) -> None:
    run(tmp_path, [child("step", "print('done with it')", once=True)], nothing)
    log = (tmp_path / "logs" / "step.log").read_text()
    assert log.startswith("--- ")
    assert log.endswith("done with it\n")


def test_a_signal_during_the_start_stops_what_was_started(tmp_path: Path) -> None:
    program = f"""
        import asyncio, sys
        from pathlib import Path
        from spine.stack import interruptible
        from spine.stack.process import Process
        from spine.stack.supervisor import Supervisor

        async def main():
            parts = [Process(name="never", command=lambda: [sys.executable, "-c", {SLEEPER!r}], ready=lambda _pid: False)]
            supervisor = Supervisor(parts, home=Path({str(tmp_path)!r}), report=lambda c: print(c.state, supervisor.pids, flush=True))
            try:
                await supervisor.start()
            finally:
                await supervisor.stop()

        asyncio.run(interruptible(main()))
    """

    async def main() -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", textwrap.dedent(program), stdout=asyncio.subprocess.PIPE)
        while not (tmp_path / "logs" / "never.log").exists() or not (children := psutil.Process(process.pid).children()):
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0
        assert all(gone(one.pid) for one in children)

    asyncio.run(main())
