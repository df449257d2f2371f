"""Audit rows, seals and proofs as people and programs see them."""

from datetime import datetime
from typing import Any, Self

from spine.audit import Row
from spine.audit.sealed import Seal
from spine.audit.seals import Proof
from spine.views import View


class AuditRowView(View):
    """Who did what to which record. References and codes only."""

    position: int
    audit_id: str
    occurred_at: datetime
    actor: str
    actor_type: str
    action: str
    subject_type: str
    subject_id: str
    correlation_id: str | None
    trace_id: str | None
    digest: str | None
    severity: str
    detail: dict[str, Any]

    @classmethod
    def of(cls, row: Row) -> Self:
        made = {"actor", "actor_type", "severity", "detail"}
        return cls(
            **{name: getattr(row, name) for name in cls.model_fields.keys() - made},
            actor=row.actor.id,
            actor_type=row.actor.type.value,
            severity=row.severity.value,
            detail=dict(row.detail),
        )


class SealView(View):
    """A sealed batch of `rows` rows, `rows_before` before it. `root` chains it to `previous_root`; hashes are `sha256:<64 hex>`."""

    number: int
    rows: int
    rows_before: int
    through_position: int
    merkle_root: str
    previous_root: str
    root: str
    sealed_at: datetime

    @classmethod
    def of(cls, seal: Seal) -> Self:
        return cls(rows=len(seal.leaves), **{name: getattr(seal, name) for name in cls.model_fields.keys() - {"rows"}})


class ProofView(View):
    """That a row is in a seal: SHA-256 of 0x00 and the canonical JSON of `content` is `leaf`, and `path` leads from it to
    `seal.merkle_root`, leaf `index` of `size`, as in RFC 6962 §2.1.1."""

    content: dict[str, Any]
    leaf: str
    index: int
    size: int
    path: tuple[str, ...]
    seal: SealView

    @classmethod
    def of(cls, proof: Proof) -> Self:
        same = {name: getattr(proof, name) for name in ("content", "leaf", "index", "size", "path")}
        return cls(**same, seal=SealView.of(proof.seal))
