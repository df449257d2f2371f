"""Reserve before, settle after: in the caller's transaction, atomic whoever else does it at the same moment.

A reservation adds to the five books that it counts in, under their row locks, and looks at the sums: two that do not fit together
cannot both succeed. What is never settled stays reserved: a process that died, and an effect of which nobody knows whether it
happened, go on counting until somebody says what became of them (`settle`, `release`, or `spine budgets sweep`, which asks the ledger).
"""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from shared.events import ActorType, BudgetThresholdCrossed
from spine import audit, eventlog
from spine.audit import Actor
from spine.budgets.prices import BOOKS, in_books
from spine.budgets.records import ZONE, Amounts, Book, Level, Periods, Reservation, Scope
from spine.budgets.rows import announce_level, arrays_of, book_of, limited
from spine.db import Connection
from spine.errors import BudgetExceeded, BudgetThrottled, Conflict, InvalidInput, NotFound
from spine.ids import new_id
from spine.registry import Budget
from spine.telemetry import current_traceparent

_ADD = limited(
    """
with booked as (
    insert into budget_books
        (tenant_id, scope, automation, period, tokens_reserved, money_reserved, own_tokens, own_money, opened_at, updated_at)
    select %(tenant)s, scope, automation, period, %(tokens)s, %(money)s,
           case when scope = 'run' then %(own_tokens)s::bigint end, case when scope = 'run' then %(own_money)s::numeric end,
           %(now)s, %(now)s
    from unnest(%(scopes)s::text[], %(automations)s::text[], %(periods)s::text[]) with ordinality as k (scope, automation, period, place)
    order by place
    on conflict (tenant_id, scope, automation, period) do update
        set tokens_reserved = budget_books.tokens_reserved + excluded.tokens_reserved,
            money_reserved = budget_books.money_reserved + excluded.money_reserved,
            own_tokens = coalesce(budget_books.own_tokens, excluded.own_tokens),
            own_money = coalesce(budget_books.own_money, excluded.own_money), updated_at = excluded.updated_at
    returning *
)
select b.*, limits.* from booked b {limited}
"""
)

# Locked in the same order as `_ADD` locks them.
_SETTLE_BOOKS = limited(
    """
with held as materialized (
    select scope, automation, period from budget_books join unnest(%(scopes)s::text[], %(automations)s::text[], %(periods)s::text[])
        with ordinality as k (scope, automation, period, place) using (scope, automation, period)
    where tenant_id = %(tenant)s order by place for update of budget_books
), b as (
    update budget_books set tokens_reserved = tokens_reserved - %(tokens_held)s, money_reserved = money_reserved - %(money_held)s,
        tokens_spent = tokens_spent + %(tokens)s, money_spent = money_spent + %(money)s, updated_at = %(now)s
    from held where tenant_id = %(tenant)s and budget_books.scope = held.scope and budget_books.automation = held.automation
        and budget_books.period = held.period
    returning budget_books.*
)
select b.*, limits.* from b {limited}
"""
)


