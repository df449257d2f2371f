"""`spine up | down | status | doctor | reset`: the stack on this machine."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.table import Table

from spine.settings import STACK_FILE, Settings
from spine.stack import Change, Options, Stack, StackFailed, State, run_stack
from spine.stack.orphans import (
    LOCK_FILE,
    PROCESSES_FILE,
    AlreadyRunning,
    end_orphans,
    is_alive,
    lock,
    make_home,
    read_processes,
    supervisor_pid,
)
from spine.stack.postgres import destroy

app = typer.Typer(rich_markup_mode="rich", add_completion=False)
_out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
_STYLE = {State.READY: "green", State.DONE: "green", State.ELSEWHERE: "cyan", State.RESTARTING: "yellow", State.FAILED: "red"}
_FILES = ("temporal.log", "postgres.log", STACK_FILE, PROCESSES_FILE, LOCK_FILE)
_FOLDERS = ("temporal", "dagster", "providers", "data", "logs", "secrets")

_SECRET = re.compile(rb"\bsk\.[^\s.]+\.[^\s.]+\.([^\s.]+)")  # of an API key, see spine.identity
_DETACHED = "_SPINE_DETACHED"  # set for the process that `up --detach` leaves behind: no terminal, so no Ctrl-C
_PROVIDERS: dict[bool | None, list[str]] = {True: ["--providers"], False: ["--no-providers"], None: []}

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table for people.")]


def _home() -> Path:
    return Path(os.environ.get("SPINE_HOME") or ".spine").absolute()


@app.command()
def up(
    ports: Annotated[str, typer.Option(help="[cyan]default[/cyan], [cyan]auto[/cyan] for free ones, or the first of a row.")] = "default",
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when everything is up, and leave it running.")] = False,
    providers: Annotated[bool | None, typer.Option(help="E-mail, CRM, e-signature on loopback. Default: if they have no address.")] = None,
    without: Annotated[list[str] | None, typer.Option(help="Leave this part out, to run it by hand. Repeatable.")] = None,
) -> None:
    """Start everything on this machine, in order, and keep it running until Ctrl-C.

    PostgreSQL, Temporal, Dagster (webserver, daemon, two code locations), the worker and the gateway. What an address in the environment
    stands for is not started: SPINE_DATABASE_URL (with its four sisters), TEMPORAL_ADDRESS, SPINE_DAGSTER_URL, SPINE_GATEWAY_URL.
    Providers without an address are stood in for on loopback: nothing leaves this machine.
    A part that dies is started again. Logs are in .spine/logs/, one file a part.

    Exits with 3 if a stack already runs in this home, 7 if ports are occupied (their holders are named), 1 if a part does not start.
    """
    if detach:
        _up_detached(ports, providers, without or [])
        return
    options = Options(ports=ports, providers=providers, without=frozenset(without or ()))
    began, greeted = time.monotonic(), []

    def greet(stack: Stack) -> None:
        _greet(stack, time.monotonic() - began)
        greeted.append(stack)

    asyncio.run(run_stack(_home(), options, _show, greet))
    _out.print("stopped; nothing is left running")
    if not greeted:
        raise typer.Exit(130)


@app.command()
def down(
    timeout: Annotated[float, typer.Option(help="Seconds to wait for a clean stop.")] = 60.0,
) -> None:
    """Stop the stack of this home, and whatever a killed one left behind. Nothing running is fine too."""
    home = _home()
    pid = supervisor_pid(home)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + timeout
        while supervisor_pid(home) is not None:
            if time.monotonic() > deadline:
                raise StackFailed(f"the stack (pid {pid}) did not stop in {timeout:g} s; `kill -9 {pid}` and `spine down` again end it")
            time.sleep(0.1)
        _out.print("stopped; nothing is left running")
        return
    with lock(home):
        orphans = end_orphans(home)
        (home / STACK_FILE).unlink(missing_ok=True)
    _out.print(f"ended what a killed stack had left running: {', '.join(orphans)}" if orphans else f"no stack runs in {str(home)!r}")


@app.command()
def status(as_json: Json = False) -> None:
    """Show the parts of the running stack, with state, process, memory and address.

    Exits with 0 if all is up, 1 if a part is not, 3 if no stack runs.
    """
    home = _home()
    pid = supervisor_pid(home)
    parts = [_part(row) for row in read_processes(home)]
    known = json.loads((home / STACK_FILE).read_text()) if (home / STACK_FILE).exists() else {}
    state = known.get("state", "stopping") if pid else ("orphaned" if any(part["pid"] for part in parts) else "stopped")
    if as_json:
        addresses = known.get("addresses", {})
        sys.stdout.write(json.dumps({"home": str(home), "state": state, "pid": pid, "addresses": addresses, "parts": parts}) + "\n")
    elif pid is None:
        _out.print(f"no stack runs in {str(home)!r}" + ("; `spine down` ends what a killed one left behind" if state == "orphaned" else ""))
    if pid is not None and not as_json:
        _out.print(_status_table(parts))
    if pid is None:
        raise typer.Exit(3)
    raise typer.Exit(0 if all(part["state"] in (State.READY, State.DONE, State.ELSEWHERE) for part in parts) else 1)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is wrong with the installation or the running stack, and how to mend it.

    Looks at Python, the servers in the wheels, disk, ports, processes, the database and its migrations, the transaction that holds
    readers back, clocks, Temporal, the worker, Dagster and the gateway. Exits with 1 if there is a problem; warnings do not count.
    """
    from spine.stack.doctor import Level, examine  # with Alembic; the other commands need not wait for it

    findings = list(examine(Settings.load()))
    if as_json:
        rows = [{"check": f.check, "level": f.level, "detail": f.detail, "cure": f.cure} for f in findings]
        sys.stdout.write(json.dumps(rows) + "\n")
    else:
        style = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "red"}
        for finding in findings:
            _out.print(f"[{style[finding.level]}]{finding.level:8}[/] {finding.check:13} ", end="")
            _out.print(finding.detail, markup=False, soft_wrap=True)
            if finding.cure:
                _out.print(f"{'':22} → {finding.cure}", markup=False, soft_wrap=True)
    raise typer.Exit(1 if any(finding.level is Level.PROBLEM for finding in findings) else 0)


