"""Is the log as it was sealed? Judged from an export without any database, or from the database itself, by the same rules.

The first thing that is wrong is named: a row that was altered, removed, inserted or moved, or a seal that does not hold. What a
verifier cannot see: rows after the last seal that were removed, and a history that was rewritten whole with all its seals. For the
second, keep a root elsewhere and give it as `anchor`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from spine.audit import seals
from spine.audit.export import FORMAT
from spine.audit.sealed import FIRST, Seal, as_text, is_whole, leaf_of
from spine.db import Connection
from spine.errors import BadExport

Content = Mapping[str, Any]
Kind = Literal["altered", "removed", "inserted", "reordered", "seal", "chain", "anchor", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The first thing that is wrong. `position` is the audit row's, `seal` the number of the batch it is in; None where there is none."""

    kind: Kind
    why: str
    position: int | None = None
    seal: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was judged, and whether it held. `unsealed` rows are outside of every seal; `head` is the root to keep elsewhere."""

    tenant_id: str
    rows: int
    seals: int
    unsealed: int
    head: str
    fault: Fault | None

    @property
    def is_whole(self) -> bool:
        return self.fault is None


class _Chain:
    """Follows the seals of one tenant in their order. Raises `_Found` at the first fault."""

    def __init__(self, tenant_id: str, anchor: str | None) -> None:
        self.tenant_id = tenant_id
        self.rows = self.seals = 0
        self.head = FIRST
        self._anchor = anchor
        self._is_anchored = anchor in (None, FIRST)

    def batch(self, seal: Seal, contents: Sequence[Content]) -> None:
        number = seal.number
        if number != self.seals + 1:
            raise _Found("chain", f"seal {number} follows seal {self.seals}: one was removed, or put in", seal=number)
        if why := _contradiction(seal):
            raise _Found("seal", f"seal {number}: {why}", seal=number)
        if seal.tenant_id != self.tenant_id or seal.previous_root != self.head or seal.rows_before != self.rows:
            raise _Found("chain", f"seal {number} was not made after the one before it", seal=number)
        leaves = [_leaf(content, number) for content in contents]
        if leaves != list(seal.leaves):
            raise _difference(seal, contents, leaves)
        self.rows += len(contents)
        self.seals, self.head = number, seal.root
        self._is_anchored = self._is_anchored or seal.root == self._anchor

    def verdict(self, unsealed: int, fault: Fault | None) -> Verdict:
        if fault is None and not self._is_anchored:
            fault = Fault(
                kind="anchor", why=f"no seal has the root {self._anchor!r}: this is another history than the one it was kept from"
            )
        return Verdict(tenant_id=self.tenant_id, rows=self.rows, seals=self.seals, unsealed=unsealed, head=self.head, fault=fault)


class _Found(Exception):
    """Carries a fault out of the loop that met it."""

    def __init__(self, kind: Kind, why: str, *, position: int | None = None, seal: int | None = None) -> None:
        super().__init__(why)
        self.fault = Fault(kind=kind, why=why, position=position, seal=seal)


def of_database(conn: Connection, *, tenant_id: str, anchor: str | None = None) -> Verdict:
    """Judge the rows as they are now against every seal. Reads the whole log of the tenant, a batch at a time."""
    chain = _Chain(tenant_id, anchor)
    seal: Seal | None = None
    place = (0, 0)
    try:
        while (seal := seals.after(conn, tenant_id, seal.number if seal else 0)) is not None:
            chain.batch(seal, seals.rows_after(conn, tenant_id, *place, until=seal, limit=len(seal.leaves) * 2 + 10))
            place = (seal.through_xid, seal.through_position)
    except _Found as found:
        return chain.verdict(0, found.fault)
    counted = conn.execute(
        "select count(*) as n from audit_log where tenant_id = %s and (xid, position) > (%s::text::xid8, %s)",
        (tenant_id, str(place[0]), place[1]),
    ).fetchone()
    return chain.verdict(int(counted["n"]) if counted else 0, None)


def of_export(lines: Iterable[str], *, anchor: str | None = None) -> Verdict:
    """Judge an export, without a database. Raises BadExport for what is no export at all: without a header of ours."""
    told = iter(lines)
    first = next(told, "")
    header = _header(first)
    chain = _Chain(header["tenant_id"], anchor)
    waiting: list[Content] = []
    try:
        for line, entry in _entries(first, told):
            if entry["kind"] == "seal":
                chain.batch(_seal(entry, line), waiting)
                waiting = []
            else:
                waiting.append(_content(entry, line))
        if not is_whole(header.get("seals")) or (header["seals"], header.get("head")) != (chain.seals, chain.head):
            raise _Found("chain", f"the header tells of {header.get('seals')!r} seals up to {header.get('head')!r}: they are not all there")
    except _Found as found:
        return chain.verdict(0, found.fault)
    return chain.verdict(len(waiting), None)


def _header(line: str) -> dict[str, Any]:
    refused = f"the first line is no header of {FORMAT!r}: give the file that `spine audit export` wrote"
    try:
        header = _parsed(line)
    except (ValueError, TypeError) as error:
        raise BadExport(f"{refused} ({error})") from None
    if header.get("kind") != "header" or header.get("format") != FORMAT or not isinstance(header.get("tenant_id"), str):
        raise BadExport(refused)
    return header


def _entries(first: str, rest: Iterator[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows and seals with the number of their line. A damaged line is met only after what came before it was judged: what a row says
    goes before how it is written."""
    digest, count, has_ended = hashlib.sha256(first.encode()), 1, False
    for line in rest:
        at = count + 1
        try:
            entry = _parsed(line)
        except (ValueError, TypeError) as error:
            raise _Found("file", f"line {at} is not one of an export: {error}") from None
        if has_ended or entry.get("kind") not in ("row", "seal", "end"):
            raise _Found("file", f"line {at} is not one of an export")
        if entry["kind"] == "end":
            if not is_whole(entry.get("lines")) or (entry["lines"], entry.get("digest")) != (count, as_text(digest.digest())):
                raise _Found("file", "the lines are not those that the end of the file was written for")
            has_ended = True
            continue
        digest.update(line.encode())
        count = at
        yield at, entry
    if not has_ended:
        raise _Found("file", f"the file ends after line {count}, before its end")


