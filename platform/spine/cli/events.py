"""`spine events types | show | tail | publish`: the catalogue, and the log, read and written."""

import json
import time
from typing import Annotated

import typer

from shared.events import CATALOG
from spine import eventlog
from spine.cli.acting import Acting, Json, acting, print_json, print_table, read_json, say, traced
from spine.cli.event_types import type_detail, type_views
from spine.eventlog import Place, Recorded
from spine.identity import Role
from spine.ids import new_id
from spine.intake import Fact, event_type_of, publish_fact
from spine.registry import Registry

app = typer.Typer(help="Read and write the event log.", rich_markup_mode="rich", no_args_is_help=True, add_completion=False)

POLL_SECONDS = 0.5  # a person is looking; the dispatchers are the ones that must not wait


@app.command()
def types(as_json: Json = False) -> None:
    """Show every event there is and what it means. Needs no key."""
    views = list(type_views())
    if as_json:
        print_json(views)
    else:
        print_table(("event", "told by", "what it means"), ((v.name, v.told_by, v.meaning) for v in views), empty="the catalogue is empty")


@app.command()
def show(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="As in lead.qualified, or the full type.")], as_json: Json = False
) -> None:
    """Show what an event says: its fields, their meaning, and an example that can be published. Needs no key."""
    detail = type_detail(CATALOG[event_type_of(event_type)])
    if as_json:
        print_json(detail)
        return
    say(f"{detail.name} ({detail.type}), told by {detail.told_by}", detail.meaning, "")
    rows = ((f.name, f.kind, "" if f.needed else "may be left out", f.meaning) for f in detail.fields)
    print_table(("field", "is", "", "meaning"), rows, empty="it has no fields")
    say("", json.dumps(detail.example, indent=2, ensure_ascii=False))


@app.command()
def tail(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    type_: Annotated[str | None, typer.Option("--type", help="Only this event, as in deal.won.")] = None,
    correlation: Annotated[str | None, typer.Option(help="Only this business flow.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=10_000, help="How many to begin with.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line: place, recorded_at, event.")] = False,
) -> None:
    """Show the newest events, oldest first."""
    wanted = None if type_ is None else event_type_of(type_)
    with acting() as person:
        tenant_id = person.principal.tenant_id
        with person.transaction() as conn:
            found = eventlog.latest(conn, tenant_id=tenant_id, correlation_id=correlation, event_type=wanted, limit=lines)
        last = _show(person, found, Place(), as_json=as_json)
        if not found and not follow and not as_json:
            say("no such events yet; `spine events tail --follow` waits for them")
        try:
            while follow:
                with person.transaction() as conn:
                    found = eventlog.read(conn, tenant_id=tenant_id, correlation_id=correlation, event_type=wanted, after=last, limit=500)
                last = _show(person, found, last, as_json=as_json)
                if not found:
                    time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            return  # how a tail ends


@app.command()
def publish(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="As in outreach.replied, or the full type.")],
    data: Annotated[str, typer.Option(help="File with the event's data as JSON; - for standard input.")],
    correlation: Annotated[
        str | None, typer.Option(help="The business flow it belongs to; if left out, the one that listens for it, or a new one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell a fact: it is checked against its schema and put on the log.

    `spine events types` shows what can be told, `spine events show TYPE` the fields of one with an example to start from.
    """
    with acting(Role.OPERATOR) as person, traced("events publish"):
        fact = Fact(type=event_type, data=read_json(data, "the data of the event"), correlation_id=correlation)
        once = {"call_id": str(new_id()), "new_flow": str(new_id())}
        with person.transaction() as conn:
            taken = publish_fact(conn, fact, principal=person.principal, registry=Registry.load(), clock=person.clock, **once)
    if as_json:
        print_json({"event_id": taken.event_id, "type": taken.event_type, "correlation_id": taken.correlation_id})
    else:
        say(f"{taken.event_type} {taken.event_id}", f"spine journey {taken.correlation_id}")


def _show(person: Acting, found: list[Recorded], last: Place, *, as_json: bool) -> Place:
    for one in found:
        envelope = one.envelope
        if as_json:
            event = envelope.model_dump(mode="json", exclude_none=True)
            print_json({"place": str(one.place), "recorded_at": one.recorded_at.isoformat(), "event": event})
        else:
            name = envelope.type.removeprefix("spine.")
            say(f"{person.local(envelope.time)}  {name:38} {envelope.subject:28} {envelope.correlationid}")
    return found[-1].place if found else last
