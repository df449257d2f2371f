"""How the automations have been doing: what became of their intents, from the ledger."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from spine.db import Connection
from spine.intents import IntentState


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Of one automation: intents by state, of those proposed since a moment, and the newest one ever."""

    states: Mapping[IntentState, int] = field(default_factory=dict)
    last_at: datetime | None = None
    last_correlation_id: str | None = None

    @property
    def total(self) -> int:
        return sum(self.states.values())


# By state and age, which is what one index is made of; the newest one of an automation is a short look into another.
_COUNTS = (
    "select automation, state, count(*) as n from intents where tenant_id = %(tenant)s and state = any(%(states)s) "
    "and created_at >= %(since)s group by automation, state"
)
_NEWEST = (
    "select wanted.automation, newest.* from unnest(%(automations)s::text[]) as wanted (automation) cross join lateral "
    "(select created_at, correlation_id from intents where tenant_id = %(tenant)s and automation = wanted.automation "
    "order by created_at desc limit 1) newest"
)


def results(conn: Connection, *, tenant_id: str, automations: list[str], since: datetime) -> Mapping[str, Results]:
    """Each of these automations, also one that never proposed anything."""
    given = {"tenant": tenant_id, "since": since, "states": [state.value for state in IntentState], "automations": automations}
    states: dict[str, dict[IntentState, int]] = defaultdict(dict)
    for row in conn.execute(_COUNTS, given):
        states[row["automation"]][IntentState(row["state"])] = row["n"]
    newest = {row["automation"]: row for row in conn.execute(_NEWEST, given)}
    return {
        name: Results(
            states=states.get(name, {}),
            last_at=newest[name]["created_at"] if name in newest else None,
            last_correlation_id=newest[name]["correlation_id"] if name in newest else None,
        )
        for name in automations
    }
