"""How long things may take and how often they are tried, said once.

All durations here are real time: they bound machines. Waits of the business (hours for a person, days for a reply) are in
the workflows and are business time, see spine.clock.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType

HEARTBEAT_EVERY = timedelta(seconds=2)
"""A missing heartbeat is how a dead worker is noticed; well under every heartbeat timeout below."""


@dataclass(frozen=True, slots=True)
class ActivityOptions:
    """Of a regular activity: three history events, can move to another worker."""

    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta | None
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType

    def kwargs(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """Of a local activity: one history event, runs in the worker that holds the workflow. For short writes to our own database."""

    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy

    def kwargs(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


EFFECT = ActivityOptions(
    # One provider call takes seconds; two minutes bound a provider that holds the line while our heartbeat goes on.
    start_to_close_timeout=timedelta(minutes=2),
    # A provider that is down for three days is a business fact: the effect fails and a person hears of it.
    schedule_to_close_timeout=timedelta(days=3),
    # Ten seconds after a kill -9 another worker takes over; the ledger, not this timeout, prevents the second send.
    heartbeat_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(minutes=5)),
    # Never abandon a send half-way: cancellation waits for what the provider says.
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

REASONING = ActivityOptions(
    # A graph is bounded by its own budget and step limit; its checkpoint lets a retry continue where it was.
    start_to_close_timeout=timedelta(minutes=10),
    schedule_to_close_timeout=timedelta(hours=6),
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=2), backoff_coefficient=2, maximum_interval=timedelta(minutes=2), maximum_attempts=8
    ),
    cancellation_type=ActivityCancellationType.TRY_CANCEL,
)

LOOK_UP = ActivityOptions(
    # Asking changes nothing: give up soon, the next poll asks again.
    start_to_close_timeout=timedelta(seconds=30),
    schedule_to_close_timeout=timedelta(minutes=5),
    heartbeat_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(seconds=30)),
    cancellation_type=ActivityCancellationType.TRY_CANCEL,
)

BOOKKEEPING = LocalOptions(
    start_to_close_timeout=timedelta(seconds=10),
    # Our own database: if it is down nothing can go on, and nothing is lost by waiting for it.
    retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100), backoff_coefficient=2, maximum_interval=timedelta(seconds=30)),
)
