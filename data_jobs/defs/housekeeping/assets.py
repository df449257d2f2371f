"""The daily sweep of what only recognised repetitions, and of the checkpoints of graphs."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from data_jobs.resources import Platform
from spine.retention import CHECKPOINTS_KEPT, forget_letters, forget_repetitions
from spine.storage import Checkpointer

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

    Answers, webhook ids and approval tokens are those of this installation's tenant (SPINE_TENANT): the wall hides other tenants from
    the role that runs, and there is no list of tenants yet, so each tenant's installation sweeps its own. Checkpoints are pruned for
    all, since they are nobody's records. A run that fails half-way is finished by the next.
    """
    now = datetime.now(UTC)
    with platform.database() as database:
        forgotten = forget_repetitions(database, platform.tenant, now=now)
        letters = forget_letters(database, platform.tenant, now=platform.settings.business_clock().now())
    with Checkpointer.from_settings(platform.settings) as checkpoints:
        threads = checkpoints.prune(now - CHECKPOINTS_KEPT)
    counts = {**forgotten, "dead_letters": letters, "checkpoint_threads": threads}
    context.log.info("forgotten for tenant %r: %s", platform.tenant, counts)
    return dg.MaterializeResult(metadata={"tenant": platform.tenant, **counts})
