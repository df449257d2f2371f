"""People and the functions they hold, and which function may sign for which. Values only."""

from dataclasses import dataclass
from datetime import datetime

from spine.policy.functions import APPROVER, AUTHORITY, BESIDE

FUNCTIONS = tuple(name for name in AUTHORITY if name != APPROVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approver:
    """One person in one function. `level` orders people inside the function: the lowest is asked first. Absence is business time."""

    person: str
    function: str
    level: int
    delegate: str | None
    absent_from: datetime | None
    absent_until: datetime | None
    active: bool

    def is_absent(self, now: datetime) -> bool:
        return self.absent_from is not None and self.absent_until is not None and self.absent_from <= now < self.absent_until


@dataclass(frozen=True, slots=True)
class Capacity:
    """As what somebody signs: a function, and for whom, if it is not his own."""

    function: str
    level: int = 1
    on_behalf_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    person: str
    capacities: tuple[Capacity, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signers:
    """Who could still sign a request, and the functions it needs that nobody could sign for: those must be filled first."""

    people: tuple[Signer, ...]
    nobody_for: tuple[str, ...]
    enough: bool
    """Whether these people, all of them willing, would be enough."""


def covers(held: str, needed: str) -> bool:
    """May whoever holds one function sign where another is asked for?

    On the line manager, head, director, vp, executive, board a higher one signs for a lower one. Those beside the line, legal and
    finance, sign for themselves, and nobody for them. Executive and founder are equals: neither signs for the other.
    """
    if held == needed:
        return True
    on_the_line = not {held, needed} & {*BESIDE, APPROVER} and held in AUTHORITY and needed in AUTHORITY
    return on_the_line and AUTHORITY[held] > AUTHORITY[needed]
