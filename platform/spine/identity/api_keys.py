"""API keys: issued, rotated, revoked, and looked at on each request.

A key reads `sk.<tenant>.<key_id>.<secret>`. It chooses the tenant's wall by itself, so that nothing else in a request can;
behind that wall only a hash of the secret is found. The hash is a plain SHA-256 on purpose: the secret is 256 random bits,
so there is nothing to guess and nothing for a slow password hash to slow down, while every request pays for the check.
Keys live in real time, not in business time: a lease of a credential is nobody's business day.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

from shared.events import ActorType
from spine.db import Connection, Database, Question, answer_to
from spine.errors import Conflict, InvalidInput, NotAuthenticated, NotFound
from spine.identity.principals import Principal, Role, is_person, is_tenant

_NOBODY = hashlib.sha256(b"").hexdigest()
_CURE = "present `Authorization: Bearer sk.<tenant>.<key_id>.<secret>` (CLI: SPINE_API_KEY); an admin issues keys: `spine keys issue`"
_LONGEST = timedelta(days=3650)

# `live` and `unmarked` are the database's to say: one clock for all processes. `is_proved` is for what else one query does for the
# key's owner and for nobody who only knows the key's id; whether the secret is the right one, `principal_in` judges.
_FIND: LiteralString = """
    select principal_id, role, actor_type, secret_hash, live, live and secret_hash = %(key_hash)s as is_proved,
           last_used_at is null or last_used_at < now() - interval '1 hour' as unmarked
    from api_keys cross join lateral (select revoked_at is null and (expires_at is null or expires_at > now()) as live) lasting
    where tenant_id = %(key_tenant)s and key_id = %(key_id)s
"""
# Requests of one key come together: whoever finds the row held leaves the mark to the other.
_MARK = """
    update api_keys set last_used_at = now() where (tenant_id, key_id) in
    (select tenant_id, key_id from api_keys where tenant_id = %s and key_id = %s for update skip locked)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What is kept of a key: everything but its secret. `last_used_at` is true to the hour."""

    key_id: str
    principal_id: str
    role: Role
    actor_type: ActorType
    created_at: datetime
    revoked_at: datetime | None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


def is_api_key(presented: str) -> bool:
    """By its form alone: what else is presented as a bearer is an OIDC token, or nothing."""
    return presented.strip().startswith("sk.")


def tenant_of(presented: str) -> str:
    """The tenant that a key claims; nothing is proved by it. Raises NotAuthenticated for what is no key."""
    return _parts(presented)[0]


def principal_of(conn: Connection, presented: str) -> Principal:
    """Who presents this key, asked inside the tenant's own transaction (`Database.tenant(tenant_of(presented))`).

    Raises NotAuthenticated, in the same words for an unknown key, a wrong secret, a revoked and an expired key: a guess learns
    nothing. Revoking and expiring hold from the next request on.
    """
    return principal_in(answer_to(conn, whose(presented)), conn, presented)


def whose(presented: str) -> Question:
    """The question for a key's row, which `principal_in` judges; nothing is proved by it. Raises NotAuthenticated for what is no key."""
    tenant_id, key_id, secret = _parts(presented)
    return Question(_FIND, {"key_tenant": tenant_id, "key_id": key_id, "key_hash": _hashed(secret)})


def principal_in(row: Mapping[str, Any] | None, conn: Connection, presented: str) -> Principal:
    """`principal_of`, with the row that answers `whose` in this transaction."""
    tenant_id, key_id, secret = _parts(presented)
    matches = hmac.compare_digest(_hashed(secret), row["secret_hash"] if row else _NOBODY)
    if row is None or not matches or not row["live"]:
        raise NotAuthenticated(f"this key is unknown, expired, revoked or mistyped: {_CURE}")
    if row["unmarked"]:
        conn.execute(_MARK, (tenant_id, key_id))
    return Principal(tenant_id=tenant_id, id=row["principal_id"], role=Role(row["role"]), actor_type=ActorType(row["actor_type"]))


def authenticate(database: Database, presented: str) -> Principal:
    """`principal_of` in a transaction of its own. Raises NotAuthenticated with the cure."""
    with database.tenant(tenant_of(presented)) as conn:
        return principal_of(conn, presented)


def issue_key(
    conn: Connection,
    *,
    tenant_id: str,
    principal_id: str,
    role: Role,
    actor_type: ActorType = ActorType.HUMAN,
    lifetime: timedelta | None = None,
) -> str:
    """Make a key for a principal and return it; it cannot be read again. One principal may have several.

    Without a `lifetime` it holds until it is revoked. Raises InvalidInput.
    """
    if not is_tenant(tenant_id):
        raise InvalidInput(f"tenant {tenant_id!r} is not letters, digits, '.', '_', '-' (at most 63, starting with a letter or digit)")
    if not is_person(principal_id):
        raise InvalidInput(
            f"principal {principal_id!r} is not letters, digits, '.', '_', '-', '/' (at most 100): "
            "choose a name such as 'sara.ops'; addresses stay out of records"
        )
    if lifetime is not None and not timedelta(0) < lifetime <= _LONGEST:
        raise InvalidInput(f"a key lives longer than nothing and at most {_LONGEST.days} days, not {lifetime}")
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    conn.execute(
        "insert into api_keys (tenant_id, key_id, principal_id, actor_type, role, secret_hash, expires_at) "
        "values (%s, %s, %s, %s, %s, %s, now() + %s)",
        (tenant_id, key_id, principal_id, actor_type.value, role.value, _hashed(secret), lifetime),
    )
    return f"sk.{tenant_id}.{key_id}.{secret}"


