"""What a company has before the first automation runs: contacts with addresses, consents, and people with keys."""

import csv
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from shared.events import ActorType
from shared.events.keys import contact_ref
from spine import contacts, directory
from spine.audit import Actor
from spine.clock import Clock
from spine.db import Database
from spine.errors import BadExport
from spine.identity import Role, issue_key
from spine.registry import Registry

UNCONSENTED_EVERY = 6  # one account in six never gave consent: its sends must be refused, and the table shows it

PEOPLE: Mapping[str, Role] = {
    "ana.operator": Role.OPERATOR,
    "basma.sales-manager": Role.APPROVER,
    "chidi.legal": Role.APPROVER,
    "dina.coo": Role.APPROVER,
    "emre.ceo": Role.APPROVER,
}
FUNCTIONS: Mapping[str, str] = {
    "basma.sales-manager": "manager",
    "chidi.legal": "legal",
    "dina.coo": "executive",
    "emre.ceo": "executive",
}


def seed_contacts(database: Database, tenant_id: str, export: Path, clock: Clock) -> tuple[int, int]:
    """A contact for each account of the export, with consent to marketing e-mail except for one account in six, and the owners.

    Addresses end in `.example`, which can never be delivered (RFC 2606). Returns (contacts, of these without consent).
    """
    try:
        with (export / "accounts.csv").open(encoding="utf-8", newline="") as file:
            accounts = sorted({row["account"].strip() for row in csv.DictReader(file)} - {""})
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise BadExport(f"{str(export / 'accounts.csv')!r} cannot be read for the demo's contacts: {error!r}") from error
    without = 0
    with database.tenant(tenant_id) as connection:
        for number, account in enumerate(accounts):
            contact_id = contact_ref(account)
            address = f"buyer@{contact_id.removeprefix('contact/')}.example"
            contacts.upsert_contact(connection, tenant_id=tenant_id, contact_id=contact_id, account=account, email=address)
            if number % UNCONSENTED_EVERY == UNCONSENTED_EVERY - 1:
                without += 1
                continue
            contacts.record_consent(
                connection,
                tenant_id=tenant_id,
                contact_id=contact_id,
                purpose="marketing",
                channel="email",
                source="demo: web form",
                now=clock.now() - timedelta(days=30),
            )
        for owner in {automation.owner for automation in Registry.load().automations.values()}:  # who is told how a commitment ended
            address = f"{owner}@owners.example"
            contacts.upsert_contact(connection, tenant_id=tenant_id, contact_id=contact_ref(owner), account=owner, email=address)
    return len(accounts), without


def seed_people(database: Database, tenant_id: str, clock: Clock) -> dict[str, str]:
    """Person → API key, one for each role that the demo plays; and the approver directory says in which function they sign."""
    by = Actor(ActorType.EXECUTOR_SYSTEM, "demo")
    with database.tenant(tenant_id) as connection:
        for person, function in FUNCTIONS.items():
            directory.add(connection, tenant_id=tenant_id, person=person, function=function, actor=by, clock=clock)
        return {name: issue_key(connection, tenant_id=tenant_id, principal_id=name, role=role) for name, role in PEOPLE.items()}
