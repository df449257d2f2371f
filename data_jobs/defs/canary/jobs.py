"""Its job and schedule."""

import dagster as dg

from data_jobs.defs.canary.assets import canary_groups

canary_watch = dg.define_asset_job(
    "canary_watch",
    selection=dg.AssetSelection.assets(canary_groups),
    description="Hold the canary groups whose effects fail too often.",
)

canary_schedule = dg.ScheduleDefinition(
    name="canary_watch_every_quarter_hour",
    job=canary_watch,
    cron_schedule="8-59/15 * * * *",  # between the sweeper's rounds
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
