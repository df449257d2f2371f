"""One business flow, from the first event to the last effect, over all planes, on one timeline.

Everything is read from the platform's own database: what Temporal and Dagster did shows in deliveries, intents and effects,
and `links` leads to their pages. All times are business time; deliveries, which are kept in real time, are converted.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import groupby
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, JsonValue

from shared.events import Envelope, short_name
from spine.clock import BusinessClock
from spine.db import Connection
from spine.errors import InvalidInput, NotFound
from spine.eventlog import events_of
from spine.paging import page_of, place_of
from spine.settings import Settings


class Step(BaseModel):
    """One thing that happened. `plane`: events, dispatch, intents, approvals, effects or audit."""

    model_config = ConfigDict(frozen=True)

    time: datetime
    plane: str
    what: str
    ids: dict[str, str]
    trace_id: str | None = None
    detail: dict[str, JsonValue] = {}


class Link(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    url: str


class Journey(BaseModel):
    """`trace_ids` in order of appearance: one, unless somebody outside broke the trace. `next` is the cursor of the following steps."""

    model_config = ConfigDict(frozen=True)

    tenant_id: str
    correlation_id: str
    trace_ids: tuple[str, ...]
    workflow_ids: tuple[str, ...]
    steps: tuple[Step, ...]
    links: tuple[Link, ...] = ()
    next: str | None = None


_PLANES = ("events", "dispatch", "intents", "approvals", "effects", "audit")  # the order of what shares a moment


def journey(conn: Connection, tenant_id: str, correlation_id: str, *, clock: BusinessClock | None = None) -> Journey:
    """Everything that carries this correlation id. Raises NotFound when nothing does, also when it is another tenant's."""
    given = {"tenant": tenant_id, "correlation": correlation_id}
    steps = [
        *_events(events_of(conn, tenant_id, correlation_id)),
        *_deliveries(conn, given, clock or BusinessClock()),
        *_intents(conn, given),
        *_approvals(conn, given),
        *_effects(conn, given),
        *_audit(conn, given),
    ]
    if not steps:
        raise NotFound(f"tenant {tenant_id!r} has nothing with correlation id {correlation_id!r}: `spine events tail` shows those of late")
    steps.sort(key=_order)
    return Journey(
        tenant_id=tenant_id,
        correlation_id=correlation_id,
        trace_ids=tuple(dict.fromkeys(step.trace_id for step in steps if step.trace_id)),
        workflow_ids=tuple(dict.fromkeys(step.ids["workflow_id"] for step in steps if "workflow_id" in step.ids)),
        steps=tuple(steps),
    )


def page_of_steps(found: Journey, cursor: str | None, limit: int) -> Journey:
    """The same with at most `limit` steps after a cursor; ids and traces stay those of the whole. Raises InvalidInput."""
    after = None if cursor is None else place_of(cursor, datetime.fromisoformat, int, int)
    if after is not None and after[0].tzinfo is None:
        raise InvalidInput(f"cursor {cursor!r} is not one that this journey gave: leave it out to start from the beginning")
    # What shares moment and plane is in the order in which it was written, so its number there is the third part of its place.
    placed = [((*place, n), step) for place, same in groupby(found.steps, key=_order) for n, step in enumerate(same)]
    later = [(place, step) for place, step in placed if after is None or place > after]
    page = page_of(later[: limit + 1], limit, lambda last: (last[0][0].isoformat(), str(last[0][1]), str(last[0][2])))
    return found.model_copy(update={"steps": tuple(step for _, step in page.items), "next": page.next})


def _order(step: Step) -> tuple[datetime, int]:
    return step.time, _PLANES.index(step.plane)


def with_links(found: Journey, settings: Settings) -> Journey:
    """The same with the pages of Temporal and Dagster, where their addresses are known."""
    links = []
    if settings.temporal_ui_url:
        root = f"{settings.temporal_ui_url.rstrip('/')}/namespaces/{quote(settings.temporal_namespace)}/workflows"
        links = [Link(name=f"workflow {one}", url=f"{root}/{quote(one, safe='')}") for one in found.workflow_ids]
    if settings.dagster_url:
        tag = quote(f"tag:spine/correlation_id={found.correlation_id}", safe="")
        links.append(Link(name="Dagster runs of this flow", url=f"{settings.dagster_url.rstrip('/')}/runs?q[]={tag}"))
    return found.model_copy(update={"links": tuple(links)})


def _events(envelopes: list[Envelope]) -> Iterator[Step]:
    for envelope in envelopes:
        ids = {"event_id": envelope.id, "subject": envelope.subject}
        if envelope.causationid:
            ids["caused_by"] = envelope.causationid
        if isinstance(workflow_id := envelope.data.get("workflow_id"), str):
            ids["workflow_id"] = workflow_id
        yield Step(
            time=envelope.time,
            plane="events",
            what=f"{short_name(envelope.type)} of {envelope.subject}",
            ids=ids,
            trace_id=envelope.traceparent.split("-")[1] if envelope.traceparent else None,
            detail={"source": envelope.source, "actor_type": envelope.actortype.value},
        )


