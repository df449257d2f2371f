"""How an attempt to carry out an intent ended, for the one who asked."""

from dataclasses import dataclass
from datetime import datetime

from spine.intents.states import IntentState


@dataclass(frozen=True, slots=True)
class Completed:
    """The provider did it, once. `reconciled`: found by asking, not by the answer to the call."""

    reference: str | None
    reconciled: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not happen and will not: the provider, or the gate at this moment, said no. `code` is stable."""

    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now: ask again at `not_before` (business time). Nothing has happened, and nothing is lost by waiting."""

    not_before: datetime
    code: str


@dataclass(frozen=True, slots=True)
class NotRunnable:
    """Nothing was tried: the intent is in a state that does not lead to an effect."""

    state: IntentState


Outcome = Completed | Failed | Deferred | NotRunnable
