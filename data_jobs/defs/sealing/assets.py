"""The seals of the audit log, and the check that the log is still as it was sealed."""

from datetime import datetime, timedelta

import dagster as dg

from data_jobs.resources import Platform
from data_jobs.tenants import Cell, by_tenant, raise_for_failed, say_who_failed
from spine.audit import seals, verify
from spine.audit.sealed import FIRST
from spine.db import Database
from spine.tenants import every_tenant, look_at_each

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

    Writing a row takes no lock for it. What a seal proves, and what it cannot, is in `spine.audit.seals`. Each tenant is sealed
    inside its own wall; one that cannot be fails the run at its end and keeps no other unsealed. The next run does what was left.
    """
    now = platform.settings.business_clock().now()
    with platform.database() as database:
        looked = look_at_each(every_tenant(database, own=platform.tenant), lambda tenant_id: _sealed(database, tenant_id, now))
    told = by_tenant({tenant_id: {"rows": rows, "head": head} for tenant_id, (rows, head) in looked.found.items()})
    raise_for_failed(context.log, looked, told)
    rows = sum(sealed for sealed, _ in looked.found.values())
    return dg.MaterializeResult(metadata={"rows": rows, "tenants": looked.count, "by_tenant": told})


@dg.asset_check(asset=SEALS, name="log_is_as_sealed")
def log_is_as_sealed(context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.AssetCheckResult:
    """Every tenant's whole log against its seals, as `spine audit verify` does for one. It passes when all of them are whole.

    A tenant whose log could not be read is not known to be whole: the check fails and names it, after it judged the others.
    """
    with platform.database() as database:
        looked = look_at_each(every_tenant(database, own=platform.tenant), lambda tenant_id: _verdict(database, tenant_id))
    say_who_failed(context.log, looked)
    faults = {tenant_id: verdict.fault for tenant_id, verdict in looked.found.items() if verdict.fault is not None}
    wrong = [f"{tenant_id!r}: {fault.kind}: {fault.why}" for tenant_id, fault in faults.items()]
    told = {tenant_id: _told(verdict) for tenant_id, verdict in looked.found.items()}
    return dg.AssetCheckResult(
        passed=not (faults or looked.failed),
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join([*wrong, *([looked.why] if looked.failed else [])]) or None,
        metadata={"tenants": looked.count, "faults": len(faults), "failed": len(looked.failed), "by_tenant": by_tenant(told)},
    )


def _sealed(database: Database, tenant_id: str, now: datetime) -> tuple[int, str]:
    """How many rows were sealed now, and the root to keep elsewhere."""
    rows = seals.seal_all(database, tenant_id=tenant_id, now=now)
    with database.tenant(tenant_id) as conn:
        last = seals.newest(conn, tenant_id)
    return rows, last.root if last else FIRST


def _verdict(database: Database, tenant_id: str) -> verify.Verdict:
    with database.tenant(tenant_id) as conn:
        return verify.of_database(conn, tenant_id=tenant_id)


def _told(verdict: verify.Verdict) -> dict[str, Cell]:
    counts = {"rows": verdict.rows, "seals": verdict.seals, "unsealed": verdict.unsealed}
    return {**counts, "fault": verdict.fault.kind if verdict.fault else None, "head": verdict.head}
