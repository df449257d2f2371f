"""Canary groups: which tenants an automation may act for by itself while it is new.

A group is one row an automation, over the whole installation. Outside an enforced group even class A work waits for a person; class B
waits for people anyway. An EMPTY LIST MEANS NOBODY, as nought per cent does (the system before us took it for everybody). A group
that is held, by a person or by its stop-loss, has nobody inside until a person releases it, also when it was not enforced.

Who is in the list is nobody's business but the operator's: the application's role cannot read the table, and learns one word about
its own tenant from the database function `canary_of` (migration 0005). Sources: domain.md §5; docs/decisions/0040.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from shared.events import EffectRecorded, Severity
from spine import audit
from spine.audit import Actor
from spine.db import Connection
from spine.errors import InvalidInput, NotFound
from spine.policy.decide import Canary

BUCKETS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Who is among the first for one automation: a share of all tenants, or a list of them, never both."""

    automation: str
    enforced: bool = True
    percentage: Decimal | None = None
    """0 to 100, in hundredths. It only ever adds tenants as it grows: see `bucket`."""
    tenants: tuple[str, ...] | None = None
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    """Business time. Before the one and from the other on nobody is inside."""
    stop_loss: Decimal | None = None
    """The share of failed effects above which the group is held; None: no automatic hold."""
    stop_loss_window: timedelta = timedelta(hours=24)
    stop_loss_from: int = 20
    """Fewer settled effects than this in the window say nothing."""
    held_at: datetime | None = None
    held_because: str | None = None
    held_by: str | None = None
    released_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """Effects of an automation whose end was recorded in a window."""

    completed: int
    failed: int

    @property
    def share_failed(self) -> Decimal:
        total = self.completed + self.failed
        return Decimal(self.failed) / total if total else Decimal(0)


def bucket(automation: str, tenant_id: str) -> int:
    """Where a tenant stands, 0 to 9,999: the first 32 bits of SHA-256 over `automation/tenant`, modulo 10,000.

    Stable for ever and different for each automation, so that the same tenants are not always the first to suffer. A tenant is inside a
    percentage p when its bucket is below 100·p: growing p never puts anybody out.
    """
    return int(hashlib.sha256(f"{automation}/{tenant_id}".encode()).hexdigest()[:8], 16) % BUCKETS


def judged(group: Group | None, tenant_id: str, now: datetime) -> Canary:
    """What the database tells a tenant about itself (`state`), for those who may see the group."""
    if group is None:
        return Canary.NOT_ENFORCED
    if group.held_at is not None:
        return Canary.OUTSIDE
    if not group.enforced:
        return Canary.NOT_ENFORCED
    if (group.opens_at is not None and now < group.opens_at) or (group.closes_at is not None and now >= group.closes_at):
        return Canary.OUTSIDE
    return Canary.INSIDE if is_member(group, tenant_id) else Canary.OUTSIDE


def is_member(group: Group, tenant_id: str) -> bool:
    if not tenant_id:
        return False
    if group.tenants is not None:
        return tenant_id in group.tenants
    return bucket(group.automation, tenant_id) < (group.percentage or 0) * 100


def tripped(group: Group, settled: Settled) -> str | None:
    """Why a group should be held, if it should: more effects failed than its stop-loss allows."""
    if group.stop_loss is None or group.held_at is not None or settled.completed + settled.failed < group.stop_loss_from:
        return None
    if settled.share_failed <= group.stop_loss:
        return None
    return (
        f"stop-loss: {settled.failed} of {settled.completed + settled.failed} effects failed "
        f"({settled.share_failed:.1%}), and the limit is {group.stop_loss:.1%}"
    )


def state(conn: Connection, tenant_id: str, automation: str, now: datetime) -> Canary:
    """Whether the tenant of this transaction is inside. Raises InvalidInput when asked about another one."""
    row = conn.execute("select current_setting('spine.tenant_id', true) as wall, canary_of(%s, %s) as canary", (automation, now)).fetchone()
    if row is None or row["wall"] != tenant_id:
        raise InvalidInput(f"a transaction learns the canary of its own tenant only, not that of {tenant_id!r}")
    return read_state(row["canary"])


