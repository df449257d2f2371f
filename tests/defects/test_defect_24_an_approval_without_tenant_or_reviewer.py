"""Defect 24: the endpoint that approved looked neither at whose tenant the request was of, nor kept who had approved it.

Here the tenant is the credential's, a request of another tenant is not found, the person is on the decision and in the audit log, and
a decision that was refused is there too, with who tried.
"""

from collections.abc import Callable
from typing import Any

from spine.identity import Role
from tests.gateway.conftest import Door, door, refused

__all__ = ["door", "refused"]

Refused = Callable[..., dict[str, Any]]
YES = {"verdict": "approve"}


def _path(approval_id: str) -> str:
    return f"/v1/approvals/{approval_id}/decisions"


def test_an_approver_of_one_tenant_decides_nothing_in_another(door: Door, refused: Refused) -> None:
    theirs = door.message(tenant="rival")
    refused(door.post(_path(theirs), YES, "ana"), 404, "not-found", theirs)
    refused(door.post(_path(theirs), {**YES, "tenant_id": "rival"}, "ana"), 403, "tenant-mismatch", "'rival'")
    assert door.count("audit_log", "action = 'tenant.mismatch' and actor_id = 'ana'") == 1
    assert door.count("approval_decisions", tenant="rival") == 0
    assert door.get(f"/v1/approvals/{theirs}", tenant="rival").json()["state"] == "pending"


def test_who_approved_is_kept_with_the_decision_and_on_record(door: Door) -> None:
    approval_id = door.message()
    assert door.post(_path(approval_id), YES, "ana").status_code == 201
    shown = door.get(f"/v1/approvals/{approval_id}").json()
    assert [(one["decided_by"], one["role"]) for one in shown["decisions"]] == [("ana", "approver")]
    assert door.count("audit_log", "action = 'approval.decided' and actor_id = 'ana' and tenant_id = 'acme'") == 1


def test_who_was_refused_is_on_record_too(door: Door, refused: Refused) -> None:
    approval_id = door.statement()
    refused(door.post(_path(approval_id), YES, "olga", role=Role.OPERATOR), 403, "not-allowed")
    assert door.post(_path(approval_id), YES, "ana").status_code == 201
    refused(door.post(_path(approval_id), YES, "ana"), 409, "approval-refused")
    with door.database.tenant("acme") as conn:
        rows = conn.execute(
            "select actor_id, detail from audit_log where action = 'approval.decision_refused' order by position"
        ).fetchall()
    assert [(row["actor_id"], row["detail"]["code"]) for row in rows] == [("olga", "not-allowed"), ("ana", "approval-refused")]
    assert door.count("approval_decisions") == 1
