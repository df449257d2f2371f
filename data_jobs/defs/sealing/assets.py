"""The seals of the audit log, and the check that the log is still as it was sealed."""

from datetime import timedelta

import dagster as dg

from data_jobs.resources import Platform
from spine.audit import seals, verify

SEALS = dg.AssetKey(["governance", "audit_seals"])


@dg.asset(
    key=SEALS,
    group_name="governance",
    owners=["team:data-platform"],
    kinds={"postgres"},
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=2), warn_window=timedelta(minutes=30)),
)
def audit_seals(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult[None]:
    """Every tenant's audit rows behind the safe horizon, in batches with a Merkle root that is chained to the one before.

    Writing a row takes no lock for it. What a seal proves, and what it cannot, is in `spine.audit.seals`. A run that fails half-way
    is finished by the next.
    """
    with platform.database() as database:
        counts = seals.seal_everything(database, now=platform.settings.business_clock().now())
        with database.tenant(platform.tenant) as conn:
            last = seals.newest(conn, platform.tenant)
    context.log.info("sealed: %s", counts or "nothing new")
    head = last.root if last else "nothing is sealed yet"
    return dg.MaterializeResult(metadata={"rows": sum(counts.values()), "tenants": len(counts), "head": head})


@dg.asset_check(asset=SEALS, name="log_is_as_sealed")
def log_is_as_sealed(platform: dg.ResourceParam[Platform]) -> dg.AssetCheckResult:
    """The whole log of this installation's tenant (SPINE_TENANT) against its seals, as `spine audit verify` does."""
    with platform.database() as database, database.tenant(platform.tenant) as conn:
        found = verify.of_database(conn, tenant_id=platform.tenant)
    metadata: dict[str, int | str] = {name: getattr(found, name) for name in ("rows", "seals", "unsealed", "head")}
    if found.fault is not None:
        metadata |= {"fault": found.fault.kind, "why": found.fault.why}
    return dg.AssetCheckResult(passed=found.is_whole, metadata=metadata, severity=dg.AssetCheckSeverity.ERROR)
