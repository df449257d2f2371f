"""Endpoints: who is told of which events, and the secrets that prove it was us."""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from shared.events import ActorType, UnknownEvent, WebhookPinged, alias
from spine import audit, eventlog, vault
from spine.audit import Actor
from spine.db import Connection
from spine.errors import Conflict, InvalidInput, NotFound, UnknownEventType
from spine.ids import new_id
from spine.webhooks_out.addresses import refuse_unfit, target_of

OVERLAP = timedelta(hours=24)
"""How long a secret that was replaced goes on signing beside the new one, unless said otherwise."""
_MOST = 50  # endpoints of a tenant: each event is posted to all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """`event_types` empty: every event. `waiting` and `dead` count what has not arrived."""

    endpoint_id: UUID
    url: str
    event_types: tuple[str, ...]
    state: str
    why_disabled: str | None
    created_by: str
    created_at: datetime
    active_secrets: int
    waiting: int
    dead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event to one endpoint: how often it was tried, and what was answered last."""

    endpoint_id: UUID
    event_id: UUID
    event_type: str
    state: str
    attempts: int
    next_attempt_at: datetime
    status: int | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None


def add_endpoint(
    conn: Connection, *, tenant_id: str, url: str, event_types: Sequence[str], actor: Actor, now: datetime, may_be_private: bool
) -> tuple[UUID, str]:
    """Tell `url` of what happens from now on. Returns its id and its secret, which is shown this once.

    Raises InvalidInput for an URL that may not be told, UnknownEventType, and Conflict for one too many.
    """
    types = sorted({_known(name) for name in event_types})
    refuse_unfit(url)
    try:
        target_of(url, may_be_private=may_be_private)
    except OSError as error:
        raise InvalidInput(f"webhook URL {url!r} has no address: {error}") from error
    count = conn.execute("select count(*) as n from webhook_endpoints where tenant_id = %s and state <> 'removed'", (tenant_id,)).fetchone()
    if count is not None and count["n"] >= _MOST:
        raise Conflict(f"tenant {tenant_id!r} has {_MOST} webhook endpoints already: remove one that nobody needs")
    endpoint_id = new_id()
    conn.execute(
        "insert into webhook_endpoints (tenant_id, endpoint_id, url, event_types, created_by, created_at) values (%s, %s, %s, %s, %s, %s)",
        (tenant_id, endpoint_id, url, types, actor.id, now),
    )
    secret = _add_secret(conn, tenant_id, endpoint_id)
    _on_record(conn, tenant_id, "webhook_endpoint.added", endpoint_id, actor, now, {"types": types or ["all"]})
    return endpoint_id, secret


def endpoints(conn: Connection, *, tenant_id: str, endpoint_id: UUID | None = None) -> list[Endpoint]:
    """Those that were not removed, the oldest first. At most fifty: that is how many there may be."""
    rows = conn.execute(
        "select endpoint_id, url, event_types, state, why_disabled, created_by, created_at, "
        "(select count(*) from webhook_endpoint_secrets s where s.tenant_id = e.tenant_id and s.endpoint_id = e.endpoint_id "
        "  and (retires_at is null or retires_at > now())) as active_secrets, "
        "(select count(*) from webhook_deliveries d where d.tenant_id = e.tenant_id and d.endpoint_id = e.endpoint_id "
        "  and d.state = 'waiting') as waiting, "
        "(select count(*) from webhook_deliveries d where d.tenant_id = e.tenant_id and d.endpoint_id = e.endpoint_id "
        "  and d.state = 'dead') as dead "
        "from webhook_endpoints e where tenant_id = %(tenant)s and state <> 'removed' "
        "and (%(endpoint)s::uuid is null or endpoint_id = %(endpoint)s) order by created_at, endpoint_id",
        {"tenant": tenant_id, "endpoint": endpoint_id},
    )
    return [Endpoint(**{**row, "event_types": tuple(row["event_types"])}) for row in rows]


def show_endpoint(conn: Connection, *, tenant_id: str, endpoint_id: UUID) -> Endpoint:
    """Raises NotFound, also for another tenant's and for one that was removed."""
    found = endpoints(conn, tenant_id=tenant_id, endpoint_id=endpoint_id)
    if not found:
        raise NotFound(f"no webhook endpoint {str(endpoint_id)!r} of tenant {tenant_id!r}: `spine webhooks list` shows those there are")
    return found[0]


def rotate_secret(conn: Connection, *, tenant_id: str, endpoint_id: UUID, actor: Actor, now: datetime, overlap: timedelta = OVERLAP) -> str:
    """A new secret, shown this once; the one before it goes on signing for `overlap` (real time), so that the receiver can change over.

    Raises NotFound, and InvalidInput for an overlap of more than seven days.
    """
    if not timedelta(0) <= overlap <= timedelta(days=7):
        raise InvalidInput(f"the old secret may sign for at most 7 days, not {overlap}")
    show_endpoint(conn, tenant_id=tenant_id, endpoint_id=endpoint_id)
    which = (tenant_id, endpoint_id)
    # The one before holds for the overlap, any older one no more: two at most sign at a time.
    conn.execute("delete from webhook_endpoint_secrets where tenant_id = %s and endpoint_id = %s and retires_at is not null", which)
    conn.execute("update webhook_endpoint_secrets set retires_at = now() + %s where tenant_id = %s and endpoint_id = %s", (overlap, *which))
    secret = _add_secret(conn, tenant_id, endpoint_id)
    _on_record(conn, tenant_id, "webhook_endpoint.rotated", endpoint_id, actor, now, {"overlap_seconds": int(overlap.total_seconds())})
    return secret