def reserve(
    conn: Connection,
    *,
    tenant_id: str,
    automation: str,
    workflow_id: str,
    purpose: str,
    tokens: int,
    money: Decimal,
    now: datetime,
    currency: str = BOOKS,
    run_limit: Budget | None = None,
    low: bool = False,
    must: bool = False,
    correlation_id: str | None = None,
    reservation_id: UUID | None = None,
    zone: str = ZONE,
) -> Reservation:
    """Hold the most that a piece of work can take. `now` is business time; `purpose` says what for: `effect/<intent>`, `model/<name>`.

    `run_limit` is what its automation declares for one run (money in USD), kept with the run unless a limit was set by hand. `low`
    work can wait: it is refused while a day or month is at 90 %; what `must` be done counts and is never refused. With a
    `reservation_id` that is held or settled already, nothing is added; one that a person gave back is asked for anew, in the
    periods of `now`: others may have taken what it left.

    Raises BudgetExceeded when it does not fit (the transaction is as it was, but for the announcement: let it commit), its
    subclass BudgetThrottled for low work, InvalidInput for an amount that is none.
    """
    if tokens < 0:
        raise InvalidInput(f"a reservation of {tokens} tokens: it takes 0 or more")
    asked = Amounts(tokens, in_books(money, currency))
    if reservation_id is not None and (known := _known(conn, tenant_id, reservation_id)):
        return known
    at = Periods.at(now, automation=automation, workflow_id=workflow_id, zone=zone)
    try:
        with conn.transaction():
            books = _add(conn, tenant_id, at, asked, run_limit, now, zone)
            if not must and (broken := [book for book in books if book.overrun_by(asked)]):
                raise _refusal(broken, asked)
            if low and (
                tight := [book for book in books if book.scope is not Scope.RUN and _before(book, asked).level.rank >= Level.THROTTLE.rank]
            ):
                raise _throttle(tight)
            made = Reservation(reservation_id=reservation_id or new_id(), tenant_id=tenant_id, tokens=tokens, money=asked.money)
            written = conn.execute(
                "insert into budget_reservations (tenant_id, reservation_id, automation, workflow_id, purpose, day, month, tokens, money, "
                "correlation_id, reserved_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) "
                "on conflict (tenant_id, reservation_id) do update set state = 'held', day = excluded.day, month = excluded.month, "
                "tokens = excluded.tokens, money = excluded.money, reserved_at = excluded.reserved_at, tokens_spent = null, "
                "money_spent = null, settled_at = null where budget_reservations.state = 'released'",
                (
                    *(tenant_id, made.reservation_id, automation, workflow_id, purpose, at.day, at.month, tokens, asked.money),
                    *(correlation_id, now),
                ),
            )
            if not written.rowcount:  # made since we looked: what was added to the books goes back with this transaction
                raise Conflict(f"reservation {str(made.reservation_id)!r} is being made at this moment: ask again")
    except BudgetThrottled:
        raise
    except BudgetExceeded:
        for book in _add(conn, tenant_id, at, Amounts(), run_limit, now, zone):
            if _with(book, asked).overrun_by(asked):
                _announce(conn, tenant_id, book, Level.EXHAUSTED, correlation_id, now)
        raise
    for book in books:
        if book.level.rank > book.announced.rank:
            _announce(conn, tenant_id, book, book.level, correlation_id, now)
    return made


def settle(
    conn: Connection, reservation_id: UUID, *, tokens: int, money: Decimal, now: datetime, currency: str = BOOKS, zone: str = ZONE
) -> bool:
    """The work is over and took this much, be it more than was held. False: it was settled before, and stays as it was.

    In the periods in which it was reserved, whatever day it is by now. One that was released counts again: this is what happened.
    Raises NotFound.
    """
    spent = Amounts(tokens, in_books(money, currency))
    row = conn.execute(
        "with held as (select tenant_id, reservation_id, state from budget_reservations where reservation_id = %(id)s for update) "
        "update budget_reservations r set state = 'settled', tokens_spent = %(tokens)s, money_spent = %(money)s, settled_at = %(now)s "
        "from held where r.tenant_id = held.tenant_id and r.reservation_id = held.reservation_id and held.state <> 'settled' "
        "returning r.*, held.state as was",
        {"id": reservation_id, "tokens": spent.tokens, "money": spent.money, "now": now},
    ).fetchone()
    if row is None:
        if conn.execute("select from budget_reservations where reservation_id = %s", (reservation_id,)).fetchone() is None:
            raise NotFound(f"no reservation {str(reservation_id)!r}: it was never made, or not in this tenant")
        return False
    held = Amounts(row["tokens"], row["money"]) if row["was"] == "held" else Amounts()
    for book in _move(conn, row, held, spent, now, zone):
        if book.level.rank > book.announced.rank:
            _announce(conn, row["tenant_id"], book, book.level, row["correlation_id"], now)
    return True


def release(
    conn: Connection, *, tenant_id: str, reservation_id: UUID, spent: bool, actor: Actor, reason: str, now: datetime, zone: str = ZONE
) -> None:
    """A person says what became of a reservation that nobody settled: `spent` in full, or given back. Audited.

    Raises NotFound, Conflict for one that is not held, InvalidInput without a reason.
    """
    if not reason.strip():
        raise InvalidInput(f"reservation {str(reservation_id)!r} needs a reason: say how it is known what it took")
    row = conn.execute(
        "select * from budget_reservations where tenant_id = %s and reservation_id = %s for update", (tenant_id, reservation_id)
    ).fetchone()
    if row is None:
        raise NotFound(f"no reservation {str(reservation_id)!r} of tenant {tenant_id!r}: `spine budgets held` shows those there are")
    if row["state"] != "held":
        raise Conflict(f"reservation {str(reservation_id)!r} is {row['state']!r}, not held: there is nothing to release")
    if spent:
        settle(conn, reservation_id, tokens=row["tokens"], money=row["money"], now=now, zone=zone)
    else:
        conn.execute(
            "update budget_reservations set state = 'released', tokens_spent = 0, money_spent = 0, settled_at = %s "
            "where tenant_id = %s and reservation_id = %s",
            (now, tenant_id, reservation_id),
        )
        _move(conn, row, Amounts(row["tokens"], row["money"]), Amounts(), now, zone)
    audit.record(
        conn,
        tenant_id=tenant_id,
        actor=actor,
        action="budget.released",
        subject_type="reservation",
        subject_id=str(reservation_id),
        now=now,
        correlation_id=row["correlation_id"],
        detail={"purpose": row["purpose"], "as": "spent" if spent else "not spent", "why": reason},
    )


