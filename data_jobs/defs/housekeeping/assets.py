"""The daily sweep of what only recognised repetitions, and of the checkpoints of graphs."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from data_jobs.resources import Platform
from data_jobs.tenants import by_tenant, raise_for_failed, totals
from spine.db import Database
from spine.retention import CHECKPOINTS_KEPT, forget_letters, forget_repetitions
from spine.storage import Checkpointer
from spine.tenants import every_tenant, look_at_each

HOUSEKEEPING = dg.AssetKey(["operations", "housekeeping"])


@dg.asset(
    key=HOUSEKEEPING,
    group_name="operations",
    owners=["team:data-platform"],
    kinds={"postgres"},
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=50), warn_window=timedelta(hours=26)),
)
def housekeeping(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult[None]:
    """How many rows were forgotten; what and after how long is in `spine.retention`.

    Of every tenant there is, each inside its own wall; checkpoints are pruned for all at once, since they are nobody's records. What
    fails, a tenant or the checkpoints, keeps nothing else from being forgotten and fails the run at its end. The next run does the rest.
    """
    now, business_now = datetime.now(UTC), platform.settings.business_clock().now()
    with platform.database() as database:
        tenants = every_tenant(database, own=platform.tenant)
        looked = look_at_each(tenants, lambda tenant_id: _forget(database, tenant_id, now, business_now))
    told = by_tenant(looked.found)
    try:
        with Checkpointer.from_settings(platform.settings) as checkpoints:
            threads = checkpoints.prune(now - CHECKPOINTS_KEPT)
    finally:
        raise_for_failed(context.log, looked, told)
    counts = {**totals(looked.found.values()), "checkpoint_threads": threads}
    context.log.info("forgotten of %s tenants: %s", looked.count, counts)
    return dg.MaterializeResult(metadata={"tenants": looked.count, **counts, "by_tenant": told})


def _forget(database: Database, tenant_id: str, now: datetime, business_now: datetime) -> dict[str, int]:
    forgotten = forget_repetitions(database, tenant_id, now=now)
    return {**forgotten, "dead_letters": forget_letters(database, tenant_id, now=business_now)}
