"""`spine demo`: the main job, end to end, in a fresh home."""

import asyncio
import json
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from spine.demo.count import Outcome
from spine.demo.pace import pace
from spine.demo.play import Play, sample_export
from spine.errors import Misconfigured
from spine.journey import Journey
from spine.settings import Settings
from spine.stack import Change, Options, Stack, State, interruptible
from spine.stack.orphans import lock, make_home

MARKER = "made-by-spine-demo"  # only a folder that holds this file is ever deleted


def demo(
    home: Annotated[Path, typer.Option(help="where the demo keeps its state; wiped at each start, if the demo made it")] = Path(
        ".spine/demo"
    ),
    crm: Annotated[Path | None, typer.Option(help="folder of a CRM export to run on; default: a generated sample")] = None,
    keep: Annotated[bool, typer.Option(help="keep the stack up afterwards, for a look; Ctrl-C ends it")] = False,
    rate: Annotated[
        float | None, typer.Option(help="how much faster than real time the business clock runs; default: as this machine can follow")
    ] = None,
    ports: Annotated[str, typer.Option(help="auto, default, or the first number of a row of ports")] = "auto",
    as_json: Annotated[
        bool, typer.Option("--json", help="print the outcome as JSON on standard output, progress on standard error")
    ] = False,
) -> None:
    """Run the main job end to end in a fresh home, and prove what the spine promises.

    Starts the stack, lets the Dagster daemon run the CRM job, follows facts into commitments, plays the people who approve,
    edit and reject, and compares what the platform says it did with what the providers say they received.

    Exit code 0: every invariant holds. 1: one does not, or the stack did not start. 130: interrupted.
    """
    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    outcome = asyncio.run(
        interruptible(_perform(home.absolute(), crm, keep=keep, rate=rate, ports=ports, console=console, as_json=as_json))
    )
    if outcome is None:
        raise typer.Exit(130)
    if not outcome.passed:
        raise typer.Exit(1)


async def _perform(home: Path, crm: Path | None, *, keep: bool, rate: float | None, ports: str, console: Console, as_json: bool) -> Outcome:
    export = _export_in_fresh_home(home, crm)
    morning = datetime.now(ZoneInfo("Asia/Riyadh")).replace(hour=9, minute=0, second=0, microsecond=0)
    sunday = morning + timedelta(days=(6 - morning.weekday()) % 7)  # the working week starts on Sunday
    environment = {"SPINE_CLOCK": f"{sunday.isoformat()}@{pace() if rate is None else rate:g}", "SPINE_CRM_EXPORT": str(export)}
    options = Options(ports=ports, providers=True, environment=environment)
    async with Stack.start(home, options, report=_reporter(console)) as stack:
        settings = Settings.load(home=home)
        play = Play(settings=settings, export=export, providers_url=f"{stack.addresses['providers']}", tell=console.print)
        outcome = await asyncio.to_thread(play.run)
        _show(outcome, console, home=home)
        if as_json:
            typer.echo(json.dumps(_as_json(outcome)))
        if keep:
            console.print("\nThe stack stays up; Ctrl-C ends it.")
            for name, address in stack.addresses.items():
                console.print(f"  {name:<12} {address}")
            console.print(f"  try: SPINE_HOME={home} spine journey {outcome.journey.correlation_id}")
            await stack.watch()
        return outcome


def _export_in_fresh_home(home: Path, crm: Path | None) -> Path:
    """Wipe what an earlier demo left; refuse a folder that is somebody's. Returns the export to run on."""
    if crm is not None and not crm.is_dir():
        raise Misconfigured(f"--crm {str(crm)!r} is not a folder: give the folder that holds accounts.csv, products.csv and the others")
    if home.is_dir() and any(home.iterdir()):
        if not (home / MARKER).exists():
            raise Misconfigured(f"{str(home)!r} is not empty and was not made by `spine demo`: choose another --home")
        _refuse_while_running(home)
        shutil.rmtree(home)
    make_home(home)
    (home / MARKER).touch()
    return crm.absolute() if crm else sample_export(home / "export")


def _refuse_while_running(home: Path) -> None:
    lock(home).close()  # taken and given back: `Stack.start` takes it for good


def _reporter(console: Console) -> Callable[[Change], None]:
    marks = {State.READY: "[green]ready[/]", State.FAILED: "[red]failed[/]"}

    def report(change: Change) -> None:
        if change.state in marks:
            console.print(f"  {change.part:<24} {marks[change.state]} {change.seconds:5.1f} s  {change.note}")
        elif change.state is State.STOPPED:
            console.print(f"  {change.part:<24} stopped {change.note}")

    return report


def _show(outcome: Outcome, console: Console, *, home: Path) -> None:
    table = Table(title="What happened", show_header=False, title_justify="left")
    for name, value in outcome.table.items():
        table.add_row(name, str(value))
    console.print(table)
    proof = Table(title="What must hold", show_header=False, title_justify="left")
    for invariant in outcome.invariants:
        proof.add_row("[green]holds[/]" if invariant.holds else "[red]BROKEN[/]", invariant.name, invariant.detail)
    console.print(proof)
    _show_journey(outcome.journey, console)
    if not outcome.passed:
        console.print(f"[red]An invariant is broken.[/] The logs are in {home / 'logs'}.")


def _show_journey(told: Journey, console: Console) -> None:
    zone = ZoneInfo("Asia/Riyadh")
    console.print(f"\nOne fact, from first event to last effect (correlation id {told.correlation_id}, trace {', '.join(told.trace_ids)}):")
    for step in told.steps:
        if step.plane != "audit":  # audit rows bear witness to the same steps
            console.print(f"  {step.time.astimezone(zone):%a %d %b %H:%M}  {step.plane:<10} {step.what}")
    for link in told.links:
        console.print(f"  {link.name}: {link.url}")


def _as_json(outcome: Outcome) -> dict[str, object]:
    invariants = [{"name": each.name, "holds": each.holds, "detail": each.detail} for each in outcome.invariants]
    return {
        "passed": outcome.passed,
        "table": dict(outcome.table),
        "invariants": invariants,
        "journey": outcome.journey.model_dump(mode="json"),
    }
