"""What the judgement needs to know, read in one query inside the caller's transaction."""

from datetime import datetime, timedelta
from typing import Any

from spine.contacts.rules import ContactFacts, ContactRules
from spine.db import Connection

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
       and i.workflow_id = %(workflow)s and m.intent_id is distinct from %(intent)s) as sent_in_sequence,
    (select max(received_at) from messages_received
     where tenant_id = %(tenant)s and contact_id = %(contact)s and channel = %(channel)s) as last_received_at,
    case when %(template)s::text is not null then exists (
        select from message_templates
        where tenant_id = %(tenant)s and channel = %(channel)s and name = %(template)s and withdrawn_at is null
    ) end as template_approved,
    (select sent_at from messages_sent where tenant_id = %(tenant)s and channel = %(channel)s and intent_id is distinct from %(intent)s
     order by sent_at desc offset %(but)s limit 1) as day_filled_by,
    (select count(*) from messages_sent where tenant_id = %(tenant)s and channel = %(channel)s and sent_at > watched.since) as channel_sent,
    (select count(*) from message_reports where tenant_id = %(tenant)s and channel = %(channel)s and kind = 'bounce'
       and reported_at > watched.since) as channel_bounces,
    (select count(*) from message_reports where tenant_id = %(tenant)s and channel = %(channel)s and kind = 'complaint'
       and reported_at > watched.since) as channel_complaints
from (
    select greatest(%(watch_from)s::timestamptz, (
        select max(resumed_at) from channel_resumptions where tenant_id = %(tenant)s and channel = %(channel)s
    )) as since
) as watched left join lateral (
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
    template: str | None = None,
    rules: ContactRules | None = None,
    lock: bool = False,
) -> ContactFacts:
    """What is on record. A message of `intent_id` itself is not counted, so that a second attempt does not count the first.

    With `lock`, the contact and the tenant's channel stay locked to the end of the transaction: two sends at once cannot both be
    the last of the week, or of the day. Locked in this order by everyone, so that nobody waits in a circle.
    """
    rules = rules or ContactRules()
    if lock:
        conn.execute("select from contacts where tenant_id = %s and contact_id = %s for update", (tenant_id, contact_id))
        if rules.of(channel).daily_cap is not None:
            conn.execute("select pg_advisory_xact_lock(hashtextextended('spine.channel/' || %s || '/' || %s, 0))", (tenant_id, channel))
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
            "template": template,
            "but": (rules.of(channel).daily_cap or 1) - 1,
            "watch_from": now - max(rules.halt_window, timedelta(0)),
        },
    ).fetchone()
    assert row is not None, "one row of aggregates, always"
    return ContactFacts(**row)
