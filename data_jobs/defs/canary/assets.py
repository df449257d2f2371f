"""How the effects of canary groups end, and the check that holds a group which fails too often."""

from datetime import timedelta

import dagster as dg

from data_jobs.failures import told_to_dagster
from data_jobs.resources import Platform
from shared.events import ActorType
from spine.audit import Actor
from spine.policy import canary

CANARY = dg.AssetKey(["operations", "canary"])
WATCH = Actor(ActorType.EXECUTOR_SYSTEM, "canary-watch")


@dg.asset(
    key=CANARY,
    group_name="operations",
    owners=["team:data-platform"],
    kinds={"postgres"},
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=2), warn_window=timedelta(minutes=40)),
)
def canary_groups(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult[None]:
    """Each group with the effects that were settled in its window: counts over all tenants, and no tenant's name."""
    now = platform.settings.business_clock().now()
    with told_to_dagster(), platform.database() as database, database.relay() as conn:
        groups = canary.groups(conn)
        ended = {group.automation: canary.settled(conn, group, now) for group in groups}
    told = {
        name: f"{counts.completed} completed, {counts.failed} failed ({counts.share_failed:.1%})" for name, counts in sorted(ended.items())
    }
    held = sum(group.held_at is not None for group in groups)
    return dg.MaterializeResult(metadata={"groups": len(groups), "held": held, **told})


@dg.asset_check(
    asset=CANARY,
    description="No group has more failed effects than its stop-loss allows. One that has is held until a person releases it.",
)
def within_stop_loss(platform: dg.ResourceParam[Platform]) -> dg.AssetCheckResult:
    """The hold is audited in this installation's tenant. While a group is held the check goes on failing: somebody has to look."""
    now = platform.settings.business_clock().now()
    with told_to_dagster(), platform.database() as database, database.relay() as conn:
        canary.watch(conn, tenant_id=platform.tenant, actor=WATCH, now=now)
        held = {group.automation: group.held_because or "" for group in canary.groups(conn) if group.held_at is not None}
    return dg.AssetCheckResult(passed=not held, severity=dg.AssetCheckSeverity.WARN, metadata={"held": len(held), **held})
