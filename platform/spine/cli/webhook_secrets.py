"""`spine keys webhook-secret add | rotate | list | revoke`: what providers sign their webhooks with."""

from datetime import timedelta
from typing import Annotated, Any

import typer

from spine.audit import Actor
from spine.cli.acting import Acting, Json, acting, print_json, print_table, say, traced
from spine.errors import InvalidInput
from spine.identity import Role
from spine.intake import WEBHOOK_PROVIDERS, webhook_secrets

app = typer.Typer(
    help="Secrets that providers sign their webhooks with: one tenant's and one provider's, two at once while they change.",
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
)

Provider = Annotated[str, typer.Argument(help=f"One of {', '.join(WEBHOOK_PROVIDERS)}.")]
Given = Annotated[bool, typer.Option("--given", help="The provider made the secret: read it from standard input. Otherwise one is made.")]


@app.command()
def add(provider: Provider, given: Given = False) -> None:
    """Take or make a secret and print it: it cannot be shown again."""
    with traced("keys webhook-secret add"), acting(Role.ADMIN) as person, person.transaction() as conn:
        secret = webhook_secrets.add(conn, person.settings, provider=provider, given=_given(given), **_by(person))
    say(secret)


@app.command()
def rotate(
    provider: Provider,
    given: Given = False,
    grace: Annotated[int, typer.Option("--grace-hours", min=0, max=168, help="How long the old one still holds.")] = 24,
) -> None:
    """Take or make a new secret and print it; the old one holds for the grace, so that nothing is refused meanwhile."""
    with traced("keys webhook-secret rotate"), acting(Role.ADMIN) as person, person.transaction() as conn:
        secret = webhook_secrets.rotate(
            conn, person.settings, provider=provider, given=_given(given), grace=timedelta(hours=grace), **_by(person)
        )
    say(secret)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Show which there are, never the secrets themselves."""
    with acting(Role.ADMIN) as person:
        with person.transaction() as conn:
            found = webhook_secrets.listing(conn, tenant_id=person.principal.tenant_id)
        if as_json:
            names = ("secret_id", "provider", "holds")
            shown = [{name: getattr(one, name) for name in names} | {"created_at": one.created_at.isoformat()} for one in found]
            print_json({"items": shown})
            return
        rows = (
            (one.secret_id, one.provider, person.local(one.created_at), person.local(one.expires_at) if one.expires_at else "", one.holds)
            for one in found
        )
        print_table(("secret", "provider", "made", "ends", "holds"), rows, empty="no webhook secrets of this tenant")


@app.command()
def revoke(secret_id: Annotated[str, typer.Argument(metavar="SECRET_ID")]) -> None:
    """Refuse what is signed with it from now on."""
    with traced("keys webhook-secret revoke"), acting(Role.ADMIN) as person, person.transaction() as conn:
        webhook_secrets.revoke(conn, secret_id=secret_id, **_by(person))
    say(f"webhook secret {secret_id} is refused from now on")


def _given(given: bool) -> str | None:
    if not given:
        return None
    if not (text := typer.get_text_stream("stdin").read().strip()):
        raise InvalidInput("nothing came on standard input: pipe the secret in, so that it stays out of the shell's history")
    return text


def _by(person: Acting) -> dict[str, Any]:
    actor = Actor(person.principal.actor_type, person.principal.id)
    return {"tenant_id": person.principal.tenant_id, "actor": actor, "clock": person.clock}
