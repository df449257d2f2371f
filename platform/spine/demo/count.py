"""Counting: the platform's own books, the providers' ledgers, and whether the two agree."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from spine.db import Connection
from spine.errors import ProviderUnavailable
from spine.journey import Journey


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What the platform says happened, read in one transaction of one tenant."""

    events: Mapping[str, int]
    started: int
    already_known: int
    dead_letters: int
    verdicts: Mapping[str, int]
    approval_states: Mapping[str, int]
    intent_states: Mapping[str, int]
    effects: Mapping[str, int]
    reconciled: int
    judged_again: int
    runnable_behind_a_reject: int
    effects_without_permission: int
    audit_rows: int


def read_books(connection: Connection) -> Books:
    def tally(query: str) -> dict[str, int]:
        return {str(row["name"]): int(row["n"]) for row in connection.execute(query)}

    def number(query: str) -> int:
        row = connection.execute(query).fetchone()
        assert row is not None, "an aggregate without GROUP BY always returns a row"
        return int(row["n"])

    return Books(
        events=tally("select type as name, count(*) as n from events group by type order by type"),
        started=number("select count(*) as n from deliveries where state = 'delivered' and outcome = 'started'"),
        already_known=number("select count(*) as n from deliveries where state = 'delivered' and outcome = 'already known'"),
        dead_letters=number("select count(*) as n from dead_letters where state = 'open'"),
        verdicts=tally("select verdict as name, count(*) as n from approval_decisions group by verdict"),
        approval_states=tally("select state as name, count(*) as n from approvals group by state"),
        intent_states=tally("select state as name, count(*) as n from intents group by state"),
        effects=tally("select plugin as name, count(*) as n from effects where state = 'completed' group by plugin"),
        reconciled=number("select count(*) as n from effects where reconciled"),
        judged_again=number(
            "select count(*) as n from intents i join approvals a using (tenant_id, intent_id) "
            "where a.state = 'edited' and i.state = 'superseded' and exists "
            "(select 1 from intents s where s.tenant_id = i.tenant_id and s.supersedes = i.intent_id and s.digest <> i.digest)"
        ),
        # A reject closes its intent; nothing of the same automation and key may be left that could still run.
        runnable_behind_a_reject=number(
            "select count(*) as n from approval_decisions d join approvals a using (tenant_id, approval_id) "
            "join intents r using (tenant_id, intent_id) join intents i using (tenant_id, automation, key) "
            "where d.verdict = 'reject' and i.state in ('proposed', 'awaiting_approval', 'runnable', 'executing', 'unknown')"
        ),
        # An edit that counts as its editor's own approval has one too: for the revision that it made.
        effects_without_permission=number(
            "select count(*) as n from effects e join intents i using (tenant_id, intent_id) "
            "left join approvals a using (tenant_id, intent_id) "
            "where i.action_class <> 'A' and coalesce(a.state, 'none') <> 'consumed'"
        ),
        audit_rows=number("select count(*) as n from audit_log"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FarEnd:
    """What the providers say they received: provider → (operation, key) → how many times it took effect."""

    made: Mapping[str, Mapping[str, int]]

    def effects(self) -> dict[str, int]:
        return {provider: sum(keys.values()) for provider, keys in self.made.items()}

    def duplicates(self) -> int:
        return sum(count - 1 for keys in self.made.values() for count in keys.values())


def ask_providers(url: str) -> FarEnd:
    """The ledgers of the demo's providers. Raises ProviderUnavailable: a demo that cannot count must not pass."""
    try:
        answer = httpx.get(f"{url}/ledger", params={"entries": 1}, timeout=10)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise ProviderUnavailable(f"the demo's providers at {url} do not answer: {error}") from error
    made: dict[str, Counter[str]] = {}
    for entry in answer.json()["entries"]:
        if entry["made"]:
            made.setdefault(entry["provider"], Counter())[f"{entry['operation']} {entry['key']}"] += 1
    return FarEnd(made=made)


@dataclass(frozen=True, slots=True)
class Invariant:
    name: str
    holds: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Everything the demo prints: `table` in order, `invariants`, one fact's journey, and whether the demo passed."""

    table: Mapping[str, Any]
    invariants: Sequence[Invariant]
    journey: Journey

    @property
    def passed(self) -> bool:
        return all(invariant.holds for invariant in self.invariants)
