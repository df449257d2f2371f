"""People outside, and whether they may be written to, now.

Addresses live in the table `contacts` and nowhere else; everything else says `contact_id`. Consent is purpose × channel and
lasts twelve months; an opt-out is at once, permanent and per channel: no later consent lifts it. Sources: domain.md §10.3
(PDPL, contactability), where the order of the checks comes from too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from spine.db import Connection
from spine.errors import InvalidInput, NotFound
from spine.ids import new_id

PURPOSES = ("marketing", "sales", "service", "analytics")
CHANNELS = ("whatsapp", "email", "sms", "phone")
_WEEK = timedelta(days=7)


class ContactRules(BaseModel):
    """The numbers of contactability. They are part of the policy table, so that its version covers them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    zone: str = "Asia/Riyadh"
    quiet_from: time = time(21)
    quiet_until: time = time(8)
    weekly_cap: int = Field(default=2, ge=1)
    follow_ups: int = Field(default=3, ge=0)
    """At most this many messages after the first one of a sequence; a reply ends the sequence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactFacts:
    """What is on record about one contact, for one purpose and channel."""

    known: bool = True
    opted_out_at: datetime | None = None
    consented_at: datetime | None = None
    consent_expires_at: datetime | None = None
    sent_this_week: Sequence[datetime] = ()
    """Times of the messages on this channel in the last seven days, oldest first."""
    sent_in_sequence: int = 0
    """Messages that the asking workflow has already sent to this contact."""


@dataclass(frozen=True, slots=True)
class Contactable:
    pass


@dataclass(frozen=True, slots=True)
class NotContactable:
    """`next_allowed_at` is None when waiting does not help."""

    code: str
    next_allowed_at: datetime | None = None


def judge_contact(
    facts: ContactFacts, now: datetime, zone: ZoneInfo | None = None, rules: ContactRules | None = None
) -> Contactable | NotContactable:
    """May this contact be written to at `now`? The first that says no wins.

    Order: permanent opt-out, no consent, expired consent, follow-up cap, weekly cap, quiet hours. A time that is given as
    `next_allowed_at` lies outside the quiet hours, but consent may have expired by then: ask again at that time.
    """
    rules = rules or ContactRules()
    zone = zone or ZoneInfo(rules.zone)
    if facts.opted_out_at is not None:
        return NotContactable("opted-out")
    if not facts.known or facts.consented_at is None or facts.consented_at > now:
        return NotContactable("no-consent")
    if facts.consent_expires_at is None or facts.consent_expires_at <= now:
        return NotContactable("consent-expired")
    if facts.sent_in_sequence > rules.follow_ups:
        return NotContactable("follow-up-cap")
    recent = sorted(sent for sent in facts.sent_this_week if sent > now - _WEEK)
    if len(recent) >= rules.weekly_cap:
        free_at = recent[-rules.weekly_cap] + _WEEK
        return NotContactable("weekly-cap", end_of_quiet_hours(free_at, zone, rules) or free_at)
    if end := end_of_quiet_hours(now, zone, rules):
        return NotContactable("quiet-hours", end)
    return Contactable()


def end_of_quiet_hours(at: datetime, zone: ZoneInfo, rules: ContactRules) -> datetime | None:
    """When the quiet hours that `at` falls into end, in `at`'s own zone; None outside them. Their end is not quiet any more."""
    local = at.astimezone(zone)
    clock = local.time()
    overnight = rules.quiet_from > rules.quiet_until
    quiet = (clock >= rules.quiet_from or clock < rules.quiet_until) if overnight else rules.quiet_from <= clock < rules.quiet_until
    if not quiet:
        return None
    day = local.date() + timedelta(days=1 if overnight and clock >= rules.quiet_from else 0)
    return datetime.combine(day, rules.quiet_until, tzinfo=zone).astimezone(at.tzinfo)


