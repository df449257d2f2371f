"""Reading a journey: one query a plane, each by an index on the correlation id and each with an end."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from pydantic import JsonValue

from shared.events import Envelope, short_name
from spine.clock import BusinessClock
from spine.db import Connection
from spine.errors import NotFound
from spine.journey.records import Journey, Step, place_in_time

MOST = 1000
"""Steps of one plane. A flow has tens; this is against one that somebody made by mistake."""

_RUN = re.compile(r"/runs/([0-9a-f-]{36})(?:/|$)")


def journey(conn: Connection, tenant_id: str, correlation_id: str, *, clock: BusinessClock | None = None) -> Journey:
    """Everything that carries this correlation id. Raises NotFound when nothing does, also when it is another tenant's."""
    given = {"tenant": tenant_id, "correlation": correlation_id, "most": MOST + 1}
    planes = [
        list(islice(plane, MOST + 1))
        for plane in (
            _events(conn, given),
            _deliveries(conn, given, clock or BusinessClock()),
            _intents(conn, given),
            _requests(conn, given),
            _decisions(conn, given),
            _effects(conn, given),
            _audit(conn, given),
        )
    ]
    steps = [step for plane in planes for step in plane[:MOST]]
    if not steps:
        raise NotFound(f"tenant {tenant_id!r} has nothing with correlation id {correlation_id!r}: `spine events tail` shows those of late")
    steps += _runs(steps)
    steps.sort(key=place_in_time)
    return Journey(
        tenant_id=tenant_id,
        correlation_id=correlation_id,
        trace_ids=tuple(dict.fromkeys(step.trace_id for step in steps if step.trace_id)),
        workflow_ids=tuple(dict.fromkeys(step.ids["workflow_id"] for step in steps if "workflow_id" in step.ids)),
        run_ids=tuple(dict.fromkeys(step.ids["run_id"] for step in steps if "run_id" in step.ids)),
        steps=tuple(_caused(steps)),
        is_cut=any(len(plane) > MOST for plane in planes),
    )


def _caused(steps: list[Step]) -> Iterator[Step]:
    """A cause that is not on this line, or that only points back at itself, is none. A revision comes of the edit that made it."""
    known = {step.step_id for step in steps}
    edits = {step.ids["intent_id"]: step.step_id for step in steps if step.kind == "decision" and step.detail.get("verdict") == "edit"}
    for step in steps:
        cause = edits.get(step.ids.get("supersedes", "")) if step.kind == "intent" else None
        cause = cause or step.because_of
        if cause not in known or cause == step.step_id:
            cause = None
        yield step if cause == step.because_of else step.model_copy(update={"because_of": cause})


def _runs(steps: Iterable[Step]) -> list[Step]:
    """The Dagster runs that events say they come from, each at its first event."""
    first: dict[str, Step] = {}
    for step in steps:
        if step.kind == "event" and "run_id" in step.ids:
            known = first.get(step.ids["run_id"])
            if known is None or step.time < known.time:
                first[step.ids["run_id"]] = step
    return [
        Step(
            step_id=f"run:{run_id}",
            time=step.time,
            plane="dagster",
            kind="run",
            what=f"Dagster run {run_id} published it",
            ids={"run_id": run_id},
            trace_id=step.trace_id,
        )
        for run_id, step in first.items()
    ]


def _events(conn: Connection, given: Mapping[str, Any]) -> Iterator[Step]:
    rows = conn.execute(
        "select envelope from events where tenant_id = %(tenant)s and correlation_id = %(correlation)s "
        "order by xid, position limit %(most)s",
        given,
    )
    for row in rows:
        envelope = Envelope.model_validate(row["envelope"])
        ids = {"event_id": envelope.id, "subject": envelope.subject}
        if envelope.causationid:
            ids["caused_by"] = envelope.causationid
        if isinstance(workflow_id := envelope.data.get("workflow_id"), str):
            ids["workflow_id"] = workflow_id
        if run := _RUN.search(envelope.source):
            ids["run_id"] = run[1]
        yield Step(
            step_id=f"event:{envelope.id}",
            time=envelope.time,
            plane="events",
            kind="event",
            what=f"{short_name(envelope.type)} of {envelope.subject}",
            ids=ids,
            who=envelope.source,
            because_of=_cause_of(envelope, ids),
            trace_id=envelope.traceparent.split("-")[1] if envelope.traceparent else None,
            detail={"type": short_name(envelope.type), "source": envelope.source, "actor_type": envelope.actortype.value},
        )


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


