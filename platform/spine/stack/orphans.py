"""What a supervisor that was killed leaves running, found by process id *and* start time, and ended."""

import contextlib
import errno
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import psutil

from spine.errors import Conflict, Misconfigured

PROCESSES_FILE = "processes.json"  # the supervisor's list of its processes, rewritten at every change
LOCK_FILE = "lock"
_SAME_START = 0.05  # seconds two readings of one process's start time may differ


class AlreadyRunning(Conflict):
    code = "already-running"


def make_home(home: Path) -> None:
    """Raises Misconfigured when no folder can be there: a file is in the way, or the account may not write."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _no_home(home, error) from error


def lock(home: Path) -> IO[str]:
    """Hold `home` for as long as the returned file is open; the kernel lets go when the process dies, however it dies.

    Raises AlreadyRunning, naming the process that holds it, and Misconfigured when the home cannot be made or written to.
    """
    make_home(home)
    try:
        file = open(home / LOCK_FILE, "a+")  # noqa: SIM115  open for as long as the lock is held
    except OSError as error:
        raise _no_home(home, error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        pid = (home / LOCK_FILE).read_text().strip()
        raise AlreadyRunning(
            f"a stack already runs in {str(home)!r} (pid {pid}): `spine status` shows it, `spine down` ends it, "
            "SPINE_HOME chooses another home"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def supervisor_pid(home: Path) -> int | None:
    """The process that holds the home, or None when nobody does."""
    path = home / LOCK_FILE
    try:
        if not path.exists():
            if home.exists() and not home.is_dir():
                raise _no_home(home, NotADirectoryError(errno.ENOTDIR, "it is a file"))
            return None
    except PermissionError as error:
        raise _no_home(home, error) from error
    with open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(file.read().strip() or 0) or None
        return None


def _no_home(home: Path, error: OSError) -> Misconfigured:
    why = "it is a file" if home.is_file() else error.strerror
    return Misconfigured(f"{str(home)!r} cannot hold the state of a stack ({why}): set SPINE_HOME to a folder that you may write to")


def end_orphans(home: Path, patience: float = 4.0) -> list[str]:
    """End what an earlier supervisor of this home left behind: what stands on others first. Returns the names of those that lived.

    Call it only while holding the lock.
    """
    rows = read_processes(home)
    upper, lower = [row for row in rows if row.get("after")], [row for row in rows if not row.get("after")]
    names = [name for wave in (upper, lower) for name in _end(wave, patience)]
    (home / PROCESSES_FILE).unlink(missing_ok=True)
    return names


def _end(rows: list[dict[str, Any]], patience: float) -> list[str]:
    living = {row["name"]: process for row in rows if (process := _process_of(row))}
    families = {process.pid: process.children(recursive=True) for process in living.values()}
    for row in rows:
        if process := living.get(row["name"]):
            with contextlib.suppress(psutil.Error):
                process.send_signal(row["signal"])
    deadline = time.monotonic() + patience
    while any(lives(process) for process in living.values()) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid, family in families.items():
        kill_family(pid, family)
    groups = {row["name"]: row["pid"] for row in rows if row["name"] not in living and "pid" in row and _leaderless(row["pid"])}
    for group in groups.values():
        kill_family(group)
    return [*living, *groups]


def read_processes(home: Path) -> list[dict[str, Any]]:
    """The rows of the running, or last killed, supervisor; none after a clean stop."""
    try:
        rows: list[dict[str, Any]] = json.loads((home / PROCESSES_FILE).read_text())
    except (FileNotFoundError, ValueError):
        return []
    return rows


def is_alive(row: dict[str, Any]) -> bool:
    return _process_of(row) is not None


def kill_family(leader: int, family: Iterable[psutil.Process] = ()) -> None:
    """SIGKILL to the group that `leader` founded, and to descendants that left it (psutil checks their start times)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    for process in family:
        with contextlib.suppress(psutil.Error):
            process.kill()


def write_private(path: Path, text: str) -> None:
    """Replace `path` in one step, readable by its owner only: a reader sees the old content or the new."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def _process_of(row: dict[str, Any]) -> psutil.Process | None:
    if "pid" not in row or "created" not in row:
        return None
    try:
        process = psutil.Process(row["pid"])
        same = abs(process.create_time() - row["created"]) < _SAME_START
    except psutil.Error:
        return None
    return process if same and lives(process) else None


def lives(process: psutil.Process) -> bool:
    """Not so for a zombie: its new parent, process 1 of a container, may never fetch its exit code."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _leaderless(group: int) -> bool:
    """Whether the group lives on without its founder. Its number cannot have been given to another process meanwhile."""
    try:
        if psutil.Process(group).status() != psutil.STATUS_ZOMBIE:
            return False
    except psutil.NoSuchProcess:
        pass
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    return True
