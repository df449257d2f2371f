"""Sealing often, since an unsealed row is protected by triggers only; verifying daily, since it reads the whole log."""

import dagster as dg

from data_jobs.defs.sealing.assets import audit_seals, log_is_as_sealed
from spine.settings import Settings

sealing_job = dg.define_asset_job(
    "audit_sealing",
    selection=dg.AssetSelection.assets(audit_seals).without_checks(),
    description="Seal the audit log: Merkle roots in a chain.",
)

verification_job = dg.define_asset_job(
    "audit_verification",
    selection=dg.AssetSelection.checks(log_is_as_sealed),
    description="Verify that the audit log is as it was sealed.",
)

sealing_schedule = dg.ScheduleDefinition(
    name="audit_sealing_every_ten_minutes",
    job=sealing_job,
    cron_schedule="5-59/10 * * * *",  # between two heartbeats, so that neither slows the other
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

verification_schedule = dg.ScheduleDefinition(
    name="audit_verification_daily",
    job=verification_job,
    cron_schedule="0 4 * * *",
    execution_timezone=Settings.model_fields["timezone"].default,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
