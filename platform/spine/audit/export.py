"""The log of one tenant as JSON lines, so that it can be judged without us: a header, each seal behind its rows, the unsealed tail, an end.

Every line is an object with a `kind`: `header`, `row` (its `content` is what is hashed), `seal`, `end`. The end counts the lines before
it and holds the SHA-256 of their bytes. Rows hold references and codes; no payload and no address is among them.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from spine.audit import Actor, record, seals
from spine.audit.sealed import FIRST, Seal, as_text, leaf_of
from spine.db import Connection

FORMAT = "spine.audit/1"
_PAGE = 2 * seals.BATCH  # a whole batch, and what somebody may have put in between


def lines(transaction: Callable[[], AbstractContextManager[Connection]], *, tenant_id: str, now: datetime) -> Iterator[str]:
    """The export, a line at a time with its line end.

    A transaction a page: whoever reads slowly holds back nobody. The tail is what no seal covers yet; it may lack rows of
    transactions that are still under way, and never lacks a sealed one.
    """
    digest, count = hashlib.sha256(), 0
    for entry in _entries(transaction, tenant_id, now):
        line = _line(entry)
        digest.update(line.encode())
        count += 1
        yield line
    yield _line({"kind": "end", "lines": count, "digest": as_text(digest.digest())})


def recorded(conn: Connection, *, tenant_id: str, actor: Actor, now: datetime) -> None:
    """Put on record that somebody takes the log away, in the transaction before he does (domain.md §10)."""
    record(conn, tenant_id=tenant_id, actor=actor, action="audit.exported", subject_type="audit", subject_id=tenant_id, now=now)


def _entries(transaction: Callable[[], AbstractContextManager[Connection]], tenant_id: str, now: datetime) -> Iterator[dict[str, Any]]:
    with transaction() as conn:
        last = seals.newest(conn, tenant_id)
    seal: Seal | None = None
    through = last.number if last else 0
    head = last.root if last else FIRST
    yield {"kind": "header", "format": FORMAT, "tenant_id": tenant_id, "exported_at": now.isoformat(), "seals": through, "head": head}
    place = (0, 0)
    while (seal.number if seal else 0) < through:
        with transaction() as conn:
            seal = seals.after(conn, tenant_id, seal.number if seal else 0)
            found = seals.rows_after(conn, tenant_id, *place, until=seal, limit=_PAGE) if seal else []
        if seal is None:
            break
        yield from map(_row, found)
        yield {"kind": "seal", **seal.as_json()}
        place = (seal.through_xid, seal.through_position)
    while True:
        with transaction() as conn:
            found = seals.rows_after(conn, tenant_id, *place, limit=_PAGE)
        if not found:
            return
        yield from map(_row, found)
        place = (found[-1]["xid"], found[-1]["position"])


def _row(content: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "row", "content": content, "leaf": as_text(leaf_of(content))}


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n"
