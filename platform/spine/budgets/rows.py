"""Rows of the books as values."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, LiteralString

from psycopg import sql

from spine.budgets.prices import in_books
from spine.budgets.records import Amounts, Book, Level, Limit, Scope, resets_at
from spine.db import Connection

# The limit that holds for a book: its own automation's, else the one for each automation, else what the run was begun with.
LIMITED = sql.SQL("""
left join lateral (
    select tokens as limit_tokens, money as limit_money, currency as limit_currency from budget_limits l
    where l.tenant_id = b.tenant_id and l.scope = b.scope and l.automation in (b.automation, '')
    order by l.automation desc limit 1
) as limits on true
""")


def limited(query: LiteralString) -> bytes:
    """A query with `{limited}` where the limits of its books `b` are joined; composed once, which costs more than running it."""
    return sql.SQL(query).format(limited=LIMITED).as_bytes()


def book_of(row: Mapping[str, Any], zone: str) -> Book:
    scope = Scope(row["scope"])
    return Book(
        scope=scope,
        automation=row["automation"],
        period=row["period"],
        limit=limit_of(row),
        reserved=Amounts(row["tokens_reserved"], row["money_reserved"]),
        spent=Amounts(row["tokens_spent"], row["money_spent"]),
        announced=Level(row["announced"]),
        resets_at=resets_at(scope, row["period"], zone),
    )


def limit_of(row: Mapping[str, Any]) -> Limit:
    if row["limit_currency"] is None:
        return Limit(row["own_tokens"], row["own_money"])
    money: Decimal | None = row["limit_money"]
    return Limit(row["limit_tokens"], None if money is None else in_books(money, row["limit_currency"]))


def arrays_of(keys: list[tuple[Scope, str, str]]) -> dict[str, list[str]]:
    """The keys of several books as parameters of one statement, in the order of locking."""
    return {
        "scopes": [scope.value for scope, _, _ in keys],
        "automations": [automation for _, automation, _ in keys],
        "periods": [period for _, _, period in keys],
    }


def announce_level(conn: Connection, tenant_id: str, book: Book, level: Level) -> bool:
    """Note that this level was announced; False when it, or a graver one, was before: once a level and period."""
    graver = [one.value for one in Level if one.rank >= level.rank]
    return (
        conn.execute(
            "update budget_books set announced = %s where tenant_id = %s and scope = %s and automation = %s and period = %s "
            "and announced <> all(%s)",
            (level.value, tenant_id, book.scope.value, book.automation, book.period, graver),
        ).rowcount
        == 1
    )
