"""Budgets as people and programs see them: over HTTP and at the command line alike."""

from datetime import datetime
from decimal import Decimal
from typing import Self

from spine.budgets.prices import BOOKS
from spine.budgets.records import Amounts, Book, Held
from spine.views import View


class AmountsView(View):
    """Money is a decimal string in `currency`, that of the books."""

    tokens: int | None
    money: str | None
    currency: str = BOOKS

    @classmethod
    def of(cls, amounts: Amounts) -> Self:
        return cls(tokens=amounts.tokens, money=in_full(amounts.money))


class BudgetView(View):
    """One scope in one period. `percent` is of the limit that is nearest, tokens or money; None in a limit: not limited in this."""

    budget: str
    scope: str
    automation: str
    period: str
    limit: AmountsView
    reserved: AmountsView
    spent: AmountsView
    percent: int
    level: str
    resets_at: datetime | None

    @classmethod
    def of(cls, book: Book) -> Self:
        money = None if book.limit.money is None else in_full(book.limit.money)
        return cls(
            budget=book.name,
            scope=book.scope.value,
            automation=book.automation,
            period=book.period,
            limit=AmountsView(tokens=book.limit.tokens, money=money),
            reserved=AmountsView.of(book.reserved),
            spent=AmountsView.of(book.spent),
            percent=book.percent,
            level=book.level.value,
            resets_at=book.resets_at,
        )


class HeldView(View):
    """A reservation that nobody has settled."""

    reservation_id: str
    automation: str
    workflow_id: str
    purpose: str
    tokens: int
    money: str
    reserved_at: datetime

    @classmethod
    def of(cls, held: Held) -> Self:
        return cls(
            reservation_id=str(held.reservation_id),
            automation=held.automation,
            workflow_id=held.workflow_id,
            purpose=held.purpose,
            tokens=held.tokens,
            money=in_full(held.money),
            reserved_at=held.reserved_at,
        )


def in_full(money: Decimal) -> str:
    """Without an exponent, and without zeros that say nothing: `0.005334`, `50`."""
    text = f"{money:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