def _deliveries(conn: Connection, given: Mapping[str, str], clock: BusinessClock) -> Iterator[Step]:
    rows = conn.execute(
        "select d.group_name, d.state, d.outcome, d.target, d.attempts, d.detail, d.updated_at, e.event_id, e.type, "
        "e.envelope ->> 'traceparent' as traceparent from deliveries d join events e using (tenant_id, position) "
        "where e.tenant_id = %(tenant)s and e.correlation_id = %(correlation)s and d.outcome <> 'ignored'",
        given,
    )
    for row in rows:
        target = f" {row['target']}" if row["target"] else ""
        ids = {"event_id": str(row["event_id"]), "group": row["group_name"]}
        if row["target"] and row["outcome"] in ("started", "already known", "signalled"):
            ids["workflow_id"] = row["target"]
        yield Step(
            time=clock.at(row["updated_at"]),
            plane="dispatch",
            what=f"{row['group_name']}: {short_name(row['type'])} → {row['outcome']}{target}",
            ids=ids,
            trace_id=row["traceparent"].split("-")[1] if row["traceparent"] else None,
            detail=_present(state=row["state"], attempts=row["attempts"], detail=row["detail"]),
        )


def _intents(conn: Connection, given: Mapping[str, str]) -> Iterator[Step]:
    rows = conn.execute(
        "select intent_id, automation, key, revision, action, state, digest, reasons, requested_by, workflow_id, supersedes, compensates, "
        "traceparent, created_at from intents where tenant_id = %(tenant)s and correlation_id = %(correlation)s",
        given,
    )
    for row in rows:
        again = f", revision {row['revision']}" if row["revision"] > 1 else ""
        yield Step(
            time=row["created_at"],
            plane="intents",
            what=f"{row['action']} proposed by {row['requested_by']}{again}; now {row['state']}",
            ids=_ids(row, "intent_id", "workflow_id", "supersedes", "compensates"),
            trace_id=row["traceparent"].split("-")[1] if row["traceparent"] else None,
            detail={"digest": row["digest"], "key": row["key"], "reasons": [reason["code"] for reason in row["reasons"]]},
        )


def _approvals(conn: Connection, given: Mapping[str, str]) -> Iterator[Step]:
    of_flow = "from intents i join approvals a using (tenant_id, intent_id) "
    where = "where i.tenant_id = %(tenant)s and i.correlation_id = %(correlation)s"
    rows = conn.execute(
        "select a.approval_id, a.intent_id, a.action, a.state, a.approvers_needed, a.roles, a.requested_at, a.expires_at "
        + of_flow
        + where,
        given,
    )
    for row in rows:
        people = "one person" if row["approvers_needed"] == 1 else f"{row['approvers_needed']} people"
        yield Step(
            time=row["requested_at"],
            plane="approvals",
            what=f"{row['action']}: {people} asked ({', '.join(row['roles'])}); now {row['state']}",
            ids=_ids(row, "approval_id", "intent_id"),
            detail={"expires_at": row["expires_at"].isoformat()},
        )
    rows = conn.execute(
        "select d.decision_id, d.approval_id, a.action, d.verdict, d.decided_by, d.role, d.reason, d.digest, d.decided_at "
        + of_flow
        + "join approval_decisions d using (tenant_id, approval_id) "
        + where,
        given,
    )
    for row in rows:
        yield Step(
            time=row["decided_at"],
            plane="approvals",
            what=f"{row['action']}: {row['verdict']} by {row['decided_by']} ({row['role']})",
            ids=_ids(row, "approval_id", "decision_id"),
            detail=_present(reason=row["reason"], digest=row["digest"]),
        )


def _effects(conn: Connection, given: Mapping[str, str]) -> Iterator[Step]:
    rows = conn.execute(
        "select e.effect_id, e.intent_id, e.action, e.plugin, e.state, e.attempts, e.provider_reference, e.reconciled, e.as_intended, "
        "e.error_code, e.trace_id, e.started_at, e.finished_at from effects e join intents i using (tenant_id, intent_id) "
        "where i.tenant_id = %(tenant)s and i.correlation_id = %(correlation)s",
        given,
    )
    for row in rows:
        reference = f" as {row['provider_reference']}" if row["provider_reference"] else ""
        found_out = ", found out by asking" if row["reconciled"] else ""
        yield Step(
            time=row["finished_at"] or row["started_at"],
            plane="effects",
            what=f"{row['action']} through {row['plugin']}: {row['state']}{reference}{found_out}",
            ids=_ids(row, "effect_id", "intent_id", "provider_reference"),
            trace_id=row["trace_id"],
            detail=_present(attempts=row["attempts"], error_code=row["error_code"], as_intended=row["as_intended"]),
        )


def _audit(conn: Connection, given: Mapping[str, str]) -> Iterator[Step]:
    rows = conn.execute(
        "select audit_id, occurred_at, actor_id, actor_type, action, subject_type, subject_id, trace_id, severity, detail from audit_log "
        "where tenant_id = %(tenant)s and correlation_id = %(correlation)s order by position",
        given,
    )
    for row in rows:
        severity = "" if row["severity"] == "V0" else f" [{row['severity']}]"
        yield Step(
            time=row["occurred_at"],
            plane="audit",
            what=f"{row['action']} by {row['actor_id']}{severity}",
            ids={"audit_id": str(row["audit_id"]), row["subject_type"]: row["subject_id"]},
            trace_id=row["trace_id"],
            detail={**row["detail"], "actor_type": row["actor_type"]},
        )


def _ids(row: Mapping[str, Any], *names: str) -> dict[str, str]:
    return {name: str(row[name]) for name in names if row[name] is not None}


def _present(**values: Any) -> dict[str, JsonValue]:
    return {name: value for name, value in values.items() if value is not None}
