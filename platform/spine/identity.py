"""Who is acting: API keys, the principals behind them, and what a role may do.

A key reads `sk.<tenant>.<key_id>.<secret>`. It chooses the tenant's wall by itself, so that nothing else in a request can;
behind that wall only a hash of the secret is found. The hash is a plain SHA-256 on purpose: the secret is 256 random bits,
so there is nothing to guess and nothing for a slow password hash to slow down, while every request pays for the check.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.events import ActorType
from spine.db import Connection, Database
from spine.errors import InvalidInput, NotAllowed, NotAuthenticated, NotFound


class Role(StrEnum):
    """From the least to the most; each covers those before it."""

    VIEWER = "viewer"  # reads
    OPERATOR = "operator"  # asks for work and publishes facts
    APPROVER = "approver"  # decides
    ADMIN = "admin"  # issues and revokes keys

    def covers(self, needed: "Role") -> bool:
        """May whoever has this role do what `needed` may do?"""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody who was authenticated. `id` is a name within the tenant, never an e-mail address: it goes into audit rows."""

    tenant_id: str
    id: str
    role: Role
    actor_type: ActorType = ActorType.HUMAN

    def require(self, needed: Role) -> None:
        """Raises NotAllowed, saying which role is needed."""
        if not self.role.covers(needed):
            raise NotAllowed(
                f"{self.id!r} is {self.role.value!r} in tenant {self.tenant_id!r}; this takes {needed.value!r}: "
                f"use a key of that role, which an admin makes with `spine keys issue --role {needed.value}`"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What is kept of a key: everything but its secret."""

    key_id: str
    principal_id: str
    role: Role
    actor_type: ActorType
    created_at: datetime
    revoked_at: datetime | None


_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")  # as in shared.events.envelope.TenantId
_PRINCIPAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")  # no @: addresses stay out of records
_NOBODY = hashlib.sha256(b"").hexdigest()
_CURE = "present `Authorization: Bearer sk.<tenant>.<key_id>.<secret>` (CLI: SPINE_API_KEY); an admin issues keys: `spine keys issue`"


def is_tenant(text: str) -> bool:
    """Could a tenant be called this? Whether there is one is another question."""
    return _TENANT.fullmatch(text) is not None


def tenant_of(presented: str) -> str:
    """The tenant that a key claims; nothing is proved by it. Raises NotAuthenticated for what is no key."""
    return _parts(presented)[0]


def principal_of(conn: Connection, presented: str) -> Principal:
    """Who presents this key, asked inside the tenant's own transaction (`Database.tenant(tenant_of(presented))`).

    Raises NotAuthenticated, in the same words for an unknown key, a wrong secret and a revoked key: a guess learns nothing.
    """
    tenant_id, key_id, secret = _parts(presented)
    row = conn.execute(
        "select principal_id, role, actor_type, secret_hash, revoked_at from api_keys where tenant_id = %s and key_id = %s",
        (tenant_id, key_id),
    ).fetchone()
    matches = hmac.compare_digest(_hashed(secret), row["secret_hash"] if row else _NOBODY)
    if row is None or not matches or row["revoked_at"] is not None:
        raise NotAuthenticated(f"this key is unknown, revoked or mistyped: {_CURE}")
    return Principal(tenant_id=tenant_id, id=row["principal_id"], role=Role(row["role"]), actor_type=ActorType(row["actor_type"]))


def authenticate(database: Database, presented: str) -> Principal:
    """`principal_of` in a transaction of its own. Raises NotAuthenticated with the cure."""
    with database.tenant(tenant_of(presented)) as conn:
        return principal_of(conn, presented)


def issue_key(conn: Connection, *, tenant_id: str, principal_id: str, role: Role, actor_type: ActorType = ActorType.HUMAN) -> str:
    """Make a key for a principal and return it; it cannot be read again. One principal may have several. Raises InvalidInput."""
    if not is_tenant(tenant_id):
        raise InvalidInput(f"tenant {tenant_id!r} is not letters, digits, '.', '_', '-' (at most 63, starting with a letter or digit)")
    if not _PRINCIPAL.fullmatch(principal_id):
        raise InvalidInput(
            f"principal {principal_id!r} is not letters, digits, '.', '_', '-', '/' (at most 100): "
            "choose a name such as 'sara.ops'; addresses stay out of records"
        )
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    conn.execute(
        "insert into api_keys (tenant_id, key_id, principal_id, actor_type, role, secret_hash) values (%s, %s, %s, %s, %s, %s)",
        (tenant_id, key_id, principal_id, actor_type.value, role.value, _hashed(secret)),
    )
    return f"sk.{tenant_id}.{key_id}.{secret}"


def revoke_key(conn: Connection, *, tenant_id: str, key_id: str) -> KeyRecord:
    """Refuse this key from the commit on; revoking it again changes nothing. Raises NotFound."""
    row = conn.execute(
        "update api_keys set revoked_at = coalesce(revoked_at, now()) where tenant_id = %s and key_id = %s returning *",
        (tenant_id, key_id),
    ).fetchone()
    if row is None:
        raise NotFound(f"tenant {tenant_id!r} has no key {key_id!r}: `spine keys list` shows those it has")
    return _record(row)


def list_keys(conn: Connection, tenant_id: str) -> list[KeyRecord]:
    """Every key ever issued to a tenant's principals, oldest first."""
    rows = conn.execute("select * from api_keys where tenant_id = %s order by created_at, key_id", (tenant_id,))
    return [_record(row) for row in rows]


def ensure_development_keys(database: Database, tenant_id: str) -> Mapping[Role, str]:
    """One key a role for a tenant that never had any, returned this once; otherwise nothing, whoever asks and however often."""
    with database.tenant(tenant_id) as conn:
        # Two processes starting at once: the second waits here, then finds the first one's keys.
        conn.execute("select pg_advisory_xact_lock(hashtextextended('development-keys/' || %s, 0))", (tenant_id,))
        if conn.execute("select 1 from api_keys where tenant_id = %s limit 1", (tenant_id,)).fetchone():
            return {}
        return {role: issue_key(conn, tenant_id=tenant_id, principal_id=f"dev-{role.value}", role=role) for role in Role}


def _parts(presented: str) -> tuple[str, str, str]:
    prefix, _, rest = presented.strip().partition(".")
    parts = rest.rsplit(".", 2)  # a tenant's name may hold dots, the two others cannot
    if prefix != "sk" or len(parts) != 3 or not all(parts) or not is_tenant(parts[0]):
        raise NotAuthenticated(f"what was presented is not an API key: {_CURE}")
    return parts[0], parts[1], parts[2]


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _record(row: Mapping[str, object]) -> KeyRecord:
    created, revoked = row["created_at"], row["revoked_at"]
    assert isinstance(created, datetime), "created_at is timestamptz not null"
    assert revoked is None or isinstance(revoked, datetime), "revoked_at is timestamptz"
    return KeyRecord(
        key_id=str(row["key_id"]),
        principal_id=str(row["principal_id"]),
        role=Role(str(row["role"])),
        actor_type=ActorType(str(row["actor_type"])),
        created_at=created,
        revoked_at=revoked,
    )
