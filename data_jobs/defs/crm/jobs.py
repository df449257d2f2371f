"""The main job and its nightly schedule."""

import dagster as dg

from data_jobs.defs.crm.assets import ASSETS
from spine.settings import Settings

crm_to_commitments = dg.define_asset_job(
    "crm_to_commitments",
    selection=dg.AssetSelection.assets(*(asset for asset in ASSETS if isinstance(asset, dg.AssetsDefinition))),
    description="Take in the CRM export, clean, score, evaluate, publish leads and deals. Without a partition it covers every month.",
)

nightly = dg.ScheduleDefinition(
    name="crm_to_commitments_nightly",
    job=crm_to_commitments,
    cron_schedule="0 2 * * *",
    execution_timezone=Settings.model_fields["timezone"].default,
    default_status=dg.DefaultScheduleStatus.STOPPED,  # a fresh installation has the sample only: a person turns it on
)
