"""Months, cut in the tenant's zone. Why the main job needs no partition: docs/decisions/0010."""

from datetime import date, timedelta

import dagster as dg

from spine.settings import Settings

FIRST_MONTH = "2015-01"

MONTHS = dg.MonthlyPartitionsDefinition(
    start_date=FIRST_MONTH,
    fmt="%Y-%m",
    # Definitions read no environment, so this is the zone that settings default to. It decides only when a new month
    # appears: the dates in an export are the tenant's business days already.
    timezone=Settings.model_fields["timezone"].default,
    end_offset=1,  # the month that has begun but not ended is being worked on, so it exists
)


def days_covered() -> tuple[date, date]:
    """First and last day that have a partition. A date outside is a typing error, or from the future."""
    first, last = MONTHS.get_first_partition_window(), MONTHS.get_last_partition_window()
    if first is None or last is None:
        raise RuntimeError(f"no month has begun since {FIRST_MONTH}: the clock of this machine is wrong")
    return first.start.date(), last.end.date() - timedelta(days=1)
