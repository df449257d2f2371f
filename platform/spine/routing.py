"""From an event to what is to be done about it: a function from values to values.

A track's dispatchers see the types of `event_types`; `route` says which workflows to start or to signal and which data jobs
to run. Everything it needs is in the event and in the registry, so the same event is always routed the same way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from shared.events import ApprovalResolved, DeadLetterRetried, Envelope, EventData, TaskRequested
from spine.errors import Misconfigured, SchemaViolation, TenantMismatch
from spine.registry import Automation, DataJob, Graph, Registry, Track, WireModel, Workflow

RESOLVED_SIGNAL = "approval-resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartWorkflow:
    """Start it under `workflow_id`, which is the idempotency key of the start."""

    automation: str
    workflow: str
    task_queue: str
    workflow_id: str
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalWorkflow:
    """Tell a running workflow; one that has ended needs no telling."""

    workflow_id: str
    signal: str
    argument: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetWorkflow:
    """Set an ended workflow back to the step that failed: a person wants that step tried again."""

    workflow_id: str
    run_id: str
    activity_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDataJob:
    """Run it once for `run_key`, with these tags."""

    automation: str
    job: str
    run_key: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Refuse:
    """This event can never be acted on as it is; the reason is for the dead letter."""

    code: str
    why: str


Action = StartWorkflow | SignalWorkflow | ResetWorkflow | RunDataJob | Refuse


def tracks_in_use(registry: Registry) -> tuple[Track, ...]:
    """Those of the automations, and `trust`, which answers for the platform's own events."""
    return tuple(sorted({automation.track for automation in registry.automations.values()} | {Track.TRUST}))


def event_types(registry: Registry, track: Track) -> frozenset[str]:
    """What a track's dispatchers must see."""
    mine = [automation for automation in registry.automations.values() if automation.track == track]
    heard = {event.TYPE for automation in mine for event in (*automation.on, *(listen.event for listen in automation.listens))}
    own = {TaskRequested.TYPE} | ({ApprovalResolved.TYPE, DeadLetterRetried.TYPE} if track == Track.TRUST else set())
    return frozenset(heard | own)


def route(envelope: Envelope, data: EventData, registry: Registry, track: Track, *, clock: str = "") -> tuple[Action, ...]:
    """What `track` does about an event, starts before signals; empty when it is another track's business.

    `clock` is the text of the business clock; an input that has a field `clock` gets it, so that a workflow's time is the
    stack's. An automation's own `key` or `payload` may raise: that is for the caller to turn into a dead letter.
    """
    mine = [automation for automation in registry.automations.values() if automation.track == track]
    actions: list[Action] = []
    for automation in mine:
        if type(data) in automation.on:
            actions.append(_start(automation, envelope, automation.key(data), automation.payload(envelope, data), clock))
    for automation in mine:
        actions.extend(
            _signal(envelope, automation.workflow_id(envelope.tenantid, listen.key(data)), listen.signal, data)
            for listen in automation.listens
            if type(data) is listen.event
        )
    match data:
        case TaskRequested():
            actions.extend(_task(envelope, data, registry, track, clock))
        case ApprovalResolved() if track == Track.TRUST:
            actions.append(_signal(envelope, data.workflow_id, RESOLVED_SIGNAL, data))
        case DeadLetterRetried() if track == Track.TRUST:
            actions.append(_again(envelope, data))
        case _:
            pass
    return tuple(actions)


def task_input(automation: Automation, envelope: Envelope, payload: Mapping[str, Any]) -> WireModel:
    """The input of a task posted by hand, judged by the automation's own model.

    The tenant, the correlation and the causation come from the envelope, whose tenant the log has vouched for. Raises
    SchemaViolation naming the field, and TenantMismatch when the payload claims to be of another tenant.
    """
    return input_of(
        automation,
        payload,
        tenant_id=envelope.tenantid,
        correlation_id=envelope.correlationid,
        causation_id=envelope.id,
        traceparent=envelope.traceparent,
    )


