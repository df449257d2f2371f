"""Execution intents: what somebody wants to do to the outside world, from the proposal to the end.

`propose` judges and records in one transaction; `spine.approvals` and `spine.effects` move an intent on. Every move is
compare-and-set on the state, with its audit row in the same transaction; terminal states are terminal.
"""

from spine.intents.propose import propose
from spine.intents.records import Intent, Proposal, Proposed
from spine.intents.states import MOVES, TERMINAL, IntentState
from spine.intents.store import cancel, listing, move, read

__all__ = ["MOVES", "TERMINAL", "Intent", "IntentState", "Proposal", "Proposed", "cancel", "listing", "move", "propose", "read"]
