"""`spine contacts list | add | consent | opt-out | erase | rewrap`: whom automations may write to.

Everything else names people by reference only.
"""

import re
from typing import Annotated, Self

import typer
from pydantic import BaseModel

from shared.events.keys import contact_ref
from spine import audit, contacts, vault
from spine.audit import Actor
from spine.cli import conversations
from spine.cli.acting import Acting, Json, acting, print_json, print_table, say, traced
from spine.contacts import CHANNELS, PURPOSES, KnownContact
from spine.db import Connection
from spine.errors import InvalidInput
from spine.identity import Role
from spine.vault import erasure

app = typer.Typer(help="Know people, and record what they agreed to.", rich_markup_mode="rich", no_args_is_help=True)
app.add_typer(conversations.app)  # without a name: commands beside those below

_ADDRESS = re.compile(r"[^@\s\x00-\x1f\x7f<>,;\"]+@[^@\s\x00-\x1f\x7f<>,;\"]+")
_REFERENCE = re.compile(r"[^@\s\x00-\x1f\x7f]{1,200}")  # as shared.events.wire.ContactRef

Account = Annotated[str | None, typer.Option(help="The company, by its name; makes the id when --id is left out.")]
Id = Annotated[str | None, typer.Option("--id", help="The contact's reference; if left out, contact/ and the account's name as a slug.")]
Channel = Annotated[str, typer.Option(help=f"One of {', '.join(CHANNELS)}.")]
Source = Annotated[str, typer.Option(help="Where this is known from, as in web-form-2026-11: what you would show to an auditor.")]


class ContactView(BaseModel):
    """A contact as programs see it. `email` is there only for those who asked for addresses and may see them."""

    contact_id: str
    account: str
    has_email: bool
    has_phone: bool = False
    email: str | None = None
    phone: str | None = None
    consents: tuple[str, ...]
    opted_out: tuple[str, ...]

    @classmethod
    def of(cls, known: KnownContact, *, addresses: bool = False) -> Self:
        return cls(
            contact_id=known.contact_id,
            account=known.account,
            has_email=bool(known.email),
            has_phone=bool(known.phone),
            email=known.email if addresses else None,
            phone=known.phone if addresses else None,
            consents=known.consents,
            opted_out=known.opted_out,
        )


