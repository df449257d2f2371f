"""The ledger of effects, one row an intent, and the statements that write it. Every write after the first is guarded by the
token of the attempt that makes it: an attempt that was taken over writes nothing any more."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from spine.db import Connection
from spine.errors import NotFound
from spine.ids import derived_id, new_id
from spine.intents.records import Intent
from spine.intents.rows import COLUMNS, intent_of, uuid_of
from spine.redact import redacted
from spine.telemetry import current_trace_id

_LOAD = (
    sql.SQL(
        "select {columns}, a.approval_id, a.state as approval_state, a.action as approval_action, a.digest as approval_digest, "
        "a.policy_version as approval_policy, (select count(*) from approval_decisions d where d.tenant_id = a.tenant_id "
        "and d.approval_id = a.approval_id and d.verdict = 'approve' and d.digest = a.digest) as approvals_given, "
        "e.state as effect_state, e.digest as effect_digest, e.attempts, e.attempt_token, e.provider_reference, e.reconciled, "
        "e.error_code, e.error "
        "from intents i left join approvals a using (tenant_id, intent_id) left join effects e using (tenant_id, intent_id) "
        "where i.tenant_id = %s and i.intent_id = %s"
    )
    .format(columns=sql.SQL(", ").join(sql.Identifier("i", name) for name in COLUMNS.split(", ")))
    .as_bytes()
)
_LOCKED = _LOAD + b" for update of i"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An intent with its approval and its line in the ledger, as far as it has them."""

    intent: Intent
    approval_id: str | None
    approval_state: str | None
    approval_action: str | None
    approval_digest: str | None
    approval_policy: str | None
    approvals_given: int
    """Distinct people who approved exactly the digest that was asked, counted from the append-only decisions."""
    effect_state: str | None
    effect_digest: str | None
    attempts: int
    attempt_token: UUID | None
    provider_reference: str | None
    reconciled: bool
    error_code: str | None
    error: str | None


def load(conn: Connection, tenant_id: str, intent_id: str, *, lock: bool) -> Entry:
    """Raises NotFound, also for another tenant's."""
    row = conn.execute(_LOCKED if lock else _LOAD, (tenant_id, uuid_of("intent", tenant_id, intent_id))).fetchone()
    if row is None:
        raise NotFound(f"tenant {tenant_id!r} has no intent {intent_id!r}")
    same = ("approval_state", "approval_action", "approval_digest", "approval_policy", "approvals_given", "effect_state", "effect_digest")
    more = ("attempt_token", "provider_reference", "error_code", "error")
    return Entry(
        **{name: row[name] for name in (*same, *more)},
        intent=intent_of(row),
        approval_id=None if row["approval_id"] is None else str(row["approval_id"]),
        attempts=row["attempts"] or 0,
        reconciled=bool(row["reconciled"]),
    )


def idempotency_key(intent: Intent) -> str:
    """The same on every attempt of an intent, and on no other intent's; an edited revision is another intent."""
    return str(derived_id("effect", intent.tenant_id, intent.intent_id))


def open_line(conn: Connection, intent: Intent, plugin: str, now: datetime) -> UUID:
    """The first attempt begins. Returns its token."""
    token = new_id()
    conn.execute(
        "insert into effects "
        "(tenant_id, effect_id, intent_id, action, plugin, idempotency_key, digest, state, attempt_token, trace_id, started_at) "
        "values (%s, %s, %s, %s, %s, %s, %s, 'executing', %s, %s, %s)",
        (
            *(intent.tenant_id, new_id(), UUID(intent.intent_id), intent.action, plugin, idempotency_key(intent), intent.digest),
            *(token, current_trace_id(), now),
        ),
    )
    return token


def take_over(conn: Connection, intent: Intent) -> UUID:
    """A further attempt begins, and the one before it loses its right to write."""
    token = new_id()
    conn.execute(
        "update effects set attempt_token = %s, attempts = attempts + 1, trace_id = %s where tenant_id = %s and intent_id = %s",
        (token, current_trace_id(), intent.tenant_id, UUID(intent.intent_id)),
    )
    return token


def last_attempt_at(conn: Connection, intent: Intent) -> datetime | None:
    """When the newest attempt began; None: there was none."""
    row = conn.execute(
        "select max(occurred_at) as at from audit_log where tenant_id = %s and subject_id = %s "
        "and (action = 'effect.retried' or detail->>'to' = 'executing')",
        (intent.tenant_id, intent.intent_id),
    ).fetchone()
    return None if row is None else row["at"]


def write(conn: Connection, intent: Intent, token: UUID, **values: Any) -> bool:
    """Set columns of the line. False: another attempt has taken over, nothing was written."""
    # Providers quote what they were sent, in their errors and in their receipts.
    clean = {name: redacted(value) if name in ("receipt", "error") else value for name, value in values.items()}
    given = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in clean.items()}
    guard = {"tenant": intent.tenant_id, "intent": UUID(intent.intent_id), "token": token}
    return conn.execute(_update(*values), {**given, **guard}).rowcount == 1


@cache
def _update(*names: str) -> bytes:
    """The intent is locked first, as by everyone else: an attempt that writes and one that takes over must not wait for each other."""
    columns = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in names]
    query = sql.SQL(
        "with held as materialized (select intent_id from intents where tenant_id = %(tenant)s and intent_id = %(intent)s for update) "
        "update effects set {} from held "
        "where effects.tenant_id = %(tenant)s and effects.intent_id = held.intent_id and attempt_token = %(token)s"
    )
    return query.format(sql.SQL(", ").join(columns)).as_bytes()


def count_message(conn: Connection, intent: Intent, contact_id: str, channel: str, now: datetime) -> None:
    conn.execute(
        "insert into messages_sent (tenant_id, intent_id, contact_id, channel, sent_at) values (%s, %s, %s, %s, %s)",
        (intent.tenant_id, UUID(intent.intent_id), contact_id, channel, now),
    )


def uncount_message(conn: Connection, intent: Intent) -> None:
    """What was refused reached nobody, and is no message of the week."""
    conn.execute("delete from messages_sent where tenant_id = %s and intent_id = %s", (intent.tenant_id, UUID(intent.intent_id)))
