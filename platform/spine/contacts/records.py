"""The rows of people: the one home of addresses, and the append-only record of what each agreed to. Everything else says `contact_id`."""

from dataclasses import dataclass
from datetime import datetime

import phonenumbers

from spine import vault
from spine.contacts.rules import CHANNELS, PURPOSES
from spine.db import Connection
from spine.errors import Conflict, InvalidInput, NotFound
from spine.ids import new_id

_BY_NUMBER = frozenset({"whatsapp", "sms", "phone"})


def upsert_contact(conn: Connection, *, tenant_id: str, contact_id: str, account: str, email: str | None, phone: str | None = None) -> None:
    """Know a contact, or change what is known; without a `phone` a known number stays. A number is kept as E.164.

    Address and number are sealed (see `spine.vault`): the row alone tells neither. Raises InvalidInput for an id that carries an
    address, and for what is no telephone number; Conflict for a person who was erased, by id or by address.
    """
    if "@" in contact_id or not contact_id.strip():
        raise InvalidInput(
            f"contact id {'(an address)' if '@' in contact_id else contact_id!r} is not a reference: use shared.events.keys.contact_ref"
        )
    number = None if phone is None else phone_number(phone)
    conn.execute(
        "insert into contacts (tenant_id, contact_id, account, email, phone) values (%s, %s, %s, %s, %s) "
        "on conflict (tenant_id, contact_id) do update set account = excluded.account, email = excluded.email, "
        "phone = coalesce(excluded.phone, contacts.phone), updated_at = now()",
        (
            tenant_id,
            contact_id,
            account,
            _sealed(conn, tenant_id, contact_id, "email", email),
            _sealed(conn, tenant_id, contact_id, "phone", number),
        ),
    )


def _sealed(conn: Connection, tenant_id: str, contact_id: str, field: str, address: str | None) -> str | None:
    if not address:
        return address
    if vault.is_suppressed(conn, tenant_id=tenant_id, address=address):
        raise Conflict(f"the {field} given for {contact_id!r} is of somebody who was erased: nobody writes there again, and it is not kept")
    return vault.seal(conn, tenant_id=tenant_id, subject_id=contact_id, field=field, text=address)


def phone_number(text: str, *, region: str = "SA") -> str:
    """A telephone number as E.164, `+966501234567`; one without a country is read as `region`'s.

    Raises InvalidInput, which does not repeat it: it may be somebody's.
    """
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise InvalidInput("this is not a telephone number: write it with its country, such as +966501234567") from error
    if not phonenumbers.is_valid_number(number):
        raise InvalidInput("there can be no such telephone number: write it with its country, such as +966501234567")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def record_consent(
    conn: Connection, *, tenant_id: str, contact_id: str, purpose: str, channel: str, source: str, now: datetime, months: int = 12
) -> None:
    """A person agreed, at `now`, for `months`. A newer consent takes the older one's place; it never lifts an opt-out."""
    if months < 1:
        raise InvalidInput(f"a consent lasts at least a month, not {months}")
    _record(conn, "granted", tenant_id, contact_id, purpose, channel, source, now, f"{months} months")


def opt_out(conn: Connection, *, tenant_id: str, contact_id: str, channel: str, source: str, now: datetime) -> None:
    """A person said no more on this channel, for every purpose: at once and for good."""
    _record(conn, "opted_out", tenant_id, contact_id, "marketing", channel, source, now, None)


def _record(
    conn: Connection, kind: str, tenant_id: str, contact_id: str, purpose: str, channel: str, source: str, now: datetime, lasts: str | None
) -> None:
    if purpose not in PURPOSES or channel not in CHANNELS:
        raise InvalidInput(f"consent is for one of {PURPOSES} on one of {CHANNELS}, not for {purpose!r} on {channel!r}")
    written = conn.execute(
        "insert into consents (tenant_id, consent_id, contact_id, purpose, channel, kind, source, given_at, expires_at) "
        "select tenant_id, %s, contact_id, %s, %s, %s, %s, %s::timestamptz, %s::timestamptz + %s::interval "
        "from contacts where tenant_id = %s and contact_id = %s",
        (new_id(), purpose, channel, kind, source, now, now, lasts, tenant_id, contact_id),
    ).rowcount
    if not written:
        raise NotFound(f"tenant {tenant_id!r} has no contact {contact_id!r}: upsert the contact before its consent")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownContact:
    """A contact as it is on record. `consents` are those in force, as `purpose/channel`; an opted-out channel has none."""

    contact_id: str
    account: str
    email: str | None
    phone: str | None
    consents: tuple[str, ...]
    opted_out: tuple[str, ...]


_KNOWN = """
select c.contact_id, c.account, c.email, c.phone, coalesce(agreed.found, '{}') as consents, coalesce(refused.found, '{}') as opted_out
from contacts c
left join lateral (
    select array_agg(distinct o.channel) as found from consents o
    where o.tenant_id = c.tenant_id and o.contact_id = c.contact_id and o.kind = 'opted_out'
) refused on true
left join lateral (
    select array_agg(n.purpose || '/' || n.channel order by n.purpose, n.channel) as found from (
        select distinct on (g.purpose, g.channel) g.purpose, g.channel, g.expires_at from consents g
        where g.tenant_id = c.tenant_id and g.contact_id = c.contact_id and g.kind = 'granted' and g.given_at <= %(now)s
        order by g.purpose, g.channel, g.given_at desc
    ) n where n.expires_at > %(now)s and not n.channel = any(coalesce(refused.found, '{}'))
) agreed on true
where c.tenant_id = %(tenant)s and (%(contact)s::text is null or c.contact_id = %(contact)s)
order by c.contact_id limit %(limit)s
"""


def known_contacts(
    conn: Connection, *, tenant_id: str, now: datetime, contact_id: str | None = None, limit: int = 100
) -> list[KnownContact]:
    """Who is on record, by id, with addresses: whoever shows them asks for whom."""
    rows = conn.execute(_KNOWN, {"tenant": tenant_id, "now": now, "contact": contact_id, "limit": limit}).fetchall()
    emails, phones = (
        vault.unseal_all(conn, tenant_id=tenant_id, field=field, sealed={row["contact_id"]: row[field] for row in rows})
        for field in ("email", "phone")
    )
    return [
        KnownContact(
            contact_id=(who := row["contact_id"]),
            account=row["account"],
            email=emails[who],
            phone=phones[who],
            consents=tuple(row["consents"]),
            opted_out=tuple(row["opted_out"]),
        )
        for row in rows
    ]


def address_of(conn: Connection, tenant_id: str, contact_id: str) -> str:
    """The e-mail address, for the one who is about to use it inside an effect. Raises NotFound when there is none."""
    address = contact_address(conn, tenant_id, contact_id)
    if address is None:
        raise NotFound(f"tenant {tenant_id!r} has no e-mail address for contact {contact_id!r}")
    return address


def contact_address(conn: Connection, tenant_id: str, contact_id: str, channel: str | None = None) -> str | None:
    """Where the contact is reached on a channel: the telephone number for WhatsApp, SMS and calls, else the e-mail address.

    None, for those to whom its absence is an answer, when there is none.
    """
    row = conn.execute("select email, phone from contacts where tenant_id = %s and contact_id = %s", (tenant_id, contact_id)).fetchone()
    if row is None:
        return None
    field = "phone" if channel in _BY_NUMBER else "email"
    return vault.unseal(conn, tenant_id=tenant_id, subject_id=contact_id, field=field, sealed=row[field])
