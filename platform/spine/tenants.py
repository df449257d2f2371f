"""Every tenant there is, and the same look at each: for what an installation does for all of its tenants, such as seals and sweeps.

There is no register of tenants: one comes into being with its first row, and is known by what it left where every tenant leaves
something. Those who only look at tenants one after the other need no more.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from psycopg import sql

from spine.db import Database

Found = TypeVar("Found")

_TABLES = ("audit_log", "audit_seals", "events", "dead_letters")
"""What the relay's role may read, with an index that begins with the tenant. Seals, since a log of which every row was removed is one
that must be verified."""
# A skip scan: tables are long and tenants are few.
_IN_TABLE = sql.SQL(
    """
    with recursive known as (
        select min(tenant_id) as tenant_id from {table}
        union all
        select (select min(t.tenant_id) from {table} t where t.tenant_id > known.tenant_id) from known where known.tenant_id is not null
    )
    select tenant_id from known where tenant_id is not null
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked(Generic[Found]):
    """What was found in each tenant, and why some could not be looked at; each tenant is in one of the two. Whoever reads `found` has
    to tell of `failed` too."""

    found: Mapping[str, Found]
    failed: Mapping[str, Exception]

    @property
    def count(self) -> int:
        return len(self.found) + len(self.failed)

    @property
    def why(self) -> str:
        """Who could not be looked at, in a sentence; "" when everybody was."""
        if not self.failed:
            return ""
        named = "; ".join(f"{tenant_id!r}: {type(error).__name__}: {error}" for tenant_id, error in self.failed.items())
        return f"{len(self.failed)} of {self.count} tenants failed, the others are done: {named}"


def every_tenant(database: Database, *, own: str) -> tuple[str, ...]:
    """Who ever wrote an audit row, has a seal, an event or a dead letter, in one order; `own`, the installation's, also without any.

    Asked as the relay's role, the only one that sees over the walls; raises Misconfigured where its address was not given. The limit:
    somebody who only holds API keys, and has called nobody with them, has nothing to be looked at yet and is not named; nor is one of
    whom a superuser removed every row of all four.
    """
    with database.relay() as conn:
        rows = [row for table in _TABLES for row in conn.execute(_IN_TABLE.format(table=sql.Identifier(table)))]
    return tuple(sorted({own, *(row["tenant_id"] for row in rows)}))


def look_at_each(tenants: Iterable[str], look: Callable[[str], Found]) -> Looked[Found]:
    """Call `look` with each tenant. One that raises keeps none of the others from being looked at; its error is handed back.

    `look` opens its own transaction, inside that tenant's wall: what it did for the others stays done.
    """
    found: dict[str, Found] = {}
    failed: dict[str, Exception] = {}
    for tenant_id in tenants:
        try:
            found[tenant_id] = look(tenant_id)
        except Exception as error:  # noqa: BLE001 - the others' turn comes first: the caller fails with it at the end
            failed[tenant_id] = error
    return Looked(found=found, failed=failed)
