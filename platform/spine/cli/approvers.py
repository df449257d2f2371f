"""`spine approvers list | add | absent | present | delegate | remove`: who may sign for what, and who stands in."""

from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from spine import directory
from spine.audit import Actor
from spine.cli.acting import Acting, Json, acting, print_json, print_table, say, traced
from spine.directory import Approver
from spine.errors import InvalidInput
from spine.identity import Role
from spine.views import Approvers, ApproverView

app = typer.Typer(
    help="The approver directory: who signs for what, and who stands in. An entry is no key: whoever signs needs one too.",
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
)

Person = Annotated[str, typer.Argument(help="The principal's name, as in that person's keys.")]
InOne = Annotated[str | None, typer.Option("--function", help="In this function only; otherwise in all.")]


@app.command("list")
def list_(
    function: Annotated[str | None, typer.Option(help="Only those in this function.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 100,
    cursor: Annotated[str | None, typer.Option(help="`next` of the page before.")] = None,
    as_json: Json = False,
) -> None:
    """Show who is in the directory."""
    with acting() as person:
        with person.transaction() as conn:
            page = directory.listing(conn, tenant_id=person.principal.tenant_id, function=function, cursor=cursor, limit=limit)
        if as_json:
            print_json(Approvers(items=tuple(ApproverView.of(one) for one in page.items), next=page.next))
            return
        rows = ((a.person, a.function, a.level, a.delegate, _absence(person, a)) for a in page.items)
        print_table(("person", "function", "level", "delegate", "absent"), rows, empty="nobody is in the directory yet")
        if page.next:
            say(f"more: --cursor {page.next}")


@app.command()
def add(
    who: Person,
    function: Annotated[str, typer.Argument(help=f"One of {', '.join(directory.FUNCTIONS)}.")],
    level: Annotated[int, typer.Option(min=1, max=9, help="Order inside the function: the lowest is asked first.")] = 1,
    delegate: Annotated[str | None, typer.Option(help="Who stands in while this person is absent.")] = None,
) -> None:
    """Put somebody into a function, or change level and delegate there."""
    with traced("approvers add"), acting(Role.ADMIN) as person, person.transaction() as conn:
        directory.add(conn, person=who, function=function, level=level, delegate=delegate, **_by(person))
    say(f"{who} signs as {function}")


@app.command()
def absent(
    who: Person,
    until: Annotated[str, typer.Option(help="When the absence ends: 2026-12-01, or 2026-12-01T09:00.")],
    from_: Annotated[str | None, typer.Option("--from", help="When it begins; now, if left out.")] = None,
    delegate: Annotated[str | None, typer.Option(help="Who stands in, in every function.")] = None,
) -> None:
    """Mark somebody absent: the delegate signs instead, on record as on behalf of. Times are in the tenant's zone."""
    with traced("approvers absent"), acting(Role.ADMIN) as person, person.transaction() as conn:
        begins = _time(person, from_) if from_ else person.clock.now()
        ends = _time(person, until)
        found = directory.set_absence(conn, person=who, absent_from=begins, absent_until=ends, delegate=delegate, **_by(person))
    uncovered = [one.function for one in found if one.delegate is None]
    say(f"{who} is absent until {person.local(ends)}")
    if uncovered:
        say(f"nobody stands in as {', '.join(uncovered)}: spine approvers delegate {who} PERSON")


@app.command()
def present(who: Person) -> None:
    """End an absence."""
    with traced("approvers present"), acting(Role.ADMIN) as person, person.transaction() as conn:
        directory.set_absence(conn, person=who, absent_from=None, absent_until=None, **_by(person))
    say(f"{who} signs again")


@app.command()
def delegate(
    who: Person,
    to: Annotated[str | None, typer.Argument(help="Who stands in; left out: nobody.")] = None,
    function: InOne = None,
) -> None:
    """Name who stands in while somebody is absent."""
    with traced("approvers delegate"), acting(Role.ADMIN) as person, person.transaction() as conn:
        directory.set_delegate(conn, person=who, delegate=to, function=function, **_by(person))
    say(f"{to} stands in while {who} is absent" if to else f"nobody stands in for {who}")


@app.command()
def remove(who: Person, function: InOne = None) -> None:
    """Take somebody out of a function, or of all. What was signed stays signed."""
    with traced("approvers remove"), acting(Role.ADMIN) as person, person.transaction() as conn:
        found = directory.remove(conn, person=who, function=function, **_by(person))
    say(f"{who} signs no longer as {', '.join(one.function for one in found)}")


def _by(person: Acting) -> dict[str, Any]:
    actor = Actor(person.principal.actor_type, person.principal.id)
    return {"tenant_id": person.principal.tenant_id, "actor": actor, "clock": person.clock}


def _time(person: Acting, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no time: write 2026-12-01, or 2026-12-01T09:00") from error
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(person.settings.timezone))


def _absence(person: Acting, approver: Approver) -> str:
    if approver.absent_from is None or approver.absent_until is None:
        return ""
    return f"{person.local(approver.absent_from)} to {person.local(approver.absent_until)}"
