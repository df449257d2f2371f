"""`spine keys issue | list | rotate | revoke | webhook-secret`: who may come in."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Self

import typer
from pydantic import BaseModel

from shared.events import ActorType
from spine import audit
from spine.audit import Actor
from spine.cli import webhook_secrets
from spine.cli.acting import Acting, Json, acting, print_json, print_table, reaching, say, traced
from spine.db import Connection
from spine.errors import InvalidInput, NotAuthenticated
from spine.identity import KeyRecord, Role, is_tenant, issue_first_key, issue_key, list_keys, revoke_key, rotate_key, tenant_of
from spine.settings import Settings, tenant_named

app = typer.Typer(help="API keys: who may come in, and as what.", rich_markup_mode="rich", no_args_is_help=True, add_completion=False)
app.add_typer(webhook_secrets.app, name="webhook-secret")

Tenant = Annotated[str | None, typer.Option(help="The tenant that is meant; if left out, SPINE_TENANT, or the one of the key presented.")]


@app.command()
def issue(
    principal: Annotated[str, typer.Option(help="Whose key: a name such as sara.ops, never an address.")],
    role: Annotated[Role, typer.Option(help="viewer reads, operator asks, approver decides, admin issues keys.")],
    actor: Annotated[ActorType, typer.Option(help="What the principal is; only people decide approvals.")] = ActorType.HUMAN,
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="Days until it ends by itself; left out: when it is revoked.")] = None,
    tenant: Tenant = None,
    as_json: Json = False,
) -> None:
    """Make a key and print it: it cannot be shown again.

    Needs an admin's key of the tenant. A tenant that has no key at all gets its first one, an admin's, from whoever can reach the
    database: name it with --tenant.
    """
    settings = Settings.load()
    with traced("keys issue"):
        if (fresh := _without_keys(settings, tenant)) is not None:
            key = _first(settings, fresh, principal, role, actor, days)
        else:
            with acting(Role.ADMIN, tenant) as person, person.transaction() as conn:
                tenant_id = person.principal.tenant_id
                key = issue_key(conn, tenant_id=tenant_id, principal_id=principal, role=role, actor_type=actor, lifetime=_days(days))
                by = Actor(person.principal.actor_type, person.principal.id)
                _on_record(conn, tenant_id, by, "key.issued", key.rsplit(".", 2)[1], settings, principal, role)
    if as_json:
        print_json({"principal_id": principal, "role": role.value, "key": key})
    else:
        say(key)


@app.command("list")
def list_(tenant: Tenant = None, as_json: Json = False) -> None:
    """Show the tenant's keys, without their secrets."""
    with acting(Role.ADMIN, tenant) as person:
        with person.transaction() as conn:
            found = list_keys(conn, person.principal.tenant_id)
        if as_json:
            print_json(KeyView.of(one) for one in found)
            return
        rows = (
            (
                k.key_id,
                k.principal_id,
                k.role,
                k.actor_type,
                *(_at(person, at) for at in (k.created_at, k.last_used_at, k.expires_at, k.revoked_at)),
            )
            for k in found
        )
        print_table(("key", "principal", "role", "kind", "issued", "last used", "ends", "revoked"), rows, empty="no keys")


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="KEY_ID")], tenant: Tenant = None) -> None:
    """Refuse a key from now on."""
    with traced("keys revoke"), acting(Role.ADMIN, tenant) as person, person.transaction() as conn:
        tenant_id = person.principal.tenant_id
        revoked = revoke_key(conn, tenant_id=tenant_id, key_id=key_id)
        by = Actor(person.principal.actor_type, person.principal.id)
        _on_record(conn, tenant_id, by, "key.revoked", key_id, person.settings, revoked.principal_id, revoked.role)
    say(f"key {key_id} of {revoked.principal_id} is refused from now on")


@app.command()
def rotate(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID")],
    grace: Annotated[
        int, typer.Option("--grace-hours", min=0, max=720, help="How long the old key goes on, so that nothing stands still.")
    ] = 24,
    tenant: Tenant = None,
    as_json: Json = False,
) -> None:
    """Make a new key for the same principal and print it; the old one ends after the grace."""
    with traced("keys rotate"), acting(Role.ADMIN, tenant) as person, person.transaction() as conn:
        tenant_id = person.principal.tenant_id
        key = rotate_key(conn, tenant_id=tenant_id, key_id=key_id, grace=timedelta(hours=grace))
        new_id = key.rsplit(".", 2)[1]
        made = next(one for one in list_keys(conn, tenant_id) if one.key_id == new_id)
        by = Actor(person.principal.actor_type, person.principal.id)
        _on_record(conn, tenant_id, by, "key.rotated", key_id, person.settings, made.principal_id, made.role)
        _on_record(conn, tenant_id, by, "key.issued", new_id, person.settings, made.principal_id, made.role)
    if as_json:
        print_json({"principal_id": made.principal_id, "role": made.role.value, "key": key})
    else:
        say(key)


class KeyView(BaseModel):
    """A key as programs see it."""

    key_id: str
    principal_id: str
    role: Role
    actor_type: ActorType
    created_at: datetime
    revoked_at: datetime | None
    expires_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, record: KeyRecord) -> Self:
        return cls(**asdict(record))


def _without_keys(settings: Settings, tenant: str | None) -> str | None:
    """The tenant that is meant, if no key that is presented can speak for it and it may be due its first one; else None.

    With a key of another tenant, which a running stack always presents, only a tenant that a person named counts.
    """
    named = tenant_named() if tenant is None else tenant
    if settings.api_key is None:
        return settings.tenant if named is None else named
    if named is None or named == tenant_of(settings.api_key.get_secret_value()):
        return None
    if not is_tenant(named):
        raise InvalidInput(f"tenant {named!r} is not letters, digits, '.', '_', '-' (at most 63, starting with a letter or digit)")
    with reaching(settings) as database, database.tenant(named) as conn:
        return None if list_keys(conn, named) else named


def _first(settings: Settings, tenant_id: str, principal: str, role: Role, actor: ActorType, days: int | None) -> str:
    """Whoever holds the database's address could write the row by hand: this is no more, and on record. Of two at once, one gets it."""
    with reaching(settings) as database, database.tenant(tenant_id) as conn:
        key = None
        if role is Role.ADMIN:
            key = issue_first_key(conn, tenant_id=tenant_id, principal_id=principal, actor_type=actor, lifetime=_days(days))
        if key is None:
            raise NotAuthenticated(
                f"no key of tenant {tenant_id!r} is presented (SPINE_API_KEY): issuing its keys takes an admin's key; "
                "only a tenant's very first key, an admin's, is made without one"
            )
        by = Actor(ActorType.EXECUTOR_SYSTEM, "first-key")
        _on_record(conn, tenant_id, by, "key.issued", key.rsplit(".", 2)[1], settings, principal, role)
    return key


def _days(days: int | None) -> timedelta | None:
    return None if days is None else timedelta(days=days)


def _at(person: Acting, at: datetime | None) -> str:
    return person.local(at) if at else ""


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
