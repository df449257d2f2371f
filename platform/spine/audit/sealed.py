"""What is sealed, byte for byte: a row and a seal as JSON values, and their hashes over canonical JSON (RFC 8785).

This is the format that an export has to be judged by years later, without this program: docs/guides/audit.md describes it.
Changing anything here makes every earlier seal wrong. It needs no database.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import rfc8785

from spine.audit.merkle import leaf_hash, root_of

FIRST = "sha256:" + hashlib.sha256(b"").hexdigest()
"""What the first seal of a tenant names as the root before it."""

COLUMNS = (
    *("position", "xid", "audit_id", "tenant_id", "occurred_at", "recorded_at", "actor_type", "actor_id", "action", "subject_type"),
    *("subject_id", "correlation_id", "trace_id", "span_id", "digest", "severity", "detail"),
)
_EXACT = 2**53 - 1  # beyond, JSON numbers of other languages are not exact


def content_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `audit_log` with at least `COLUMNS`, as JSON values."""
    return {name: _json(row[name]) for name in COLUMNS}


def leaf_of(content: Mapping[str, Any]) -> bytes:
    """Raises ValueError for what cannot be the content of a row."""
    return leaf_hash(rfc8785.dumps(dict(content)))


def as_text(hashed: bytes) -> str:
    return "sha256:" + hashed.hex()


def as_bytes(text: str) -> bytes:
    """Raises ValueError."""
    scheme, _, digits = text.partition(":")
    hashed = bytes.fromhex(digits)
    if scheme != "sha256" or len(hashed) != 32:
        raise ValueError(f"{text!r} is not sha256: and 64 hexadecimal digits")
    return hashed


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """A batch of rows of one tenant, in reading order, and the chain up to it. Hashes as `sha256:<64 hex>`."""

    tenant_id: str
    number: int
    through_xid: int
    through_position: int
    rows_before: int
    positions: Sequence[int]
    leaves: Sequence[bytes]
    merkle_root: str
    previous_root: str
    root: str
    sealed_at: datetime

    @classmethod
    def over(
        cls, contents: Sequence[Mapping[str, Any]], *, tenant_id: str, number: int, rows_before: int, previous_root: str, now: datetime
    ) -> Self:
        """The seal of these rows, of which there is at least one."""
        leaves = [leaf_of(content) for content in contents]
        body: dict[str, Any] = {
            "tenant_id": tenant_id,
            "number": number,
            "through_xid": int(contents[-1]["xid"]),
            "through_position": int(contents[-1]["position"]),
            "rows_before": rows_before,
            "positions": [int(content["position"]) for content in contents],
            "merkle_root": as_text(root_of(leaves)),
            "previous_root": previous_root,
            "sealed_at": now,
        }
        return cls(**body, leaves=leaves, root=_chained(body))

    @classmethod
    def of_json(cls, written: Mapping[str, Any]) -> Self:
        """As `as_json` wrote it; not judged yet. Raises ValueError, KeyError or TypeError for what is no seal."""
        numbers: dict[str, Any] = {name: _whole(written[name]) for name in ("number", "through_xid", "through_position", "rows_before")}
        texts: dict[str, Any] = {name: _text(written[name]) for name in ("tenant_id", "merkle_root", "previous_root", "root")}
        return cls(
            **numbers,
            **texts,
            positions=[_whole(position) for position in written["positions"]],
            leaves=[as_bytes(leaf) for leaf in written["leaves"]],
            sealed_at=datetime.fromisoformat(written["sealed_at"]),
        )

    def as_json(self) -> dict[str, Any]:
        return {**_told(self._body()), "leaves": [as_text(leaf) for leaf in self.leaves], "root": self.root}

    def faults(self) -> list[str]:
        """In what the seal contradicts itself; nothing about its place in the chain."""
        told = []
        if as_text(root_of(self.leaves)) != self.merkle_root:
            told.append("its leaves do not make its Merkle root")
        if len(self.positions) != len(self.leaves) or not self.positions or self.positions[-1] != self.through_position:
            told.append("its positions do not fit its leaves")
        if _chained(self._body()) != self.root:
            told.append("its fields do not make its root")
        return told

    def _body(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _CHAINED}


_CHAINED = (
    *("tenant_id", "number", "through_xid", "through_position", "rows_before", "positions", "merkle_root", "previous_root", "sealed_at"),
)


def _chained(body: Mapping[str, Any]) -> str:
    return as_text(hashlib.sha256(rfc8785.dumps(_told(body))).digest())


def _told(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _json(value) for name, value in body.items()}


def is_whole(value: object) -> bool:
    """An integer as JSON has it: `True` and `5.0` are equal to one in Python, and none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _whole(written: object) -> int:
    """The inverse of `_json` for integers, and of nothing else: text only where a JSON number would not be exact."""
    if isinstance(written, int) and is_whole(written):
        return written
    if isinstance(written, str) and written.isascii() and written.isdigit() and str(found := int(written)) == written and found > _EXACT:
        return found
    raise ValueError(f"{written!r} is not an integer as it is written here")


def _text(written: object) -> str:
    if not isinstance(written, str):
        raise TypeError(f"{written!r} is no text")
    return written


def _json(value: Any) -> Any:
    match value:
        case None | bool() | float() | str():
            return value
        case int():
            return value if -_EXACT <= value <= _EXACT else str(value)
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case Mapping():
            return {str(name): _json(item) for name, item in value.items()}
        case Sequence():
            return [_json(item) for item in value]
    return str(value)
