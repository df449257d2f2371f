"""Budgets: that a limit comes near, or was reached. One event a level and period."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.envelope import EventData
from shared.events.wire import Name, Ref


class BudgetThresholdCrossed(EventData):
    """What is reserved and spent in a scope went over 70 % (warn), 90 % (throttle), or a reservation no longer fitted (exhausted)."""

    TYPE: ClassVar[str] = "spine.budget.threshold_crossed.v1"
    SUBJECT: ClassVar[str] = "budget"

    budget: Name
    """The scope and, but for the tenant's own, the automation: `tenant-day`, `run:outreach-sequence`."""
    period: Ref
    """The day, the month or the workflow that it is about."""
    level: Literal["warn", "throttle", "exhausted"]
    percent: Annotated[int, Field(ge=0)]
    """Of the limit that is nearest, tokens or money."""
