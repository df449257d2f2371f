"""The planes of a journey: one query each, by an index on the correlation id, and each row as a step."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, LiteralString

from pydantic import JsonValue

from shared.events import Envelope, WorkflowEnded, short_name
from spine.clock import BusinessClock
from spine.db import Connection
from spine.journey.records import Step

_RUN = re.compile(r"/runs/([0-9a-f-]{36})(?:/|$)")


def _rows(
    conn: Connection, given: Mapping[str, Any], select: LiteralString, *, order: LiteralString, also: LiteralString = ""
) -> Iterator[Mapping[str, Any]]:
    """What one flow has in a plane. `select` calls `f` the table that holds the correlation id; `given`: tenant, correlation, most."""
    query = select + " where f.tenant_id = %(tenant)s and f.correlation_id = %(correlation)s" + also + " order by " + order
    yield from conn.execute(query + " limit %(most)s", given)


def events(conn: Connection, given: Mapping[str, Any]) -> Iterator[Step]:
    for row in _rows(conn, given, "select envelope from events f", order="xid, position"):
        envelope = Envelope.model_validate(row["envelope"])
        ids = {"event_id": envelope.id, "subject": envelope.subject}
        if envelope.causationid:
            ids["caused_by"] = envelope.causationid
        if isinstance(workflow_id := envelope.data.get("workflow_id"), str):
            ids["workflow_id"] = workflow_id
        if run := _RUN.search(envelope.source):
            ids["run_id"] = run[1]
        ending = _ending(envelope)
        outcome = ending.get("outcome")
        yield Step(
            step_id=f"event:{envelope.id}",
            time=envelope.time,
            plane="events",
            kind="event",
            what=f"{short_name(envelope.type)} of {envelope.subject}" + (f"; {outcome}" if outcome else ""),
            ids=ids,
            who=envelope.source,
            state=outcome,
            because_of=_cause_of(envelope, ids),
            trace_id=_trace_id(envelope.traceparent),
            detail={"type": short_name(envelope.type), "source": envelope.source, "actor_type": envelope.actortype.value, **ending},
        )


def _ending(envelope: Envelope) -> dict[str, str]:
    """How a commitment ended, and why, if this is its last word."""
    if envelope.type != WorkflowEnded.TYPE:
        return {}
    return {name: said for name in ("outcome", "why") if isinstance(said := envelope.data.get(name), str)}


def _cause_of(envelope: Envelope, ids: Mapping[str, str]) -> str | None:
    """The nearest cause that the event names: all events of a flow name the first one, and their data say more."""
    data = envelope.data
    if isinstance(approval_id := data.get("approval_id"), str):
        return f"approval:{approval_id}"
    if isinstance(intent_id := data.get("intent_id"), str):
        return f"intent:{intent_id}" if short_name(envelope.type).startswith("governance.") else f"effect:{intent_id}"
    if envelope.causationid:
        return f"event:{envelope.causationid}"
    return f"run:{ids['run_id']}" if "run_id" in ids else None


def deliveries(conn: Connection, given: Mapping[str, Any], clock: BusinessClock) -> Iterator[Step]:
    select: LiteralString = (
        "select d.group_name, d.state, d.outcome, d.target, d.attempts, d.detail, d.updated_at, f.event_id, f.type, "
        "f.envelope ->> 'traceparent' as traceparent from deliveries d join events f using (tenant_id, position)"
    )
    for row in _rows(conn, given, select, also=" and d.outcome <> 'ignored'", order="f.position"):
        target = f" {row['target']}" if row["target"] else ""
        ids = {"event_id": str(row["event_id"]), "group": row["group_name"]}
        if row["target"] and row["outcome"] in ("started", "already known", "signalled", "requested"):
            ids["workflow_id" if row["target"].startswith(f"{given['tenant']}/") else "run_id"] = row["target"]
        yield Step(
            step_id=f"delivery:{row['group_name']}:{row['event_id']}",
            time=clock.at(row["updated_at"]),
            plane="dispatch",
            kind="delivery",
            what=f"{row['group_name']}: {short_name(row['type'])} → {row['outcome']}{target}",
            ids=ids,
            who=row["group_name"],
            state=row["state"],
            because_of=f"event:{row['event_id']}",
            trace_id=_trace_id(row["traceparent"]),
            detail=_present(
                state=row["state"], attempts=row["attempts"], detail=row["detail"], outcome=row["outcome"], target=row["target"]
            ),
        )


def intents(conn: Connection, given: Mapping[str, Any]) -> Iterator[Step]:
    select: LiteralString = (
        "select intent_id, automation, key, revision, action, state, digest, reasons, requested_by, workflow_id, supersedes, compensates, "
        "causation_id, traceparent, created_at from intents f"
    )
    for row in _rows(conn, given, select, order="created_at"):
        again = f", revision {row['revision']}" if row["revision"] > 1 else ""
        cause = row["supersedes"] or row["compensates"]
        yield Step(
            step_id=f"intent:{row['intent_id']}",
            time=row["created_at"],
            plane="intents",
            kind="intent",
            what=f"{row['action']} proposed by {row['requested_by']}{again}; now {row['state']}",
            ids=_ids(row, "intent_id", "workflow_id", "supersedes", "compensates"),
            who=row["requested_by"],
            state=row["state"],
            because_of=f"intent:{cause}" if cause else f"event:{row['causation_id']}" if row["causation_id"] else None,
            trace_id=_trace_id(row["traceparent"]),
            detail={
                "action": row["action"],
                "automation": row["automation"],
                "revision": row["revision"],
                "digest": row["digest"],
                "key": row["key"],
                "reasons": [reason["code"] for reason in row["reasons"]],
            },
        )


def requests(conn: Connection, given: Mapping[str, Any]) -> Iterator[Step]:
    select: LiteralString = (
        "select a.approval_id, a.intent_id, a.action, a.state, a.approvers_needed, a.roles, a.requested_at, a.resolved_at, a.expires_at "
        "from intents f join approvals a using (tenant_id, intent_id)"
    )
    for row in _rows(conn, given, select, order="a.requested_at"):
        people = "one person" if row["approvers_needed"] == 1 else f"{row['approvers_needed']} people"
        yield Step(
            step_id=f"approval:{row['approval_id']}",
            time=row["requested_at"],
            plane="approvals",
            kind="approval",
            what=f"{row['action']}: {people} asked ({', '.join(row['roles'])}); now {row['state']}",
            ids=_ids(row, "approval_id", "intent_id"),
            state=row["state"],
            until=row["resolved_at"],
            because_of=f"intent:{row['intent_id']}",
            detail={
                "action": row["action"],
                "needed": row["approvers_needed"],
                "roles": list(row["roles"]),
                "expires_at": row["expires_at"].isoformat(),
            },
        )


def decisions(conn: Connection, given: Mapping[str, Any]) -> Iterator[Step]:
    select: LiteralString = (
        "select d.decision_id, d.approval_id, a.intent_id, a.action, a.approvers_needed, d.verdict, d.decided_by, d.role, d.reason, "
        "d.digest, d.decided_at, "
        "count(*) filter (where d.verdict = 'approve') over (partition by d.approval_id order by d.decided_at) as agreed "
        "from intents f join approvals a using (tenant_id, intent_id) join approval_decisions d using (tenant_id, approval_id)"
    )
    for row in _rows(conn, given, select, order="d.decided_at"):
        yield Step(
            step_id=f"decision:{row['decision_id']}",
            time=row["decided_at"],
            plane="approvals",
            kind="decision",
            what=f"{row['action']}: {row['verdict']} by {row['decided_by']} ({row['role']})",
            ids=_ids(row, "approval_id", "decision_id", "intent_id"),
            who=row["decided_by"],
            because_of=f"approval:{row['approval_id']}",
            detail=_present(
                action=row["action"],
                verdict=row["verdict"],
                role=row["role"],
                reason=row["reason"],
                digest=row["digest"],
                remaining=max(0, row["approvers_needed"] - row["agreed"]),
            ),
        )


def effects(conn: Connection, given: Mapping[str, Any]) -> Iterator[Step]:
    select: LiteralString = (
        "select e.effect_id, e.intent_id, e.action, e.plugin, e.state, e.attempts, e.provider_reference, e.reconciled, e.as_intended, "
        "e.error_code, e.trace_id, e.started_at, e.finished_at from effects e join intents f using (tenant_id, intent_id)"
    )
    for row in _rows(conn, given, select, order="e.started_at"):
        reference = f" as {row['provider_reference']}" if row["provider_reference"] else ""
        found_out = ", found out by asking" if row["reconciled"] else ""
        yield Step(
            step_id=f"effect:{row['intent_id']}",
            time=row["finished_at"] or row["started_at"],
            plane="effects",
            kind="effect",
            what=f"{row['action']} through {row['plugin']}: {row['state']}{reference}{found_out}",
            ids=_ids(row, "effect_id", "intent_id", "provider_reference"),
            who=row["plugin"],
            state=row["state"],
            because_of=f"intent:{row['intent_id']}",
            trace_id=row["trace_id"],
            detail=_present(
                action=row["action"],
                plugin=row["plugin"],
                attempts=row["attempts"],
                error_code=row["error_code"],
                as_intended=row["as_intended"],
                reconciled=row["reconciled"],
                lasted_seconds=(row["finished_at"] - row["started_at"]).total_seconds() if row["finished_at"] else None,
            ),
        )


def audit(conn: Connection, given: Mapping[str, Any]) -> Iterator[Step]:
    select: LiteralString = (
        "select audit_id, occurred_at, actor_id, actor_type, action, subject_type, subject_id, trace_id, severity, detail from audit_log f"
    )
    for row in _rows(conn, given, select, order="position"):
        severity = "" if row["severity"] == "V0" else f" [{row['severity']}]"
        yield Step(
            step_id=f"audit:{row['audit_id']}",
            time=row["occurred_at"],
            plane="audit",
            kind="audit",
            what=f"{row['action']} by {row['actor_id']}{severity}",
            ids={"audit_id": str(row["audit_id"]), row["subject_type"]: row["subject_id"]},
            who=row["actor_id"],
            because_of=f"{row['subject_type']}:{row['subject_id']}",
            trace_id=row["trace_id"],
            # What the row itself says comes first: a detail of the same name, such as an intent's action, must not hide it.
            detail={**row["detail"], "actor_type": row["actor_type"], "audited": row["action"], "severity": row["severity"]},
        )


def _trace_id(traceparent: str | None) -> str | None:
    return traceparent.split("-")[1] if traceparent else None


def _ids(row: Mapping[str, Any], *names: str) -> dict[str, str]:
    return {name: str(row[name]) for name in names if row[name] is not None}


def _present(**values: Any) -> dict[str, JsonValue]:
    return {name: value for name, value in values.items() if value is not None}
