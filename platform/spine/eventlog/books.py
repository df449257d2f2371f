"""The books of a consumer group: its offset, its deliveries, its dead letters. Written by the connection that holds the lease.

One statement a table and turn, whatever the number of events: the bookkeeping of a burst must not cost more than its dispatch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from shared.events import ActorType, Severity
from spine import audit
from spine.db import Connection
from spine.errors import TenantMismatch
from spine.eventlog.read import Place
from spine.ids import derived_id
from spine.telemetry import span

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
           first_value(d.next_attempt_at) over (partition by d.tenant_id, d.partition_key order by e.xid, position) as key_due_at
    from deliveries d join events e using (position)
    where d.group_name = %(group)s and d.state = 'waiting'
) as waiting
where key_due_at <= clock_timestamp() order by reading_order, position limit %(limit)s
"""

_SETTLE = """
insert into deliveries
    (group_name, position, tenant_id, event_id, partition_key, state, outcome, target, attempts, next_attempt_at, detail)
select %(group)s, position, tenant_id, event_id, partition_key, state, outcome, target, attempts,
       case when state = 'waiting' then clock_timestamp() + make_interval(secs => delay_seconds) end, detail
from jsonb_to_recordset(%(rows)s) as r (position bigint, tenant_id text, event_id uuid, partition_key text, state text, outcome text,
                                        target text, attempts int, delay_seconds float8, detail text)
on conflict (group_name, position) do update
    set state = excluded.state, outcome = excluded.outcome, target = excluded.target, attempts = excluded.attempts,
        next_attempt_at = excluded.next_attempt_at, detail = excluded.detail, updated_at = now()
"""

_BURY = """
insert into dead_letters (dead_letter_id, tenant_id, plane, reference, consumer, correlation_id, error_code, error, attempts, body)
values (%(dead_letter_id)s, %(tenant_id)s, 'event', %(reference)s, %(group)s, %(correlation_id)s, %(code)s, %(why)s, %(attempts)s, %(body)s)
on conflict (tenant_id, plane, consumer, reference) do update
    set state = 'open', error_code = excluded.error_code, error = excluded.error, attempts = dead_letters.attempts + excluded.attempts,
        resolved_at = null, resolved_by = null, resolution = null
"""

# A person asked for a retry: the dead letter says so, the delivery is still dead. See spine.deadletters.
_REVIVE = """
update deliveries d set state = 'waiting', outcome = 'retried', attempts = 0, next_attempt_at = clock_timestamp(), updated_at = now()
from dead_letters l
where d.group_name = %(group)s and d.state = 'dead'
  and l.plane = 'event' and l.consumer = d.group_name and l.state = 'retried'
  and l.tenant_id = d.tenant_id and l.reference = d.event_id::text
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

    def as_row(self) -> dict[str, Any]:
        return {name: str(value) if isinstance(value := getattr(self, name), UUID) else value for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Burial:
    """An event that nobody will try again by himself."""

    tenant_id: str
    event_id: UUID
    envelope: Mapping[str, Any]
    code: str
    why: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Books:
    """One group's books on one connection in autocommit mode."""

    conn: Connection
    group: str
    types: Sequence[str]

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

    def blocked_keys(self) -> set[tuple[str, str]]:
        """Keys with an event that waits: later events of theirs wait behind it."""
        rows = self.conn.execute(
            "select distinct tenant_id, partition_key from deliveries where group_name = %s and state = 'waiting'", (self.group,)
        )
        return {(row["tenant_id"], row["partition_key"]) for row in rows}

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
        return self.conn.execute(_REVIVE, {"group": self.group}).rowcount

    def write(self, entries: Sequence[Entry], burials: Sequence[Burial], place: Place, *, now: datetime) -> None:
        """Deliveries, dead letters with their audit rows, and the offset, in one transaction."""
        with self.conn.transaction():
            if entries:
                self.conn.execute(_SETTLE, {"group": self.group, "rows": Jsonb([entry.as_row() for entry in entries])})
            for burial in burials:
                self._bury(burial, now)
            self.conn.execute(
                "update consumer_offsets set xid = %s::text::xid8, position = %s, updated_at = now() where group_name = %s",
                (str(place.xid), place.position, self.group),
            )

    def _bury(self, burial: Burial, now: datetime) -> None:
        envelope = burial.envelope
        correlation_id, traceparent = envelope.get("correlationid"), envelope.get("traceparent")
        self.conn.execute(
            _BURY,
            {
                "dead_letter_id": derived_id(burial.tenant_id, "event", self.group, str(burial.event_id)),
                "tenant_id": burial.tenant_id,
                "reference": str(burial.event_id),
                "group": self.group,
                "correlation_id": correlation_id,
                "code": burial.code,
                "why": burial.why,
                "attempts": burial.attempts,
                "body": Jsonb(dict(envelope)),
            },
        )
        with span("dead-letter", parent=traceparent, correlation_id=correlation_id, group=self.group):
            audit.record(
                self.conn,
                tenant_id=burial.tenant_id,
                actor=audit.Actor(ActorType.EXECUTOR_SYSTEM, f"consumer:{self.group}"),
                action="event.dead_lettered",
                subject_type="event",
                subject_id=str(burial.event_id),
                now=now,
                correlation_id=correlation_id,
                severity=Severity.V2 if burial.code == TenantMismatch.code else Severity.V1,
                detail={"code": burial.code, "type": str(envelope.get("type")), "attempts": burial.attempts},
            )
