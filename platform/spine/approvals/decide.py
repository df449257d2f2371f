from collections.abc import Callable, Mapping
from typing import Any

from shared.events import Verdict
from spine.approvals.records import Principal, Resolution
from spine.clock import Clock
from spine.db import Connection
from spine.policy import PolicyTable


def decide(
    conn: Connection,
    *,
    tenant_id: str,
    approval_id: str,
    decision_id: str,
    verdict: Verdict,
    principal: Principal,
    reason: str | None,
    policy: PolicyTable,
    clock: Clock,
    edited_payload: Mapping[str, Any] | None = None,
    digest: str | None = None,
    validate: Callable[[str, Mapping[str, Any]], None] | None = None,
) -> Resolution:
    raise NotImplementedError
