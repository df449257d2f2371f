"""Kill switches: stop a tenant, an automation, an action or a plugin, now, for everything not yet begun."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from spine import audit
from spine.audit import Actor
from spine.db import Connection
from spine.errors import InvalidInput


class Scope(StrEnum):
    TENANT = "tenant"
    AUTOMATION = "automation"
    ACTION = "action"
    PLUGIN = "plugin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    scope: Scope
    target: str
    reason: str
    engaged_by: str
    engaged_at: datetime


def engage(conn: Connection, *, tenant_id: str, scope: Scope, target: str, reason: str, actor: Actor, now: datetime) -> None:
    """Stop it. What the gate judges while it is engaged is denied; what was allowed before waits and is not lost.

    Engaging an engaged switch leaves the first reason. The target of scope tenant is the tenant itself.
    """
    if scope is Scope.TENANT and target != tenant_id:
        raise InvalidInput(f"a tenant's switch stops the tenant itself: target {target!r} is not {tenant_id!r}")
    conn.execute(
        "insert into kill_switches (tenant_id, scope, target, reason, engaged_by, engaged_at) values (%s, %s, %s, %s, %s, %s) "
        "on conflict do nothing",
        (tenant_id, scope.value, target, reason, actor.id, now),
    )
    _audit(conn, tenant_id, "kill_switch.engaged", scope, target, actor, now)


def release(conn: Connection, *, tenant_id: str, scope: Scope, target: str, actor: Actor, now: datetime) -> None:
    """Let it go on. Releasing what is not engaged changes nothing."""
    conn.execute("delete from kill_switches where tenant_id = %s and scope = %s and target = %s", (tenant_id, scope.value, target))
    _audit(conn, tenant_id, "kill_switch.released", scope, target, actor, now)


def engaged(conn: Connection, *, tenant_id: str) -> list[Switch]:
    found = conn.execute(
        "select scope, target, reason, engaged_by, engaged_at from kill_switches where tenant_id = %s order by engaged_at", (tenant_id,)
    )
    return [Switch(**{**row, "scope": Scope(row["scope"])}) for row in found]


def _audit(conn: Connection, tenant_id: str, action: str, scope: Scope, target: str, actor: Actor, now: datetime) -> None:
    audit.record(
        conn, tenant_id=tenant_id, actor=actor, action=action, subject_type="kill_switch", subject_id=f"{scope.value}/{target}", now=now
    )
