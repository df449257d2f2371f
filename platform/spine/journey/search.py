"""Finding a journey by whatever id somebody has at hand. Every look is one index, so an id that nobody has is answered as fast."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from spine.db import Connection

_MOST = 20

# Each branch has an index of its own; the workflow's id is unfolded into the automation it begins with, for intents are found by that.
_SEARCH = """
with hits as (
  (select correlation_id, 'correlation' as by, occurred_at as at from events
    where tenant_id = %(tenant)s and correlation_id = %(text)s order by position desc limit 1)
  union all
  (select correlation_id, 'correlation', created_at from intents where tenant_id = %(tenant)s and correlation_id = %(text)s limit 1)
  union all
  (select correlation_id, 'subject', max(occurred_at) from events where tenant_id = %(tenant)s and subject = any(%(subjects)s)
    group by correlation_id order by 3 desc limit %(most)s)
  union all
  (select correlation_id, 'event', occurred_at from events where tenant_id = %(tenant)s and event_id = %(uuid)s limit 1)
  union all
  (select correlation_id, 'intent', created_at from intents where tenant_id = %(tenant)s and intent_id = %(uuid)s)
  union all
  (select i.correlation_id, 'approval', a.requested_at from approvals a join intents i using (tenant_id, intent_id)
    where a.tenant_id = %(tenant)s and a.approval_id = %(uuid)s)
  union all
  (select correlation_id, 'workflow', max(created_at) from intents
    where tenant_id = %(tenant)s and automation = %(automation)s and workflow_id = %(text)s group by correlation_id limit %(most)s)
)
select correlation_id, (array_agg(by order by by))[1] as by, max(at) as at from hits
where correlation_id is not null group by correlation_id order by at desc limit %(most)s
"""

_RECENT = """
select correlation_id, max(occurred_at) as at, min(subject) filter (where is_first) as subject, min(type) filter (where is_first) as type,
       count(*) as events
from (select correlation_id, occurred_at, subject, type,
             row_number() over (partition by correlation_id order by position) = 1 as is_first
      from (select correlation_id, occurred_at, subject, type, position from events
            where tenant_id = %(tenant)s order by position desc limit 500) latest) told
group by correlation_id order by at desc limit %(most)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A journey that was found. `by` says by what: correlation, subject, event, intent, approval, workflow; or recent.

    For a recent one, `subject` and `type` are of the first event among those that were looked at.
    """

    correlation_id: str
    by: str
    at: datetime
    subject: str | None = None
    type: str | None = None
    events: int = 0


def search(conn: Connection, tenant_id: str, text: str) -> list[Found]:
    """At most twenty journeys, the newest first, that an id belongs to: a flow's, a workflow's, an intent's, an event's, a subject's."""
    text = text.strip()
    if not text or "\0" in text:
        return []
    # `tenant/automation/key`: the key is what the events are about, such as a lead.
    owner, _, rest = text.partition("/")
    automation, _, key = rest.partition("/")
    mine = owner == tenant_id and bool(key)
    given = {
        "tenant": tenant_id,
        "text": text,
        "uuid": _uuid(text),
        "subjects": [text, key] if mine else [text],
        "automation": automation if mine else "",
        "most": _MOST,
    }
    return [Found(**row) for row in conn.execute(_SEARCH, given)]


def recent(conn: Connection, tenant_id: str) -> list[Found]:
    """The flows of the last five hundred events, at most twenty of them, the newest first."""
    return [Found(**row, by="recent") for row in conn.execute(_RECENT, {"tenant": tenant_id, "most": _MOST})]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
