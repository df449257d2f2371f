"""`spine canary list | set | hold | release | check`: which tenants an automation may act for by itself while it is new."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from spine.audit import Actor
from spine.cli.acting import Acting, Json, acting, print_json, print_table, say, traced
from spine.db import Connection
from spine.errors import InvalidInput, NotFound
from spine.identity import Role
from spine.policy import canary
from spine.policy.canary import Group
from spine.policy_views import CanaryView
from spine.registry import Registry

app = typer.Typer(help="Canary groups: who is among the first.", rich_markup_mode="rich", no_args_is_help=True, add_completion=False)

AutomationName = Annotated[str, typer.Argument(metavar="AUTOMATION")]
Reason = Annotated[str, typer.Option(help="Why, for those who find it so, and for the record.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Show all groups with their tenants: for the operator of the installation, with an admin's key and the relay's address."""
    with acting(Role.ADMIN) as person:
        with person.database.relay() as conn:
            found = canary.groups(conn)
        if as_json:
            print_json(CanaryView.of(one) for one in found)
            return
        rows = ((one.automation, "yes" if one.enforced else "no", _inside(one), _window(one, person), _held(one, person)) for one in found)
        print_table(("automation", "enforced", "inside", "window", "held"), rows, empty="no canary groups: every tenant is served alike")


@app.command("set")
def set_(
    automation: AutomationName,
    percent: Annotated[str | None, typer.Option(help="A share of all tenants, 0 to 100. The same tenants stay in as it grows.")] = None,
    tenant: Annotated[list[str] | None, typer.Option("--member", help="One tenant of the list; repeatable.")] = None,
    nobody: Annotated[bool, typer.Option("--nobody", help="An empty list: nobody is inside.")] = False,
    enforced: Annotated[bool, typer.Option("--enforced/--not-enforced", help="Outside it, even class A waits for a person.")] = True,
    opens: Annotated[datetime | None, typer.Option(help="Before then nobody is inside, UTC.")] = None,
    closes: Annotated[datetime | None, typer.Option(help="From then on nobody is inside, UTC.")] = None,
    stop_loss: Annotated[str | None, typer.Option(help="The share of failed effects above which it is held, such as 0.05.")] = None,
    stop_loss_hours: Annotated[int, typer.Option(min=1, help="How far the stop-loss looks back.")] = 24,
    stop_loss_from: Annotated[int, typer.Option(min=1, help="Fewer settled effects than this say nothing.")] = 20,
    as_json: Json = False,
) -> None:
    """Make a group, or change who is inside. A hold stays. Takes an admin's key and the relay's address."""
    if automation not in (known := Registry.load().automations):
        raise NotFound(f"no automation {automation!r}; there are: {', '.join(sorted(known)) or 'none'}")
    wanted = Group(
        automation=automation,
        enforced=enforced,
        percentage=_decimal("percent", percent),
        tenants=() if nobody else tuple(dict.fromkeys(tenant)) if tenant else None,
        opens_at=_utc(opens),
        closes_at=_utc(closes),
        stop_loss=_decimal("stop-loss", stop_loss),
        stop_loss_window=timedelta(hours=stop_loss_hours),
        stop_loss_from=stop_loss_from,
    )
    if nobody and tenant:
        raise InvalidInput("--nobody and --member contradict each other: give one of the two")
    with _operating("set") as (person, conn, actor):
        kept = canary.put(conn, wanted, tenant_id=person.principal.tenant_id, actor=actor, now=person.clock.now())
        _print(kept, person, as_json)


@app.command()
def hold(automation: AutomationName, reason: Reason, as_json: Json = False) -> None:
    """Put everybody outside at once, until a person releases it. Takes an admin's key and the relay's address."""
    with _operating("hold") as (person, conn, actor):
        given = {"automation": automation, "tenant_id": person.principal.tenant_id}
        _print(canary.hold(conn, reason=reason, actor=actor, now=person.clock.now(), **given), person, as_json)


@app.command()
def release(automation: AutomationName, reason: Reason, as_json: Json = False) -> None:
    """Let a held group go on as it was; the stop-loss counts anew. Takes an admin's key and the relay's address."""
    with _operating("release") as (person, conn, actor):
        given = {"automation": automation, "tenant_id": person.principal.tenant_id}
        _print(canary.release(conn, reason=reason, actor=actor, now=person.clock.now(), **given), person, as_json)


@app.command()
def check(automation: AutomationName, as_json: Json = False) -> None:
    """Say whether the own tenant is inside; nothing about others. Takes any key."""
    with acting() as person:
        with person.transaction() as conn:
            found = canary.state(conn, person.principal.tenant_id, automation, person.clock.now())
        if as_json:
            print_json({"automation": automation, "canary": found.value})
        else:
            say(f"{automation}: {person.principal.tenant_id} is {found.value.replace('_', ' ')}")


@contextmanager
def _operating(what: str) -> Iterator[tuple[Acting, Connection, Actor]]:
    """The table is nobody's: changing it takes the address of a role that a tenant's own processes are not given."""
    with acting(Role.ADMIN) as person, traced(f"canary {what}"), person.database.relay() as conn:
        yield person, conn, Actor(person.principal.actor_type, person.principal.id)


def _print(group: Group, person: Acting, as_json: bool) -> None:
    if as_json:
        print_json(CanaryView.of(group))
        return
    enforced = "enforced" if group.enforced else "not enforced"
    say(
        f"{group.automation}: {_inside(group)}, {enforced}, {_window(group, person)}",
        *([f"  held {_held(group, person)}"] if group.held_at else []),
    )


def _inside(group: Group) -> str:
    if group.tenants is None:
        return f"{group.percentage} % of tenants"
    return ", ".join(group.tenants) or "nobody"


def _window(group: Group, person: Acting) -> str:
    opens, closes = (None if at is None else person.local(at) for at in (group.opens_at, group.closes_at))
    return "always" if opens is closes is None else f"{opens or '…'} to {closes or '…'}"


def _held(group: Group, person: Acting) -> str:
    return "" if group.held_at is None else f"since {person.local(group.held_at)} by {group.held_by}: {group.held_because}"


def _decimal(name: str, text: str | None) -> Decimal | None:
    try:
        return None if text is None else Decimal(text)
    except InvalidOperation:
        raise InvalidInput(f"{name} {text!r} is no number") from None


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC) if at.tzinfo is None else at
