"""Scopes, periods and levels: what a budget is, without a database.

A *scope* says whose money and for how long: `tenant-day`, `tenant-month`, `automation-day`, `automation-month`, and `run`, which is
one workflow from its start to its end. Days and months are cut in the tenant's zone. Everything that is reserved counts in all five.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from spine.errors import InvalidInput

ZONE = "Asia/Riyadh"


class Scope(StrEnum):
    """In the order in which their books are locked, by everyone: the narrow ones first, so that nobody waits in a circle."""

    RUN = "run"
    AUTOMATION_DAY = "automation-day"
    AUTOMATION_MONTH = "automation-month"
    TENANT_DAY = "tenant-day"
    TENANT_MONTH = "tenant-month"

    @property
    def is_tenants(self) -> bool:
        return self in (Scope.TENANT_DAY, Scope.TENANT_MONTH)


class Level(StrEnum):
    """How near a limit is: under 70 %, from 70 %, from 90 %, and at the limit (domain.md §6: alert at .7, throttle at .9)."""

    OK = "ok"
    WARN = "warn"
    THROTTLE = "throttle"
    EXHAUSTED = "exhausted"

    @property
    def rank(self) -> int:
        return list(Level).index(self)


WARN_PERCENT, THROTTLE_PERCENT = 70, 90


@dataclass(frozen=True, slots=True)
class Amounts:
    """Tokens, and money in the currency of the books (USD)."""

    tokens: int = 0
    money: Decimal = Decimal(0)

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(self.tokens + other.tokens, self.money + other.money)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most this much; None: not limited in this."""

    tokens: int | None = None
    money: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """One scope in one period: how much it may be, how much is held for what is under way, how much is gone.

    `automation` is '' for the tenant as a whole, and in a listing also for a limit that holds for each automation by itself.
    """

    scope: Scope
    automation: str
    period: str
    limit: Limit = Limit()
    reserved: Amounts = Amounts()
    spent: Amounts = Amounts()
    announced: Level = Level.OK
    resets_at: datetime | None = None
    """When the next period begins; None for a run, which waiting does not help."""

    @property
    def name(self) -> str:
        return name_of(self.scope, self.automation)

    @property
    def used(self) -> Amounts:
        return self.reserved + self.spent

    @property
    def percent(self) -> int:
        """Of the limit that is nearest, rounded down; 0 without a limit."""
        shares = [_percent(self.used.tokens, self.limit.tokens), _percent(self.used.money, self.limit.money)]
        return max(shares)

    @property
    def level(self) -> Level:
        if self.percent >= 100:
            return Level.EXHAUSTED
        if self.percent >= THROTTLE_PERCENT:
            return Level.THROTTLE
        return Level.WARN if self.percent >= WARN_PERCENT else Level.OK

    def overrun_by(self, more: Amounts) -> bool:
        """Is a limit broken, of what `more` takes from? `more` is already in the book."""
        tokens, money = self.limit.tokens, self.limit.money
        over_tokens = more.tokens > 0 and tokens is not None and self.used.tokens > tokens
        over_money = more.money > 0 and money is not None and self.used.money > money
        return over_tokens or over_money


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What is held for one piece of work until it is settled."""

    reservation_id: UUID
    tenant_id: str
    tokens: int
    money: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A reservation as the books know it. `held` that is old belongs to a process that died, or to an outcome nobody knows."""

    reservation_id: UUID
    automation: str
    workflow_id: str
    purpose: str
    state: str
    tokens: int
    money: Decimal
    reserved_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """Where a piece of work stands before it begins. `fits`: what it asked about could be reserved now."""

    level: Level
    fits: bool
    books: tuple[Book, ...]
    next_allowed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """The keys of the five books that a piece of work counts in."""

    automation: str
    workflow_id: str
    day: str
    month: str

    @classmethod
    def at(cls, now: datetime, *, automation: str, workflow_id: str, zone: str) -> "Periods":
        local = now.astimezone(ZoneInfo(zone))
        return cls(automation=automation, workflow_id=workflow_id, day=f"{local:%Y-%m-%d}", month=f"{local:%Y-%m}")

    def keys(self) -> list[tuple[Scope, str, str]]:
        """(scope, automation, period), in the order of locking."""
        periods = {
            Scope.RUN: (self.automation, self.workflow_id),
            Scope.AUTOMATION_DAY: (self.automation, self.day),
            Scope.AUTOMATION_MONTH: (self.automation, self.month),
            Scope.TENANT_DAY: ("", self.day),
            Scope.TENANT_MONTH: ("", self.month),
        }
        return [(scope, *periods[scope]) for scope in Scope]


def name_of(scope: Scope, automation: str) -> str:
    return f"{scope.value}:{automation}" if automation else scope.value


def scope_of(name: str) -> tuple[Scope, str]:
    """`automation-day:outreach-sequence` → its scope and automation; without one, it is each automation's. Raises InvalidInput."""
    kind, _, automation = name.partition(":")
    try:
        scope = Scope(kind)
    except ValueError:
        raise InvalidInput(f"budget {name!r}: the scope is one of {', '.join(Scope)}, with ':AUTOMATION' where one is meant") from None
    if scope.is_tenants and automation:
        raise InvalidInput(f"budget {name!r}: {scope.value!r} is the tenant's as a whole, no automation's")
    return scope, automation


def resets_at(scope: Scope, period: str, zone: str) -> datetime | None:
    """When the period after this one begins, in UTC's terms of the zone's midnight."""
    if scope is Scope.RUN:
        return None
    is_day = scope in (Scope.TENANT_DAY, Scope.AUTOMATION_DAY)
    first = datetime.strptime(period if is_day else f"{period}-01", "%Y-%m-%d").date()  # noqa: DTZ007 - a date; its zone is put on below
    following = first + timedelta(days=1) if is_day else (first + timedelta(days=32)).replace(day=1)
    return datetime.combine(following, time(), tzinfo=ZoneInfo(zone))


def _percent(used: Any, limit: Any) -> int:
    if limit is None:
        return 0
    if limit == 0:
        return 100 if used > 0 else 0  # "none at all" is kept while none was used
    return int(used * 100 / limit)