def input_of(
    automation: Automation,
    payload: Mapping[str, Any],
    *,
    tenant_id: str,
    correlation_id: str,
    causation_id: str | None = None,
    traceparent: str | None = None,
) -> WireModel:
    """The same before there is an event, for whoever judges a task at the door."""
    fields = automation.payload_model.model_fields
    given = {"tenant_id": tenant_id, "correlation_id": correlation_id, "causation_id": causation_id, "traceparent": traceparent}
    if payload.get("tenant_id", tenant_id) != tenant_id:
        raise TenantMismatch(f"a task of tenant {tenant_id!r} carries the input of tenant {payload['tenant_id']!r}")
    try:
        model: WireModel = automation.payload_model.model_validate({**payload, **{k: v for k, v in given.items() if k in fields}})
    except ValidationError as error:
        raise SchemaViolation(f"the input of automation {automation.name!r} does not fit: {_findings(error)}") from None
    return model


def refusal(error: Exception) -> Refuse:
    """Why an event could not be routed, without repeating its values: they may be personal."""
    match error:
        case SchemaViolation() | TenantMismatch():
            return Refuse(error.code, str(error))
        case ValidationError():
            return Refuse(SchemaViolation.code, f"{error.title} does not fit: {_findings(error)}")
        case _:
            return Refuse("routing-failed", f"the automation's key or payload function raised {type(error).__name__}")


def _start(automation: Automation, envelope: Envelope, key: str, payload: WireModel, clock: str) -> Action:
    match automation.runs:
        case Workflow(name, task_queue):
            wire = payload.model_dump(mode="json")
            if "clock" in automation.payload_model.model_fields:
                wire["clock"] = clock
            return StartWorkflow(
                automation=automation.name,
                workflow=name,
                task_queue=task_queue,
                workflow_id=automation.workflow_id(envelope.tenantid, key),
                input=wire,
            )
        case DataJob(name):
            tags = {"spine/automation": automation.name, "spine/tenant": envelope.tenantid, "spine/correlation_id": envelope.correlationid}
            if envelope.traceparent:
                tags["spine/traceparent"] = envelope.traceparent
            return RunDataJob(automation=automation.name, job=name, run_key=automation.workflow_id(envelope.tenantid, key), tags=tags)
        case Graph(name):
            return Refuse(
                Misconfigured.code,
                f"automation {automation.name!r} names graph {name!r} as what an event starts; a graph runs inside a workflow's activity: "
                "declare the workflow",
            )


def _signal(envelope: Envelope, workflow_id: str, signal: str, data: EventData) -> Action:
    if not workflow_id.startswith(f"{envelope.tenantid}/"):
        return Refuse(
            TenantMismatch.code,
            f"event {envelope.id!r} of tenant {envelope.tenantid!r} addresses workflow {workflow_id!r} of another tenant",
        )
    return SignalWorkflow(workflow_id=workflow_id, signal=signal, argument=data.wire())


def _again(envelope: Envelope, data: DeadLetterRetried) -> Action:
    """A retried letter's step, or data job. The event's id is the run's key: each retry is one launch, however often it is routed."""
    if data.job is not None:
        tags = {**data.tags, "spine/tenant": envelope.tenantid, "spine/correlation_id": envelope.correlationid}
        return RunDataJob(automation=data.consumer, job=data.job, run_key=f"{envelope.tenantid}/retry/{envelope.id}", tags=tags)
    if data.workflow_id is None or data.run_id is None or data.activity_id is None:
        return Refuse("not-startable", f"letter {data.dead_letter_id!r} names neither a data job nor a whole step of a workflow")
    if not data.workflow_id.startswith(f"{envelope.tenantid}/"):
        return Refuse(TenantMismatch.code, f"letter {data.dead_letter_id!r} is about workflow {data.workflow_id!r} of another tenant")
    return ResetWorkflow(workflow_id=data.workflow_id, run_id=data.run_id, activity_id=data.activity_id)


def _task(envelope: Envelope, data: TaskRequested, registry: Registry, track: Track, clock: str) -> list[Action]:
    automation = registry.automations.get(data.automation)
    if automation is None:
        known = ", ".join(sorted(registry.automations)) or "none"
        unknown = Refuse("unknown-automation", f"task {data.key!r} names automation {data.automation!r}; there are: {known}")
        return [unknown] if track == Track.TRUST else []  # no track claims it, so the platform's own answers
    if automation.track != track:
        return []
    try:
        return [_start(automation, envelope, data.key, task_input(automation, envelope, data.payload), clock)]
    except (SchemaViolation, TenantMismatch) as error:
        return [refusal(error)]


def _findings(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(step) for step in found['loc']) or '(whole)'!r}: {found['msg']}"
        for found in error.errors(include_url=False, include_input=False)
    )
