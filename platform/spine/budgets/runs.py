"""The books of one run, for work that is done in many small steps, each in a transaction of its own: model calls."""

from collections.abc import Callable, Mapping
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


def books_by_run(database: Database, clock: Clock, run_limits: Mapping[str, Budget], *, zone: str = ZONE) -> OpenBooks:
    """Opens the books of runs; the automation is the middle of the workflow id, `tenant/automation/key` (see `Automation.workflow_id`)."""

    def open_books(tenant_id: str, workflow_id: str) -> RunBooks:
        automation = [*workflow_id.split("/", 2), workflow_id][1]
        return RunBooks(
            database=database,
            clock=clock,
            tenant_id=tenant_id,
            automation=automation,
            workflow_id=workflow_id,
            run_limit=run_limits.get(automation),
            zone=zone,
        )

    return open_books
