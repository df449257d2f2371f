"""The sweeper's round as an asset, and its verdict as a check."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from data_jobs.resources import Platform
from shared.events import Severity
from spine.sweeper import Swept, listing, sweep

FINDINGS = dg.AssetKey(["operations", "findings"])


@dg.asset(
    key=FINDINGS,
    group_name="operations",
    owners=["team:data-platform"],
    kinds={"postgres"},
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=2), warn_window=timedelta(minutes=40)),
)
def findings(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult[None]:
    """How many findings stand in this installation's tenant, by severity; each is on `GET /v1/findings` and an event."""
    with platform.database() as database, database.tenant(platform.tenant) as conn:
        found = sweep(conn, tenant_id=platform.tenant, clock=platform.settings.business_clock(), real_now=datetime.now(UTC))
    for one in found.raised:
        context.log.warning("%s %s about %s: %s", one.severity.value, one.code, one.about, one.detail)
    return dg.MaterializeResult(metadata={"tenant": platform.tenant, **_counts(found)})


@dg.asset_check(asset=FINDINGS, description="Nothing stands that a customer feels (V2) or a regulator may ask about (V3).")
def nothing_grave(platform: dg.ResourceParam[Platform]) -> dg.AssetCheckResult:
    with platform.database() as database, database.tenant(platform.tenant) as conn:
        standing = listing(conn, tenant_id=platform.tenant, limit=200).items
    grave = [one for one in standing if one.severity in (Severity.V2, Severity.V3)]
    worst = dg.AssetCheckSeverity.ERROR if any(one.severity is Severity.V3 for one in grave) else dg.AssetCheckSeverity.WARN
    told = {f"{one.code} {one.about}": one.detail for one in grave[:20]}
    return dg.AssetCheckResult(passed=not grave, severity=worst, metadata={"grave": len(grave), **told})


def _counts(found: Swept) -> dict[str, int]:
    by_severity = {severity.value: found.count(severity) for severity in Severity}
    return {**by_severity, "raised": len(found.raised), "cleared": len(found.cleared)}
