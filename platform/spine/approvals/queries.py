from spine.approvals.records import Approval
from spine.db import Connection


def pending(conn: Connection, *, tenant_id: str, after: str | None = None, limit: int = 50) -> list[Approval]:
    raise NotImplementedError


def show(conn: Connection, tenant_id: str, approval_id: str) -> Approval:
    raise NotImplementedError
