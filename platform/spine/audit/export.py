"""The log of one tenant as JSON lines, so that it can be judged without us: a header, each seal behind its rows, the unsealed tail, an end.

Every line is an object with a `kind`: `header`, `row` (its `content` is what is hashed), `seal`, `end`. The end counts the lines before
it and holds the SHA-256 of their bytes. Rows hold references and codes; no payload and no address is among them.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from spine.audit import seals
from spine.audit.sealed import FIRST, Seal, as_text, leaf_of
from spine.db import Connection

FORMAT = "spine.audit/1"
_PAGE = 1000


def lines(conn: Connection, *, tenant_id: str, now: datetime) -> Iterator[str]:
    """The export, a line at a time with its line end. Reads in pages: give it a transaction in which it can run to the end.

    The tail is what no seal covers yet: it may lack rows of transactions that are still under way.
    """
    digest, count = hashlib.sha256(), 0
    for entry in _entries(conn, tenant_id, now):
        line = _line(entry)
        digest.update(line.encode())
        count += 1
        yield line
    yield _line({"kind": "end", "lines": count, "digest": as_text(digest.digest())})


def _entries(conn: Connection, tenant_id: str, now: datetime) -> Iterator[dict[str, Any]]:
    last = seals.newest(conn, tenant_id)
    head = last.root if last else FIRST
    yield {"kind": "header", "format": FORMAT, "tenant_id": tenant_id, "exported_at": now.isoformat(), "seals": _number(last), "head": head}
    seal, xid, position = None, 0, 0
    while (seal := seals.after(conn, tenant_id, _number(seal))) is not None and seal.number <= _number(last):
        yield from _rows(conn, tenant_id, xid, position, seal)
        yield {"kind": "seal", **seal.as_json()}
        xid, position = seal.through_xid, seal.through_position
    yield from _rows(conn, tenant_id, xid, position, None)


def _rows(conn: Connection, tenant_id: str, xid: int, position: int, until: Seal | None) -> Iterator[dict[str, Any]]:
    while found := seals.rows_after(conn, tenant_id, xid, position, until=until, limit=_PAGE):
        for content in found:
            yield {"kind": "row", "content": content, "leaf": as_text(leaf_of(content))}
        xid, position = found[-1]["xid"], found[-1]["position"]


def _number(seal: Seal | None) -> int:
    return seal.number if seal else 0


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n"
