"""Writing dead letters, and reading them in pages."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from shared.events import ActorType, Severity
from spine import audit
from spine.db import Connection
from spine.deadletters.records import DeadLetter, Filter, Plane, State
from spine.errors import NotFound
from spine.ids import derived_id
from spine.paging import Page, page_of, place_of
from spine.redact import redact, redacted

MOST_TEXT = 2000  # characters of an error that are kept: a driver's message may quote a whole statement

BURY = """
insert into dead_letters
    (dead_letter_id, tenant_id, plane, reference, consumer, correlation_id, error_code, error, attempts, body, created_at, died_at)
values (%(dead_letter_id)s, %(tenant_id)s, %(plane)s, %(reference)s, %(consumer)s, %(correlation_id)s, %(error_code)s, %(error)s,
        %(attempts)s, %(body)s, %(now)s, clock_timestamp())
on conflict (tenant_id, plane, consumer, reference) do update
    set state = 'open', error_code = excluded.error_code, error = excluded.error, attempts = dead_letters.attempts + excluded.attempts,
        died_at = excluded.died_at, body = excluded.body, resolved_at = null, resolved_by = null, resolution = null, successor = null
"""


_ONE: LiteralString = "select * from dead_letters where tenant_id = %s and dead_letter_id = %s"
_ONE_LOCKED: LiteralString = "select * from dead_letters where tenant_id = %s and dead_letter_id = %s for update"


def add(
    conn: Connection,
    *,
    tenant_id: str,
    plane: Plane,
    reference: str,
    consumer: str,
    correlation_id: str | None,
    error_code: str,
    error: str,
    attempts: int,
    body: Mapping[str, Any],
    now: datetime,
) -> UUID:
    """Write what was given up, with its audit row, in the caller's transaction. Returns the letter's id.

    (tenant, plane, consumer, reference) is its identity: what dies again opens the same letter, with its attempts added up.
    Error and body are redacted of what is secret or personal. Whether it has to die at all while many others do is for the
    caller to ask before: `spine.deadletters.circuits.hold`.
    """
    dead_letter_id = derived_id(tenant_id, plane, consumer, reference)
    conn.execute(
        BURY,
        {
            "dead_letter_id": dead_letter_id,
            "tenant_id": tenant_id,
            "plane": plane,
            "reference": reference,
            "consumer": consumer,
            "correlation_id": correlation_id,
            "error_code": error_code,
            "error": redact(error)[:MOST_TEXT],
            "attempts": attempts,
            "body": Jsonb(redacted(dict(body))),
            "now": now,
        },
    )
    audit.record(
        conn,
        tenant_id=tenant_id,
        actor=audit.Actor(ActorType.EXECUTOR_SYSTEM, f"consumer:{consumer}"[:200]),
        action=f"{plane}.dead_lettered",
        subject_type=plane,
        subject_id=reference,
        now=now,
        correlation_id=correlation_id,
        severity=Severity.V2 if error_code == "tenant-mismatch" else Severity.V1,
        detail={"code": error_code, "consumer": consumer, "attempts": attempts},
    )
    return dead_letter_id


def show(conn: Connection, *, tenant_id: str, dead_letter_id: UUID, lock: bool = False) -> DeadLetter:
    """One letter; with `lock`, held to the end of the transaction. Raises NotFound, also for another tenant's."""
    row = conn.execute(_ONE_LOCKED if lock else _ONE, (tenant_id, dead_letter_id)).fetchone()
    if row is None:
        raise NotFound(f"no dead letter {str(dead_letter_id)!r} of tenant {tenant_id!r}: `spine dead-letters list` shows those there are")
    return DeadLetter(**row)


def listing(
    conn: Connection,
    *,
    tenant_id: str,
    state: State | None = "open",
    plane: Plane | None = None,
    consumer: str | None = None,
    error_code: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[DeadLetter]:
    """At most `limit` letters, oldest first. Raises InvalidInput for a cursor that is not ours."""
    conditions, given = conditions_of(tenant_id, Filter(state=state, plane=plane, consumer=consumer, error_code=error_code))
    if cursor is not None:
        given["at"], given["after"] = place_of(cursor, datetime.fromisoformat, UUID)
        conditions.append(sql.SQL("(created_at, dead_letter_id) > (%(at)s, %(after)s)"))
    query = sql.SQL("select * from dead_letters where {} order by created_at, dead_letter_id limit %(limit)s").format(
        sql.SQL(" and ").join(conditions)
    )
    found = [DeadLetter(**row) for row in conn.execute(query, {**given, "limit": limit + 1})]
    return page_of(found, limit, lambda letter: (letter.created_at.isoformat(), str(letter.dead_letter_id)))


def count(conn: Connection, *, tenant_id: str, filter: Filter) -> int:  # noqa: A002 - what it is
    """How many letters there are of this kind."""
    conditions, given = conditions_of(tenant_id, filter)
    query = sql.SQL("select count(*) as n from dead_letters where {}").format(sql.SQL(" and ").join(conditions))
    row = conn.execute(query, given).fetchone()
    assert row is not None, "an aggregate has one row"
    return int(row["n"])


def conditions_of(tenant_id: str, wanted: Filter) -> tuple[list[sql.Composable], dict[str, Any]]:
    named = {"tenant_id": tenant_id, **wanted.named()}
    return [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in named], dict(named)
