"""The circuit of a cause: when many letters of one kind arrive at once it is the deploy that is broken, not each of them.

Closed, what is given up becomes a letter. More than `letters` of one (tenant, plane, consumer, error code) within `window` open
it: from then on what fails that way *waits* instead of dying. After a while one of those that wait is tried, the probe. If it
succeeds the circuit closes and all of them go on; if it fails the same way the circuit stays open, and the next probe is twice
as far. A person who has mended the cause need not wait: `reset` closes it.

It only ever turns a death into a wait. What does not fail, or fails otherwise, is not touched, and the circuits of other tenants
are their own. All times here are real time: they bound machines. Opening is audited as V2, and found by the sweeper while it lasts.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from shared.events import ActorType, Severity
from spine import audit
from spine.audit import Actor
from spine.db import Connection
from spine.deadletters.records import Plane
from spine.errors import InvalidInput, NotFound
from spine.redact import redact


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitRule:
    """Open after `letters` within `window`; the n-th probe comes `first_probe * 2^(n-1)` later, at most `longest`."""

    letters: int = 10
    window: timedelta = timedelta(minutes=5)
    first_probe: timedelta = timedelta(seconds=30)
    longest: timedelta = timedelta(minutes=10)
    probing: timedelta = timedelta(minutes=2)
    """How long a probe may take; one that was lost, with its process, is sent again then."""


RULE = CircuitRule()


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """A cause. `held` events wait behind it (plane `event`); steps of commitments wait in their workflows and are not counted."""

    plane: Plane
    consumer: str
    error_code: str
    state: Literal["open", "half_open", "closed"]
    trips: int
    opened_at: datetime
    probe_at: datetime
    closed_at: datetime | None
    held: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    tenant_id: str
    plane: Plane
    consumer: str
    error_code: str

    def named(self) -> dict[str, str]:
        return {"tenant": self.tenant_id, "plane": self.plane, "consumer": self.consumer, "code": self.error_code}


_OURS = "tenant_id = %(tenant)s and plane = %(plane)s and consumer = %(consumer)s and error_code = %(code)s"
_STATE = f"select state, trips, closed_at, probe_at from dead_letter_circuits where {_OURS} for update"  # noqa: S608 - of constants
_ARRIVED = (
    f"select count(*) as n from dead_letters where {_OURS} "  # noqa: S608 - of constants
    "and died_at > greatest(clock_timestamp() - %(window)s, coalesce(%(closed_at)s, '-infinity'::timestamptz))"
)
_OPEN = """
insert into dead_letter_circuits (tenant_id, plane, consumer, error_code, state, trips, opened_at, probe_at)
values (%(tenant)s, %(plane)s, %(consumer)s, %(code)s, 'open', 1, clock_timestamp(), clock_timestamp() + %(wait)s)
on conflict (tenant_id, plane, consumer, error_code) do update
    set state = 'open', trips = 1, opened_at = clock_timestamp(), probe_at = clock_timestamp() + %(wait)s, closed_at = null
