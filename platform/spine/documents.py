"""Drafts and payloads, kept here so that they never travel through Temporal: a workflow carries (document id, digest) only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from spine.canonical import exact_digest
from spine.db import Connection
from spine.errors import IdempotencyConflict, InvalidInput, NotFound
from spine.ids import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRef:
    document_id: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    document_id: str
    kind: str
    body: dict[str, Any]
    digest: str
    correlation_id: str
    created_at: datetime


def put(
    conn: Connection,
    *,
    tenant_id: str,
    kind: str,
    body: Mapping[str, Any],
    correlation_id: str,
    now: datetime,
    document_id: str | UUID | None = None,
) -> DocumentRef:
    """Keep a JSON object, immutably, in the caller's transaction.

    Whoever may be retried gives a `document_id` from `spine.ids.derived_id`: the same id with the same body is kept once; with
    another body it raises IdempotencyConflict. Raises InvalidInput for what JSON, or PostgreSQL's JSON, cannot hold exactly.
    """
    ref = DocumentRef(document_id=str(document_id or new_id()), digest=exact_digest(body))
    inserted = conn.execute(
        "insert into documents (tenant_id, document_id, kind, body, digest, correlation_id, created_at) "
        "values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
        (tenant_id, _uuid(ref.document_id), kind, Jsonb(dict(body)), ref.digest, correlation_id, now),
    ).rowcount
    if not inserted and (kept := get(conn, tenant_id, ref.document_id)).digest != ref.digest:
        raise IdempotencyConflict(
            f"document {ref.document_id!r} is already kept with digest {kept.digest!r}, not {ref.digest!r}: a new body, a new document"
        )
    return ref


def get(conn: Connection, tenant_id: str, document_id: str | UUID) -> Document:
    """Raises NotFound, also for another tenant's document."""
    row = conn.execute(
        "select document_id, kind, body, digest, correlation_id, created_at from documents where tenant_id = %s and document_id = %s",
        (tenant_id, _uuid(str(document_id))),
    ).fetchone()
    if row is None:
        raise NotFound(f"tenant {tenant_id!r} has no document {str(document_id)!r}")
    return Document(**{**row, "document_id": str(row["document_id"])})


def _uuid(document_id: str) -> UUID:
    try:
        return UUID(document_id)
    except ValueError:
        raise InvalidInput(f"document id {document_id!r} is not a UUID") from None
