"""The secrets that providers sign their webhooks with: one tenant's and one provider's, two at once while they change.

Kept sealed (AES-256-GCM) under a key of the installation that the database does not hold, bound to their row: a row that is copied to
another tenant cannot be opened there. Shown once, when it is made. Times are real time.
"""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from spine import audit
from spine.audit import Actor
from spine.clock import Clock
from spine.db import Connection
from spine.errors import Conflict, InvalidInput, Misconfigured, NotFound
from spine.intake.webhooks import WEBHOOK_PROVIDERS
from spine.settings import Settings
from spine.signing import derived_key

AT_ONCE = 2
GRACE = timedelta(hours=24)
_PREFIX = "whsec_"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSecret:
    """What may be shown of a secret afterwards."""

    secret_id: str
    provider: str
    created_at: datetime
    expires_at: datetime | None
    holds: bool


def add(
    conn: Connection, settings: Settings, *, tenant_id: str, provider: str, given: str | None = None, actor: Actor, clock: Clock
) -> str:
    """Take a provider's secret (`whsec_…`), or make one, and return it: it is not shown again.

    Raises InvalidInput for an unknown provider or a secret of another form, Conflict when two hold already.
    """
    if provider not in WEBHOOK_PROVIDERS:
        raise InvalidInput(f"no webhooks are taken from {provider!r}: there is {', '.join(WEBHOOK_PROVIDERS)}")
    secret = given.strip() if given is not None else _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
    _check(secret)
    # Two that add at once would both see room.
    conn.execute("select pg_advisory_xact_lock(hashtextextended('webhook-secrets/' || %s || '/' || %s, 0))", (tenant_id, provider))
    if len([one for one in listing(conn, tenant_id=tenant_id, provider=provider) if one.holds]) >= AT_ONCE:
        raise Conflict(f"{AT_ONCE} secrets of {provider!r} hold already: rotate, or revoke one first (`spine keys webhook-secret list`)")
    secret_id = secrets.token_hex(6)
    conn.execute(
        "insert into webhook_secrets (tenant_id, provider, secret_id, sealed) values (%s, %s, %s, %s)",
        (tenant_id, provider, secret_id, _seal(settings, secret, tenant_id, provider, secret_id)),
    )
    _on_record(conn, tenant_id, actor, clock, "webhook_secret.added", secret_id, provider)
    return secret


def rotate(
    conn: Connection,
    settings: Settings,
    *,
    tenant_id: str,
    provider: str,
    given: str | None = None,
    grace: timedelta = GRACE,
    actor: Actor,
    clock: Clock,
) -> str:
    """A new secret from now on; the one before holds for `grace` longer, any older one no more. Returns the new one. Raises as `add`."""
    if not timedelta(0) <= grace <= timedelta(days=7):
        raise InvalidInput(f"the old secret may hold for at most 7 days, not {grace}")
    held = [one for one in listing(conn, tenant_id=tenant_id, provider=provider) if one.expires_at is None]
    if not held:
        raise NotFound(f"tenant {tenant_id!r} has no secret of {provider!r} to rotate: `spine keys webhook-secret add {provider}`")
    conn.execute(
        "update webhook_secrets set expires_at = case when secret_id = %s then now() + %s else now() end "
        "where tenant_id = %s and provider = %s and (expires_at is null or expires_at > now())",
        (held[-1].secret_id, grace, tenant_id, provider),
    )
    return add(conn, settings, tenant_id=tenant_id, provider=provider, given=given, actor=actor, clock=clock)


def revoke(conn: Connection, *, tenant_id: str, secret_id: str, actor: Actor, clock: Clock) -> None:
    """Refuse what is signed with this one from the commit on. Raises NotFound."""
    row = conn.execute(
        "update webhook_secrets set expires_at = least(coalesce(expires_at, now()), now()) where tenant_id = %s and secret_id = %s "
        "returning provider",
        (tenant_id, secret_id),
    ).fetchone()
    if row is None:
        raise NotFound(f"tenant {tenant_id!r} has no webhook secret {secret_id!r}: `spine keys webhook-secret list`")
    _on_record(conn, tenant_id, actor, clock, "webhook_secret.revoked", secret_id, row["provider"])


def listing(conn: Connection, *, tenant_id: str, provider: str | None = None) -> list[WebhookSecret]:
    """All that ever were, the oldest first; never the secrets themselves."""
    rows = conn.execute(
        "select secret_id, provider, created_at, expires_at, expires_at is null or expires_at > now() as holds "
        "from webhook_secrets where tenant_id = %s "
        "and (%s::text is null or provider = %s) order by created_at, secret_id",
        (tenant_id, provider, provider),
    )
    return [WebhookSecret(**row) for row in rows]


def active(conn: Connection, settings: Settings, *, tenant_id: str, provider: str) -> list[str]:
    """The secrets that hold now. Raises Misconfigured when they cannot be opened: SPINE_TOKEN_KEY is another one by now."""
    rows = conn.execute(
        "select secret_id, sealed from webhook_secrets where tenant_id = %s and provider = %s "
        "and (expires_at is null or expires_at > now()) order by created_at desc",
        (tenant_id, provider),
    ).fetchall()
    return [_open(settings, row["sealed"], tenant_id, provider, row["secret_id"]) for row in rows]


def _check(secret: str) -> None:
    try:
        raw = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        raw = b""
    if not secret.startswith(_PREFIX) or not 24 <= len(raw) <= 64:
        raise InvalidInput("a webhook secret is 'whsec_' and 24 to 64 bytes in base64, as Standard Webhooks 1.0 says")


def _seal(settings: Settings, secret: str, *bound_to: str) -> bytes:
    nonce = secrets.token_bytes(12)
    return nonce + AESGCM(_key(settings)).encrypt(nonce, secret.encode(), "/".join(bound_to).encode())


def _open(settings: Settings, sealed: bytes, *bound_to: str) -> str:
    try:
        return AESGCM(_key(settings)).decrypt(sealed[:12], sealed[12:], "/".join(bound_to).encode()).decode()
    except InvalidTag as error:
        raise Misconfigured(
            f"webhook secret {bound_to[-1]!r} cannot be opened with SPINE_TOKEN_KEY: set the key it was made under, or add it anew"
        ) from error


def _key(settings: Settings) -> bytes:
    return derived_key(settings, "webhook-secrets")


def _on_record(conn: Connection, tenant_id: str, actor: Actor, clock: Clock, action: str, secret_id: str, provider: str) -> None:
    audit.record(
        conn,
        tenant_id=tenant_id,
        actor=actor,
        action=action,
        subject_type="webhook_secret",
        subject_id=secret_id,
        now=clock.now(),
        detail={"provider": provider},
    )
