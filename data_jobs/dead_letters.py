"""A run that failed is a dead letter: one a run, on the same table as those of the other planes.

Runs of the heartbeat and the like are not excepted: whoever retries or discards the letter decides that it does not matter. A run
that Dagster itself retries is not dead yet, and is left out until its last attempt.
"""

from collections.abc import Mapping

import dagster as dg

from data_jobs.resources import Platform
from spine import deadletters

TENANT_TAG, CORRELATION_TAG = "spine/tenant", "spine/correlation_id"
_KEPT = ("spine/", "dagster/partition", "dagster/asset_partition_range")
"""Tags that a second launch needs: whose run it is, and of which partition."""


@dg.run_failure_sensor(
    description="Puts every run that failed for good among the dead letters, where a person retries or discards it.",
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def bury_failed_runs(context: dg.RunFailureSensorContext, platform: dg.ResourceParam[Platform]) -> None:
    """Idempotent: the letter's id is derived from the run's. Dagster's own cursor says which runs were seen."""
    run = context.dagster_run
    if run.tags.get("dagster/will_retry") == "true":
        return
    tenant_id = run.tags.get(TENANT_TAG, platform.tenant)
    failed = context.failure_event.message or "the run failed"
    steps = list(context.get_step_failure_events())
    why = _why(steps) or failed
    with platform.database() as database, database.tenant(tenant_id) as conn:
        deadletters.add(
            conn,
            tenant_id=tenant_id,
            plane="data_job",
            reference=run.run_id,
            consumer=f"dagster/{run.job_name}",
            correlation_id=run.tags.get(CORRELATION_TAG),
            error_code=_code(steps),
            error=why,
            attempts=1,
            body={"job": run.job_name, "tags": _tags(run.tags), "steps": [event.step_key for event in steps]},
            now=platform.settings.business_clock().now(),
        )
    context.log.warning("run %s of %s is a dead letter: %s", run.run_id, run.job_name, why)


def _why(steps: list[dg.DagsterEvent]) -> str:
    """The first failed step's own words: the others usually failed for want of it."""
    for event in steps:
        if (error := event.step_failure_data.error) is not None:
            cause = error.cause or error
            return f"{event.step_key}: {cause.message.strip()}"
    return ""


def _code(steps: list[dg.DagsterEvent]) -> str:
    """Ours where the failure carries one (`data_jobs.failures`), else the kind of error, for those who decide many at once."""
    for event in steps:
        data = event.step_failure_data
        metadata = data.user_failure_data.metadata if data.user_failure_data else {}
        if (code := metadata.get("code")) is not None:
            return str(code.value)
        if (error := data.error) is not None:
            return str((error.cause or error).cls_name or "run-failed")
    return "run-failed"


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in tags.items() if name.startswith(_KEPT)}
    kept.pop("spine/run_key", None)  # a retry is another run: with the same key it would be found to have run already
    return kept
