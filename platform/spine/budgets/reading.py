"""What the books say: for the gate before something begins, and for people."""

from datetime import datetime, timedelta
from decimal import Decimal

from spine.budgets.prices import BOOKS, in_books
from spine.budgets.records import ZONE, Amounts, Book, BudgetState, Held, Level, Limit, Periods, Scope
from spine.budgets.rows import arrays_of, book_of, limited
from spine.db import Connection
from spine.registry import Budget

_STATE = limited(
    """
select b.*, limits.* from (
    select %(tenant)s::text as tenant_id, k.scope, k.automation, k.period, k.place,
        coalesce(tokens_reserved, 0) as tokens_reserved, coalesce(money_reserved, 0) as money_reserved,
        coalesce(tokens_spent, 0) as tokens_spent, coalesce(money_spent, 0) as money_spent, coalesce(announced, 'ok') as announced,
        coalesce(own_tokens, case when k.scope = 'run' then %(own_tokens)s::bigint end) as own_tokens,
        coalesce(own_money, case when k.scope = 'run' then %(own_money)s::numeric end) as own_money
    from unnest(%(scopes)s::text[], %(automations)s::text[], %(periods)s::text[]) with ordinality as k (scope, automation, period, place)
    left join budget_books o on o.tenant_id = %(tenant)s and (o.scope, o.automation, o.period) = (k.scope, k.automation, k.period)
) as b {limited} order by b.place
"""
)

_BOOKS = limited(
    """
select b.*, limits.* from budget_books b {limited}
where b.tenant_id = %(tenant)s and (b.period in (%(day)s, %(month)s) and b.scope <> 'run'
    or b.scope = 'run' and b.updated_at > %(runs_since)s and (b.announced <> 'ok' or b.tokens_reserved > 0 or b.money_reserved > 0))
order by b.scope, b.automation, b.period limit 1000
"""
)

_RUNS_SHOWN = timedelta(days=7)


def state(
    conn: Connection,
    *,
    tenant_id: str,
    automation: str,
    workflow_id: str,
    now: datetime,
    tokens: int = 0,
    money: Decimal = Decimal(0),
    currency: str = BOOKS,
    run_limit: Budget | None = None,
    zone: str = ZONE,
) -> BudgetState:
    """Where a piece of work of that size would stand, without reserving it: the next one may be faster."""
    asked = Amounts(tokens, in_books(money, currency))
    at = Periods.at(now, automation=automation, workflow_id=workflow_id, zone=zone)
    given = {"tenant": tenant_id, "own_tokens": None, "own_money": None}
    if run_limit is not None:
        given |= {"own_tokens": run_limit.tokens, "own_money": run_limit.money}  # type: ignore[dict-item]
    rows = conn.execute(_STATE, {**given, **arrays_of(at.keys())}).fetchall()
    books = tuple(book_of(row, zone) for row in rows)
    broken = [book for book in books if _holding(book, asked).overrun_by(asked)]
    shared = [book for book in books if book.scope is not Scope.RUN]
    tight = [book for book in shared if book.level.rank >= Level.THROTTLE.rank]
    times = [book.resets_at for book in broken or tight]
    return BudgetState(
        level=Level.EXHAUSTED if broken else max((book.level for book in shared), key=lambda level: level.rank, default=Level.OK),
        fits=not broken,
        books=books,
        next_allowed_at=max((time for time in times if time), default=None) if None not in times else None,
    )


def listing(conn: Connection, tenant_id: str, now: datetime, *, zone: str = ZONE) -> list[Book]:
    """Today's and this month's books, runs of the last week that are under way or came near a limit, and limits not yet used.

    In the order of scope, automation and period. A limit for each automation by itself stands under an empty automation.
    """
    at = Periods.at(now, automation="", workflow_id="", zone=zone)
    given = {"tenant": tenant_id, "day": at.day, "month": at.month, "runs_since": now - _RUNS_SHOWN}
    books = {(book.scope, book.automation, book.period): book for book in (book_of(row, zone) for row in conn.execute(_BOOKS, given))}
    for row in conn.execute("select * from budget_limits where tenant_id = %s", (tenant_id,)).fetchall():
        scope = Scope(row["scope"])
        period = {Scope.RUN: "", Scope.TENANT_DAY: at.day, Scope.AUTOMATION_DAY: at.day}.get(scope, at.month)
        money = None if row["money"] is None else in_books(row["money"], row["currency"])
        unused = Book(scope=scope, automation=row["automation"], period=period, limit=Limit(row["tokens"], money))
        books.setdefault((scope, row["automation"], period), unused)
    return sorted(books.values(), key=lambda book: (book.scope, book.automation, book.period))


def held(conn: Connection, *, tenant_id: str, before: datetime | None = None, limit: int = 100) -> list[Held]:
    """Reservations that nobody has settled, the oldest first; with `before`, only older ones."""
    rows = conn.execute(
        "select reservation_id, automation, workflow_id, purpose, state, tokens, money, reserved_at from budget_reservations "
        "where tenant_id = %s and state = 'held' and (%s::timestamptz is null or reserved_at < %s) "
        "order by reserved_at, reservation_id limit %s",
        (tenant_id, before, before, limit),
    )
    return [Held(**row) for row in rows]


def _holding(book: Book, asked: Amounts) -> Book:
    return Book(scope=book.scope, automation=book.automation, period=book.period, limit=book.limit, reserved=book.used + asked)