def _parsed(line: str) -> dict[str, Any]:
    """Raises ValueError or TypeError. A name given twice is refused: other readers of the file take the other of the two."""
    try:
        entry = json.loads(line, object_pairs_hook=_once_each)
    except RecursionError:
        raise ValueError("its brackets have no end") from None
    if not isinstance(entry, dict):
        raise TypeError("it is no object")
    return entry


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"it says {name!r} twice")
        found[name] = value
    return found


def _seal(entry: Mapping[str, Any], line: int) -> Seal:
    try:
        return Seal.of_json(entry)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _Found("seal", f"line {line}: seal {entry.get('number')!r} cannot be read: {error}") from None


def _content(entry: Mapping[str, Any], line: int) -> Content:
    """A row of the file fits the leaf that stands beside it; whether that leaf was sealed is for the seal to say."""
    content = entry.get("content")
    if not isinstance(content, dict):
        raise _Found("altered", f"line {line}: a row has no content")
    if not is_whole(content.get("position")):  # 5.0 makes the same leaf as 5, by the rules of canonical JSON
        raise _Found("altered", f"line {line}: the position {content.get('position')!r} of a row is no integer")
    leaf = _leaf(content, None)
    if as_text(leaf) != entry.get("leaf"):
        raise _Found(
            "altered", f"the row at position {content['position']!r} is not the one that was exported", position=_position(content)
        )
    return content


def _leaf(content: Content, seal: int | None) -> bytes:
    try:
        return leaf_of(content)
    except ValueError as error:
        raise _Found("altered", f"a row cannot be what was written: {error}", position=_position(content), seal=seal) from None


def _contradiction(seal: Seal) -> str | None:
    try:
        return next(iter(seal.faults()), None)
    except ValueError as error:
        return f"it cannot be what was written: {error}"


def _difference(seal: Seal, contents: Sequence[Content], leaves: Sequence[bytes]) -> _Found:
    """Which row is the first that is not as sealed, and in what way."""
    at = next(
        index
        for index in range(max(len(leaves), len(seal.leaves)) + 1)
        if leaves[index : index + 1] != list(seal.leaves[index : index + 1])
    )
    sealed, there = set(seal.leaves), set(leaves)
    wanted = seal.positions[at] if at < len(seal.leaves) else None
    if at >= len(leaves) or (wanted is not None and leaves[at] in sealed and seal.leaves[at] not in there):
        return _Found("removed", f"the row at position {wanted} was removed from seal {seal.number}", position=wanted, seal=seal.number)
    found = _position(contents[at])
    if wanted is not None and leaves[at] in sealed and leaves.count(leaves[at]) == 1:
        return _Found(
            "reordered", f"the row at position {found} stands where the one at {wanted} was sealed", position=found, seal=seal.number
        )
    if wanted is None or (seal.leaves[at] in there and (found not in seal.positions or leaves[at] in sealed)):
        return _Found(
            "inserted", f"the row at position {found} is not one that seal {seal.number} was made over", position=found, seal=seal.number
        )
    return _Found("altered", f"the row at position {found} is not as it was sealed in seal {seal.number}", position=found, seal=seal.number)


def _position(content: Content) -> int | None:
    position = content.get("position")
    return position if isinstance(position, int) else None
