"""What nobody will try again by himself: one table for all planes, emptied by people, each decision audited.

A dead letter is `open` until a person retries, edits or discards it. One that dies again after a retry is the same letter,
open again, its attempts added up. When many of one cause arrive at once the circuit of that cause opens and the rest waits
instead of dying, see `spine.deadletters.circuits`; what a retry does on each plane is in `spine.deadletters.planes`.
"""

from spine.deadletters.bulk import Bulk, bulk
from spine.deadletters.decide import discard, edit_and_retry, retry
from spine.deadletters.records import PLANES, DeadLetter, Filter, Plane, State
from spine.deadletters.store import add, count, listing, show

__all__ = [
    "PLANES",
    "Bulk",
    "DeadLetter",
    "Filter",
    "Plane",
    "State",
    "add",
    "bulk",
    "count",
    "discard",
    "edit_and_retry",
    "listing",
    "retry",
    "show",
]
