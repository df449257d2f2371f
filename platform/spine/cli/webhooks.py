"""`spine webhooks add | list | rotate | enable | remove | deliveries | ping`: who is told of which events."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import typer

from spine import webhooks_out
from spine.audit import Actor
from spine.cli.acting import Acting, Json, acting, print_json, print_table, say, traced
from spine.errors import NotFound
from spine.identity import Role
from spine.webhooks_out.views import DeliveryView, EndpointView

app = typer.Typer(
    help="Webhooks out: tell other systems what happened, signed by Standard Webhooks 1.0.",
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
)

EndpointId = Annotated[str, typer.Argument(metavar="ENDPOINT_ID")]


@app.command()
def add(
    url: Annotated[str, typer.Argument(help="https, at a public address.")],
    event: Annotated[list[str] | None, typer.Option("--event", help="An event such as approval.requested; repeat it. None: all.")] = None,
    as_json: Json = False,
) -> None:
    """Tell an address of what happens from now on, and print its secret: it cannot be shown again. Takes an admin's key."""
    with acting(Role.ADMIN) as person, traced("webhooks add"), person.transaction() as conn:
        endpoint_id, secret = webhooks_out.add_endpoint(
            conn, url=url, event_types=event or (), may_be_private=person.settings.webhooks_may_be_private, **_who(person)
        )
    _print_secret(endpoint_id, secret, as_json=as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Show who is told of what, and what has not arrived."""
    with acting() as person:
        with person.transaction() as conn:
            found = [EndpointView.of(one) for one in webhooks_out.endpoints(conn, tenant_id=person.principal.tenant_id)]
        if as_json:
            print_json(found)
            return
        rows = (
            (e.endpoint_id, e.url, ", ".join(e.event_types) or "all", ": ".join(filter(None, (e.state, e.why_disabled))), e.waiting, e.dead)
            for e in found
        )  # fmt: skip
        print_table(("endpoint", "url", "events", "state", "waiting", "dead"), rows, empty="nobody is told: `spine webhooks add URL`")


@app.command()
def rotate(
    endpoint_id: EndpointId,
    overlap: Annotated[int, typer.Option("--overlap-hours", min=0, max=168, help="How long the old secret signs beside the new.")] = 24,
    as_json: Json = False,
) -> None:
    """Make a new secret and print it; the old one goes on signing for a while. Takes an admin's key."""
    with acting(Role.ADMIN) as person, traced("webhooks rotate"), person.transaction() as conn:
        secret = webhooks_out.rotate_secret(conn, endpoint_id=_id(endpoint_id), overlap=timedelta(hours=overlap), **_who(person))
    _print_secret(endpoint_id, secret, as_json=as_json)


@app.command()
def enable(endpoint_id: EndpointId) -> None:
    """Tell a disabled endpoint again, beginning with what waits for it. Takes an admin's key."""
    with acting(Role.ADMIN) as person, traced("webhooks enable"), person.transaction() as conn:
        webhooks_out.enable_endpoint(conn, endpoint_id=_id(endpoint_id), **_who(person))
    say(f"webhook endpoint {endpoint_id} is told again")


@app.command()
def remove(endpoint_id: EndpointId) -> None:
    """Tell it nothing any more, not even what waits for it. Takes an admin's key."""
    with acting(Role.ADMIN) as person, traced("webhooks remove"), person.transaction() as conn:
        webhooks_out.remove_endpoint(conn, endpoint_id=_id(endpoint_id), **_who(person))
    say(f"webhook endpoint {endpoint_id} is told nothing any more")


@app.command()
def deliveries(
    endpoint_id: Annotated[str | None, typer.Option("--endpoint", help="Only those to this one.")] = None,
    state: Annotated[str | None, typer.Option(help="Only waiting, delivered or dead ones.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    as_json: Json = False,
) -> None:
    """Show what was told, or is to be told, to whom: the newest first."""
    with acting() as person:
        with person.transaction() as conn:
            found = [
                DeliveryView.of(one)
                for one in webhooks_out.deliveries(
                    conn,
                    tenant_id=person.principal.tenant_id,
                    endpoint_id=None if endpoint_id is None else _id(endpoint_id),
                    state=state,
                    limit=limit,
                )
            ]
        if as_json:
            print_json(found)
            return
        rows = (
            (d.event_id, d.event_type, d.endpoint_id, d.state, d.attempts, d.error or d.status, person.local(d.created_at)) for d in found
        )
        print_table(("event", "type", "endpoint", "state", "attempts", "last answer", "since"), rows, empty="nothing was to be told")


@app.command()
def ping(endpoint_id: EndpointId) -> None:
    """Send an endpoint an event of its own, the way that every event goes. Takes an operator's key."""
    with acting(Role.OPERATOR) as person, traced("webhooks ping"), person.transaction() as conn:
        event_id = webhooks_out.ping(conn, endpoint_id=_id(endpoint_id), **_who(person))
    say(f"event {event_id} is on its way: `spine webhooks deliveries --endpoint {endpoint_id}` shows what is answered")


def _print_secret(endpoint_id: UUID | str, secret: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"endpoint_id": str(endpoint_id), "secret": secret})
    else:
        say(f"endpoint {endpoint_id}", f"secret   {secret}", "keep the secret now: it is not shown again")


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound(f"no webhook endpoint {text!r}: `spine webhooks list` shows those there are") from error


def _who(person: Acting) -> dict[str, Any]:
    actor = Actor(person.principal.actor_type, person.principal.id)
    return {"tenant_id": person.principal.tenant_id, "actor": actor, "now": person.clock.now()}
