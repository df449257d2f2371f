"""Seals: the log of each tenant in batches, each with a Merkle root that is chained to the one before.

Sealing is a job's, so writing a row takes no lock. It seals what is behind the safe horizon in the order (xid, position): no
transaction that could still commit comes before it, so a row that was written early and committed late is never left out.

What a seal proves: a sealed row that was altered, removed, inserted or moved later is found, whoever did it, as long as a root
that was printed after it is known from elsewhere. Without such an anchor, someone with the database's superuser could rewrite the
log and every seal after it. Rows after the last seal are protected by the table's triggers only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import sql

from spine.audit.merkle import SIZE, path_of
from spine.audit.sealed import COLUMNS, FIRST, Seal, as_text, content_of, leaf_of
from spine.db import Connection, Database
from spine.errors import Conflict, InvalidInput, NotFound
from spine.paging import Page, page_of, place_of

BATCH = 4096
"""Rows in a seal at most: what a verifier holds in memory at once."""

_READ = sql.SQL("select {} from audit_log where tenant_id = %(tenant)s and (xid, position) > (%(xid)s::text::xid8, %(position)s)").format(
    sql.SQL(", ").join([sql.SQL("xid::text::bigint as xid"), *(sql.Identifier(name) for name in COLUMNS if name != "xid")])
)
_SAFE = sql.SQL("{} and xid < pg_snapshot_xmin(pg_current_snapshot()) order by audit_log.xid, position limit %(limit)s").format(_READ)
_SEAL = (
    "select tenant_id, number, through_xid::text::bigint as through_xid, through_position, rows_before, positions, leaves, "
    "merkle_root, previous_root, root, sealed_at from audit_seals where tenant_id = %(tenant)s "
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """That one row is in a sealed batch: its leaf, hashed upwards with `path`, gives `seal.merkle_root` (RFC 6962 §2.1.1)."""

    content: dict[str, Any]
    leaf: str
    index: int
    size: int
    path: tuple[str, ...]
    seal: Seal


def seal(conn: Connection, *, tenant_id: str, now: datetime, limit: int = BATCH) -> Seal | None:
    """Seal the next rows of a tenant, in the caller's transaction; None when there are none behind the horizon.

    Two that seal at once take turns. `now` is business time.
    """
    conn.execute("select pg_advisory_xact_lock(hashtextextended('spine.audit.seal/' || %s, 0))", (tenant_id,))
    last = newest(conn, tenant_id)
    place = {"xid": str(last.through_xid) if last else "0", "position": last.through_position if last else 0}
    rows = conn.execute(_SAFE, {"tenant": tenant_id, "limit": limit, **place}).fetchall()
    if not rows:
        return None
    made = Seal.over(
        [content_of(row) for row in rows],
        tenant_id=tenant_id,
        number=last.number + 1 if last else 1,
        rows_before=last.rows_before + len(last.leaves) if last else 0,
        previous_root=last.root if last else FIRST,
        now=now,
    )
    conn.execute(
        "insert into audit_seals (tenant_id, number, through_xid, through_position, rows_before, positions, leaves, merkle_root, "
        "previous_root, root, sealed_at) values (%s, %s, %s::text::xid8, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            *(tenant_id, made.number, str(made.through_xid), made.through_position, made.rows_before, list(made.positions)),
            *(b"".join(made.leaves), made.merkle_root, made.previous_root, made.root, now),
        ),
    )
    return made


def seal_all(database: Database, *, tenant_id: str, now: datetime, limit: int = BATCH) -> int:
    """Seal all of a tenant's rows that are behind the horizon, a transaction a batch. Returns how many."""
    count = 0
    while True:
        with database.tenant(tenant_id) as conn:
            made = seal(conn, tenant_id=tenant_id, now=now, limit=limit)
        if made is None:
            return count
        count += len(made.leaves)


def newest(conn: Connection, tenant_id: str) -> Seal | None:
    row = conn.execute(_SEAL + "order by number desc limit 1", {"tenant": tenant_id}).fetchone()
    return None if row is None else _seal(row)


def after(conn: Connection, tenant_id: str, number: int) -> Seal | None:
    """The next seal there is after a number."""
    row = conn.execute(_SEAL + "and number > %(number)s order by number limit 1", {"tenant": tenant_id, "number": number}).fetchone()
    return None if row is None else _seal(row)


def listing(conn: Connection, *, tenant_id: str, cursor: str | None = None, limit: int = 50) -> Page[Seal]:
    """Seals, the newest first. Raises InvalidInput for a cursor that is none."""
    (before,) = place_of(cursor, int) if cursor else (2**63 - 1,)
    if not 0 <= before < 2**63:
        raise InvalidInput(f"cursor {cursor!r} is not one that this listing gave: leave it out to start from the beginning")
    given = {"tenant": tenant_id, "before": before, "limit": limit + 1}
    rows = conn.execute(_SEAL + "and number < %(before)s order by number desc limit %(limit)s", given)
    return page_of([_seal(row) for row in rows], limit, lambda one: (str(one.number),))


def rows_after(conn: Connection, tenant_id: str, xid: int, position: int, *, until: Seal | None = None, limit: int) -> list[dict[str, Any]]:
    """Contents of at most `limit` rows after a place, in reading order; of those up to where a seal ends, if one is given.

    Not held back by the horizon: what is read beyond the last seal is told as it is now.
    """
    end = sql.SQL("")
    given: dict[str, Any] = {"tenant": tenant_id, "xid": str(xid), "position": position, "limit": limit}
    if until is not None:
        end = sql.SQL(" and (xid, position) <= (%(end_xid)s::text::xid8, %(end_position)s)")
        given |= {"end_xid": str(until.through_xid), "end_position": until.through_position}
    query = sql.SQL("{}{} order by audit_log.xid, position limit %(limit)s").format(_READ, end)
    return [content_of(row) for row in conn.execute(query, given)]


def prove(conn: Connection, *, tenant_id: str, position: int) -> Proof:
    """Raises NotFound for a row that is not there, Conflict for one that no seal covers yet."""
    query = sql.SQL("{} and position = %(wanted)s").format(_READ)
    row = conn.execute(query, {"tenant": tenant_id, "xid": "0", "position": 0, "wanted": position}).fetchone()
    if row is None:
        raise NotFound(f"tenant {tenant_id!r} has no audit row at position {position}")
    content = content_of(row)
    covering = conn.execute(
        _SEAL + "and (through_xid, through_position) >= (%(xid)s::text::xid8, %(position)s) order by number limit 1",
        {"tenant": tenant_id, "xid": str(content["xid"]), "position": position},
    ).fetchone()
    if covering is None:
        raise Conflict(f"audit row {position} is not sealed yet: the sealing job does it, or `spine audit seal`")
    found = _seal(covering)
    if position not in found.positions:
        raise NotFound(f"seal {found.number} passes over audit row {position}: it was not there when the batch was sealed")
    index = list(found.positions).index(position)
    path = tuple(as_text(step) for step in path_of(found.leaves, index))
    return Proof(content=content, leaf=as_text(leaf_of(content)), index=index, size=len(found.leaves), path=path, seal=found)


def _seal(row: dict[str, Any]) -> Seal:
    leaves = bytes(row["leaves"])
    parts: Sequence[bytes] = [leaves[at : at + SIZE] for at in range(0, len(leaves), SIZE)]
    return Seal(**{**row, "leaves": parts, "positions": tuple(row["positions"])})
