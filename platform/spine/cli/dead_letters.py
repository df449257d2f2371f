"""`spine dead-letters list | show | retry | edit | discard | bulk | circuits | reset`: what nobody will try again, emptied by people."""

import json
from collections.abc import Callable
from typing import Annotated, Any, Literal
from uuid import UUID

import typer

from spine import deadletters
from spine.audit import Actor
from spine.cli.acting import Acting, Json, acting, print_json, print_table, read_json, say, traced
from spine.deadletters import DeadLetter, Filter, Plane, State
from spine.deadletters import circuits as causes
from spine.deadletters.circuits import Cause
from spine.errors import NotFound
from spine.identity import Role
from spine.operator_views import CircuitView, DeadLetterView

app = typer.Typer(help="What nobody will try again by himself.", rich_markup_mode="rich", no_args_is_help=True, add_completion=False)

DeadLetterId = Annotated[str, typer.Argument(metavar="DEAD_LETTER_ID")]


PlaneOption = Annotated[Plane | None, typer.Option(help="Only those of this plane.")]
ConsumerOption = Annotated[str | None, typer.Option(help="Only those that this consumer gave up.")]
CodeOption = Annotated[str | None, typer.Option("--code", help="Only those with this error code.")]


@app.command("list")
def list_(
    state: Annotated[State, typer.Option(help="Only those in this state.")] = "open",
    plane: PlaneOption = None,
    consumer: ConsumerOption = None,
    code: CodeOption = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 100,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    as_json: Json = False,
) -> None:
    """Show dead letters in one state, the oldest first, without what was in them."""
    with acting() as person:
        with person.transaction() as conn:
            page = deadletters.listing(
                conn,
                tenant_id=person.principal.tenant_id,
                state=state,
                plane=plane,
                consumer=consumer,
                error_code=code,
                cursor=cursor,
                limit=limit,
            )
        if as_json:
            print_json(DeadLetterView.of(one) for one in page.items)
            return
        rows = ((d.dead_letter_id, d.plane, d.consumer, d.error_code, d.attempts, person.local(d.created_at), d.error) for d in page.items)
        columns = ("dead letter", "plane", "consumer", "code", "attempts", "since", "error")
        print_table(columns, rows, empty=f"no dead letters are {state}")
        if page.next:
            say(f"there are more: --cursor {page.next}")


@app.command()
def show(dead_letter_id: DeadLetterId, as_json: Json = False) -> None:
    """Show one: why it was given up, after how many attempts, and, to operators and above, what it was."""
    with acting() as person:
        with person.transaction() as conn:
            found = deadletters.show(conn, tenant_id=person.principal.tenant_id, dead_letter_id=_id(person, dead_letter_id))
        view = DeadLetterView.of(found, whole=person.principal.role.covers(Role.OPERATOR))
        if as_json:
            print_json(view)
        else:
            _print(person, view)


@app.command()
def retry(
    dead_letter_id: DeadLetterId,
    reason: Annotated[str, typer.Option(help="What is different now, for the record.")] = "tried again by hand",
    as_json: Json = False,
) -> None:
    """Have it tried again, as its plane does that: an event goes back to its group, a step of a workflow is repeated, a data job is
    launched, a webhook is read once more. If it dies again, this letter is open again.
    """
    _decide(deadletters.retry, dead_letter_id, reason, Role.OPERATOR, as_json=as_json)


@app.command()
def discard(
    dead_letter_id: DeadLetterId,
    reason: Annotated[str, typer.Option(help="Why nothing is to be done about it, for the record.")],
    as_json: Json = False,
) -> None:
    """Give it up for good: what it asked for will not be done. Takes an approver's key."""
    _decide(deadletters.discard, dead_letter_id, reason, Role.APPROVER, as_json=as_json)


@app.command()
def edit(
    dead_letter_id: DeadLetterId,
    body: Annotated[str, typer.Option(help="File with the whole body as it should have been, or - for standard input.")],
    reason: Annotated[str, typer.Option(help="What was wrong with it, for the record.")],
    as_json: Json = False,
) -> None:
    """Put a mended copy in its place: a new event, judged as new, or a webhook read anew. Takes an approver's key.

    Of an event only `data` may differ; `spine dead-letters show ID --json` prints the body to start from.
    """
    given = read_json(body, "the mended body")
    _decide(deadletters.edit_and_retry, dead_letter_id, reason, Role.APPROVER, as_json=as_json, body=given)


