"""A dead letter as a value, and how a set of them is named."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

State = Literal["open", "retried", "edited", "discarded"]
Plane = Literal["event", "delivery", "activity", "graph", "webhook", "data_job"]
"""`event`: a consumer group gave it up. `delivery`: a webhook of ours that its receiver did not take. `activity`: a step of a
commitment whose attempts are spent; `graph`: one that ran a graph. `webhook`: a provider's report that could not be understood.
`data_job`: a run of the data plane that failed."""

PLANES: tuple[Plane, ...] = get_args(Plane)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """`reference` is the id of what died (an event's, for plane `event`), `consumer` who gave it up, `body` what it was.

    `successor` is the event that an edit published. `created_at` is business time, `died_at`, the last time it died, real time.
    """

    dead_letter_id: UUID
    tenant_id: str
    plane: Plane
    reference: str
    consumer: str
    correlation_id: str | None
    error_code: str
    error: str
    attempts: int
    body: Mapping[str, Any]
    state: State
    created_at: datetime
    died_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None
    successor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which letters: what is None is not asked about."""

    state: State | None = "open"
    plane: Plane | None = None
    consumer: str | None = None
    error_code: str | None = None

    def named(self) -> dict[str, str]:
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}
