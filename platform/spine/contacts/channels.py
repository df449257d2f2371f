"""What happens on a channel besides our own sends: what people wrote to us, what bounced, who complained, what was approved."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.events import ActorType, EventData, OutreachDeliveryFailed, OutreachReplied, Severity
from spine import audit
from spine.audit import Actor
from spine.contacts.records import opt_out
from spine.contacts.rules import CHANNELS, ContactRules, is_halted
from spine.db import Connection
from spine.errors import Conflict, InvalidInput, NotFound
from spine.ids import new_id

_STANDINGS = """
select channel, since,
    (select count(*) from messages_sent m where m.tenant_id = %(tenant)s and m.channel = c.channel and m.sent_at > c.since) as sent,
    (select count(*) from message_reports r where r.tenant_id = %(tenant)s and r.channel = c.channel and r.kind = 'bounce'
       and r.reported_at > c.since) as bounces,
    (select count(*) from message_reports r where r.tenant_id = %(tenant)s and r.channel = c.channel and r.kind = 'complaint'
       and r.reported_at > c.since) as complaints
from (
    select channel, greatest(%(from)s::timestamptz, (
        select max(resumed_at) from channel_resumptions s where s.tenant_id = %(tenant)s and s.channel = named.channel
    )) as since from unnest(%(channels)s::text[]) as named (channel)
) as c
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStanding:
    """A tenant's use of one channel since `since`. A halted one sends nothing until a person resumes it."""

    channel: str
    since: datetime
    sent: int
    bounces: int
    complaints: int
    halted: bool


def channel_standings(conn: Connection, *, tenant_id: str, now: datetime, rules: ContactRules | None = None) -> list[ChannelStanding]:
    rules = rules or ContactRules()
    rows = conn.execute(_STANDINGS, {"tenant": tenant_id, "from": now - rules.halt_window, "channels": list(CHANNELS)})
    return [ChannelStanding(**row, halted=is_halted(row["sent"], row["bounces"], row["complaints"], rules)) for row in rows]


def message_received(conn: Connection, *, tenant_id: str, contact_id: str, channel: str, message_ref: str, at: datetime) -> bool:
    """The contact wrote to us: on WhatsApp that opens 24 hours of free text. False: this message is on record already."""
    _refuse_unknown(channel)
    return (
        conn.execute(
            "insert into messages_received (tenant_id, channel, message_ref, contact_id, received_at) values (%s, %s, %s, %s, %s) "
            "on conflict do nothing",
            (tenant_id, channel, message_ref, contact_id, at),
        ).rowcount
        == 1
    )


def message_reported(
    conn: Connection,
    *,
    tenant_id: str,
    contact_id: str,
    channel: str,
    kind: Literal["bounce", "complaint"],
    message_ref: str,
    at: datetime,
    actor: Actor,
    rules: ContactRules | None = None,
) -> bool:
    """A message came back, or was complained about. False: that is on record already, nothing was written.

    A complaint is an objection (PDPL), so the contact is opted out of the channel too, at once and for good. Whoever's report takes
    the channel over its limit is on record with severity V2: from then on the gate says `channel-halted`.
    """
    _refuse_unknown(channel)
    before = _is_halted(conn, tenant_id, channel, at, rules)
    new = conn.execute(
        "insert into message_reports (tenant_id, channel, kind, message_ref, contact_id, reported_at) values (%s, %s, %s, %s, %s, %s) "
        "on conflict do nothing",
        (tenant_id, channel, kind, message_ref, contact_id, at),
    ).rowcount
    if not new:
        return False
    if kind == "complaint":
        _object(conn, tenant_id, contact_id, channel, at)
    if not before and _is_halted(conn, tenant_id, channel, at, rules):
        audit.record(
            conn,
            tenant_id=tenant_id,
            actor=actor,
            action="channel.halted",
            subject_type="channel",
            subject_id=channel,
            now=at,
            severity=Severity.V2,
            detail={"by": kind},
        )
    return True