@app.command("list")
def list_(
    addresses: Annotated[bool, typer.Option("--addresses", help="With the e-mail addresses; takes an operator's key.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    as_json: Json = False,
) -> None:
    """Show who is known, and what they agreed to: consents in force as purpose/channel, and channels opted out of."""
    with acting(Role.OPERATOR if addresses else Role.VIEWER) as person, person.transaction() as conn:
        found = contacts.known_contacts(conn, tenant_id=person.principal.tenant_id, now=person.clock.now(), limit=limit)
    views = [ContactView.of(one, addresses=addresses) for one in found]
    if as_json:
        print_json(views)
        return
    shown = (
        (v.contact_id, v.account, (v.email if addresses else "yes") if v.has_email else "no", ", ".join(v.consents), ", ".join(v.opted_out))
        for v in views
    )
    print_table(("contact", "account", "e-mail", "agreed to", "opted out of"), shown, empty="nobody is known yet: `spine contacts add`")


@app.command()
def add(
    account: Annotated[str, typer.Option(help="The company, by its name.")],
    email: Annotated[str | None, typer.Option(help="Where messages go; kept here and nowhere else. Left out, a known one stays.")] = None,
    phone: Annotated[
        str | None, typer.Option(help="For WhatsApp, SMS and calls, such as +966501234567. Left out, a known one stays.")
    ] = None,
    contact_id: Id = None,
    as_json: Json = False,
) -> None:
    """Know a contact, or change what is known.

    Nobody may be written to for being known: that takes a consent, see `spine contacts consent`.
    """
    if not account.strip() or "@" in account:
        raise InvalidInput("--account is a company's name, not empty and not an address: everybody sees it")
    if email is not None and not _ADDRESS.fullmatch(email):
        raise InvalidInput("--email is not one address such as buyer@globex.example")  # not repeated: it may be somebody's
    who = _reference(contact_id, account)
    with acting(Role.OPERATOR) as person, traced("contacts add"), person.transaction() as conn:
        tenant_id = person.principal.tenant_id
        address = contacts.contact_address(conn, tenant_id, who) if email is None else email
        contacts.upsert_contact(conn, tenant_id=tenant_id, contact_id=who, account=account, email=address, phone=phone)
        _told(conn, person, "contact.recorded", who, {"address": "given" if email else "as it was"}, as_json=as_json)


@app.command()
def consent(
    source: Source,
    account: Account = None,
    contact_id: Id = None,
    purpose: Annotated[str, typer.Option(help=f"One of {', '.join(PURPOSES)}.")] = "marketing",
    channel: Channel = "email",
    months: Annotated[int, typer.Option(min=1, max=120, help="How long it lasts.")] = 12,
    as_json: Json = False,
) -> None:
    """Record that a contact agreed, now. It never lifts an opt-out."""
    who = _reference(contact_id, account)
    with acting(Role.OPERATOR) as person, traced("contacts consent"), person.transaction() as conn:
        now = person.clock.now()
        contacts.record_consent(
            conn,
            tenant_id=person.principal.tenant_id,
            contact_id=who,
            purpose=purpose,
            channel=channel,
            source=source,
            now=now,
            months=months,
        )
        detail = {"purpose": purpose, "channel": channel, "months": str(months)}
        _told(conn, person, "contact.consented", who, detail, as_json=as_json)


@app.command("opt-out")
def opt_out(
    source: Source,
    account: Account = None,
    contact_id: Id = None,
    channel: Channel = "email",
    as_json: Json = False,
) -> None:
    """Record that a contact wants no more on a channel: at once, for every purpose and for good."""
    who = _reference(contact_id, account)
    with acting(Role.OPERATOR) as person, traced("contacts opt-out"), person.transaction() as conn:
        tenant_id, now = person.principal.tenant_id, person.clock.now()
        contacts.opt_out(conn, tenant_id=tenant_id, contact_id=who, channel=channel, source=source, now=now)
        _told(conn, person, "contact.opted_out", who, {"channel": channel}, as_json=as_json)


@app.command()
def erase(
    contact_id: Annotated[str, typer.Argument(metavar="CONTACT", help="The contact's reference.")],
    reason: Annotated[str, typer.Option(help="Why, for the record: the number of the person's request, never a name.")],
    as_json: Json = False,
) -> None:
    """Erase a person: addresses, texts written to it and the key they were kept under. It cannot be undone; takes an admin's key."""
    who = _reference(contact_id, None)
    with acting(Role.ADMIN) as person, traced("contacts erase"), person.transaction() as conn:
        tenant_id, by = person.principal.tenant_id, Actor(person.principal.actor_type, person.principal.id)
        done = erasure.erase(conn, tenant_id=tenant_id, contact_id=who, actor=by, reason=reason, now=person.clock.now())
    if as_json:
        print_json({"contact_id": done.contact_id, "texts": done.texts, "open_intents": done.open_intents})
        return
    say(f"{done.contact_id} is erased: nobody writes to it again; texts taken out: {done.texts}")
    if done.open_intents:
        say(f"{done.open_intents} intents that are still open keep their texts and can no longer be sent: erase again when they are closed")


@app.command()
def rewrap() -> None:
    """Wrap every person's data key anew, once a new master key stands before the old one in SPINE_VAULT_KEY. Takes an admin's key."""
    with acting(Role.ADMIN) as person, traced("contacts rewrap"), person.transaction() as conn:
        tenant_id, now = person.principal.tenant_id, person.clock.now()
        count = vault.rewrap(conn, tenant_id=tenant_id)
        by = Actor(person.principal.actor_type, person.principal.id)
        audit.record(
            conn,
            tenant_id=tenant_id,
            actor=by,
            action="vault.rewrapped",
            subject_type="vault",
            subject_id=tenant_id,
            now=now,
            detail={"keys": count},
        )
    say(f"{count} data keys were wrapped anew: once every tenant's are, take the older master key away")


def _reference(contact_id: str | None, account: str | None) -> str:
    if contact_id is not None:
        if not _REFERENCE.fullmatch(contact_id):
            raise InvalidInput("--id is a reference such as contact/globex: at most 200 characters, no spaces, never an address")
        return contact_id
    if account is None or "@" in account:
        raise InvalidInput("say who: --account with the company's name, or --id with the contact's reference; never an address")
    try:
        return contact_ref(account)
    except ValueError as error:
        raise InvalidInput(f"--account makes no id: {error}; give one by --id") from error


def _told(conn: Connection, person: Acting, action: str, contact_id: str, detail: dict[str, str], *, as_json: bool) -> None:
    """On record in the change's own transaction, and said. Neither names an address."""
    tenant_id, now = person.principal.tenant_id, person.clock.now()
    by = Actor(person.principal.actor_type, person.principal.id)
    audit.record(conn, tenant_id=tenant_id, actor=by, action=action, subject_type="contact", subject_id=contact_id, now=now, detail=detail)
    (known,) = contacts.known_contacts(conn, tenant_id=tenant_id, now=now, contact_id=contact_id)
    view = ContactView.of(known)
    if as_json:
        print_json(view)
        return
    agreed = f"agreed to {', '.join(view.consents)}" if view.consents else "agreed to nothing: nobody may write to it"
    say(f"{view.contact_id} ({view.account}): {agreed}" + (f"; opted out of {', '.join(view.opted_out)}" if view.opted_out else ""))
