"""What can come of an event, and what then: the vocabulary of consumer groups, without a database.

A group hands its dispatcher *lanes*: the events of one partition key of one tenant, in the order of the log. A dispatcher
works on lanes side by side, within a lane one event after the other, and stops a lane at the first event that must wait.
It may be handed an event again that it has dispatched before (a crash between dispatch and commit): that must be harmless.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, Protocol
from uuid import UUID

from shared.events import Envelope, EventData
from spine.eventlog.read import Place

# Written to `deliveries.outcome` and counted in ticks.
Done = Literal["started", "already known", "signalled", "requested", "ignored"]


@dataclass(frozen=True, slots=True)
class Delivered:
    """Acted on. `target` is the workflow or the run; an event that is nobody's business is `ignored` without one."""

    outcome: Done
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Can never be acted on as it is: a dead letter, and the later events of its key go on."""

    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Was not acted on; another attempt may help. The event waits, and the later events of its key wait behind it."""

    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The engine cannot be reached, which says nothing about the event: it waits, and the attempt does not count against it."""

    why: str


Outcome = Delivered | Refused | Failed | Unavailable


def must_wait(outcome: Outcome) -> bool:
    return isinstance(outcome, Failed | Unavailable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event in a group's hands. `attempts` counts those that failed before."""

    place: Place
    tenant_id: str
    event_id: UUID
    partition_key: str
    attempts: int
    envelope: Envelope
    data: EventData

    @property
    def key(self) -> tuple[str, str]:
        return self.tenant_id, self.partition_key


Lane = Sequence[Event]


class Dispatcher(Protocol):
    """Acts on events. Idempotent: the same event again has no second effect."""

    def __call__(self, lanes: Sequence[Lane], stop_at: float) -> Sequence[Sequence[Outcome]]:
        """One sequence of outcomes a lane, in order, ending at the first event that must wait. Raises for no single event's sake.

        Begins nothing after `stop_at` (of `time.monotonic`): what is left out of the answer stays with the group.
        """
        ...


def one_after_the_other(handle: Callable[[Event], Outcome]) -> Dispatcher:
    """The simplest dispatcher: no concurrency. For tests, and for work that is only a function call."""

    def dispatch(lanes: Sequence[Lane], stop_at: float) -> list[list[Outcome]]:
        return [_until_stuck(handle, lane) if time.monotonic() < stop_at else [] for lane in lanes]

    return dispatch


def _until_stuck(handle: Callable[[Event], Outcome], lane: Lane) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for event in lane:
        outcomes.append(handle(event))
        if must_wait(outcomes[-1]):
            break
    return outcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRule:
    """Exponential backoff with full jitter: the n-th failure waits between nothing and `first * 2^(n-1)`, at most `longest`.

    The default gives up after ten failures, about six minutes: an engine that is down does not count, so what fails that
    often is the event, and a person should look at it.
    """

    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(minutes=2)
    attempts: int = 10

    def delay(self, failures: int, *, chance: float) -> timedelta | None:
        """How long to wait after that many failures; None when it is enough. `chance` is in [0, 1)."""
        if failures >= self.attempts:
            return None
        return min(self.longest, self.first * 2.0 ** min(failures - 1, 30)) * chance

    def drawn(self, failures: int) -> timedelta | None:
        return self.delay(failures, chance=random.random())  # spreads retries; nobody gains by guessing it


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a member did in its turn, for the tick that people read."""

    group: str
    held_lease: bool
    outcomes: Counter[str] = field(default_factory=Counter)
    dead: tuple[str, ...] = ()
    waiting: int = 0
    lag: int = 0
    unavailable: str | None = None
    seconds: float = 0.0

    def __str__(self) -> str:
        if not self.held_lease:
            return f"{self.group}: standby, another member holds the lease"
        counted = [f"{count} {name}" for name in _COUNTED if (count := self.outcomes[name])] or ["nothing to do"]
        parts = [*counted, *([f"{self.waiting} waiting"] if self.waiting else []), f"lag {self.lag}", f"{self.seconds:.1f} s"]
        return f"{self.group}: {', '.join(parts)}" + "".join(f"; dead: {line}" for line in self.dead)


_COUNTED = ("started", "already known", "signalled", "requested", "ignored", "refused", "failed", "unavailable", "dead", "held")