def hear(conn: Connection, data: EventData, *, tenant_id: str, at: datetime, now: datetime) -> None:
    """Take what an event says about a conversation into the record; other events are none of our business.

    `at` is when its teller says that it happened: a time in the future opens nothing, it counts as now.
    """
    at = min(at, now)
    match data:
        case OutreachReplied(channel=channel, contact_id=contact_id, message_ref=reference) if _ours(channel):
            message_received(conn, tenant_id=tenant_id, contact_id=contact_id, channel=_ours(channel), message_ref=reference, at=at)
        case OutreachDeliveryFailed(channel=channel, contact_id=contact_id, message_ref=reference, kind=kind) if _ours(channel):
            message_reported(
                conn,
                tenant_id=tenant_id,
                contact_id=contact_id,
                channel=_ours(channel),
                kind=kind,
                message_ref=reference,
                at=at,
                actor=Actor(ActorType.EXECUTOR_SYSTEM, "provider"),
            )
        case _:
            pass


def resume_channel(conn: Connection, *, tenant_id: str, channel: str, actor: Actor, reason: str, now: datetime) -> None:
    """A person has looked: the count of a halted channel begins anew. Raises Conflict for one that is not halted."""
    _refuse_unknown(channel)
    if not reason.strip():
        raise InvalidInput(f"channel {channel!r} is resumed with a reason: say what was done about the bounces or complaints")
    if not _is_halted(conn, tenant_id, channel, now, None):
        raise Conflict(f"channel {channel!r} of tenant {tenant_id!r} is not halted: there is nothing to resume")
    conn.execute(
        "insert into channel_resumptions (tenant_id, resumption_id, channel, resumed_at, resumed_by, reason) "
        "values (%s, %s, %s, %s, %s, %s)",
        (tenant_id, new_id(), channel, now, actor.id, reason),
    )


def approve_template(conn: Connection, *, tenant_id: str, channel: str, name: str, now: datetime) -> None:
    """The provider has approved this template for this tenant; a withdrawn one counts again."""
    _refuse_unknown(channel)
    if not name.strip():
        raise InvalidInput("a template has a name: the one under which the provider approved it")
    conn.execute(
        "insert into message_templates (tenant_id, channel, name, approved_at) values (%s, %s, %s, %s) "
        "on conflict (tenant_id, channel, name) do update set approved_at = excluded.approved_at, withdrawn_at = null",
        (tenant_id, channel, name, now),
    )


def withdraw_template(conn: Connection, *, tenant_id: str, channel: str, name: str, now: datetime) -> None:
    """Raises NotFound for one that is not approved."""
    changed = conn.execute(
        "update message_templates set withdrawn_at = %s where tenant_id = %s and channel = %s and name = %s and withdrawn_at is null",
        (now, tenant_id, channel, name),
    ).rowcount
    if not changed:
        raise NotFound(f"tenant {tenant_id!r} has no approved template {name!r} for {channel!r}")


def _is_halted(conn: Connection, tenant_id: str, channel: str, now: datetime, rules: ContactRules | None) -> bool:
    return any(one.halted for one in channel_standings(conn, tenant_id=tenant_id, now=now, rules=rules) if one.channel == channel)


def _object(conn: Connection, tenant_id: str, contact_id: str, channel: str, at: datetime) -> None:
    known = conn.execute("select from contacts where tenant_id = %s and contact_id = %s", (tenant_id, contact_id)).rowcount
    if known:  # a stranger has given no consent that could be taken back
        opt_out(conn, tenant_id=tenant_id, contact_id=contact_id, channel=channel, source="complaint", now=at)


def _ours(channel: str) -> str:
    """The channel of consent for a channel of conversation; '' where consent knows no such channel."""
    name = "phone" if channel == "voice" else channel
    return name if name in CHANNELS else ""


def _refuse_unknown(channel: str) -> None:
    if channel not in CHANNELS:
        raise InvalidInput(f"channel {channel!r} is none of {', '.join(CHANNELS)}")
