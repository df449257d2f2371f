"""Budgets: tokens and money, reserved before they are spent and settled after, with a hard stop in between.

`reserve` raises BudgetExceeded when a limit would be broken; `settle` says what it really took; `state` is what the gate asks,
`listing` what people look at. Limits are rows that an admin sets (`set_limit`); without any, one run of an automation may take what
its entry in the registry says. Levels: warn at 70 %, throttle at 90 % (low work is refused until the period is over), exhausted.
"""

from spine.budgets.booking import release, reserve, settle
from spine.budgets.effects import effect_standing, reserve_effect, settle_effect, sweep
from spine.budgets.limits import remove_limit, set_limit
from spine.budgets.prices import in_books, price_of
from spine.budgets.reading import held, listing, state
from spine.budgets.records import Amounts, Book, BudgetState, Held, Level, Limit, Reservation, Scope, name_of, scope_of
from spine.budgets.runs import OpenBooks, RunBooks, books_by_run

__all__ = [
    "Amounts",
    "Book",
    "BudgetState",
    "Held",
    "Level",
    "Limit",
    "OpenBooks",
    "Reservation",
    "RunBooks",
    "Scope",
    "books_by_run",
    "effect_standing",
    "held",
    "in_books",
    "listing",
    "name_of",
    "price_of",
    "release",
    "remove_limit",
    "reserve",
    "reserve_effect",
    "scope_of",
    "set_limit",
    "settle",
    "settle_effect",
    "state",
    "sweep",
]