@app.command()
def bulk(
    verdict: Annotated[Literal["retry", "discard"], typer.Argument(help="What to do with all of them.")],
    reason: Annotated[str, typer.Option(help="Why, for the record of each.")],
    plane: PlaneOption = None,
    consumer: ConsumerOption = None,
    code: CodeOption = None,
    expected: Annotated[int | None, typer.Option(help="The count that you saw. Without it they are counted, and nothing is done.")] = None,
    as_json: Json = False,
) -> None:
    """Decide all open letters of a kind. The first call counts; the second, with --expected, decides, at most 500 at a time."""
    needed = Role.OPERATOR if verdict == "retry" else Role.APPROVER
    with acting(needed) as person, traced("dead-letters bulk"), person.transaction() as conn:
        result = deadletters.bulk(
            conn,
            tenant_id=person.principal.tenant_id,
            filter=Filter(plane=plane, consumer=consumer, error_code=code),
            verdict=verdict,
            reason=reason,
            actor=Actor(person.principal.actor_type, person.principal.id),
            now=person.clock.now(),
            expected=expected,
        )
    if as_json:
        refused = [{"dead_letter_id": str(one), "why": why} for one, why in result.refused]
        print_json({"matched": result.matched, "done": [str(one) for one in result.done], "refused": refused})
    elif expected is None:
        say(f"{result.matched} letters are of this kind; to {verdict} them add --expected {result.matched}")
    else:
        say(f"{len(result.done)} of {result.matched} letters: {verdict} done", *(f"  {one}: {why}" for one, why in result.refused))


@app.command()
def circuits(as_json: Json = False) -> None:
    """Show causes that broke many things at once: what fails that way waits instead of dying."""
    with acting() as person:
        with person.transaction() as conn:
            found = causes.listing(conn, tenant_id=person.principal.tenant_id)
        if as_json:
            print_json(CircuitView.of(one) for one in found)
            return
        rows = ((c.plane, c.consumer, c.error_code, c.state, c.held, person.local(c.opened_at), person.local(c.probe_at)) for c in found)
        columns = ("plane", "consumer", "code", "state", "held", "since", "next probe")
        print_table(columns, rows, empty="every circuit is closed")


@app.command()
def reset(
    plane: Annotated[Plane, typer.Argument()],
    consumer: Annotated[str, typer.Argument()],
    code: Annotated[str, typer.Argument()],
    reason: Annotated[str, typer.Option(help="What was mended, for the record.")],
) -> None:
    """Close a circuit: what waits goes on at once, instead of after the next probe."""
    with acting(Role.OPERATOR) as person, traced("dead-letters reset"), person.transaction() as conn:
        principal = person.principal
        cause = Cause(tenant_id=principal.tenant_id, plane=plane, consumer=consumer, error_code=code)
        causes.reset(conn, cause=cause, actor=Actor(principal.actor_type, principal.id), reason=reason, now=person.clock.now())
    say(f"the circuit of {code} of {consumer} is closed: what waited goes on")


def _decide(how: Callable[..., DeadLetter], dead_letter_id: str, reason: str, needed: Role, *, as_json: bool, **more: Any) -> None:
    with acting(needed) as person, traced(f"dead-letters {how.__name__}"), person.transaction() as conn:
        decided = how(
            conn,
            tenant_id=person.principal.tenant_id,
            dead_letter_id=_id(person, dead_letter_id),
            actor=Actor(person.principal.actor_type, person.principal.id),
            reason=reason,
            now=person.clock.now(),
            **more,
        )
    if as_json:
        print_json(DeadLetterView.of(decided))
    else:
        say(f"dead letter {decided.dead_letter_id} of {decided.consumer} is {decided.state}")


def _id(person: Acting, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(
            f"tenant {person.principal.tenant_id!r} has no dead letter {text!r}: `spine dead-letters list` shows those there are"
        ) from None


def _print(person: Acting, view: DeadLetterView) -> None:
    say(
        f"{view.plane} {view.reference}, given up by {view.consumer}: {view.state}",
        f"  error        {view.error_code}: {view.error}",
        f"  attempts     {view.attempts}",
        f"  since        {person.local(view.created_at)}",
    )
    if view.resolved_at is not None:
        if view.successor:
            say(f"  successor    {view.successor}")
        say(f"  {view.state:12} by {view.resolved_by} at {person.local(view.resolved_at)}: {view.resolution}")
    if view.correlation_id is not None:
        say(f"  journey      spine journey {view.correlation_id}")
    if view.body is not None:
        say("", "body:", json.dumps(view.body, indent=2, ensure_ascii=False))