@app.command()
def reset(yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Delete all state of this home: databases, workflows, runs, datasets, logs and secrets. Asks first.

    Exits with 3 while a stack runs there. Files in the home that are not ours stay.
    """
    home = _home()
    if not home.exists():
        _out.print(f"nothing to delete: {str(home)!r} does not exist")
        return
    if supervisor_pid(home) is not None:
        raise AlreadyRunning(f"a stack runs in {str(home)!r}: `spine down` first")
    if not yes and not typer.confirm(f"Delete all databases, workflows, datasets, logs and secrets in {str(home)!r}?"):
        raise typer.Exit(1)
    with lock(home):
        end_orphans(home)
        destroy(home)
        for name in _FOLDERS:
            shutil.rmtree(home / name, ignore_errors=True)
        for name in _FILES:
            (home / name).unlink(missing_ok=True)
    if not any(home.iterdir()):
        home.rmdir()
    _out.print(f"deleted the state in {str(home)!r}")


def _show(change: Change) -> None:
    style = _STYLE.get(change.state, "dim")
    seconds = "" if change.state is State.STARTING else f"{change.seconds:5.1f} s  "
    _out.print(f"  {change.part:18} [{style}]{change.state:10}[/] {seconds}", end="")
    _out.print(change.note, markup=False)


def _greet(stack: Stack, seconds: float) -> None:
    _out.print(f"\n[bold green]up[/] in {seconds:.1f} s; state in {str(stack.home)!r}")
    for name, what in (("dagster", "Dagster, the control room"), ("temporal-ui", "Temporal"), ("gateway", "gateway (/docs)")):
        if name in stack.addresses:
            _out.print(f"  {what:26} [cyan]{stack.addresses[name]}[/]")
    for role, key in stack.new_api_keys.items():
        _out.print(f"  {f'API key, {role}':26} [yellow]{key}[/]")
    if stack.new_api_keys:
        _out.print("  these keys are shown this once; the command line uses the admin's", style="dim")
    detached = os.environ.get(_DETACHED) == str(stack.home)
    _out.print("stop it with `spine down`" if detached else "stop it with Ctrl-C or `spine down`", style="dim")


def _up_detached(ports: str, providers: bool | None, without: list[str]) -> None:
    home = _home()
    if (pid := supervisor_pid(home)) is not None:
        raise AlreadyRunning(f"a stack already runs in {str(home)!r} (pid {pid}): `spine status` shows it, `spine down` ends it")
    log = home / "logs" / "stack.log"
    make_home(home)
    log.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "spine.cli", "up", "--ports", ports, *_PROVIDERS[providers]]
    command += [argument for name in without for argument in ("--without", name)]
    environment = {**os.environ, "SPINE_HOME": str(home), "PYTHONUNBUFFERED": "1", "COLUMNS": str(_out.width), _DETACHED: str(home)}
    log.unlink(missing_ok=True)  # an older one may be readable by anybody: this one holds the new keys until they were shown
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as sink:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True, env=environment)
    try:
        _follow(log, child, home)
    except KeyboardInterrupt:
        child.terminate()
        raise typer.Exit(child.wait()) from None
    finally:
        hide_keys(log)


def _follow(log: Path, child: "subprocess.Popen[bytes]", home: Path) -> None:
    """Show what the detached stack writes until it is ready; exit as it does if it ends before that."""
    with open(log) as source:
        while True:
            ended = child.poll() is not None  # asked before reading: what was written before the end is still shown
            sys.stdout.write(source.read())
            sys.stdout.flush()
            if ended:
                raise typer.Exit(child.returncode)
            if _state_of(home) == ("ready", child.pid) and "stop it with" in log.read_text():
                sys.stdout.write(source.read())
                return
            time.sleep(0.1)


def hide_keys(log: Path) -> None:
    """Overwrite the secrets of the keys in a log, which was said to show them once. In place: whoever writes it goes on where it was."""
    with open(log, "r+b") as file:
        for secret in _SECRET.finditer(file.read()):
            file.seek(secret.start(1))
            file.write(b"*" * len(secret[1]))


def _state_of(home: Path) -> tuple[str, int]:
    try:
        stack = json.loads((home / STACK_FILE).read_text())
    except (FileNotFoundError, ValueError):
        return "absent", 0
    return stack["state"], stack["pid"]


def _part(row: dict[str, Any]) -> dict[str, Any]:
    part = {"name": row["name"], "state": row["state"], "note": row["note"], "restarts": row["restarts"], "address": row["address"]}
    part |= {"pid": None, "seconds": None, "memory_bytes": None}
    if is_alive(row):
        process = psutil.Process(row["pid"])
        family = [process, *process.children(recursive=True)]
        part |= {"pid": row["pid"], "seconds": round(datetime.now(UTC).timestamp() - row["created"])}
        part["memory_bytes"] = sum(member.memory_info().rss for member in family if member.is_running())
    elif row["state"] == State.READY:
        part["state"] = State.FAILED  # the supervisor has not seen its death yet, or is dead itself
    return part


def _status_table(parts: list[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="bold")
    for column in ("part", "state", "pid", "up", "memory", "restarts", "address"):
        numbers = column in ("pid", "up", "memory", "restarts")
        table.add_column(column, justify="right" if numbers else "left", overflow="fold", no_wrap=column != "state")
    for part in parts:
        style = _STYLE.get(part["state"], "dim")
        table.add_row(
            part["name"],
            f"[{style}]{part['state']}[/]" + (f" ({part['note']})" if part["note"] else ""),
            str(part["pid"] or ""),
            f"{part['seconds']} s" if part["seconds"] is not None else "",
            f"{part['memory_bytes'] / 1e6:.0f} MB" if part["memory_bytes"] else "",
            str(part["restarts"] or ""),
            part["address"],
        )
    return table
