"""`spine dead-letters list | show | retry | discard`: what nobody will try again by himself, emptied by people."""

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

import typer
from pydantic import BaseModel

from spine import deadletters
from spine.audit import Actor
from spine.cli.acting import Acting, Json, acting, print_json, print_table, say, traced
from spine.deadletters import DeadLetter
from spine.errors import NotFound
from spine.identity import Role

app = typer.Typer(help="What nobody will try again by himself.", rich_markup_mode="rich", no_args_is_help=True, add_completion=False)

DeadLetterId = Annotated[str, typer.Argument(metavar="DEAD_LETTER_ID")]


@app.command("list")
def list_(
    state: Annotated[deadletters.State, typer.Option(help="Only those in this state.")] = "open",
    limit: Annotated[int, typer.Option(min=1, max=500)] = 100,
    as_json: Json = False,
) -> None:
    """Show dead letters in one state, the oldest first, without what was in them."""
    with acting() as person:
        with person.transaction() as conn:
            found = deadletters.listing(conn, tenant_id=person.principal.tenant_id, state=state, limit=limit).items
        if as_json:
            print_json(DeadLetterView.of(one) for one in found)
            return
        rows = ((d.dead_letter_id, d.plane, d.consumer, d.error_code, d.attempts, person.local(d.created_at), d.error) for d in found)
        columns = ("dead letter", "plane", "consumer", "code", "attempts", "since", "error")
        print_table(columns, rows, empty=f"no dead letters are {state}")


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
    """Hand an event back to its consumer group, which takes it up within seconds. If it dies again, this letter is open again."""
    _decide(deadletters.retry, dead_letter_id, reason, Role.OPERATOR, as_json=as_json)


@app.command()
def discard(
    dead_letter_id: DeadLetterId,
    reason: Annotated[str, typer.Option(help="Why nothing is to be done about it, for the record.")],
    as_json: Json = False,
) -> None:
    """Give it up for good: what it asked for will not be done. Takes an approver's key."""
    _decide(deadletters.discard, dead_letter_id, reason, Role.APPROVER, as_json=as_json)


class DeadLetterView(BaseModel):
    """A dead letter as programs see it. `body`, what it was, is for operators and above, one letter at a time."""

    dead_letter_id: UUID
    plane: str
    reference: str
    consumer: str
    correlation_id: str | None
    error_code: str
    error: str
    attempts: int
    state: str
    created_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None
    body: dict[str, Any] | None

    @classmethod
    def of(cls, letter: DeadLetter, *, whole: bool = False) -> Self:
        return cls(**{**asdict(letter), "body": dict(letter.body) if whole else None})


def _decide(how: Callable[..., DeadLetter], dead_letter_id: str, reason: str, needed: Role, *, as_json: bool) -> None:
    with acting(needed) as person, traced(f"dead-letters {how.__name__}"), person.transaction() as conn:
        decided = how(
            conn,
            tenant_id=person.principal.tenant_id,
            dead_letter_id=_id(person, dead_letter_id),
            actor=Actor(person.principal.actor_type, person.principal.id),
            reason=reason,
            now=person.clock.now(),
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
        say(f"  {view.state:12} by {view.resolved_by} at {person.local(view.resolved_at)}: {view.resolution}")
    if view.correlation_id is not None:
        say(f"  journey      spine journey {view.correlation_id}")
    if view.body is not None:
        say("", "body:", json.dumps(view.body, indent=2, ensure_ascii=False))
