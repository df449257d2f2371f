"""Kill switches: stop a tenant, an automation, an action or a plugin, now, for everything not yet begun.

Looked at inside every effect, after every wait and every approval, in the transaction that would begin it. What was allowed before
waits and goes on when the switch is released; what is proposed meanwhile is denied, and a running commitment that is denied for
this reason alone waits as well (`orchestration.governed`). What a provider was asked before the switch is not called back.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.events import EventData, KillSwitchEngaged, KillSwitchReleased, Severity
from spine import audit, eventlog
from spine.audit import Actor
from spine.db import Connection
from spine.errors import InvalidInput
from spine.ids import new_id
from spine.policy.table import PolicyTable
from spine.redact import redact
from spine.telemetry import current_traceparent

SOURCE = "/spine/governance"


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


def engage(
    conn: Connection,
    *,
    tenant_id: str,
    scope: Scope,
    target: str,
    reason: str,
    actor: Actor,
    now: datetime,
    correlation_id: str | None = None,
) -> bool:
    """Stop it, from this commit on: waits for those that are beginning an effect at this moment, see `keep_as_they_are`.

    False: it was stopped already, and the first reason stays.

    The target of scope tenant is the tenant itself. Raises InvalidInput for another one, and for a blank reason.
    """
    if scope is Scope.TENANT and target != tenant_id:
        raise InvalidInput(f"a tenant's switch stops the tenant itself: target {target!r} is not {tenant_id!r}")
    said = _reason(reason, "engaged")
    conn.execute("select pg_advisory_xact_lock(hashtextextended('spine.kill_switches/' || %s, 0))", (tenant_id,))
    changed = conn.execute(
        "insert into kill_switches (tenant_id, scope, target, reason, engaged_by, engaged_at) values (%s, %s, %s, %s, %s, %s) "
        "on conflict do nothing",
        (tenant_id, scope.value, target, said, actor.id, now),
    ).rowcount
    if changed:
        event = KillSwitchEngaged(scope=scope.value, target=target, reason=said, engaged_by=actor.id)
        _tell(conn, tenant_id, "kill_switch.engaged", scope, target, said, event, actor, now, correlation_id)
    return bool(changed)


def keep_as_they_are(conn: Connection, *, tenant_id: str) -> None:
    """No switch of the tenant is engaged from here to the end of the transaction; then ask which are.

    Without it a switch could be engaged, and its engaging be told, between the look at the switches and the beginning of an effect.
    """
    conn.execute("select pg_advisory_xact_lock_shared(hashtextextended('spine.kill_switches/' || %s, 0))", (tenant_id,))


def release(
    conn: Connection,
    *,
    tenant_id: str,
    scope: Scope,
    target: str,
    actor: Actor,
    now: datetime,
    reason: str = "the cause is gone",
    correlation_id: str | None = None,
) -> bool:
    """Let it go on. False: it was not stopped, and nothing changes. Raises InvalidInput for a blank reason."""
    said = _reason(reason, "released")
    changed = conn.execute(
        "delete from kill_switches where tenant_id = %s and scope = %s and target = %s", (tenant_id, scope.value, target)
    ).rowcount
    if changed:
        event = KillSwitchReleased(scope=scope.value, target=target, reason=said, released_by=actor.id)
        _tell(conn, tenant_id, "kill_switch.released", scope, target, said, event, actor, now, correlation_id)
    return bool(changed)


def engaged(conn: Connection, *, tenant_id: str) -> list[Switch]:
    """Those that are engaged now, the oldest first. There are few: one a thing that can be stopped."""
    found = conn.execute(
        "select scope, target, reason, engaged_by, engaged_at from kill_switches where tenant_id = %s order by engaged_at, scope, target",
        (tenant_id,),
    )
    return [Switch(**{**row, "scope": Scope(row["scope"])}) for row in found]


def covering(conn: Connection, *, tenant_id: str, automation: str, action: str, plugin: str | None) -> Switch | None:
    """The switch that stops this now, if one does."""
    stopped = {(Scope.TENANT, tenant_id), (Scope.AUTOMATION, automation), (Scope.ACTION, action), (Scope.PLUGIN, plugin or "")}
    return next((switch for switch in engaged(conn, tenant_id=tenant_id) if (switch.scope, switch.target) in stopped), None)


def check_target(scope: Scope, target: str, *, tenant_id: str, automations: Collection[str], policy: PolicyTable) -> None:
    """A switch on a name that nothing has stops nothing, and looks as if it did. Raises InvalidInput, naming what there is."""
    there: dict[Scope, Collection[str]] = {
        Scope.TENANT: (tenant_id,),
        Scope.AUTOMATION: automations,
        Scope.ACTION: policy.actions,
        Scope.PLUGIN: {rule.plugin for rule in policy.actions.values() if rule.plugin},
    }
    if target not in there[scope]:
        raise InvalidInput(f"there is no {scope.value} {target!r} to stop; there is {', '.join(sorted(there[scope])) or 'none'}")


def _reason(reason: str, verb: str) -> str:
    if not reason.strip():
        raise InvalidInput(f"a kill switch is {verb} for a reason: say which, for those who find it")
    return redact(reason.strip())


def _tell(
    conn: Connection,
    tenant_id: str,
    action: str,
    scope: Scope,
    target: str,
    reason: str,
    event: EventData,
    actor: Actor,
    now: datetime,
    correlation_id: str | None,
) -> None:
    flow = correlation_id or str(new_id())
    audit.record(
        conn,
        tenant_id=tenant_id,
        actor=actor,
        action=action,
        subject_type="kill_switch",
        subject_id=f"{scope.value}/{target}",
        now=now,
        correlation_id=flow,
        severity=Severity.V1,
        detail={"why": reason},
    )
    eventlog.publish(
        conn,
        event,
        tenant_id=tenant_id,
        source=SOURCE,
        partition_key=f"{scope.value}/{target}",
        correlation_id=flow,
        now=now,
        traceparent=current_traceparent(),
        actor_type=actor.type,
    )
