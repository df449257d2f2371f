"""Reading the log for people and for reports: inside one tenant's wall, in the order of the log."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from psycopg import sql

from shared.events import Envelope
from spine.db import Connection
from spine.errors import InvalidInput

# What a transaction wrote is shown only when nothing that began before it can still commit: a reader who goes on from the
# last place it saw therefore misses nothing. Positions alone do not give that: they are drawn before the commit.
HORIZON = sql.SQL("events.xid < pg_snapshot_xmin(pg_current_snapshot())")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in the log: the transaction's number, then the position. The order of reading is the order of places."""

    xid: int = 0
    position: int = 0

    def __str__(self) -> str:
        return f"{self.xid}.{self.position}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The place that `str` wrote. Raises InvalidInput."""
        if not re.fullmatch(r"[0-9]{1,18}\.[0-9]{1,18}", text):
            raise InvalidInput(f"cursor {text!r} is no place in the log: leave it out to start from the beginning")
        xid, position = text.split(".")
        return cls(int(xid), int(position))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An event as the log holds it."""

    place: Place
    recorded_at: datetime
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Seen:
    """An event as it is stored, unjudged."""

    tenant_id: str
    type: str
    recorded_at: datetime
    envelope: Mapping[str, Any]


def read(
    conn: Connection,
    *,
    tenant_id: str,
    correlation_id: str | None = None,
    event_type: str | None = None,
    subject: str | None = None,
    after: Place | None = None,
    limit: int = 100,
) -> list[Recorded]:
    """At most `limit` events behind the safe horizon after a place, oldest first; without `after`, from the beginning."""
    return _select(conn, tenant_id, correlation_id, event_type, subject, after=after or Place(), newest=False, limit=limit)


def latest(
    conn: Connection,
    *,
    tenant_id: str,
    correlation_id: str | None = None,
    event_type: str | None = None,
    limit: int = 20,
) -> list[Recorded]:
    """The last `limit` events behind the safe horizon, oldest first: where a tail starts."""
    return _select(conn, tenant_id, correlation_id, event_type, None, after=None, newest=True, limit=limit)[::-1]


def events_of(conn: Connection, tenant_id: str, correlation_id: str) -> list[Envelope]:
    """Every committed event of one business flow, in the order of the log. Not held back by the horizon: nobody reads on from here."""
    rows = conn.execute(
        "select envelope from events where tenant_id = %s and correlation_id = %s order by xid, position", (tenant_id, correlation_id)
    )
    return [Envelope.model_validate(row["envelope"]) for row in rows]


def _select(
    conn: Connection,
    tenant_id: str,
    correlation_id: str | None,
    event_type: str | None,
    subject: str | None,
    *,
    after: Place | None,
    newest: bool,
    limit: int,
) -> list[Recorded]:
    wanted = {"tenant_id": tenant_id, "correlation_id": correlation_id, "type": event_type, "subject": subject}
    conditions = [
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value)) for name, value in wanted.items() if value is not None
    ]
    if after is not None:
        conditions.append(sql.SQL("(xid, position) > ({}::xid8, {})").format(sql.Literal(str(after.xid)), sql.Literal(after.position)))
    direction = sql.SQL("desc" if newest else "asc")
    query = sql.SQL(
        "select xid::text::bigint as xid, position, recorded_at, envelope from events where {} order by xid {}, position {} limit {}"
    ).format(sql.SQL(" and ").join([HORIZON, *conditions]), direction, direction, sql.Literal(limit))
    return [
        Recorded(
            place=Place(row["xid"], row["position"]), recorded_at=row["recorded_at"], envelope=Envelope.model_validate(row["envelope"])
        )
        for row in conn.execute(query)
    ]


def scan(conn: Connection, *, types: Sequence[str], after: Place, limit: int = 500) -> tuple[list[Seen], Place]:
    """The events of some types, of every tenant, among the next `limit` of the log, and the place reached: where to go on.

    For the relay's role. What lies between is passed by for good, so a reader of rare events does not read the others again.
    Envelopes come as they are stored: a reader that only reports need not refuse one that no longer fits its schema.
    """
    query = sql.SQL(
        "select xid::text::bigint as xid, position, tenant_id, type, recorded_at, case when type = any({}) then envelope end as envelope "
        "from events where {} and (xid, position) > ({}::xid8, {}) order by xid, position limit {}"
    ).format(sql.Literal(list(types)), HORIZON, sql.Literal(str(after.xid)), sql.Literal(after.position), sql.Literal(limit))
    rows = conn.execute(query).fetchall()
    place = Place(rows[-1]["xid"], rows[-1]["position"]) if rows else after
    return [Seen(row["tenant_id"], row["type"], row["recorded_at"], row["envelope"]) for row in rows if row["envelope"] is not None], place
