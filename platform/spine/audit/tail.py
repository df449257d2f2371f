"""What no seal covers yet."""

from dataclasses import dataclass

from spine.audit.sealed import Seal
from spine.audit.seals import newest
from spine.db import Connection

_COUNT = (
    "select count(*) as n from (select 1 from audit_log where tenant_id = %(tenant)s "
    "and (xid, position) > (%(xid)s::text::xid8, %(position)s) limit %(most)s) later"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The newest seal, if there is one, and how many rows came after it: counted to `most`, which then means that many or more."""

    seal: Seal | None
    unsealed: int
    most: int

    @property
    def has_more(self) -> bool:
        return self.unsealed >= self.most


def standing(conn: Connection, tenant_id: str, *, most: int = 10_000) -> Standing:
    """How far the log is sealed."""
    seal = newest(conn, tenant_id)
    place = {"xid": str(seal.through_xid) if seal else "0", "position": seal.through_position if seal else 0}
    row = conn.execute(_COUNT, {"tenant": tenant_id, "most": most, **place}).fetchone()
    assert row is not None, "an aggregate has one row"
    return Standing(seal=seal, unsealed=int(row["n"]), most=most)
