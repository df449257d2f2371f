"""The books of a consumer group: its offset, its deliveries, its dead letters. Written by the connection that holds the lease.

One statement a table and turn, whatever the number of events: the bookkeeping of a burst must not cost more than its dispatch.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from spine import deadletters
from spine.db import Connection
from spine.deadletters import circuits
from spine.deadletters.circuits import RULE, CircuitRule
from spine.eventlog.read import Place
from spine.telemetry import span

_FOR_EVER = 100 * 365 * 86400.0  # seconds; a timestamp, since PostgreSQL's infinity is none that Python can hold

# What is not yet safe to read is marked rather than left out: it sorts after all that is, and tells the reader to look again
# soon, since the end of the transaction that held it back announces nothing.
_WINDOW = """
select xid::text::bigint as xid, position, tenant_id, event_id, partition_key, 0 as attempts,
       xid < pg_snapshot_xmin(pg_current_snapshot()) as is_safe, type = any(%(types)s) as is_ours,
       case when type = any(%(types)s) then envelope end as envelope
from events where (xid, position) > (%(xid)s::text::xid8, %(position)s) order by xid, position limit %(limit)s
"""

# A key is due when the first of its waiting events is; those behind it come along, in the order of the log.
_DUE = """
select * from (
    select e.xid::text::bigint as xid, position, d.tenant_id, d.event_id, d.partition_key, d.attempts, e.envelope, e.xid as reading_order,
           d.held_by, first_value(d.next_attempt_at) over (partition by d.tenant_id, d.partition_key order by e.xid, position) as key_due_at
    from deliveries d join events e using (position)
    where d.group_name = %(group)s and d.state = 'waiting'
) as waiting
where key_due_at <= clock_timestamp() order by reading_order, position limit %(limit)s
"""

_SETTLE = """
insert into deliveries
    (group_name, position, tenant_id, event_id, partition_key, state, outcome, target, attempts, next_attempt_at, detail, held_by)
select %(group)s, position, tenant_id, event_id, partition_key, state, outcome, target, attempts,
       case when state = 'waiting' then clock_timestamp() + make_interval(secs => delay_seconds) end, detail, held_by
from jsonb_to_recordset(%(rows)s) as r (position bigint, tenant_id text, event_id uuid, partition_key text, state text, outcome text,
                                        target text, attempts int, delay_seconds float8, detail text, held_by text)
on conflict (group_name, position) do update
    set state = excluded.state, outcome = excluded.outcome, target = excluded.target, attempts = excluded.attempts,
        next_attempt_at = excluded.next_attempt_at, detail = excluded.detail, held_by = excluded.held_by, updated_at = now()
"""

# A person asked for a retry: the dead letter says so, the delivery is still dead. See spine.deadletters.
_REVIVE = """
update deliveries d set state = 'waiting', outcome = 'retried', attempts = 0, next_attempt_at = clock_timestamp(), updated_at = now()
from dead_letters l
where d.group_name = %(group)s and d.state = 'dead'
  and l.plane = 'event' and l.consumer = d.group_name and l.state = 'retried'
  and l.tenant_id = d.tenant_id and l.reference = d.event_id::text
"""

# A circuit closed, by a probe or by a person: what waited behind it is due, with all its attempts before it.
_RELEASE = """
update deliveries d
set next_attempt_at = clock_timestamp(), outcome = 'released', attempts = 0, held_by = null, updated_at = now()
from dead_letter_circuits c
where d.group_name = %(group)s and d.state = 'waiting' and d.held_by is not null
  and c.plane = 'event' and c.consumer = d.group_name and c.tenant_id = d.tenant_id and c.error_code = d.held_by and c.state = 'closed'
"""

# The first in the log of those that wait behind a circuit, due now: the probe.
_PROBE = """
update deliveries set next_attempt_at = clock_timestamp(), updated_at = now()
where group_name = %(group)s and position = (
    select position from deliveries where group_name = %(group)s and tenant_id = %(tenant)s and held_by = %(code)s
    order by position limit 1)
