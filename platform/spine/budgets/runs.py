"""The books of one run, for work that is done in many small steps, each in a transaction of its own: model calls."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from spine.budgets.booking import reserve, settle
from spine.budgets.records import ZONE
from spine.clock import Clock
from spine.db import Database
from spine.errors import BudgetExceeded
from spine.registry import Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBooks:
    """Thread-safe, and made anew for each run."""

    database: Database
    clock: Clock
    tenant_id: str
    automation: str
    workflow_id: str
    run_limit: Budget | None = None
    correlation_id: str | None = None
    zone: str = ZONE

    def reserve(self, purpose: str, tokens: int, cost: Decimal) -> UUID:
        """Raises BudgetExceeded; that a limit was reached is announced all the same. Model calls are low work: a graph has a baseline."""
        refused: BudgetExceeded | None = None
        with self.database.tenant(self.tenant_id) as conn:
            try:
                return reserve(
                    conn,
                    tenant_id=self.tenant_id,
                    automation=self.automation,
                    workflow_id=self.workflow_id,
                    purpose=purpose,
                    tokens=tokens,
                    money=cost,
                    now=self.clock.now(),
                    run_limit=self.run_limit,
                    low=True,
                    correlation_id=self.correlation_id,
                    zone=self.zone,
                ).reservation_id
            except BudgetExceeded as error:
                refused = error
        raise refused

    def settle(self, reservation_id: UUID, tokens: int, cost: Decimal) -> None:
        with self.database.tenant(self.tenant_id) as conn:
            settle(conn, reservation_id, tokens=tokens, money=cost, now=self.clock.now(), zone=self.zone)


OpenBooks = Callable[[str, str], RunBooks]
"""(tenant, workflow id) → the books of that run."""
