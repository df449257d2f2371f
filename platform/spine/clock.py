"""Business time.

Waits of this business last days: 48 hours to a reply, quiet hours until eight in the morning. To watch them in a demo
without skipping a line of the code that waits, time itself is configurable: business time is an affine function of real
time. With the default it *is* real time. `SPINE_CLOCK=2026-11-22T09:00:00+03:00@7200` starts the business day at nine in
Riyadh and lets two hours pass each second, for every process of the stack alike, because the anchor travels with it.

Rules are evaluated in business time (quiet hours, caps, expiry of consent and approvals); a durable timer of a business
duration sleeps `real(duration)`. Leases, retries and provider timeouts stay in real time.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, Self

from spine.errors import Misconfigured


class Clock(Protocol):
    """Time as an argument: whoever needs to know what time it is gets one of these."""

    def now(self) -> datetime:
        """Business time now: aware, in UTC."""
        ...

    def real(self, business: timedelta) -> timedelta:
        """How long a business duration takes in real time."""
        ...


@dataclass(frozen=True, slots=True)
class Stopped:
    """Another clock at one moment: for what has to be one moment from its first question to its last write."""

    clock: Clock
    moment: datetime

    @classmethod
    def of(cls, clock: Clock) -> Self:
        return cls(clock, clock.now())

    def now(self) -> datetime:
        return self.moment

    def real(self, business: timedelta) -> timedelta:
        return self.clock.real(business)


@dataclass(frozen=True, slots=True, kw_only=True)
class BusinessClock:
    """`now = business_anchor + (real_now - real_anchor) * rate`; rate 1 with equal anchors is the real clock."""

    real_anchor: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    business_anchor: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    rate: float = 1.0

    def now(self) -> datetime:
        return self.at(datetime.now(UTC))

    def at(self, real_time: datetime) -> datetime:
        return self.business_anchor + (real_time - self.real_anchor) * self.rate

    def real(self, business: timedelta) -> timedelta:
        return business / self.rate

    def describe(self) -> str:
        """The form `parse` reads back, with both anchors, so that child processes share the same time."""
        if self == BusinessClock():
            return ""
        return f"{self.business_anchor.isoformat()}@{self.rate:g}@{self.real_anchor.isoformat()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """`""` → real time; `START@RATE[@REAL_ANCHOR]` → business time START at REAL_ANCHOR (default: now), RATE× as fast.

        Raises Misconfigured for anything else.
        """
        if not text:
            return cls()
        try:
            start, rate, *anchor = text.split("@")
            clock = cls(
                business_anchor=datetime.fromisoformat(start),
                rate=float(rate),
                real_anchor=datetime.fromisoformat(anchor[0]) if anchor else datetime.now(UTC),
            )
            aware = clock.business_anchor.tzinfo and clock.real_anchor.tzinfo
        except ValueError as error:
            raise Misconfigured(f"SPINE_CLOCK={text!r} is not START@RATE[@REAL_ANCHOR], such as 2026-11-22T09:00:00+03:00@7200") from error
        if not aware or not clock.rate > 0:
            raise Misconfigured(f"SPINE_CLOCK={text!r} needs times with a zone and a rate above 0")
        return clock