def read_state(told: str | None) -> Canary:
    """What the database function said; nothing means that there is no group."""
    return Canary.NOT_ENFORCED if told is None else Canary(told)


# For the operator of the installation: on a connection of role spine_relay.


def groups(conn: Connection) -> list[Group]:
    return [_group(row) for row in conn.execute("select * from canary_groups order by automation")]


def group(conn: Connection, automation: str, *, lock: bool = False) -> Group:
    """Raises NotFound."""
    query = "select * from canary_groups where automation = %s"
    row = conn.execute(f"{query} for update" if lock else query, (automation,)).fetchone()
    if row is None:
        raise NotFound(f"automation {automation!r} has no canary group: make one with `spine canary set`")
    return _group(row)


def put(conn: Connection, wanted: Group, *, tenant_id: str, actor: Actor, now: datetime) -> Group:
    """Make a group, or change who is inside; a hold stays. `tenant_id` is whose audit log says so. Raises InvalidInput."""
    _fits(wanted)
    names = ("enforced", "percentage", "opens_at", "closes_at", "stop_loss", "stop_loss_window", "stop_loss_from")
    values = {name: getattr(wanted, name) for name in names}
    values["tenants"] = None if wanted.tenants is None else list(wanted.tenants)
    conn.execute(
        "insert into canary_groups (automation, enforced, percentage, tenants, opens_at, closes_at, stop_loss, stop_loss_window, "
        "stop_loss_from, changed_at, changed_by) values (%(automation)s, %(enforced)s, %(percentage)s, %(tenants)s, %(opens_at)s, "
        "%(closes_at)s, %(stop_loss)s, %(stop_loss_window)s, %(stop_loss_from)s, %(now)s, %(by)s) on conflict (automation) do update set "
        "enforced = excluded.enforced, percentage = excluded.percentage, tenants = excluded.tenants, opens_at = excluded.opens_at, "
        "closes_at = excluded.closes_at, stop_loss = excluded.stop_loss, stop_loss_window = excluded.stop_loss_window, "
        "stop_loss_from = excluded.stop_loss_from, changed_at = excluded.changed_at, changed_by = excluded.changed_by",
        {"automation": wanted.automation, "now": now, "by": actor.id, **values},
    )
    # Not who: the audit log belongs to one tenant, and the list to all of them.
    inside = f"{wanted.percentage} %" if wanted.tenants is None else f"{len(wanted.tenants)} tenants"
    detail = {"enforced": wanted.enforced, "inside": inside}
    _audit(conn, tenant_id, "canary.set", wanted.automation, actor, now, detail)
    return group(conn, wanted.automation)


def hold(conn: Connection, *, automation: str, reason: str, tenant_id: str, actor: Actor, now: datetime) -> Group:
    """Put everybody outside until a person releases it. Holding what is held keeps the first reason. Raises NotFound, InvalidInput."""
    if not reason.strip():
        raise InvalidInput(f"a hold of {automation!r} says why: whoever is to release it has to know")
    held = group(conn, automation, lock=True)
    if held.held_at is not None:
        return held
    conn.execute(
        "update canary_groups set held_at = %s, held_because = %s, held_by = %s where automation = %s",
        (now, reason[:500], actor.id, automation),
    )
    _audit(conn, tenant_id, "canary.held", automation, actor, now, {"why": reason[:500]}, Severity.V1)
    return replace(held, held_at=now, held_because=reason[:500], held_by=actor.id)


