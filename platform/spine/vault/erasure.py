"""Erasing a person, as the law on personal data grants it (PDPL: domain.md §10.3), without touching what proves how we acted.

The data key is destroyed, addresses are emptied, every channel is opted out of for good, and texts that were written to the person
are taken out of documents, closed intents and receipts; keyed hashes of the addresses stay, so that nobody writes there under another name.
Audit rows, events, approvals and effects name `contact_id`, digests and codes only: they stay, and so do the seals over them.

Limits. An intent that is still open keeps its text, since an approval is bound to its digest; contactability refuses it from now on,
and erasing again takes the text out once it is closed. Contracts keep their fields: business records have their own retention. What a
provider holds (mail server, CRM) is erased there. Names of people in free text of others are not found.
"""

from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from spine import audit, contacts, vault
from spine.audit import Actor
from spine.db import Connection
from spine.errors import InvalidInput, NotFound
from spine.redact import redact

_ACCOUNT = "(erased)"
_TEXT = "[erased]"
_TEXTS = ("subject", "body", "text", "message", "notes")
"""Fields of payloads and drafts that are written in words."""
_OPEN = ("proposed", "awaiting_approval", "runnable", "executing", "unknown", "compensating")

_WRITTEN = sql.SQL("exists (select from unnest(%(texts)s::text[]) as name where {0} ? name and {0}->>name <> %(text)s)")
_STRIPPED = sql.SQL(
    "(select {0} || coalesce(jsonb_object_agg(name, %(text)s::text), '{{}}'::jsonb) from unnest(%(texts)s::text[]) as name "
    "where {0} ? name and {0}->>name <> %(text)s)"
)
_BODY, _PAYLOAD = sql.Identifier("body"), sql.Identifier("payload")
_DOCUMENTS = sql.SQL(
    "update documents set body = {} where tenant_id = %(tenant)s and body->>'contact_id' = %(contact)s and {} and not exists "
    "(select from intents i where i.tenant_id = documents.tenant_id and i.digest = documents.digest and i.state = any(%(open)s))"
).format(_STRIPPED.format(_BODY), _WRITTEN.format(_BODY))
_INTENTS = sql.SQL(
    "update intents set payload = {} where tenant_id = %(tenant)s and payload->>'contact_id' = %(contact)s "
    "and not state = any(%(open)s) and {}"
).format(_STRIPPED.format(_PAYLOAD), _WRITTEN.format(_PAYLOAD))
_OBSERVED = sql.SQL("(receipt->'observed')")  # what the provider says it did, in the payload's own field names
_RECEIPTS = sql.SQL(
    "update effects e set receipt = jsonb_set(receipt, '{{observed}}', {}) from intents i where e.tenant_id = %(tenant)s "
    "and i.tenant_id = e.tenant_id and i.intent_id = e.intent_id and i.payload->>'contact_id' = %(contact)s "
    "and not i.state = any(%(open)s) and {}"
).format(_STRIPPED.format(_OBSERVED), _WRITTEN.format(_OBSERVED))
_STILL_OPEN = (
    "select count(*) as n from intents where tenant_id = %(tenant)s and payload->>'contact_id' = %(contact)s and state = any(%(open)s)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """`texts` were taken out; `open_intents` still hold theirs, and can no longer be sent: erase again when they are closed."""

    contact_id: str
    texts: int
    open_intents: int


def erase(conn: Connection, *, tenant_id: str, contact_id: str, actor: Actor, reason: str, now: datetime) -> Erased:
    """Erase a person in the caller's transaction, with an audit row. Repeatable. Raises NotFound, and InvalidInput without a reason."""
    if not reason.strip():
        raise InvalidInput(f"erasing {contact_id!r} needs a reason, such as the number of the request: an auditor will ask")
    known = conn.execute("select from contacts where tenant_id = %s and contact_id = %s for update", (tenant_id, contact_id)).rowcount
    if not known:
        raise NotFound(f"tenant {tenant_id!r} has no contact {contact_id!r}: `spine contacts list` shows those there are")
    for channel in {"email", "phone"}:
        if address := contacts.contact_address(conn, tenant_id, contact_id, channel):
            vault.suppress(conn, tenant_id=tenant_id, address=address, now=now)
    for channel in contacts.CHANNELS:
        contacts.opt_out(conn, tenant_id=tenant_id, contact_id=contact_id, channel=channel, source="erasure", now=now)
    vault.destroy(conn, tenant_id=tenant_id, subject_id=contact_id, now=now)
    conn.execute(
        "update contacts set email = null, phone = null, account = %s, updated_at = now() where tenant_id = %s and contact_id = %s",
        (_ACCOUNT, tenant_id, contact_id),
    )
    given = {"tenant": tenant_id, "contact": contact_id, "texts": list(_TEXTS), "text": _TEXT, "open": list(_OPEN)}
    texts = sum(conn.execute(statement, given).rowcount for statement in (_DOCUMENTS, _INTENTS, _RECEIPTS))
    still_open = conn.execute(_STILL_OPEN, given).fetchone()
    erased = Erased(contact_id=contact_id, texts=texts, open_intents=int(still_open["n"]) if still_open else 0)
    audit.record(
        conn,
        tenant_id=tenant_id,
        actor=actor,
        action="contact.erased",
        subject_type="contact",
        subject_id=contact_id,
        now=now,
        detail={"reason": redact(reason), "texts": texts, "open_intents": erased.open_intents},
    )
    return erased
