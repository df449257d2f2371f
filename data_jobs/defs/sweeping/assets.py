"""The sweeper's round as an asset, and its verdict as a check."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from data_jobs.resources import Platform
from data_jobs.tenants import Cell, by_tenant, raise_for_failed, table, totals
from shared.events import Severity
from spine.clock import Clock
from spine.db import Database
from spine.sweeper import Finding, Swept, sweep
from spine.tenants import Looked, every_tenant, look_at_each

FINDINGS = dg.AssetKey(["operations", "findings"])
_GRAVE = (Severity.V2, Severity.V3)
_SHOWN = 20  # the worst of a tenant, in the check's metadata; all are on `GET /v1/findings`


@dg.asset(
    key=FINDINGS,
    group_name="operations",
    owners=["team:data-platform"],
    kinds={"postgres"},
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=2), warn_window=timedelta(minutes=40)),
    check_specs=[
        dg.AssetCheckSpec(
            "nothing_grave",
            asset=FINDINGS,
            description="In no tenant stands anything that a customer feels (V2) or a regulator may ask about (V3).",
        )
    ],
)
def findings(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """How many findings stand, by severity, over all tenants and in each; each is on its tenant's `GET /v1/findings` and an event.

    A round a tenant, inside its own wall. One that fails keeps no other from being swept and fails the run at its end. The check is
    part of the run and not a step behind it, since a failed run has no further steps: what stands in the others is told in any case.
    """
    clock = platform.settings.business_clock()
    with platform.database() as database:
        looked = look_at_each(every_tenant(database, own=platform.tenant), lambda tenant_id: _swept(database, tenant_id, clock))
    for tenant_id, found in looked.found.items():
        for one in found.raised:
            context.log.warning("%s %s of tenant %r about %s: %s", one.severity.value, one.code, tenant_id, one.about, one.detail)
    counts = {tenant_id: _counts(found) for tenant_id, found in looked.found.items()}
    told = by_tenant(counts)
    if looked.failed:
        yield _verdict(looked)
        raise_for_failed(context.log, looked, told)
    yield dg.MaterializeResult(
        metadata={"tenants": looked.count, **totals(counts.values()), "by_tenant": told}, check_results=[_verdict(looked)]
    )


def _swept(database: Database, tenant_id: str, clock: Clock) -> Swept:
    with database.tenant(tenant_id) as conn:
        return sweep(conn, tenant_id=tenant_id, clock=clock, real_now=datetime.now(UTC))


def _verdict(looked: Looked[Swept]) -> dg.AssetCheckResult:
    """Over all tenants. In one that could not be looked at anything may stand: the check fails as it does for the worst."""
    grave = {tenant_id: [one for one in found.standing if one.severity in _GRAVE] for tenant_id, found in looked.found.items()}
    severities = {one.severity for standing in grave.values() for one in standing}
    shown = [_row(tenant_id, one) for tenant_id, standing in grave.items() for one in standing[:_SHOWN]]
    counts = {"grave": sum(len(standing) for standing in grave.values()), "tenants": looked.count, "failed": len(looked.failed)}
    return dg.AssetCheckResult(
        check_name="nothing_grave",
        passed=not (severities or looked.failed),
        severity=dg.AssetCheckSeverity.ERROR if looked.failed or Severity.V3 in severities else dg.AssetCheckSeverity.WARN,
        description=looked.why or None,
        metadata={**counts, "standing": table(shown)},
    )


def _row(tenant_id: str, one: Finding) -> dict[str, Cell]:
    return {"tenant": tenant_id, "severity": one.severity.value, "code": one.code, "about": one.about, "detail": one.detail}


def _counts(found: Swept) -> dict[str, int]:
    by_severity = {severity.value: found.count(severity) for severity in Severity}
    return {**by_severity, "raised": len(found.raised), "cleared": len(found.cleared)}
