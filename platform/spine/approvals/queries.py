"""Requests for approval as people see them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import sql

from shared.events import Verdict
from spine.approvals.records import Approval, ApprovalState, Decided
from spine.db import Connection
from spine.directory import Capacity
from spine.errors import NotFound
from spine.intents.rows import COLUMNS, intent_of, reasons_of, uuid_of
from spine.paging import Page, page_of, place_of

_OWN = (
    *("approval_id", "approvers_needed", "roles", "why", "requested_at", "warn_at", "breach_at", "escalate_at", "expires_at"),
    *("escalation_level", "resolved_at", "consumed_at", "must_include"),
)
_SHARED = ("state", "digest", "policy_version", "requested_by")  # columns of both tables: the approval's come as approval_<name>

_SELECT = sql.SQL("select {intent}, {own}, {shared} from approvals a join intents i using (tenant_id, intent_id) where ").format(
    intent=sql.SQL(", ").join(sql.Identifier("i", name) for name in COLUMNS.split(", ")),
    own=sql.SQL(", ").join(sql.Identifier("a", name) for name in _OWN),
    shared=sql.SQL(", ").join(sql.SQL("a.{} as {}").format(sql.Identifier(n), sql.Identifier(f"approval_{n}")) for n in _SHARED),
)

_OF_ACTION: LiteralString = " and a.action = %(action)s"
_OF_AUTOMATION: LiteralString = " and i.automation = %(automation)s"


def listing(
    conn: Connection,
    *,
    tenant_id: str,
    state: ApprovalState | None = ApprovalState.PENDING,
    action: str | None = None,
    automation: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Approval]:
    """What waits, the most urgent first: those that were escalated, then whatever runs out soonest. Any other state, or None for all
    of them, newest first. Raises InvalidInput for a cursor of another listing."""
    given: dict[str, Any] = {"tenant": tenant_id, "state": state and state.value, "limit": limit + 1}
    urgent = state is ApprovalState.PENDING
    condition: LiteralString = "a.tenant_id = %(tenant)s" if state is None else "a.tenant_id = %(tenant)s and a.state = %(state)s"
    for name, value, narrower in (("action", action, _OF_ACTION), ("automation", automation, _OF_AUTOMATION)):
        if value is not None:
            given[name] = value
            condition += narrower
    if cursor is not None and urgent:
        given["level"], given["expires"], given["last"] = place_of(cursor, int, datetime.fromisoformat, UUID)
        condition += " and (-a.escalation_level, a.expires_at, a.approval_id) > (%(level)s, %(expires)s, %(last)s)"
    elif cursor is not None:
        given["requested"], given["last"] = place_of(cursor, datetime.fromisoformat, UUID)
        condition += " and (a.requested_at, a.approval_id) < (%(requested)s, %(last)s)"
    order = "-a.escalation_level, a.expires_at, a.approval_id" if urgent else "a.requested_at desc, a.approval_id desc"
    found = conn.execute(_where(condition) + sql.SQL(f" order by {order} limit %(limit)s"), given).fetchall()
    return page_of(_with_decisions(conn, tenant_id, found), limit, _urgency if urgent else _age)


def _urgency(approval: Approval) -> tuple[str, str, str]:
    return str(-approval.escalation_level), approval.expires_at.isoformat(), approval.approval_id


def _age(approval: Approval) -> tuple[str, str]:
    return approval.requested_at.isoformat(), approval.approval_id


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
        **{name: row[name] for name in ("decided_by", "role", "reason", "digest", "decided_at", "minted_by")},
        capacities=tuple(Capacity(**held) for held in row["capacities"]),
        decision_id=str(row["decision_id"]),
        verdict=Verdict(row["verdict"]),
    )


def _approval(row: Mapping[str, Any], decisions: list[Decided]) -> Approval:
    given = {name: row[name] for name in _OWN} | {name: row[f"approval_{name}"] for name in _SHARED}
    given |= {"approval_id": str(row["approval_id"]), "state": ApprovalState(given["state"])}
    given |= {"roles": tuple(row["roles"]), "why": reasons_of(row["why"]), "must_include": tuple(row["must_include"])}
    return Approval(**given, intent=intent_of(row), decisions=tuple(decisions))
