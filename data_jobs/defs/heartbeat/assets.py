"""The heartbeat: proof that daemon, launcher and code location work together, at the price of one short process."""

from datetime import UTC, datetime, timedelta

import dagster as dg

HEARTBEAT = dg.AssetKey(["operations", "heartbeat"])


@dg.asset(
    key=HEARTBEAT,
    group_name="operations",
    owners=["team:data-platform"],
    kinds={"python"},
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=45), warn_window=timedelta(minutes=25)),
)
def heartbeat(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """When the last one was is all it says; a beat that is missing is what matters."""
    return dg.MaterializeResult(metadata={"at": dg.MetadataValue.timestamp(datetime.now(UTC)), "run_id": context.run.run_id})
