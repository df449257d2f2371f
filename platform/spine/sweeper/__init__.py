"""The sweeper: what must not be, or not for so long, found by looking at the books.

Everything here is guarded elsewhere, by a compare-and-set, a timer, a lock. The sweeper is for the day on which that was not
enough: a bug, a hand in the database, a process that nobody started again. It changes nothing but its own table of findings:
each is raised once while it stands, as an event with its severity, and cleared when it is gone.
"""

from spine.sweeper.checks import CHECKS, Check, Limits, Observation, look
from spine.sweeper.findings import Finding, Swept, listing, sweep

__all__ = ["CHECKS", "Check", "Finding", "Limits", "Observation", "Swept", "listing", "look", "sweep"]
