"""The ledger's line of one intent, as people see it: what was tried, what the provider said, whether that is what was meant."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from spine.db import Connection
from spine.intents.rows import uuid_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`receipt` is for those who may see payloads. `as_intended` is None where the provider gave no account to compare with."""

    plugin: str
    idempotency_key: str
    digest: str
    state: str
    attempts: int
    provider_reference: str | None
    receipt: Mapping[str, Any] | None
    as_intended: bool | None
    reconciled: bool
    error_code: str | None
    error: str | None
    trace_id: str | None
    started_at: datetime
    finished_at: datetime | None


_LINE = (
    "select plugin, idempotency_key, digest, state, attempts, provider_reference, receipt, as_intended, reconciled, error_code, error, "
    "trace_id, started_at, finished_at from effects where tenant_id = %s and intent_id = %s"
)


def line_of(conn: Connection, tenant_id: str, intent_id: str) -> Line | None:
    """None: nothing was ever tried."""
    row = conn.execute(_LINE, (tenant_id, uuid_of("intent", tenant_id, intent_id))).fetchone()
    return None if row is None else Line(**row)
