"""What the demo shows besides counting: an emergency stop in the middle, a log that proves itself, and no address where none belongs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.events import ActorType, Severity
from spine import budgets
from spine.audit import Actor, export, seals, verify
from spine.clock import Clock
from spine.db import Connection, Database
from spine.demo.count import Invariant
from spine.policy import switches
from spine.policy.switches import Scope
from spine.sweeper import look

STOPPED = "outreach-sequence"
STOP = timedelta(seconds=3)  # of real time: half a business day at the demo's pace
MESSAGES_BEFORE = 3
_GRACE = timedelta(seconds=0.5)  # a transaction that read "no switch" just before may still commit: it began before the stop
_GRAVE = (Severity.V2, Severity.V3)
_OPERATOR, _ADMIN = Actor(ActorType.HUMAN, "ana.operator"), Actor(ActorType.HUMAN, "emre.ceo")
# Addresses that the demo made: each contact's, each owner's.
_ADDRESSES = ("buyer@", "@owners.example")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """An emergency stop of one automation, in real time."""

    engaged_at: datetime
    released_at: datetime


@dataclass(slots=True, kw_only=True)
class Emergency:
    """Stops the outreach once, when its first messages are out, and lets it go on after a while."""

    database: Database
    tenant_id: str
    clock: Clock
    stop: Stop | None = None
    _engaged_at: datetime | None = None

    def go_on(self, *, messages_out: int) -> str:
        """To be called often. What was done just now, in words; empty when nothing was."""
        if self._engaged_at is None and messages_out >= MESSAGES_BEFORE:
            self._switch(switches.engage, "demo: somebody saw a wrong price list", _OPERATOR)
            self._engaged_at = datetime.now(UTC)
            return f"somebody stops {STOPPED!r}: nothing of it goes out"
        if self._engaged_at and not self.stop and datetime.now(UTC) - self._engaged_at >= STOP:
            self.stop = Stop(engaged_at=self._engaged_at, released_at=datetime.now(UTC))
            self._switch(switches.release, "demo: the list is right", _ADMIN)
            return f"{STOPPED!r} may go on"
        return ""

    def _switch(self, move: Callable[..., bool], reason: str, actor: Actor) -> None:
        with self.database.tenant(self.tenant_id) as conn:
            given = {"scope": Scope.AUTOMATION, "target": STOPPED, "reason": reason}
            move(conn, tenant_id=self.tenant_id, actor=actor, now=self.clock.now(), **given)


def invariants(database: Database, tenant_id: str, clock: Clock, *, stop: Stop | None, logs: Path) -> tuple[Invariant, ...]:
    """Proved on the books as they are at the end. The audit log is sealed here, so that all of it is judged."""
    with database.tenant(tenant_id) as conn:
        while seals.seal(conn, tenant_id=tenant_id, now=clock.now()):
            pass
    verdict = verify.of_export(export.lines(lambda: database.tenant(tenant_id), tenant_id=tenant_id, now=clock.now()))
    with database.tenant(tenant_id) as conn:
        grave = [one for one in look(conn, tenant_id=tenant_id, clock=clock, real_now=datetime.now(UTC)) if one.severity in _GRAVE]
        held = budgets.held(conn, tenant_id=tenant_id)
        begun = _begun_during(conn, stop)
        addresses = [*_rows_with_an_address(conn), *_logs_with_an_address(logs)]
    fault = verdict.fault.why if verdict.fault else ""
    return (
        Invariant("a kill switch stops new effects at once, and the work goes on after it", begun == 0, f"{begun} begun while it stood"),
        Invariant(
            "the audit log proves itself from an export", verdict.is_whole and verdict.seals > 0, fault or f"{verdict.rows} rows sealed"
        ),
        Invariant("the sweeper finds nothing that must not be", not grave, "; ".join(f"{one.code} {one.about}" for one in grave[:3])),
        Invariant("no reservation of money is left open", not held, f"{len(held)} held"),
        Invariant("no address in events, audit rows or logs", not addresses, ", ".join(addresses)),
    )


def _begun_during(conn: Connection, stop: Stop | None) -> int | None:
    """Effects of the stopped automation that began while it was stopped; None: it never was, and nothing is shown."""
    if stop is None:
        return None
    row = conn.execute(
        "select count(*) as n from audit_log a join intents i on i.tenant_id = a.tenant_id and i.intent_id::text = a.subject_id "
        "where i.automation = %s and a.detail ->> 'to' = 'executing' and a.recorded_at between %s and %s",
        (STOPPED, stop.engaged_at + _GRACE, stop.released_at),
    ).fetchone()
    assert row is not None, "an aggregate without GROUP BY always returns a row"
    return int(row["n"])


def _rows_with_an_address(conn: Connection) -> list[str]:
    found = conn.execute(
        "select 'event ' || position as place from events where envelope::text ~ %(address)s "
        "union all select 'audit row ' || position from audit_log a where a::text ~ %(address)s limit 3",
        {"address": "|".join(_ADDRESSES)},
    )
    return [row["place"] for row in found]


def _logs_with_an_address(logs: Path) -> list[str]:
    """The providers are the outside: what they write down of what they received is theirs."""
    ours = (path for path in sorted(logs.glob("*.log")) if path.stem != "providers")
    return [path.name for path in ours if any(mark in path.read_text(errors="replace") for mark in _ADDRESSES)]
