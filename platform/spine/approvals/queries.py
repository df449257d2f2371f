"""Requests for approval as people see them."""

from collections.abc import Mapping
from typing import Any, LiteralString

from psycopg import sql

from shared.events import Verdict
from spine.approvals.records import Approval, ApprovalState, Decided
from spine.db import Connection
from spine.errors import NotFound
from spine.intents.rows import COLUMNS, intent_of, reasons_of, uuid_of

_OWN = (
    *("approval_id", "approvers_needed", "roles", "why", "requested_at", "warn_at", "breach_at", "escalate_at", "expires_at"),
    *("escalation_level", "resolved_at", "consumed_at"),
)
_SHARED = ("state", "digest", "policy_version", "requested_by")  # columns of both tables: the approval's come as approval_<name>

_SELECT = sql.SQL("select {intent}, {own}, {shared} from approvals a join intents i using (tenant_id, intent_id) where ").format(
    intent=sql.SQL(", ").join(sql.Identifier("i", name) for name in COLUMNS.split(", ")),
    own=sql.SQL(", ").join(sql.Identifier("a", name) for name in _OWN),
    shared=sql.SQL(", ").join(sql.SQL("a.{} as {}").format(sql.Identifier(n), sql.Identifier(f"approval_{n}")) for n in _SHARED),
)


def pending(conn: Connection, *, tenant_id: str, after: str | None = None, limit: int = 50) -> list[Approval]:
    """Requests that wait, the oldest first; `after` is the approval id that the last page ended with."""
    later: LiteralString = "a.tenant_id = %(tenant)s and a.state = 'pending'"
    if after is not None:
        later += (
            " and (a.requested_at, a.approval_id) > (select requested_at, approval_id from approvals"
            " where tenant_id = %(tenant)s and approval_id = %(after)s)"
        )
    query = _where(later) + sql.SQL(" order by a.requested_at, a.approval_id limit %(limit)s")
    mark = None if after is None else uuid_of("approval", tenant_id, after)
    return _with_decisions(conn, tenant_id, conn.execute(query, {"tenant": tenant_id, "after": mark, "limit": limit}).fetchall())


def show(conn: Connection, tenant_id: str, approval_id: str) -> Approval:
    """One request, whatever became of it. Raises NotFound, also for another tenant's."""
    return fetch(conn, tenant_id, approval_id)


def fetch(conn: Connection, tenant_id: str, approval_id: str, *, lock: bool = False) -> Approval:
    """As `show`; with `lock`, request and intent are held to the end of the transaction, the intent first as everywhere."""
    given = {"tenant": tenant_id, "approval": uuid_of("approval", tenant_id, approval_id)}
    if lock:
        conn.execute(
            "select from intents where tenant_id = %(tenant)s and intent_id = "
            "(select intent_id from approvals where tenant_id = %(tenant)s and approval_id = %(approval)s) for update",
            given,
        )
    query = _where("a.tenant_id = %(tenant)s and a.approval_id = %(approval)s") + sql.SQL(" for update of a" if lock else "")
    found = conn.execute(query, given).fetchall()
    if not found:
        raise NotFound(f"tenant {tenant_id!r} has no approval {approval_id!r}")
    return _with_decisions(conn, tenant_id, found)[0]


def _where(condition: LiteralString) -> sql.Composed:
    return _SELECT + sql.SQL(condition)


def _with_decisions(conn: Connection, tenant_id: str, found: list[dict[str, Any]]) -> list[Approval]:
    by_approval: dict[Any, list[Decided]] = {row["approval_id"]: [] for row in found}
    for row in conn.execute(
        "select * from approval_decisions where tenant_id = %s and approval_id = any(%s) order by decided_at, decision_id",
        (tenant_id, list(by_approval)),
    ):
        by_approval[row["approval_id"]].append(_decided(row))
    return [_approval(row, by_approval[row["approval_id"]]) for row in found]


def _decided(row: Mapping[str, Any]) -> Decided:
    return Decided(
        **{name: row[name] for name in ("decided_by", "role", "reason", "digest", "decided_at")},
        decision_id=str(row["decision_id"]),
        verdict=Verdict(row["verdict"]),
    )


def _approval(row: Mapping[str, Any], decisions: list[Decided]) -> Approval:
    given = {name: row[name] for name in _OWN} | {name: row[f"approval_{name}"] for name in _SHARED}
    given |= {"approval_id": str(row["approval_id"]), "state": ApprovalState(given["state"])}
    given |= {"roles": tuple(row["roles"]), "why": reasons_of(row["why"])}
    return Approval(**given, intent=intent_of(row), decisions=tuple(decisions))
