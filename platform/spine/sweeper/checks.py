"""What is looked for: one query a check, each answering with the ids of what is wrong and a sentence about it.

Severities are those of domain.md §11.3: V1 is ours and mends itself or can wait, V2 is felt by a customer (a late approval, a
connector down), V3 is what a regulator may ask about (something was done, or may be done, that a person had stopped).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, LiteralString

from shared.events import Severity
from spine import approvals, directory
from spine.approvals import Approval
from spine.clock import Clock
from spine.db import Connection

_MOST = 200  # findings of one check: beyond that it is one cause, the first ones name it, and `AND_MORE` says that there are others
AND_MORE = "and-more"
"""What the last observation of a check is about that found more than are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a thing may stay as it is. Real time: these bound machines, except that people's own deadlines are in their rows."""

    executing: timedelta = timedelta(minutes=30)  # an attempt takes two minutes at most, the next comes within five
    unknown: timedelta = timedelta(hours=1)
    runnable: timedelta = timedelta(hours=1)
    expiry: timedelta = timedelta(minutes=10)
    """A timer of Temporal closes what expires; so late, nobody's timer rang."""
    reserved: timedelta = timedelta(days=4)  # an effect is tried for three days, and keeps what it reserved so long
    lag: timedelta = timedelta(minutes=5)
    sealed: timedelta = timedelta(hours=3)  # a job seals every ten minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Something that should not be. (code, about) is its identity."""

    code: str
    about: str
    severity: Severity
    detail: str


