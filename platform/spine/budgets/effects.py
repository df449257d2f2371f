"""What carrying out intents costs: reserved in the transaction that begins an effect, settled in the one that ends it."""

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from spine.budgets.booking import reserve, settle
from spine.budgets.reading import held, state
from spine.budgets.records import ZONE, BudgetState, Reservation
from spine.db import Connection
from spine.ids import derived_id
from spine.registry import Budget

_PURPOSE = "effect/"


def effect_standing(
    conn: Connection,
    *,
    tenant_id: str,
    automation: str,
    workflow_id: str | None,
    intent_id: object,
    price: Decimal,
    now: datetime,
    zone: str = ZONE,
) -> BudgetState | None:
    """Where an effect of that price would stand; None for one that costs nothing, or holds what it costs already."""
    if not price or (intent_id is not None and _counts(conn, tenant_id, str(intent_id))):
        return None
    return state(conn, tenant_id=tenant_id, automation=automation, workflow_id=workflow_id or "", now=now, money=price, zone=zone)


def reserve_effect(
    conn: Connection,
    *,
    tenant_id: str,
    intent_id: str,
    automation: str,
    workflow_id: str | None,
    price: Decimal,
    now: datetime,
    low: bool,
    must: bool = False,
    run_limit: Budget | None = None,
    correlation_id: str | None = None,
    zone: str = ZONE,
) -> Reservation | None:
    """Hold what an intent costs, once however often it is begun; None for what costs nothing.

    Raises BudgetExceeded, but for what `must` be done: an undo counts, and is never refused.
    """
    if not price:
        return None
    return reserve(
        conn,
        tenant_id=tenant_id,
        automation=automation,
        workflow_id=workflow_id or intent_id,
        purpose=f"{_PURPOSE}{intent_id}",
        tokens=0,
        money=price,
        now=now,
        run_limit=run_limit,
        low=low,
        must=must,
        correlation_id=correlation_id,
        reservation_id=reservation_of(tenant_id, intent_id),
        zone=zone,
    )


def settle_effect(conn: Connection, *, tenant_id: str, intent_id: str, happened: bool, now: datetime, zone: str = ZONE) -> None:
    """It happened and cost what was held, or it did not and cost nothing. An effect that held nothing has nothing to settle."""
    cost = _held(conn, tenant_id, intent_id)
    if cost is not None:
        settle(conn, reservation_of(tenant_id, intent_id), tokens=0, money=cost if happened else Decimal(0), now=now, zone=zone)


def sweep(conn: Connection, *, tenant_id: str, now: datetime, older_than: timedelta = timedelta(hours=1), zone: str = ZONE) -> int:
    """Ask the ledger about effects whose reservation nobody settled: what is over by now is settled. Returns how many were.

    What the ledger does not know either (`executing`, `unknown`) stays reserved; so do model calls, of which nobody kept a ledger:
    those a person releases.
    """
    settled = 0
    for one in held(conn, tenant_id=tenant_id, before=now - older_than, limit=1000):
        if not one.purpose.startswith(_PURPOSE):
            continue
        intent_id = one.purpose.removeprefix(_PURPOSE)
        row = conn.execute("select state from effects where tenant_id = %s and intent_id = %s", (tenant_id, UUID(intent_id))).fetchone()
        if row is not None and row["state"] in ("completed", "failed"):
            settle_effect(conn, tenant_id=tenant_id, intent_id=intent_id, happened=row["state"] == "completed", now=now, zone=zone)
            settled += 1
    return settled


def reservation_of(tenant_id: str, intent_id: str) -> UUID:
    """The same for every attempt at an intent."""
    return derived_id("budget", tenant_id, "effect", intent_id)


def _counts(conn: Connection, tenant_id: str, intent_id: str) -> bool:
    row = conn.execute(
        "select from budget_reservations where tenant_id = %s and reservation_id = %s and state <> 'released'",
        (tenant_id, reservation_of(tenant_id, intent_id)),
    ).fetchone()
    return row is not None


def _held(conn: Connection, tenant_id: str, intent_id: str) -> Decimal | None:
    row = conn.execute(
        "select money from budget_reservations where tenant_id = %s and reservation_id = %s",
        (tenant_id, reservation_of(tenant_id, intent_id)),
    ).fetchone()
    return None if row is None else row["money"]
