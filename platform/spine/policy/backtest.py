"""Another policy table: what it changes line by line, and which recorded intents it would have judged otherwise. Never writes.

Both tables judge what was recorded (payload, papers, confidence, amount), under facts that forbid nothing: no kill switch, a contact
who may be written to, no canary, budget left. What stood in the way that day is not on record, and it is the tables that are compared.
Class, reversibility and the rest are each table's own. Limit: an intent whose compensation was judged an undo counts as one.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from spine.contacts import Contactable
from spine.db import Connection
from spine.intents import Intent, listing
from spine.intents.gate import reclassified, subject_of
from spine.policy.decide import Canary, Decision, Facts, decide
from spine.policy.explain import said
from spine.policy.table import PolicyTable

PAGE = 200
_SHARED = ("approvers", "confidence_threshold", "notice_cooldown", "contact", "role_sets")


@dataclass(frozen=True, slots=True)
class Difference:
    """`action` is empty for what all lines share; a line that is new or gone has no field."""

    action: str
    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A recorded intent that the candidate judges otherwise."""

    intent_id: str
    automation: str
    action: str
    before: str
    after: str


@dataclass(slots=True)
class Backtest:
    judged: int = 0
    moves: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(action, from, to) → how many."""
    moved: list[Moved] = field(default_factory=list)
    """The newest of them, at most as many as were asked for."""

    @property
    def changed(self) -> int:
        return sum(self.moves.values())


def diff(before: PolicyTable, after: PolicyTable) -> Iterator[Difference]:
    """Field by field, shared settings first, actions by name."""
    yield from _fields("", before.model_dump(mode="json", include=set(_SHARED)), after.model_dump(mode="json", include=set(_SHARED)))
    old = {"(unknown)": before.unknown, "(empty)": before.empty, **before.actions}
    new = {"(unknown)": after.unknown, "(empty)": after.empty, **after.actions}
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            yield Difference(name, "", "in the table", "not in the table: judged as unknown")
        elif name not in old:
            yield Difference(name, "", "not in the table: judged as unknown", "in the table")
        else:
            yield from _fields(name, old[name].model_dump(mode="json"), new[name].model_dump(mode="json"))


def backtest(
    conn: Connection,
    *,
    tenant_id: str,
    current: PolicyTable,
    candidate: PolicyTable,
    shown: int = 50,
    progress: Callable[[int], None] = lambda _judged: None,
) -> Backtest:
    """Judge every recorded intent of a tenant, the newest first, by both tables. `progress` hears how many after each page."""
    found, cursor = Backtest(), None
    while True:
        page = listing(conn, tenant_id=tenant_id, cursor=cursor, limit=PAGE)
        for intent in page.items:
            before, after = (said(_judge(intent, table)) for table in (current, candidate))
            found.judged += 1
            if before != after:
                found.moves[intent.action, before, after] += 1
                if len(found.moved) < shown:
                    found.moved.append(Moved(intent.intent_id, intent.automation, intent.action, before, after))
        progress(found.judged)
        if (cursor := page.next) is None:
            return found


def _judge(intent: Intent, table: PolicyTable) -> Decision:
    rule = table.rule(intent.action)
    is_undo = intent.compensates is not None and rule.undo_reference is not None
    facts = Facts(
        tenant_id=intent.tenant_id,
        effects_allowed=None,
        contact=Contactable(),
        canary=Canary.NOT_ENFORCED,
        confidence_threshold=table.confidence_threshold,
        class_approvers=table.approvers,
    )
    return decide(subject_of(reclassified(intent, rule, table), rule, is_undo=is_undo), facts)


def _fields(action: str, before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[Difference]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Difference(action, name, str(before.get(name)), str(after.get(name)))
