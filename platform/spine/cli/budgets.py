"""`spine budgets list | show | set | remove | held | release | sweep`: what may be spent, what is, and what nobody settled."""

from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated
from uuid import UUID

import typer

from spine import budgets
from spine.audit import Actor
from spine.budgets.views import BudgetView, HeldView
from spine.cli.acting import Acting, Json, acting, print_json, print_table, say, traced
from spine.errors import InvalidInput, NotFound
from spine.identity import Role

app = typer.Typer(
    help="Budgets in tokens and money: limits, what is reserved, what is spent.",
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
)

BudgetName = Annotated[
    str, typer.Argument(metavar="BUDGET", help="tenant-day, tenant-month, automation-day[:NAME], automation-month[:NAME] or run[:NAME].")
]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Show today's and this month's budgets, runs that are under way or near a limit, and limits that nothing has used yet."""
    with acting() as person:
        found = _books(person)
    if as_json:
        print_json(found)
    else:
        _print(found)


@app.command()
def show(budget: BudgetName, as_json: Json = False) -> None:
    """Show one budget, in every period that is listed."""
    scope, automation = budgets.scope_of(budget)
    with acting() as person:
        found = [book for book in _books(person) if (book.scope, book.automation) == (scope.value, automation)]
    if not found:
        raise NotFound(f"budget {budget!r} has no limit, and nothing was taken from it: `spine budgets list` shows those there are")
    if as_json:
        print_json(found)
    else:
        _print(found)


@app.command("set")
def set_(
    budget: BudgetName,
    tokens: Annotated[int | None, typer.Option(min=0, help="At most so many tokens; left out: not limited in them.")] = None,
    money: Annotated[str | None, typer.Option(help="At most so much money, such as 50.00; left out: not limited in it.")] = None,
    currency: Annotated[str, typer.Option(help="USD or SAR.")] = "USD",
) -> None:
    """Limit a scope, from now on and for what its current period has taken already. Takes an admin's key."""
    scope, automation = budgets.scope_of(budget)
    with acting(Role.ADMIN) as person, traced("budgets set"), person.transaction() as conn:
        budgets.set_limit(
            conn,
            tenant_id=person.principal.tenant_id,
            scope=scope,
            automation=automation,
            tokens=tokens,
            money=None if money is None else _amount(money),
            currency=currency,
            actor=_by(person),
            now=person.clock.now(),
            zone=person.settings.timezone,
        )
    say(
        f"{budget}: at most "
        + " and ".join([*([f"{tokens} tokens"] if tokens is not None else []), *([f"{money} {currency}"] if money else [])])
    )


@app.command()
def remove(budget: BudgetName) -> None:
    """Lift a limit. What a run may take is then what its automation declares. Takes an admin's key."""
    scope, automation = budgets.scope_of(budget)
    with acting(Role.ADMIN) as person, traced("budgets remove"), person.transaction() as conn:
        budgets.remove_limit(
            conn, tenant_id=person.principal.tenant_id, scope=scope, automation=automation, actor=_by(person), now=person.clock.now()
        )
    say(f"{budget} is not limited any more")


@app.command()
def held(
    older_than: Annotated[int, typer.Option("--older-than-minutes", min=0, help="Only those of at least this age.")] = 0,
    as_json: Json = False,
) -> None:
    """Show what is reserved and not settled. What is old belongs to a process that died, or to an outcome that nobody knows."""
    with acting() as person:
        with person.transaction() as conn:
            before = person.clock.now() - timedelta(minutes=older_than)
            found = [HeldView.of(one) for one in budgets.held(conn, tenant_id=person.principal.tenant_id, before=before)]
        if as_json:
            print_json(found)
            return
        rows = ((h.reservation_id, h.purpose, h.workflow_id, h.tokens, h.money, person.local(h.reserved_at)) for h in found)
        print_table(("reservation", "for", "run", "tokens", "USD", "since"), rows, empty="nothing is reserved and not settled")


@app.command()
def release(
    reservation_id: Annotated[str, typer.Argument(metavar="RESERVATION_ID")],
    reason: Annotated[str, typer.Option(help="How it is known, for the record.")],
    spent: Annotated[bool, typer.Option("--spent/--not-spent", help="It took all that was reserved, or nothing.")],
) -> None:
    """Say what became of a reservation that nobody settled. Takes an admin's key."""
    with acting(Role.ADMIN) as person, traced("budgets release"), person.transaction() as conn:
        budgets.release(
            conn,
            tenant_id=person.principal.tenant_id,
            reservation_id=_id(reservation_id),
            spent=spent,
            actor=_by(person),
            reason=reason,
            now=person.clock.now(),
            zone=person.settings.timezone,
        )
    say(f"reservation {reservation_id}: {'spent in full' if spent else 'given back'}")


@app.command()
def sweep() -> None:
    """Settle effects that are over by the ledger, and whose reservation nobody settled. What the ledger does not know stays reserved."""
    with acting(Role.OPERATOR) as person, traced("budgets sweep"), person.transaction() as conn:
        settled = budgets.sweep(conn, tenant_id=person.principal.tenant_id, now=person.clock.now(), zone=person.settings.timezone)
    say(f"{settled} reservation(s) settled by what the ledger says")


def _books(person: Acting) -> list[BudgetView]:
    with person.transaction() as conn:
        found = budgets.listing(conn, person.principal.tenant_id, person.clock.now(), zone=person.settings.timezone)
    return [BudgetView.of(book) for book in found]


def _print(found: list[BudgetView]) -> None:
    rows = ((b.budget, b.period, _both(b.limit), _both(b.reserved), _both(b.spent), f"{b.percent} %", b.level) for b in found)
    columns = ("budget", "period", "limit", "reserved", "spent", "used", "level")
    print_table(columns, rows, empty="no budget is limited, and nothing was spent: `spine budgets set tenant-month --money 50`")


def _both(view: object) -> str:
    tokens, money = getattr(view, "tokens", None), getattr(view, "money", None)
    shown = [*([f"{tokens} tokens"] if tokens is not None else []), *([f"{money} USD"] if money is not None else [])]
    return ", ".join(shown) or "none"


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound(f"no reservation {text!r}: `spine budgets held` shows those there are") from error


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise InvalidInput(f"--money {text!r} is no amount: write it as 50 or 50.00") from error


def _by(person: Acting) -> Actor:
    return Actor(person.principal.actor_type, person.principal.id)
