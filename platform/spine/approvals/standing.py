"""How the approvals stand: what a person who looks at the whole wants to know."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from spine.db import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Counts of requests that nobody has answered yet; those past breach are among those past warning."""

    pending: int
    past_warning: int
    past_breach: int
    oldest_requested_at: datetime | None


def standing(conn: Connection, *, tenant_id: str, now: datetime) -> Standing:
    """The pending approvals of a tenant at business time `now`."""
    row = conn.execute(
        "select count(*) as pending, count(*) filter (where warn_at <= %(now)s) as past_warning, "
        "count(*) filter (where breach_at <= %(now)s) as past_breach, min(requested_at) as oldest_requested_at "
        "from approvals where tenant_id = %(tenant_id)s and state = 'pending'",
        {"tenant_id": tenant_id, "now": now},
    ).fetchone()
    assert row is not None, "an aggregate has one row"
    return Standing(**row)


def kinds(conn: Connection, *, tenant_id: str) -> tuple[Counter[str], Counter[str]]:
    """How many requests wait, by action and by automation: what an inbox can be narrowed to."""
    actions: Counter[str] = Counter()
    automations: Counter[str] = Counter()
    for row in conn.execute(
        "select a.action, i.automation, count(*) as n from approvals a join intents i using (tenant_id, intent_id) "
        "where a.tenant_id = %s and a.state = 'pending' group by 1, 2",
        (tenant_id,),
    ):
        actions[row["action"]] += row["n"]
        automations[row["automation"]] += row["n"]
    return actions, automations
