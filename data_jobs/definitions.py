"""Code location `data_jobs`: everything about data. Triggers are a location of their own, so that a broken asset stops none."""

import dagster as dg

from data_jobs.dead_letters import bury_failed_runs
from data_jobs.defs.canary.assets import canary_groups, within_stop_loss
from data_jobs.defs.canary.jobs import canary_schedule, canary_watch
from data_jobs.defs.crm.assets import ASSETS as CRM_ASSETS
from data_jobs.defs.crm.checks import CHECKS as CRM_CHECKS
from data_jobs.defs.crm.jobs import crm_to_commitments, nightly
from data_jobs.defs.heartbeat.assets import heartbeat
from data_jobs.defs.heartbeat.jobs import heartbeat_job, heartbeat_schedule
from data_jobs.defs.housekeeping.assets import housekeeping
from data_jobs.defs.housekeeping.jobs import housekeeping_job, housekeeping_schedule
from data_jobs.defs.sealing.assets import audit_seals, log_is_as_sealed
from data_jobs.defs.sealing.jobs import sealing_job, sealing_schedule, verification_job, verification_schedule
from data_jobs.defs.sweeping.assets import findings
from data_jobs.defs.sweeping.jobs import sweeping_job, sweeping_schedule
from data_jobs.io import ParquetIOManager
from data_jobs.resources import Platform


def definitions(platform: Platform) -> dg.Definitions:
    """The location's composition root. `platform` opens nothing before a run asks."""
    return dg.Definitions(
        assets=[*CRM_ASSETS, heartbeat, housekeeping, audit_seals, findings, canary_groups],
        asset_checks=[*CRM_CHECKS, log_is_as_sealed, within_stop_loss],
        jobs=[crm_to_commitments, heartbeat_job, housekeeping_job, sealing_job, verification_job, sweeping_job, canary_watch],
        schedules=[
            nightly,
            heartbeat_schedule,
            housekeeping_schedule,
            sealing_schedule,
            verification_schedule,
            sweeping_schedule,
            canary_schedule,
        ],
        sensors=[bury_failed_runs],
        resources={"platform": platform, "io_manager": ParquetIOManager(platform)},
        # Steps take milliseconds; a process for each would take seconds.
        executor=dg.in_process_executor,
    )


defs = definitions(Platform())