"""

_LAG = """
select count(*) as lag from (
    select 1 from events where (xid, position) > (%(xid)s::text::xid8, %(position)s) and type = any(%(types)s) limit 10000
) as ahead
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The new state of one event in one group."""

    position: int
    tenant_id: str
    event_id: UUID
    partition_key: str
    state: Literal["delivered", "waiting", "dead"]
    outcome: str
    target: str | None = None
    attempts: int = 1
    delay_seconds: float = 0.0
    detail: str | None = None
    held_by: str | None = None
    """The code of the circuit that keeps it from dying."""

    def as_row(self) -> dict[str, Any]:
        return {name: str(value) if isinstance(value := getattr(self, name), UUID) else value for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Burial:
    """An event that nobody will try again by himself, unless a circuit has it wait. `entry` is its delivery once it is dead."""

    entry: Entry
    envelope: Mapping[str, Any]
    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Books:
    """One group's books on one connection in autocommit mode."""

    conn: Connection
    group: str
    types: Sequence[str]
    circuit: CircuitRule = RULE

    def open(self) -> Place:
        """Where the group is; a new group begins at the beginning of the log."""
        self.conn.execute("insert into consumer_offsets (group_name) values (%s) on conflict do nothing", (self.group,))
        row = self.conn.execute(
            "select xid::text::bigint as xid, position from consumer_offsets where group_name = %s", (self.group,)
        ).fetchone()
        assert row is not None, "inserted just above"
        return Place(row["xid"], row["position"])

    def window(self, after: Place, limit: int) -> list[dict[str, Any]]:
        """The next rows of the log, ours and others'."""
        return self.conn.execute(
            _WINDOW, {"types": self.types, "xid": str(after.xid), "position": after.position, "limit": limit}
        ).fetchall()

    def due(self, limit: int) -> list[dict[str, Any]]:
        return self.conn.execute(_DUE, {"group": self.group, "limit": limit}).fetchall()

    def blocked_keys(self) -> dict[tuple[str, str], bool]:
        """Keys with an event that waits: later events of theirs wait behind it. True: it is a circuit that they wait for."""
        rows = self.conn.execute(
            "select tenant_id, partition_key, bool_or(held_by is not null) as is_held from deliveries "
            "where group_name = %s and state = 'waiting' group by tenant_id, partition_key",
            (self.group,),
        )
        return {(row["tenant_id"], row["partition_key"]): row["is_held"] for row in rows}

    def is_doubtful(self) -> bool:
        """Was the engine away when somebody last tried?"""
        row = self.conn.execute(
            "select exists (select from deliveries where group_name = %s and state = 'waiting' and outcome = 'unavailable') as is_doubtful",
            (self.group,),
        ).fetchone()
        return bool(row and row["is_doubtful"])

    def waiting(self) -> int:
        row = self.conn.execute("select count(*) as n from deliveries where group_name = %s and state = 'waiting'", (self.group,))
        return int((row.fetchone() or {"n": 0})["n"])

    def lag(self, after: Place) -> int:
        row = self.conn.execute(_LAG, {"types": self.types, "xid": str(after.xid), "position": after.position}).fetchone()
        return int(row["lag"]) if row else 0

    def revive(self) -> int:
        """Take up what a person wants tried again, and what a circuit that was closed held. Returns how many events."""
        return self.conn.execute(_REVIVE, {"group": self.group}).rowcount + self.conn.execute(_RELEASE, {"group": self.group}).rowcount

    def probe(self, *, now: datetime) -> int:
        """Make one event due for each circuit whose time has come; a circuit that nothing waits behind is closed."""
        with self.conn.transaction():
            due = circuits.probes(self.conn, plane="event", consumer=self.group, rule=self.circuit)
            for cause in due:
                given = {"group": self.group, "tenant": cause.tenant_id, "code": cause.error_code}
                if not self.conn.execute(_PROBE, given).rowcount:
                    circuits.close(self.conn, cause, now=now)
        return len(due)

    def write(
        self,
        entries: Sequence[Entry],
        burials: Sequence[Burial],
        place: Place,
        *,
        now: datetime,
        recovered: Collection[tuple[str, str]] = (),
    ) -> list[Burial]:
        """Deliveries, dead letters with their audit rows, and the offset, in one transaction. Returns those that died.

        `recovered` are the (tenant, code) of circuits whose probe succeeded: they close, and what waited behind them is due.
        """
        with self.conn.transaction():
            died = [burial for burial in burials if not self._must_wait(burial, now)]
            dead = {burial.entry.position for burial in died}
            waiting = [_held(burial) for burial in burials if burial.entry.position not in dead]
            if rows := [*entries, *(burial.entry for burial in died), *waiting]:
                self.conn.execute(_SETTLE, {"group": self.group, "rows": Jsonb([entry.as_row() for entry in rows])})
            for tenant_id, code in recovered:
                circuits.close(self.conn, self._cause(tenant_id, code), now=now)
            if recovered:
                self.conn.execute(_RELEASE, {"group": self.group})
            self.conn.execute(
                "update consumer_offsets set xid = %s::text::xid8, position = %s, updated_at = now() where group_name = %s",
                (str(place.xid), place.position, self.group),
            )
        return died

    def _must_wait(self, burial: Burial, now: datetime) -> bool:
        """One after the other, so that each counts for the next: buried at once, or held."""
        if circuits.hold(self.conn, self._cause(burial.entry.tenant_id, burial.code), now=now, rule=self.circuit) is not None:
            return True
        self._bury(burial, now)
        return False

    def _cause(self, tenant_id: str, code: str) -> circuits.Cause:
        return circuits.Cause(tenant_id=tenant_id, plane="event", consumer=self.group, error_code=code)

    def _bury(self, burial: Burial, now: datetime) -> None:
        envelope, entry = burial.envelope, burial.entry
        correlation_id, traceparent = envelope.get("correlationid"), envelope.get("traceparent")
        with span("dead-letter", parent=traceparent, correlation_id=correlation_id, group=self.group):
            deadletters.add(
                self.conn,
                tenant_id=entry.tenant_id,
                plane="event",
                reference=str(entry.event_id),
                consumer=self.group,
                correlation_id=correlation_id,
                error_code=burial.code,
                error=burial.why,
                attempts=entry.attempts,
                body=envelope,
                now=now,
            )


def _held(burial: Burial) -> Entry:
    """It waits for its circuit, however long: only a probe, a success or a person makes it due."""
    return replace(burial.entry, state="waiting", outcome="held", held_by=burial.code, delay_seconds=_FOR_EVER)