def issue_first_key(
    conn: Connection,
    *,
    tenant_id: str,
    principal_id: str,
    actor_type: ActorType = ActorType.HUMAN,
    lifetime: timedelta | None = None,
) -> str | None:
    """An admin's key for a tenant that never had any; None if it has. Of two that ask at once, one gets it."""
    _hold_keys(conn, tenant_id)
    if _has_keys(conn, tenant_id):
        return None
    return issue_key(conn, tenant_id=tenant_id, principal_id=principal_id, role=Role.ADMIN, actor_type=actor_type, lifetime=lifetime)


def rotate_key(conn: Connection, *, tenant_id: str, key_id: str, grace: timedelta = timedelta(0)) -> str:
    """A new key for the same principal, role and length of life; the old one ends after `grace`. Raises NotFound and Conflict."""
    row = conn.execute(
        "select *, revoked_at is null and (expires_at is null or expires_at > now()) as live from api_keys "
        "where tenant_id = %s and key_id = %s for update",
        (tenant_id, key_id),
    ).fetchone()
    if row is None:
        raise _no_such_key(tenant_id, key_id)
    if not row["live"]:
        raise Conflict(f"key {key_id!r} has ended: there is nothing to rotate, issue a new one with `spine keys issue`")
    if not timedelta(0) <= grace <= timedelta(days=30):
        raise InvalidInput(f"the old key may go on for at most 30 days, not {grace}")
    lived = None if row["expires_at"] is None else row["expires_at"] - row["created_at"]
    made = issue_key(
        conn,
        tenant_id=tenant_id,
        principal_id=row["principal_id"],
        role=Role(row["role"]),
        actor_type=ActorType(row["actor_type"]),
        lifetime=lived,
    )
    if grace:
        conn.execute(
            "update api_keys set expires_at = least(coalesce(expires_at, 'infinity'), now() + %s) where tenant_id = %s and key_id = %s",
            (grace, tenant_id, key_id),
        )
    else:
        revoke_key(conn, tenant_id=tenant_id, key_id=key_id)
    return made


def revoke_key(conn: Connection, *, tenant_id: str, key_id: str) -> KeyRecord:
    """Refuse this key from the commit on, and every unused approval token of its principal; again changes nothing. Raises NotFound."""
    row = conn.execute(
        "update api_keys set revoked_at = coalesce(revoked_at, now()) where tenant_id = %s and key_id = %s returning *",
        (tenant_id, key_id),
    ).fetchone()
    if row is None:
        raise _no_such_key(tenant_id, key_id)
    conn.execute(
        "update approval_tokens set voided_at = now() where tenant_id = %s and approver = %s and used_at is null and voided_at is null",
        (tenant_id, row["principal_id"]),
    )
    return _record(row)


def list_keys(conn: Connection, tenant_id: str) -> list[KeyRecord]:
    """Every key ever issued to a tenant's principals, oldest first."""
    rows = conn.execute("select * from api_keys where tenant_id = %s order by created_at, key_id", (tenant_id,))
    return [_record(row) for row in rows]


def ensure_development_keys(database: Database, tenant_id: str) -> Mapping[Role, str]:
    """One key a role for a tenant that never had any, returned this once; otherwise nothing, whoever asks and however often."""
    with database.tenant(tenant_id) as conn:
        _hold_keys(conn, tenant_id)
        if _has_keys(conn, tenant_id):
            return {}
        return {role: issue_key(conn, tenant_id=tenant_id, principal_id=f"dev-{role.value}", role=role) for role in Role}


def _hold_keys(conn: Connection, tenant_id: str) -> None:
    """Two that make first keys at once: the second waits here, then finds the first one's."""
    conn.execute("select pg_advisory_xact_lock(hashtextextended('first-keys/' || %s, 0))", (tenant_id,))


def _has_keys(conn: Connection, tenant_id: str) -> bool:
    return conn.execute("select 1 from api_keys where tenant_id = %s limit 1", (tenant_id,)).fetchone() is not None


def _no_such_key(tenant_id: str, key_id: str) -> NotFound:
    return NotFound(f"tenant {tenant_id!r} has no key {key_id!r}: `spine keys list` shows those it has")


def _parts(presented: str) -> tuple[str, str, str]:
    prefix, _, rest = presented.strip().partition(".")
    parts = rest.rsplit(".", 2)  # a tenant's name may hold dots, the two others cannot
    if prefix != "sk" or len(parts) != 3 or not all(parts) or not is_tenant(parts[0]):
        raise NotAuthenticated(f"what was presented is not an API key: {_CURE}")
    return parts[0], parts[1], parts[2]


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _record(row: Mapping[str, Any]) -> KeyRecord:
    same = ("key_id", "principal_id", "created_at", "revoked_at", "expires_at", "last_used_at")
    return KeyRecord(**{name: row[name] for name in same}, role=Role(row["role"]), actor_type=ActorType(row["actor_type"]))
