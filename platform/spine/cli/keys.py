"""`spine keys issue | list | revoke`: who may come in."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Self

import typer
from pydantic import BaseModel

from shared.events import ActorType
from spine import audit
from spine.audit import Actor
from spine.cli.acting import Json, acting, print_json, print_table, reaching, say, traced
from spine.db import Connection
from spine.errors import NotAuthenticated
from spine.identity import KeyRecord, Role, issue_key, list_keys, revoke_key
from spine.settings import Settings

app = typer.Typer(help="API keys: who may come in, and as what.", rich_markup_mode="rich", no_args_is_help=True)


@app.command()
def issue(
    principal: Annotated[str, typer.Option(help="Whose key: a name such as sara.ops, never an address.")],
    role: Annotated[Role, typer.Option(help="viewer reads, operator asks, approver decides, admin issues keys.")],
    actor: Annotated[ActorType, typer.Option(help="What the principal is; only people decide approvals.")] = ActorType.HUMAN,
    as_json: Json = False,
) -> None:
    """Make a key and print it: it cannot be shown again.

    Needs an admin's key; a tenant that has none at all gets its first one, an admin's, from whoever can reach the database.
    """
    settings = Settings.load()
    with traced("keys issue"):
        if settings.api_key is None:
            key = _first(settings, principal, role, actor)
        else:
            with acting(Role.ADMIN) as person, person.transaction() as conn:
                tenant_id = person.principal.tenant_id
                key = issue_key(conn, tenant_id=tenant_id, principal_id=principal, role=role, actor_type=actor)
                by = Actor(person.principal.actor_type, person.principal.id)
                _on_record(conn, tenant_id, by, "key.issued", key.rsplit(".", 2)[1], settings, principal, role)
    if as_json:
        print_json({"principal_id": principal, "role": role.value, "key": key})
    else:
        say(key)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Show the tenant's keys, without their secrets."""
    with acting(Role.ADMIN) as person:
        with person.transaction() as conn:
            found = list_keys(conn, person.principal.tenant_id)
        if as_json:
            print_json(KeyView.of(one) for one in found)
            return
        rows = (
            (k.key_id, k.principal_id, k.role, k.actor_type, person.local(k.created_at), person.local(k.revoked_at) if k.revoked_at else "")
            for k in found
        )
        print_table(("key", "principal", "role", "kind", "issued", "revoked"), rows, empty="no keys")


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="KEY_ID")]) -> None:
    """Refuse a key from now on."""
    with traced("keys revoke"), acting(Role.ADMIN) as person, person.transaction() as conn:
        tenant_id = person.principal.tenant_id
        revoked = revoke_key(conn, tenant_id=tenant_id, key_id=key_id)
        by = Actor(person.principal.actor_type, person.principal.id)
        _on_record(conn, tenant_id, by, "key.revoked", key_id, person.settings, revoked.principal_id, revoked.role)
    say(f"key {key_id} of {revoked.principal_id} is refused from now on")


class KeyView(BaseModel):
    """A key as programs see it."""

    key_id: str
    principal_id: str
    role: Role
    actor_type: ActorType
    created_at: datetime
    revoked_at: datetime | None

    @classmethod
    def of(cls, record: KeyRecord) -> Self:
        return cls(**asdict(record))


def _first(settings: Settings, principal: str, role: Role, actor: ActorType) -> str:
    """Whoever holds the database's address could write the row by hand: this is no more, and on record."""
    tenant_id = settings.tenant
    with reaching(settings) as database, database.tenant(tenant_id) as conn:
        if list_keys(conn, tenant_id) or role is not Role.ADMIN:
            raise NotAuthenticated(
                f"SPINE_API_KEY is not set: issuing keys of tenant {tenant_id!r} takes an admin's key; only a tenant's very first key, "
                "an admin's, is made without one"
            )
        key = issue_key(conn, tenant_id=tenant_id, principal_id=principal, role=role, actor_type=actor)
        by = Actor(ActorType.EXECUTOR_SYSTEM, "first-key")
        _on_record(conn, tenant_id, by, "key.issued", key.rsplit(".", 2)[1], settings, principal, role)
    return key


def _on_record(
    conn: Connection, tenant_id: str, by: Actor, action: str, key_id: str, settings: Settings, principal: str, role: Role
) -> None:
    audit.record(
        conn,
        tenant_id=tenant_id,
        actor=by,
        action=action,
        subject_type="api_key",
        subject_id=key_id,
        now=settings.business_clock().now(),
        detail={"principal": principal, "role": role.value},
    )