Finder = Callable[[Connection, Mapping[str, Any]], Iterable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Check:
    """`query`, or a function, gives rows of `about` and `detail` in an order that stays: the oldest first, approvals by their urgency.
    It may use `tenant`, `now`, `real_now` and the name of each limit: the moment so far back, in business time, and with `_real` in
    real time."""

    code: str
    severity: Severity
    meaning: str
    query: LiteralString | Finder

    def rows(self, conn: Connection, given: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        """One more than are kept, at least, if there are so many."""
        if callable(self.query):
            return self.query(conn, given)
        return conn.execute(self.query + " limit %(most)s", {**given, "most": _MOST + 1})


def _without_owner(conn: Connection, given: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Asked of the directory, one request after the other: what it takes to sign is its to know."""
    for approval in _pending(conn, given["tenant"]):
        signers = directory.who_can_sign(conn, approval, now=given["now"])
        if not signers.enough:
            wanted = ", ".join(dict.fromkeys((*approval.roles, *approval.must_include)))
            nobody = f", nobody for {', '.join(signers.nobody_for)}" if signers.nobody_for else ""
            there = len(signers.people)
            yield {
                "about": approval.approval_id,
                "detail": f"it takes {approval.approvals_remaining} more of {wanted}; {there} could still sign{nobody}",
            }


def _pending(conn: Connection, tenant_id: str) -> Iterator[Approval]:
    cursor: str | None = None
    while True:
        page = approvals.listing(conn, tenant_id=tenant_id, cursor=cursor, limit=_MOST)
        yield from page.items
        if (cursor := page.next) is None:
            return


CHECKS: Sequence[Check] = (
    Check(
        "stopped-and-runnable",
        Severity.V3,
        "an intent may run, or is running, though its approval was not given",
        """
        select i.intent_id::text as about, 'intent is ' || i.state || ', its approval is ' || a.state as detail
        from intents i join approvals a using (tenant_id, intent_id)
        where i.tenant_id = %(tenant)s and i.state in ('runnable', 'executing', 'unknown') and a.state not in ('approved', 'consumed')
        order by i.updated_at, i.intent_id
        """,
    ),
    Check(
        "stopped-and-begun",
        Severity.V3,
        "an intent that was denied, rejected, expired, superseded or cancelled has an effect",
        """
        select i.intent_id::text as about, 'intent is ' || i.state || ', its effect is ' || e.state as detail
        from intents i join effects e using (tenant_id, intent_id)
        where i.tenant_id = %(tenant)s and i.state in ('denied', 'rejected', 'expired', 'superseded', 'cancelled')
        order by i.updated_at, i.intent_id
        """,
    ),
    Check(
        "executing-too-long",
        Severity.V2,
        "an effect is under way longer than any attempt takes: nobody goes on with it",
        """
        select intent_id::text as about, 'executing since ' || updated_at as detail from intents
        where tenant_id = %(tenant)s and state = 'executing' and updated_at < %(executing)s
        order by updated_at, intent_id
        """,
    ),
    Check(
        "unknown-too-long",
        Severity.V2,
        "nobody knows whether an effect happened: the provider cannot be asked, or does not say",
        """
        select intent_id::text as about, 'unknown since ' || updated_at as detail from intents
        where tenant_id = %(tenant)s and state = 'unknown' and updated_at < %(unknown)s
        order by updated_at, intent_id
        """,
    ),
    Check(
        "runnable-unclaimed",
        Severity.V2,
        "an intent may run and nobody takes it up",
        """
        select intent_id::text as about, 'runnable since ' || greatest(updated_at, coalesce(not_before, updated_at)) as detail from intents
        where tenant_id = %(tenant)s and state = 'runnable' and greatest(updated_at, coalesce(not_before, updated_at)) < %(runnable)s
        order by greatest(updated_at, coalesce(not_before, updated_at)), intent_id
        """,
    ),
    Check(
        "approval-past-expiry",
        Severity.V2,
        "an approval waits beyond its end: no timer closed it",
        """
        select approval_id::text as about, 'it ran out at ' || expires_at as detail from approvals
        where tenant_id = %(tenant)s and state = 'pending' and expires_at < %(expiry)s
        order by expires_at, approval_id
        """,
    ),
    Check(
        "approval-without-owner",
        Severity.V2,
        "an approval waits for people who are not there: too few could still give it",
        _without_owner,
    ),
    Check(
        "reservation-kept",
        Severity.V1,
        "money or tokens are reserved for work that is over",
        """
        select reservation_id::text as about, 'reserved for ' || automation || ' since ' || reserved_at as detail
        from budget_reservations where tenant_id = %(tenant)s and state = 'held' and reserved_at < %(reserved)s
        order by reserved_at, reservation_id
        """,
    ),
    Check(
        "group-lagging",
        Severity.V2,
        "events are committed and a consumer group does not see them: its sensors are off, or a reader is held back",
        """
        select g.group_name as about, 'the oldest event that it has not seen is of ' || ahead.since as detail
        from consumer_offsets g, lateral (
            select min(e.recorded_at) as since from events e
            where e.tenant_id = %(tenant)s and (e.xid, e.position) > (g.xid, g.position) and e.recorded_at < %(lag_real)s
        ) as ahead
        where ahead.since is not null
        order by ahead.since, g.group_name
        """,
    ),
    Check(
        "circuit-open",
        Severity.V2,
        "one cause broke many things at once: what fails that way waits instead of dying",
        """
        select plane || '/' || consumer || '/' || error_code as about, 'open since ' || opened_at as detail
        from dead_letter_circuits where tenant_id = %(tenant)s and state <> 'closed'
        order by opened_at, plane, consumer, error_code
        """,
    ),
    Check(
        "audit-unsealed",
        Severity.V1,
        "audit rows wait too long for their seal: the sealing job does not run",
        """
        select 'audit' as about, 'the oldest row without a seal was written at ' || min(l.recorded_at) as detail
        from audit_log l left join lateral (
            select through_xid, through_position from audit_seals s where s.tenant_id = %(tenant)s order by number desc limit 1
        ) as last on true
        where l.tenant_id = %(tenant)s and l.recorded_at < %(sealed_real)s
          and (last.through_xid is null or (l.xid, l.position) > (last.through_xid, last.through_position))
        having count(*) > 0
        """,
    ),
)


def look(conn: Connection, *, tenant_id: str, clock: Clock, real_now: datetime, limits: Limits | None = None) -> list[Observation]:
    """What is wrong in a tenant's books now; nothing is written. `real_now` is the time on the wall, `clock` the business's."""
    given = {"tenant": tenant_id, "now": clock.now(), "real_now": real_now, **dict(_moments(limits or Limits(), clock, real_now))}
    return [one for check in CHECKS for one in _observed(check, check.rows(conn, given))]


def _observed(check: Check, rows: Iterable[Mapping[str, Any]]) -> Iterator[Observation]:
    found = list(islice(rows, _MOST + 1))
    for row in found[:_MOST]:
        yield Observation(code=check.code, about=row["about"][:200], severity=check.severity, detail=row["detail"])
    if len(found) > _MOST:
        more = f"there are more than the {_MOST} that are shown: end their cause, and the next round shows the rest"
        yield Observation(code=check.code, about=AND_MORE, severity=check.severity, detail=more)


def _moments(limits: Limits, clock: Clock, real_now: datetime) -> Iterator[tuple[str, Any]]:
    rate = timedelta(seconds=1) / clock.real(timedelta(seconds=1))
    for field in fields(limits):
        limit: timedelta = getattr(limits, field.name)
        yield field.name, clock.now() - limit * rate
        yield f"{field.name}_real", real_now - limit