def release(conn: Connection, *, automation: str, reason: str, tenant_id: str, actor: Actor, now: datetime) -> Group:
    """Let the group go on as it was. The stop-loss counts from here: what failed before the hold does not hold it again.

    Raises NotFound, InvalidInput for no reason. Releasing what is not held changes nothing.
    """
    if not reason.strip():
        raise InvalidInput(f"a release of {automation!r} says why: what was mended?")
    held = group(conn, automation, lock=True)
    if held.held_at is None:
        return held
    conn.execute(
        "update canary_groups set held_at = null, held_because = null, held_by = null, released_at = %s where automation = %s",
        (now, automation),
    )
    _audit(conn, tenant_id, "canary.released", automation, actor, now, {"why": reason[:500]})
    return replace(held, held_at=None, held_because=None, held_by=None, released_at=now)


def settled(conn: Connection, group: Group, now: datetime) -> Settled:
    """What became of its effects in the window, over all tenants, each by the last that was heard of it; read from the event log."""
    since = max(filter(None, (now - group.stop_loss_window, group.released_at)))
    row = conn.execute(
        "select count(*) filter (where outcome in ('completed', 'compensated')) as completed, "
        "count(*) filter (where outcome = 'failed') as failed from ("
        "select distinct on (tenant_id, subject) envelope->'data'->>'outcome' as outcome from events "
        "where type = %s and occurred_at > %s and occurred_at <= %s and envelope->'data'->>'automation' = %s "
        "order by tenant_id, subject, position desc) as last",
        (EffectRecorded.TYPE, since, now, group.automation),
    ).fetchone()
    assert row is not None, "an aggregate has one row"
    return Settled(row["completed"], row["failed"])


def watch(conn: Connection, *, tenant_id: str, actor: Actor, now: datetime) -> Mapping[str, str]:
    """Hold every group whose stop-loss is passed. Returns why, by automation: what was held by this call."""
    held: dict[str, str] = {}
    for one in groups(conn):
        if reason := tripped(one, settled(conn, one, now)):
            hold(conn, automation=one.automation, reason=reason, tenant_id=tenant_id, actor=actor, now=now)
            held[one.automation] = reason
    return held


def _fits(wanted: Group) -> None:
    if not wanted.automation.strip():
        raise InvalidInput("a canary group is of an automation: name it")
    if (wanted.percentage is None) == (wanted.tenants is None):
        raise InvalidInput(f"the group of {wanted.automation!r} is a percentage or a list of tenants, one of the two")
    if wanted.percentage is not None and not (0 <= wanted.percentage <= 100 and wanted.percentage == round(wanted.percentage, 2)):
        raise InvalidInput(f"percentage {wanted.percentage} is not between 0 and 100 with at most two decimals")
    if wanted.tenants is not None and not all(name.strip() for name in wanted.tenants):
        raise InvalidInput("a tenant in the list has no name")
    if wanted.opens_at and wanted.closes_at and wanted.opens_at >= wanted.closes_at:
        raise InvalidInput("the window closes after it opens")
    if wanted.stop_loss is not None and not 0 <= wanted.stop_loss < 1:
        raise InvalidInput(f"stop-loss {wanted.stop_loss} is a share of one, such as 0.05")
    if wanted.stop_loss_window <= timedelta(0) or wanted.stop_loss_from < 1:
        raise InvalidInput("a stop-loss looks back over some time and counts from at least one effect")


def _audit(
    conn: Connection,
    tenant_id: str,
    action: str,
    automation: str,
    actor: Actor,
    now: datetime,
    detail: Mapping[str, Any],
    severity: Severity = Severity.V0,
) -> None:
    audit.record(
        conn,
        tenant_id=tenant_id,
        actor=actor,
        action=action,
        subject_type="canary_group",
        subject_id=automation,
        now=now,
        severity=severity,
        detail=dict(detail),
    )


_READ: Sequence[str] = tuple(name for name in Group.__slots__ if name != "tenants")


def _group(row: Mapping[str, Any]) -> Group:
    given = {name: row[name] for name in _READ}
    return Group(**given, tenants=None if row["tenants"] is None else tuple(row["tenants"]))
