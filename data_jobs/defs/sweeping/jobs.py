"""Its job and schedule."""

import dagster as dg

from data_jobs.defs.sweeping.assets import findings

sweeping_job = dg.define_asset_job(
    "sweeping", selection=dg.AssetSelection.assets(findings), description="Look for what must not be, or not for so long."
)

# A run costs some five seconds of one core for the start of its process; the shortest limit of a check is five minutes.
sweeping_schedule = dg.ScheduleDefinition(
    name="sweeping_every_quarter_hour",
    job=sweeping_job,
    cron_schedule="*/15 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