def upsert_contact(conn: Connection, *, tenant_id: str, contact_id: str, account: str, email: str | None) -> None:
    """Know a contact, or change what is known. Raises InvalidInput for an id that carries an address."""
    if "@" in contact_id or not contact_id.strip():
        raise InvalidInput(
            f"contact id {'(an address)' if '@' in contact_id else contact_id!r} is not a reference: use shared.events.keys.contact_ref"
        )
    conn.execute(
        "insert into contacts (tenant_id, contact_id, account, email) values (%s, %s, %s, %s) "
        "on conflict (tenant_id, contact_id) do update set account = excluded.account, email = excluded.email, updated_at = now()",
        (tenant_id, contact_id, account, email),
    )


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
    consents: tuple[str, ...]
    opted_out: tuple[str, ...]


_KNOWN = """
select c.contact_id, c.account, c.email, coalesce(agreed.found, '{}') as consents, coalesce(refused.found, '{}') as opted_out
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
    rows = conn.execute(_KNOWN, {"tenant": tenant_id, "now": now, "contact": contact_id, "limit": limit})
    return [KnownContact(**{**row, "consents": tuple(row["consents"]), "opted_out": tuple(row["opted_out"])}) for row in rows]


def address_of(conn: Connection, tenant_id: str, contact_id: str) -> str:
    """The e-mail address, for the one who is about to use it inside an effect. Raises NotFound when there is none."""
    address = contact_address(conn, tenant_id, contact_id)
    if address is None:
        raise NotFound(f"tenant {tenant_id!r} has no e-mail address for contact {contact_id!r}")
    return address


def contact_address(conn: Connection, tenant_id: str, contact_id: str) -> str | None:
    """As `address_of`, for those to whom its absence is an answer."""
    row = conn.execute("select email from contacts where tenant_id = %s and contact_id = %s", (tenant_id, contact_id)).fetchone()
    return None if row is None or not row["email"] else str(row["email"])


_FACTS = """
select
    exists (select from contacts c where c.tenant_id = %(tenant)s and c.contact_id = %(contact)s) as known,
    (select min(given_at) from consents
     where tenant_id = %(tenant)s and contact_id = %(contact)s and channel = %(channel)s and kind = 'opted_out') as opted_out_at,
    newest.given_at as consented_at,
    newest.expires_at as consent_expires_at,
    (select coalesce(array_agg(sent_at order by sent_at), '{}') from messages_sent
     where tenant_id = %(tenant)s and contact_id = %(contact)s and channel = %(channel)s
       and sent_at > %(now)s - interval '7 days' and intent_id is distinct from %(intent)s) as sent_this_week,
    (select count(*) from messages_sent m join intents i using (tenant_id, intent_id)
     where m.tenant_id = %(tenant)s and m.contact_id = %(contact)s and m.channel = %(channel)s
       and i.workflow_id = %(workflow)s and m.intent_id is distinct from %(intent)s) as sent_in_sequence
from (select) as once left join lateral (
    select given_at, expires_at from consents
    where tenant_id = %(tenant)s and contact_id = %(contact)s and channel = %(channel)s
      and kind = 'granted' and purpose = %(purpose)s
    order by given_at desc limit 1
) as newest on true
"""


def contact_facts(
    conn: Connection,
    *,
    tenant_id: str,
    contact_id: str,
    purpose: str,
    channel: str,
    now: datetime,
    workflow_id: str | None = None,
    intent_id: Any = None,
    lock: bool = False,
) -> ContactFacts:
    """What is on record. A message of `intent_id` itself is not counted, so that a second attempt does not count the first.

    With `lock`, the contact stays locked to the end of the transaction: two sends at once cannot both be the last of the week.
    """
    if lock:
        conn.execute("select from contacts where tenant_id = %s and contact_id = %s for update", (tenant_id, contact_id))
    row = conn.execute(
        _FACTS,
        {
            "tenant": tenant_id,
            "contact": contact_id,
            "channel": channel,
            "purpose": purpose,
            "now": now,
            "workflow": workflow_id,
            "intent": intent_id,
        },
    ).fetchone()
    assert row is not None, "one row of aggregates, always"
    return ContactFacts(**row)