returning probe_at
"""
_FAILED_AGAIN = f"""
update dead_letter_circuits set state = 'open', trips = trips + 1, probe_at = clock_timestamp() + %(wait)s where {_OURS} returning probe_at
"""  # noqa: S608 - of constants
_CLOSE = (
    f"update dead_letter_circuits set state = 'closed', trips = 0, closed_at = clock_timestamp() where {_OURS} "  # noqa: S608 - of constants
    "and state <> 'closed'"
)
_PROBES = """
update dead_letter_circuits set state = 'half_open', probe_at = clock_timestamp() + %(probing)s
where plane = %(plane)s and consumer = %(consumer)s and state <> 'closed' and probe_at <= clock_timestamp()
returning tenant_id, error_code
"""
_CLAIM = _PROBES.replace("where", "where tenant_id = %(tenant)s and").replace("tenant_id, error_code", "error_code")


def hold(conn: Connection, cause: Cause, *, now: datetime, rule: CircuitRule = RULE) -> datetime | None:
    """Asked before a letter is written. None: let it die. Else it has to wait, at least until this moment (real time).

    In the caller's transaction; the circuit's row stays locked to its end. `now` is business time, for the audit row.
    """
    found = conn.execute(_STATE, cause.named()).fetchone()
    if found is not None and found["state"] == "open":
        until: datetime = found["probe_at"]
        return until
    if found is not None and found["state"] == "half_open":  # the probe failed, or another one of its kind: nothing is mended
        wait = min(rule.longest, rule.first_probe * 2 ** min(found["trips"], 20))
        return _moment(conn, _FAILED_AGAIN, cause, wait=wait)
    arrived = conn.execute(_ARRIVED, {**cause.named(), "window": rule.window, "closed_at": found and found["closed_at"]}).fetchone()
    if arrived is None or arrived["n"] < rule.letters:
        return None
    until = _moment(conn, _OPEN, cause, wait=rule.first_probe)
    consumer = Actor(ActorType.EXECUTOR_SYSTEM, f"consumer:{cause.consumer}")
    _audit(conn, cause, "circuit.opened", consumer, now, Severity.V2, letters=arrived["n"])
    return until


def probes(conn: Connection, *, plane: Plane, consumer: str, rule: CircuitRule = RULE) -> list[Cause]:
    """The causes of a consumer whose next probe is due, now taken: whoever gets one tries one of those that wait behind it."""
    rows = conn.execute(_PROBES, {"plane": plane, "consumer": consumer, "probing": rule.probing})
    return [Cause(tenant_id=row["tenant_id"], plane=plane, consumer=consumer, error_code=row["error_code"]) for row in rows]


def turn_of(
    conn: Connection, *, tenant_id: str, plane: Plane, consumer: str, rule: CircuitRule = RULE
) -> tuple[list[Cause], datetime | None]:
    """For one that waits by itself, as a step of a commitment does: the probes it may be, or until when it must go on waiting."""
    given = {"tenant": tenant_id, "plane": plane, "consumer": consumer}
    taken = conn.execute(_CLAIM, {**given, "probing": rule.probing}).fetchall()
    if taken:
        return [Cause(tenant_id=tenant_id, plane=plane, consumer=consumer, error_code=row["error_code"]) for row in taken], None
    row = conn.execute(
        "select max(probe_at) as until from dead_letter_circuits "
        "where tenant_id = %(tenant)s and plane = %(plane)s and consumer = %(consumer)s and state <> 'closed'",
        given,
    ).fetchone()
    return [], None if row is None else row["until"]


def close(conn: Connection, cause: Cause, *, now: datetime) -> bool:
    """What waited behind it succeeded, or nothing waits any more. False: it was closed already."""
    closed = conn.execute(_CLOSE, cause.named()).rowcount == 1
    if closed:
        _audit(conn, cause, "circuit.closed", Actor(ActorType.EXECUTOR_SYSTEM, f"consumer:{cause.consumer}"), now, Severity.V0)
    return closed


def reset(conn: Connection, *, cause: Cause, actor: Actor, reason: str, now: datetime) -> None:
    """A person says the cause is mended: what waits goes on at once. Raises NotFound when that circuit is not open, and InvalidInput."""
    if not reason.strip():
        raise InvalidInput("a circuit is reset for a reason: say what was mended")
    if conn.execute(_CLOSE, cause.named()).rowcount == 0:
        raise NotFound(
            f"no circuit is open for code {cause.error_code!r} of {cause.consumer!r} on plane {cause.plane!r}: "
            "`spine dead-letters circuits` shows those there are"
        )
    _audit(conn, cause, "circuit.reset", actor, now, Severity.V1, why=redact(reason))
    conn.execute("select pg_notify('spine_events', '')")


def listing(conn: Connection, *, tenant_id: str) -> list[Circuit]:
    """The circuits that are not closed, the oldest first. There are few: one a cause."""
    rows = conn.execute(
        "select plane, consumer, error_code, state, trips, opened_at, probe_at, closed_at, "
        "(select count(*) from deliveries d where d.tenant_id = c.tenant_id and d.group_name = c.consumer and c.plane = 'event' "
        "and d.held_by = c.error_code) as held "
        "from dead_letter_circuits c where tenant_id = %s and state <> 'closed' order by opened_at, consumer, error_code",
        (tenant_id,),
    )
    return [Circuit(**row) for row in rows]


def _moment(conn: Connection, statement: str, cause: Cause, *, wait: timedelta) -> datetime:
    row = conn.execute(statement.encode(), {**cause.named(), "wait": wait}).fetchone()
    assert row is not None, "the row was locked just above, or inserted"
    until: datetime = row["probe_at"]
    return until


def _audit(conn: Connection, cause: Cause, action: str, actor: Actor, now: datetime, severity: Severity, **detail: object) -> None:
    audit.record(
        conn,
        tenant_id=cause.tenant_id,
        actor=actor,
        action=action,
        subject_type="circuit",
        subject_id=f"{cause.plane}/{cause.consumer}/{cause.error_code}"[:200],
        now=now,
        severity=severity,
        detail={"plane": cause.plane, "consumer": cause.consumer, "code": cause.error_code, **detail},
    )
