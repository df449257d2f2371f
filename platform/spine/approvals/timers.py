from spine.approvals.records import Resolution, SlaLabel, SlaNote
from spine.audit import Actor
from spine.clock import Clock
from spine.db import Connection
from spine.policy import PolicyTable


def expire(conn: Connection, *, tenant_id: str, approval_id: str, actor: Actor, clock: Clock) -> Resolution:
    raise NotImplementedError


def note_sla(
    conn: Connection, *, tenant_id: str, approval_id: str, label: SlaLabel, actor: Actor, policy: PolicyTable, clock: Clock
) -> SlaNote:
    raise NotImplementedError