def _deliveries(conn: Connection, given: Mapping[str, Any], clock: BusinessClock) -> Iterator[Step]:
    rows = conn.execute(
        "select d.group_name, d.state, d.outcome, d.target, d.attempts, d.detail, d.updated_at, e.event_id, e.type, "
        "e.envelope ->> 'traceparent' as traceparent from deliveries d join events e using (tenant_id, position) "
        "where e.tenant_id = %(tenant)s and e.correlation_id = %(correlation)s and d.outcome <> 'ignored' "
        "order by e.position limit %(most)s",
        given,
    )
    for row in rows:
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
            trace_id=row["traceparent"].split("-")[1] if row["traceparent"] else None,
            detail=_present(
                state=row["state"], attempts=row["attempts"], detail=row["detail"], outcome=row["outcome"], target=row["target"]
            ),
        )


def _intents(conn: Connection, given: Mapping[str, Any]) -> Iterator[Step]:
    rows = conn.execute(
        "select intent_id, automation, key, revision, action, state, digest, reasons, requested_by, workflow_id, supersedes, compensates, "
        "causation_id, traceparent, created_at from intents where tenant_id = %(tenant)s and correlation_id = %(correlation)s "
        "order by created_at limit %(most)s",
        given,
    )
    for row in rows:
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
            trace_id=row["traceparent"].split("-")[1] if row["traceparent"] else None,
            detail={
                "action": row["action"],
                "automation": row["automation"],
                "revision": row["revision"],
                "digest": row["digest"],
                "key": row["key"],
                "reasons": [reason["code"] for reason in row["reasons"]],
            },
        )


_OF_FLOW = (
    "from intents i join approvals a using (tenant_id, intent_id) {} "
    "where i.tenant_id = %(tenant)s and i.correlation_id = %(correlation)s order by {} limit %(most)s"
)
_REQUESTS = (
    "select a.approval_id, a.intent_id, a.action, a.state, a.approvers_needed, a.roles, a.requested_at, a.resolved_at, a.expires_at "
    + _OF_FLOW.format("", "a.requested_at")
)
_DECISIONS = (
    "select d.decision_id, d.approval_id, a.intent_id, a.action, a.approvers_needed, d.verdict, d.decided_by, d.role, d.reason, d.digest, "
    "d.decided_at, count(*) filter (where d.verdict = 'approve') over (partition by d.approval_id order by d.decided_at) as agreed "
    + _OF_FLOW.format("join approval_decisions d using (tenant_id, approval_id)", "d.decided_at")
)


def _requests(conn: Connection, given: Mapping[str, Any]) -> Iterator[Step]:
    for row in conn.execute(_REQUESTS.encode(), given):
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


def _decisions(conn: Connection, given: Mapping[str, Any]) -> Iterator[Step]:
    for row in conn.execute(_DECISIONS.encode(), given):
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


def _effects(conn: Connection, given: Mapping[str, Any]) -> Iterator[Step]:
    rows = conn.execute(
        "select e.effect_id, e.intent_id, e.action, e.plugin, e.state, e.attempts, e.provider_reference, e.reconciled, e.as_intended, "
        "e.error_code, e.trace_id, e.started_at, e.finished_at from effects e join intents i using (tenant_id, intent_id) "
        "where i.tenant_id = %(tenant)s and i.correlation_id = %(correlation)s order by e.started_at limit %(most)s",
        given,
    )
    for row in rows:
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


def _audit(conn: Connection, given: Mapping[str, Any]) -> Iterator[Step]:
    rows = conn.execute(
        "select audit_id, occurred_at, actor_id, actor_type, action, subject_type, subject_id, trace_id, severity, detail from audit_log "
        "where tenant_id = %(tenant)s and correlation_id = %(correlation)s order by position limit %(most)s",
        given,
    )
    for row in rows:
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


def _ids(row: Mapping[str, Any], *names: str) -> dict[str, str]:
    return {name: str(row[name]) for name in names if row[name] is not None}


def _present(**values: Any) -> dict[str, JsonValue]:
    return {name: value for name, value in values.items() if value is not None}