def remove_endpoint(conn: Connection, *, tenant_id: str, endpoint_id: UUID, actor: Actor, now: datetime) -> None:
    """It is told nothing any more, not even what waits for it; its secrets are forgotten. Raises NotFound."""
    show_endpoint(conn, tenant_id=tenant_id, endpoint_id=endpoint_id)
    conn.execute("delete from webhook_endpoint_secrets where tenant_id = %s and endpoint_id = %s", (tenant_id, endpoint_id))
    vault.destroy(conn, tenant_id=tenant_id, subject_id=_subject(endpoint_id), now=now)
    conn.execute("update webhook_endpoints set state = 'removed' where tenant_id = %s and endpoint_id = %s", (tenant_id, endpoint_id))
    _on_record(conn, tenant_id, "webhook_endpoint.removed", endpoint_id, actor, now, {})


def enable_endpoint(conn: Connection, *, tenant_id: str, endpoint_id: UUID, actor: Actor, now: datetime) -> None:
    """After it was disabled: what waits for it is delivered now. Raises NotFound, and Conflict for one that is active."""
    if show_endpoint(conn, tenant_id=tenant_id, endpoint_id=endpoint_id).state == "active":
        raise Conflict(f"webhook endpoint {str(endpoint_id)!r} is active: there is nothing to enable")
    conn.execute(
        "update webhook_endpoints set state = 'active', why_disabled = null, given_up_in_a_row = 0 "
        "where tenant_id = %s and endpoint_id = %s",
        (tenant_id, endpoint_id),
    )
    _on_record(conn, tenant_id, "webhook_endpoint.enabled", endpoint_id, actor, now, {})


def ping(conn: Connection, *, tenant_id: str, endpoint_id: UUID, actor: Actor, now: datetime) -> str:
    """Put an event on the log that goes to this endpoint only, the way that every event goes. Returns its id. Raises NotFound."""
    show_endpoint(conn, tenant_id=tenant_id, endpoint_id=endpoint_id)
    envelope = eventlog.publish(
        conn,
        WebhookPinged(endpoint_id=str(endpoint_id)),
        tenant_id=tenant_id,
        source="/webhooks",
        correlation_id=f"ping/{endpoint_id}",
        now=now,
        actor_type=actor.type if actor.type is ActorType.HUMAN else ActorType.EXECUTOR_SYSTEM,
    )
    _on_record(conn, tenant_id, "webhook_endpoint.pinged", endpoint_id, actor, now, {"event_id": envelope.id})
    return envelope.id


def deliveries(
    conn: Connection, *, tenant_id: str, endpoint_id: UUID | None = None, state: str | None = None, limit: int = 50,
    before: tuple[datetime, UUID] | None = None,
) -> list[Delivery]:  # fmt: skip
    """The newest first; `before` is the creation and event id of the last one seen."""
    at, event_id = before or (None, None)
    rows = conn.execute(
        "select endpoint_id, event_id, event_type, state, attempts, next_attempt_at, status, error, created_at, finished_at "
        "from webhook_deliveries where tenant_id = %(tenant)s and (%(endpoint)s::uuid is null or endpoint_id = %(endpoint)s) "
        "and (%(state)s::text is null or state = %(state)s) "
        "and (%(at)s::timestamptz is null or (created_at, event_id) < (%(at)s, %(event)s::uuid)) "
        "order by created_at desc, event_id desc limit %(limit)s",
        {"tenant": tenant_id, "endpoint": endpoint_id, "state": state, "at": at, "event": event_id, "limit": limit},
    )
    return [Delivery(**row) for row in rows]


def secrets_of(conn: Connection, *, tenant_id: str, endpoint_id: UUID) -> list[str]:
    """The secrets that sign now, the newest first. Raises Misconfigured when they do not open: the vault's key is another one by now."""
    rows = conn.execute(
        "select secret_id, sealed from webhook_endpoint_secrets where tenant_id = %s and endpoint_id = %s "
        "and (retires_at is null or retires_at > clock_timestamp()) order by retires_at desc nulls first",
        (tenant_id, endpoint_id),
    ).fetchall()
    subject = _subject(endpoint_id)
    opened = (
        vault.unseal(conn, tenant_id=tenant_id, subject_id=subject, field=str(row["secret_id"]), sealed=row["sealed"]) for row in rows
    )
    return [secret for secret in opened if secret]


def _add_secret(conn: Connection, tenant_id: str, endpoint_id: UUID) -> str:
    secret, secret_id = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(), new_id()
    sealed = vault.seal(conn, tenant_id=tenant_id, subject_id=_subject(endpoint_id), field=str(secret_id), text=secret)
    conn.execute(
        "insert into webhook_endpoint_secrets (tenant_id, endpoint_id, secret_id, sealed) values (%s, %s, %s, %s)",
        (tenant_id, endpoint_id, secret_id, sealed),
    )
    return secret


def _subject(endpoint_id: UUID) -> str:
    return f"webhook-endpoint/{endpoint_id}"


def _known(name: str) -> str:
    try:
        return alias(name)
    except UnknownEvent as error:
        raise UnknownEventType(str(error)) from error


def _on_record(
    conn: Connection, tenant_id: str, action: str, endpoint_id: UUID, actor: Actor, now: datetime, detail: dict[str, object]
) -> None:
    audit.record(
        conn,
        tenant_id=tenant_id,
        actor=actor,
        action=action,
        subject_type="webhook_endpoint",
        subject_id=str(endpoint_id),
        now=now,
        detail=detail,
    )
