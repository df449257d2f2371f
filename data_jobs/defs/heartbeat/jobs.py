"""Its job and schedule."""

import dagster as dg

from data_jobs.defs.heartbeat.assets import heartbeat

heartbeat_job = dg.define_asset_job(
    "heartbeat", selection=dg.AssetSelection.assets(heartbeat), description="Record that the data plane is alive."
)

# A run costs some five seconds of one core for the start of its process, so not every minute.
heartbeat_schedule = dg.ScheduleDefinition(
    name="heartbeat_every_ten_minutes",
    job=heartbeat_job,
    cron_schedule="*/10 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
