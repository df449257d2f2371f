"""Books of a tenant of each test's own, in one database."""

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from shared.events import ActorType
from spine import budgets
from spine.audit import Actor
from spine.budgets import Book, BudgetState, Reservation, Scope
from spine.db import Database
from spine.errors import BudgetExceeded
from tests.desk import shared_database

__all__ = ["ADMIN", "NOON", "Purse", "purse", "shared_database"]

NOON = datetime(2026, 11, 22, 9, tzinfo=UTC)  # 12:00 in Riyadh, a Sunday
ADMIN = Actor(ActorType.HUMAN, "ada")
_numbers = itertools.count(1)


@dataclass
class Purse:
    """One tenant's budgets, in a line each."""

    database: Database
    tenant: str = field(default_factory=lambda: f"acme-{next(_numbers)}")
    now: datetime = NOON

    def limit(self, name: str, *, tokens: int | None = None, money: str | None = None, currency: str = "USD") -> None:
        scope, automation = budgets.scope_of(name)
        amount = None if money is None else Decimal(money)
        with self.database.tenant(self.tenant) as conn:
            budgets.set_limit(
                conn, tenant_id=self.tenant, scope=scope, automation=automation, tokens=tokens, money=amount, currency=currency,
                actor=ADMIN, now=self.now,
            )  # fmt: skip

    def reserve(self, tokens: int = 0, money: str = "0", *, run: str = "run-1", automation: str = "outreach", **more: Any) -> Reservation:
        """As callers do: what refuses is raised after the transaction has committed."""
        refused: Exception | None = None
        with self.database.tenant(self.tenant) as conn:
            try:
                return budgets.reserve(
                    conn, tenant_id=self.tenant, automation=automation, workflow_id=run, purpose="test", tokens=tokens,
                    money=Decimal(money), now=self.now, **more,
                )  # fmt: skip
            except BudgetExceeded as error:
                refused = error
        raise refused

    def settle(self, reservation_id: UUID, tokens: int = 0, money: str = "0") -> bool:
        with self.database.tenant(self.tenant) as conn:
            return budgets.settle(conn, reservation_id, tokens=tokens, money=Decimal(money), now=self.now)

    def state(self, money: str = "0", *, tokens: int = 0, run: str = "run-1", automation: str = "outreach", **more: Any) -> BudgetState:
        with self.database.tenant(self.tenant) as conn:
            return budgets.state(
                conn, tenant_id=self.tenant, automation=automation, workflow_id=run, now=self.now, tokens=tokens,
                money=Decimal(money), **more,
            )  # fmt: skip

    def book(self, scope: Scope = Scope.TENANT_DAY) -> Book:
        return next(book for book in self.state().books if book.scope is scope)

    def listing(self) -> dict[str, Book]:
        with self.database.tenant(self.tenant) as conn:
            return {book.name: book for book in budgets.listing(conn, self.tenant, self.now)}

    def announced(self) -> list[tuple[str, str]]:
        with self.database.tenant(self.tenant) as conn:
            rows = conn.execute(
                "select envelope->'data' as data from events where type = 'spine.budget.threshold_crossed.v1' order by position"
            ).fetchall()
        return [(row["data"]["budget"], row["data"]["level"]) for row in rows]

    def sql(self, query: str, *values: Any) -> list[dict[str, Any]]:
        with self.database.tenant(self.tenant) as conn:
            cursor = conn.execute(query, values)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def purse(shared_database: Database) -> Purse:
    return Purse(shared_database)
