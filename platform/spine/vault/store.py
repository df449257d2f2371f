"""Data keys of subjects in the database, and what is sealed under them. Each function works in the caller's transaction."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime

from spine.db import Connection
from spine.errors import Conflict
from spine.keyring import closed, keyring_of, opened

_SEALED = "v1."
_INDEX = "index of addresses"  # no subject's id: those have no spaces


def seal(conn: Connection, *, tenant_id: str, subject_id: str, field: str, text: str) -> str:
    """The value for the row. Makes the subject's data key at the first field. Raises Conflict for an erased subject, and Misconfigured."""
    return closed(_key(conn, tenant_id, subject_id), text, tenant_id, subject_id, field)


def unseal(conn: Connection, *, tenant_id: str, subject_id: str, field: str, sealed: str | None) -> str | None:
    """What was sealed; None for an erased subject. Raises Misconfigured for what does not open."""
    return unseal_all(conn, tenant_id=tenant_id, field=field, sealed={subject_id: sealed})[subject_id]


def unseal_all(conn: Connection, *, tenant_id: str, field: str, sealed: Mapping[str, str | None]) -> dict[str, str | None]:
    """One field of many subjects, with one query for their keys. A value from before there was a vault comes back as it is."""
    wanted = [subject for subject, value in sealed.items() if value and value.startswith(_SEALED)]
    keys = dict(_keys(conn, tenant_id, wanted)) if wanted else {}

    def open_one(subject_id: str, value: str | None) -> str | None:
        if not value or not value.startswith(_SEALED):
            return value or None
        if subject_id not in keys:
            return None
        return opened(keys[subject_id], value.removeprefix(_SEALED), "field", tenant_id, subject_id, field).decode()

    return {subject_id: open_one(subject_id, value) for subject_id, value in sealed.items()}


def destroy(conn: Connection, *, tenant_id: str, subject_id: str, now: datetime) -> None:
    """Nothing that was sealed for the subject opens any more, and nothing more can be sealed for it. Repeatable."""
    conn.execute(
        "insert into subject_keys (tenant_id, subject_id, wrapped, destroyed_at) values (%(tenant)s, %(subject)s, null, %(now)s) "
        "on conflict (tenant_id, subject_id) do update set wrapped = null, destroyed_at = excluded.destroyed_at "
        "where subject_keys.destroyed_at is null",
        {"tenant": tenant_id, "subject": subject_id, "now": now},
    )


def is_erased(conn: Connection, *, tenant_id: str, subject_id: str) -> bool:
    row = conn.execute("select destroyed_at from subject_keys where tenant_id = %s and subject_id = %s", (tenant_id, subject_id)).fetchone()
    return row is not None and row["destroyed_at"] is not None


def rewrap(conn: Connection, *, tenant_id: str) -> int:
    """Wrap every data key of a tenant under the current master key; returns how many were under an older one. No field is touched."""
    ring = keyring_of(conn)
    rows = conn.execute(
        "select subject_id, wrapped from subject_keys where tenant_id = %s and wrapped is not null order by subject_id for update",
        (tenant_id,),
    ).fetchall()
    older = [row for row in rows if not ring.is_current(row["wrapped"])]
    for row in older:
        subject_id = row["subject_id"]
        anew = ring.wrap(ring.unwrap(row["wrapped"], tenant_id, subject_id), tenant_id, subject_id)
        conn.execute("update subject_keys set wrapped = %s where tenant_id = %s and subject_id = %s", (anew, tenant_id, subject_id))
    return len(older)


def suppress(conn: Connection, *, tenant_id: str, address: str, now: datetime) -> None:
    """Remember that nobody writes to this address again, without remembering the address."""
    conn.execute(
        "insert into suppressed_addresses (tenant_id, address_mark, suppressed_at) values (%s, %s, %s) on conflict do nothing",
        (tenant_id, address_mark(conn, tenant_id, address), now),
    )


def is_suppressed(conn: Connection, *, tenant_id: str, address: str) -> bool:
    mark = address_mark(conn, tenant_id, address)
    return conn.execute("select from suppressed_addresses where tenant_id = %s and address_mark = %s", (tenant_id, mark)).rowcount > 0


def address_mark(conn: Connection, tenant_id: str, address: str) -> str:
    """HMAC-SHA256 of the address under the tenant's index key: equal addresses have equal marks, and no mark tells its address."""
    key = _key(conn, tenant_id, _INDEX)
    return hmac.new(key, address.strip().casefold().encode(), hashlib.sha256).hexdigest()


def _key(conn: Connection, tenant_id: str, subject_id: str) -> bytes:
    if found := dict(_keys(conn, tenant_id, [subject_id])):
        return found[subject_id]
    made = keyring_of(conn).wrap(secrets.token_bytes(32), tenant_id, subject_id)
    conn.execute(
        "insert into subject_keys (tenant_id, subject_id, wrapped) values (%s, %s, %s) on conflict do nothing",
        (tenant_id, subject_id, made),
    )
    if found := dict(_keys(conn, tenant_id, [subject_id])):  # that of another transaction, where it was first
        return found[subject_id]
    raise Conflict(f"{subject_id!r} of tenant {tenant_id!r} was erased: nothing is kept about it any more, and it does not come back")


def _keys(conn: Connection, tenant_id: str, subject_ids: list[str]) -> Iterable[tuple[str, bytes]]:
    ring = keyring_of(conn)
    rows = conn.execute(
        "select subject_id, wrapped from subject_keys where tenant_id = %s and subject_id = any(%s) and wrapped is not null",
        (tenant_id, subject_ids),
    )
    return [(row["subject_id"], ring.unwrap(row["wrapped"], tenant_id, row["subject_id"])) for row in rows]