def _add(conn: Connection, tenant_id: str, at: Periods, asked: Amounts, run_limit: Budget | None, now: datetime, zone: str) -> list[Book]:
    given = {
        "tenant": tenant_id,
        "tokens": asked.tokens,
        "money": asked.money,
        "own_tokens": None if run_limit is None else run_limit.tokens,
        "own_money": None if run_limit is None else run_limit.money,
        "now": now,
    }
    return [book_of(row, zone) for row in conn.execute(_ADD, {**given, **arrays_of(at.keys())}).fetchall()]


def _move(conn: Connection, row: dict[str, object], held: Amounts, spent: Amounts, now: datetime, zone: str) -> list[Book]:
    at = Periods(automation=str(row["automation"]), workflow_id=str(row["workflow_id"]), day=str(row["day"]), month=str(row["month"]))
    given = {"tenant": row["tenant_id"], "tokens_held": held.tokens, "money_held": held.money, "now": now}
    taken = {"tokens": spent.tokens, "money": spent.money}
    return [book_of(found, zone) for found in conn.execute(_SETTLE_BOOKS, {**given, **taken, **arrays_of(at.keys())}).fetchall()]


def _known(conn: Connection, tenant_id: str, reservation_id: UUID) -> Reservation | None:
    """One that counts. The row is locked: of two that ask anew for one that was given back, the second finds it held."""
    row = conn.execute(
        "select state, tokens, money from budget_reservations where tenant_id = %s and reservation_id = %s for update",
        (tenant_id, reservation_id),
    ).fetchone()
    if row is None or row["state"] == "released":
        return None
    return Reservation(reservation_id=reservation_id, tenant_id=tenant_id, tokens=row["tokens"], money=row["money"])


def _refusal(broken: list[Book], asked: Amounts) -> BudgetExceeded:
    """Waiting helps when each of the limits that were broken is one of a period."""
    first, times = broken[0], [book.resets_at for book in broken]
    before, limit = _before(first, asked).used, first.limit
    why = (
        f"budget {first.name!r} of {first.period!r}: up to {asked.tokens} tokens and {asked.money} USD do not fit, {before.tokens} of "
        f"{limit.tokens} tokens and {before.money} of {limit.money} USD are reserved or spent (None: not limited)"
    )
    return BudgetExceeded(why, next_allowed_at=None if None in times else max(time for time in times if time))


def _throttle(tight: list[Book]) -> BudgetThrottled:
    first = tight[0]
    why = f"budget {first.name!r} of {first.period!r} is at {first.percent} %: what is left is kept for what cannot wait"
    return BudgetThrottled(why, next_allowed_at=max(book.resets_at for book in tight if book.resets_at))


def _before(book: Book, asked: Amounts) -> Book:
    return _with(book, Amounts(-asked.tokens, -asked.money))


def _with(book: Book, more: Amounts) -> Book:
    return Book(
        scope=book.scope,
        automation=book.automation,
        period=book.period,
        limit=book.limit,
        reserved=book.reserved + more,
        spent=book.spent,
        announced=book.announced,
        resets_at=book.resets_at,
    )


def _announce(conn: Connection, tenant_id: str, book: Book, level: Level, correlation_id: str | None, now: datetime) -> None:
    if not announce_level(conn, tenant_id, book, level):
        return
    eventlog.publish(
        conn,
        BudgetThresholdCrossed(budget=book.name, period=book.period, level=level.value, percent=book.percent),
        tenant_id=tenant_id,
        source="/budgets",
        correlation_id=correlation_id or f"budget/{book.name}/{book.period}"[:128],
        now=now,
        traceparent=current_traceparent(),
        actor_type=ActorType.EXECUTOR_SYSTEM,
    )
