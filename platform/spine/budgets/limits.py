"""Limits, set by an admin and on record."""

from datetime import datetime
from decimal import Decimal

from spine import audit
from spine.audit import Actor
from spine.budgets.prices import in_books
from spine.budgets.reading import listing
from spine.budgets.records import ZONE, Level, Scope, name_of
from spine.db import Connection
from spine.errors import InvalidInput, NotFound


def set_limit(
    conn: Connection,
    *,
    tenant_id: str,
    scope: Scope,
    automation: str = "",
    tokens: int | None,
    money: Decimal | None,
    currency: str,
    actor: Actor,
    now: datetime,
    zone: str = ZONE,
) -> None:
    """Limit a scope, from now on and for what its current period has taken already. None: not limited in this.

    What was announced in the current period is forgotten as far as the new limit is not that near: coming near it is news again.
    Raises InvalidInput for a limit of nothing, a negative one, or a currency that has no rate.
    """
    if tokens is None and money is None:
        raise InvalidInput(f"budget {name_of(scope, automation)!r} limits nothing: give tokens, money, or both; remove it to lift it")
    if tokens is not None and tokens < 0:
        raise InvalidInput(f"budget {name_of(scope, automation)!r}: {tokens} tokens are fewer than none")
    in_books(Decimal(0) if money is None else money, currency)
    conn.execute(
        "insert into budget_limits (tenant_id, scope, automation, tokens, money, currency, set_by, set_at) "
        "values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (tenant_id, scope, automation) do update set tokens = excluded.tokens, "
        "money = excluded.money, currency = excluded.currency, set_by = excluded.set_by, set_at = excluded.set_at",
        (tenant_id, scope.value, automation, tokens, money, currency, actor.id, now),
    )
    for book in listing(conn, tenant_id, now, zone=zone):
        if book.scope is scope and book.announced.rank > book.level.rank:
            _reannounce(conn, tenant_id, scope, book.automation, book.period, book.level)
    amount = None if money is None else f"{money} {currency}"
    _on_record(conn, tenant_id, "budget.limited", scope, automation, actor, now, {"tokens": tokens, "money": amount})


def remove_limit(conn: Connection, *, tenant_id: str, scope: Scope, automation: str = "", actor: Actor, now: datetime) -> None:
    """Raises NotFound."""
    gone = conn.execute(
        "delete from budget_limits where tenant_id = %s and scope = %s and automation = %s", (tenant_id, scope.value, automation)
    ).rowcount
    if not gone:
        raise NotFound(f"tenant {tenant_id!r} has no limit {name_of(scope, automation)!r}: `spine budgets list` shows those there are")
    _on_record(conn, tenant_id, "budget.unlimited", scope, automation, actor, now, {})


def _reannounce(conn: Connection, tenant_id: str, scope: Scope, automation: str, period: str, level: Level) -> None:
    conn.execute(
        "update budget_books set announced = %s where tenant_id = %s and scope = %s and automation = %s and period = %s",
        (level.value, tenant_id, scope.value, automation, period),
    )


def _on_record(
    conn: Connection, tenant_id: str, action: str, scope: Scope, automation: str, actor: Actor, now: datetime, detail: dict[str, object]
) -> None:
    name = name_of(scope, automation)
    audit.record(conn, tenant_id=tenant_id, actor=actor, action=action, subject_type="budget", subject_id=name, now=now, detail=detail)
