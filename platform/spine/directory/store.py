"""The directory's rows: added, lent, marked absent, removed; each in the caller's transaction with its audit row."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from psycopg import sql

from shared.events import ActorType
from spine import audit
from spine.audit import Actor
from spine.clock import Clock
from spine.db import Connection, Database
from spine.directory.records import FUNCTIONS, Approver
from spine.errors import InvalidInput, NotFound
from spine.identity import is_person
from spine.paging import Page, page_of, place_of


def add(
    conn: Connection,
    *,
    tenant_id: str,
    person: str,
    function: str,
    level: int = 1,
    delegate: str | None = None,
    actor: Actor,
    clock: Clock,
) -> Approver:
    """Put a person into a function, or change level and delegate of one who is in it. Raises InvalidInput."""
    _check_people(person, delegate)
    if function not in FUNCTIONS:
        raise InvalidInput(f"'function' {function!r} is none of {', '.join(FUNCTIONS)}: rules ask for these")
    if not 1 <= level <= 9:
        raise InvalidInput(f"'level' {level} is not 1 to 9, the lowest of which is asked first")
    now = clock.now()
    row = conn.execute(
        "insert into approvers (tenant_id, person, function, level, delegate, created_at, updated_at) values (%s, %s, %s, %s, %s, %s, %s) "
        "on conflict (tenant_id, person, function) do update set level = excluded.level, delegate = excluded.delegate, active = true, "
        "updated_at = excluded.updated_at returning person, function, level, delegate, absent_from, absent_until, active",
        (tenant_id, person, function, level, delegate, now, now),
    ).fetchone()
    assert row is not None, "an upsert returns its row"
    _on_record(conn, tenant_id, actor, now, "approver.added", person, {"function": function, "level": level, "delegate": delegate})
    return Approver(**row)


def set_absence(
    conn: Connection,
    *,
    tenant_id: str,
    person: str,
    absent_from: datetime | None,
    absent_until: datetime | None,
    delegate: str | None = None,
    actor: Actor,
    clock: Clock,
) -> list[Approver]:
    """Mark a person absent in every function, or present again (both times None); with a `delegate`, that one stands in.

    Raises InvalidInput, and NotFound for somebody who is in no function.
    """
    if (absent_from is None) != (absent_until is None):
        raise InvalidInput("'absent_from' and 'absent_until' go together; neither of them: the absence is over")
    if absent_from is not None and absent_until is not None and not absent_from < absent_until:
        raise InvalidInput(f"'absent_until' {absent_until.isoformat()} is not after 'absent_from' {absent_from.isoformat()}")
    _check_people(person, delegate)
    values = {"absent_from": absent_from, "absent_until": absent_until, **({"delegate": delegate} if delegate else {})}
    said = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}
    return _change(conn, tenant_id, person, None, values, "approver.absent", said, actor, clock)


def set_delegate(
    conn: Connection, *, tenant_id: str, person: str, delegate: str | None, function: str | None = None, actor: Actor, clock: Clock
) -> list[Approver]:
    """Name who stands in while this person is absent, in one function or in all; None: nobody. Raises as `set_absence`."""
    _check_people(person, delegate)
    said = {"delegate": delegate, "function": function}
    return _change(conn, tenant_id, person, function, {"delegate": delegate}, "approver.delegated", said, actor, clock)


def remove(conn: Connection, *, tenant_id: str, person: str, function: str | None = None, actor: Actor, clock: Clock) -> list[Approver]:
    """Take a person out of one function, or of all. What was signed stays signed; nobody's row is deleted. Raises NotFound."""
    return _change(conn, tenant_id, person, function, {"active": False}, "approver.removed", {"function": function}, actor, clock)


def listing(conn: Connection, *, tenant_id: str, function: str | None = None, cursor: str | None = None, limit: int = 50) -> Page[Approver]:
    """Who is in the directory, by function, level and name. Raises InvalidInput for a cursor of another listing."""
    after = place_of(cursor, str, int, str) if cursor is not None else None
    found = conn.execute(
        "select person, function, level, delegate, absent_from, absent_until, active from approvers "
        "where tenant_id = %(tenant)s and active "
        "and (%(function)s::text is null or function = %(function)s) "
        "and (%(first)s or (function, level, person) > (%(after_function)s, %(after_level)s, %(after_person)s)) "
        "order by function, level, person limit %(limit)s",
        {
            "tenant": tenant_id,
            "function": function,
            "limit": limit + 1,
            "first": after is None,
            **dict(zip(("after_function", "after_level", "after_person"), after or ("", 0, ""), strict=True)),
        },
    ).fetchall()
    return page_of([Approver(**row) for row in found], limit, lambda one: (one.function, str(one.level), one.person))


def put_development_people(database: Database, tenant_id: str, clock: Clock) -> None:
    """The functions that the development keys sign in, so that on one's own machine every kind of request can be given, by two people."""
    by = Actor(ActorType.EXECUTOR_SYSTEM, "development-keys")
    with database.tenant(tenant_id) as conn:
        for person, functions in (("dev-approver", ("board", "legal")), ("dev-admin", ("board", "finance"))):
            for function in functions:
                add(conn, tenant_id=tenant_id, person=person, function=function, actor=by, clock=clock)


def active(conn: Connection, tenant_id: str, about: Collection[str] | None = None) -> list[Approver]:
    """Everybody in the directory, or the rows in which one of these people is, or stands in for somebody."""
    names = None if about is None else list(about)
    rows = conn.execute(
        "select person, function, level, delegate, absent_from, absent_until, active from approvers "
        "where tenant_id = %(tenant)s and active "
        "and (%(about)s::text[] is null or person = any(%(about)s) or delegate = any(%(about)s)) order by person, function",
        {"tenant": tenant_id, "about": names},
    )
    return [Approver(**row) for row in rows]


def _change(
    conn: Connection,
    tenant_id: str,
    person: str,
    function: str | None,
    values: dict[str, Any],
    action: str,
    said: dict[str, Any],
    actor: Actor,
    clock: Clock,
) -> list[Approver]:
    now = clock.now()
    sets = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values)
    query = sql.SQL(
        "update approvers set {}, updated_at = %(now)s where tenant_id = %(tenant)s and person = %(person)s and active "
        "and (%(function)s::text is null or function = %(function)s) "
        "returning person, function, level, delegate, absent_from, absent_until, active"
    ).format(sets)
    rows = conn.execute(query, {**values, "now": now, "tenant": tenant_id, "person": person, "function": function}).fetchall()
    if not rows:
        where = f"function {function!r}" if function else "any function"
        raise NotFound(f"{person!r} is not in {where} of tenant {tenant_id!r}: `spine approvers list` shows who is")
    _on_record(conn, tenant_id, actor, now, action, person, said)
    return [Approver(**row) for row in rows]


def _check_people(person: str, delegate: str | None) -> None:
    for name in (person, *([] if delegate is None else [delegate])):
        if not is_person(name):
            raise InvalidInput(
                f"{name!r} is no name of a person, such as 'sara.ops': letters, digits, '.', '_', '-', '/', as in an API key"
            )
    if person == delegate:
        raise InvalidInput(f"{person!r} cannot stand in for himself: name somebody else")


def _on_record(conn: Connection, tenant_id: str, actor: Actor, now: datetime, action: str, person: str, detail: dict[str, Any]) -> None:
    audit.record(
        conn,
        tenant_id=tenant_id,
        actor=actor,
        action=action,
        subject_type="approver",
        subject_id=person,
        now=now,
        detail={name: value for name, value in detail.items() if value is not None},
    )
