"""What was found, kept until it is gone: raised once, cleared once, each an event."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg import sql

from shared.events import ActorType, EventData, FindingCleared, FindingRaised, Severity
from spine import audit, eventlog
from spine.audit import Actor, Entry
from spine.clock import Clock
from spine.db import Connection
from spine.ids import derived_id, new_id
from spine.paging import Page, page_of, place_of
from spine.sweeper.checks import AND_MORE, Limits, Observation, look
from spine.telemetry import current_traceparent

SOURCE = "/spine/sweeper"
SWEEPER = Actor(ActorType.EXECUTOR_SYSTEM, "sweeper")
_COLUMNS = sql.SQL("finding_id, code, subject as about, severity, detail, raised_at, seen_at, cleared_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An observation on record. `seen_at` is the last round that found it; `cleared_at` the first that did not. Business time."""

    finding_id: UUID
    code: str
    about: str
    severity: Severity
    detail: str
    raised_at: datetime
    seen_at: datetime
    cleared_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """One round: `standing` is all that is wrong now, `raised` what is new among it, `cleared` what is gone."""

    standing: tuple[Finding, ...]
    raised: tuple[Finding, ...]
    cleared: tuple[Finding, ...]

    def count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.standing)

    @property
    def is_grave(self) -> bool:
        """Does something stand that a customer feels, or worse?"""
        return any(finding.severity in (Severity.V2, Severity.V3) for finding in self.standing)


def sweep(conn: Connection, *, tenant_id: str, clock: Clock, real_now: datetime, limits: Limits | None = None) -> Swept:
    """Look, and bring the table of findings up to date, in the caller's transaction. Two rounds at once take turns.

    Of a check that finds more than it keeps (`AND_MORE`), what stood before goes on standing: it may be among the rest.
    """
    conn.execute("select pg_advisory_xact_lock(hashtextextended('spine.sweeper/' || %s, 0))", (tenant_id,))
    now = clock.now()
    seen = {(one.code, one.about): one for one in look(conn, tenant_id=tenant_id, clock=clock, real_now=real_now, limits=limits)}
    before = {(one.code, one.about): one for one in _standing(conn, tenant_id)}
    raised = tuple(_raise(conn, tenant_id, one, now) for key, one in seen.items() if key not in before)
    cut = {code for code, about in seen if about == AND_MORE}
    cleared = tuple(_clear(conn, tenant_id, one, now) for key, one in before.items() if key not in seen and one.code not in cut)
    conn.execute(
        "update findings set seen_at = %s where tenant_id = %s and finding_id = any(%s)",
        (now, tenant_id, [one.finding_id for key, one in before.items() if key in seen]),
    )
    return Swept(standing=tuple(_standing(conn, tenant_id)), raised=raised, cleared=cleared)


def listing(conn: Connection, *, tenant_id: str, standing: bool = True, cursor: str | None = None, limit: int = 50) -> Page[Finding]:
    """The newest first, by default those that stand. Raises InvalidInput for a cursor that is not ours."""
    at, before = place_of(cursor, datetime.fromisoformat, UUID) if cursor else (None, None)
    query = sql.SQL(
        "select {} from findings where tenant_id = %(tenant)s and (not %(standing)s or cleared_at is null) "
        "and (%(at)s::timestamptz is null or (raised_at, finding_id) < (%(at)s, %(before)s::uuid)) "
        "order by raised_at desc, finding_id desc limit %(limit)s"
    ).format(_COLUMNS)
    given = {"tenant": tenant_id, "standing": standing, "at": at, "before": before, "limit": limit + 1}
    found = [_finding(row) for row in conn.execute(query, given)]
    return page_of(found, limit, lambda one: (one.raised_at.isoformat(), str(one.finding_id)))


def _standing(conn: Connection, tenant_id: str) -> list[Finding]:
    query = sql.SQL("select {} from findings where tenant_id = %s and cleared_at is null order by severity desc, raised_at, finding_id")
    return [_finding(row) for row in conn.execute(query.format(_COLUMNS), (tenant_id,))]


def _raise(conn: Connection, tenant_id: str, one: Observation, now: datetime) -> Finding:
    finding = Finding(
        finding_id=new_id(),
        code=one.code,
        about=one.about,
        severity=one.severity,
        detail=one.detail,
        raised_at=now,
        seen_at=now,
        cleared_at=None,
    )
    conn.execute(
        "insert into findings (tenant_id, finding_id, code, subject, severity, detail, raised_at, seen_at) "
        "values (%s, %s, %s, %s, %s, %s, %s, %s)",
        (tenant_id, finding.finding_id, one.code, one.about, one.severity.value, one.detail, now, now),
    )
    event = FindingRaised(finding_id=str(finding.finding_id), code=one.code, about=one.about, severity=one.severity, detail=one.detail)
    _tell(conn, tenant_id, finding, event, "finding.raised", one.severity, now)
    return finding


def _clear(conn: Connection, tenant_id: str, finding: Finding, now: datetime) -> Finding:
    conn.execute("update findings set cleared_at = %s where tenant_id = %s and finding_id = %s", (now, tenant_id, finding.finding_id))
    event = FindingCleared(finding_id=str(finding.finding_id), code=finding.code, about=finding.about)
    _tell(conn, tenant_id, finding, event, "finding.cleared", Severity.V0, now)
    return finding


def _tell(conn: Connection, tenant_id: str, finding: Finding, event: EventData, action: str, severity: Severity, now: datetime) -> None:
    about = str(finding.finding_id)
    entry = Entry(
        actor=SWEEPER,
        action=action,
        subject_type="finding",
        subject_id=about,
        correlation_id=about,
        severity=severity,
        detail={"code": finding.code, "about": finding.about},
    )
    audit.record_all(conn, [entry], tenant_id=tenant_id, now=now)
    eventlog.publish(
        conn,
        event,
        tenant_id=tenant_id,
        source=SOURCE,
        correlation_id=about,
        event_id=derived_id(event.TYPE, tenant_id, about),
        now=now,
        traceparent=current_traceparent(),
        actor_type=SWEEPER.type,
    )


def _finding(row: dict[str, object]) -> Finding:
    return Finding(**{**row, "severity": Severity(str(row["severity"]))})  # type: ignore[arg-type]
