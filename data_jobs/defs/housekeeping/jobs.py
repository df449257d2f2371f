"""Its job and schedule."""

import dagster as dg

from data_jobs.defs.housekeeping.assets import housekeeping
from spine.settings import Settings

housekeeping_job = dg.define_asset_job(
    "housekeeping",
    selection=dg.AssetSelection.assets(housekeeping),
    description="Forget old answers of idempotent calls, ids of webhooks received, and checkpoints of graphs.",
)

housekeeping_schedule = dg.ScheduleDefinition(
    name="housekeeping_daily",
    job=housekeeping_job,
    cron_schedule="30 3 * * *",  # after the nightly job, so that neither slows the other
    execution_timezone=Settings.model_fields["timezone"].default,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
