"""Tasks: an automation that somebody asks for by name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.events import Envelope, TaskRequested
from spine import eventlog
from spine.clock import Clock
from spine.db import Connection
from spine.errors import InvalidInput, SchemaViolation
from spine.identity import Principal
from spine.ids import derived_id
from spine.intake.envelopes import audited, checked, wrapped
from spine.registry import Automation, Graph, Registry
from spine.routing import task_input

_KEY = re.compile(r"[A-Za-z0-9._:-]{1,96}")  # the form of shared.events.keys


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTaken:
    """`runs_as` is the workflow's id, or the run key of a data job: where to look for it."""

    event_id: str
    correlation_id: str
    automation: str
    key: str
    runs_as: str


def request_task(
    conn: Connection,
    *,
    principal: Principal,
    registry: Registry,
    clock: Clock,
    automation: str,
    key: str | None,
    payload: Mapping[str, Any],
    correlation_id: str,
    call_id: str,
) -> TaskTaken:
    """Ask for an automation to run. The same `call_id` of the same principal is one task, however often it is asked.

    Judged before it is written, as it will be judged when it is routed. A payload that carries the automation's event has the key that
    the event would have had: a task and an event about one lead are one workflow. Raises NotFound naming the automations there are,
    SchemaViolation naming the field (a key that is not the payload's among them), TenantMismatch, and InvalidInput for a key that is none.
    """
    wanted = registry.automation(automation)
    if isinstance(wanted.runs, Graph):
        raise InvalidInput(f"automation {automation!r} runs a graph, which starts inside a workflow only: ask for that workflow")
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidInput(f"key {key!r} is not 1 to 96 letters, digits, '.', '_', '-', ':'; it becomes a part of the workflow's id")
    fields = wanted.payload_model.model_fields
    if unknown := sorted(set(payload) - set(fields)):
        raise SchemaViolation(f"the input of automation {automation!r} has no field {unknown[0]!r}; it has: {', '.join(fields)}")

    def asked(key: str) -> Envelope:
        return wrapped(
            checked(TaskRequested.TYPE, {"automation": automation, "key": key, "payload": dict(payload), "requested_by": principal.id}),
            principal=principal,
            clock=clock,
            correlation_id=correlation_id,
            event_id=derived_id("task", principal.tenant_id, principal.id, call_id),
        )

    judged = task_input(wanted, asked(key or automation), payload)  # the key is no part of the input, so any will do to judge it
    key = _agreed(wanted, key, wanted.key_of_input(judged))
    envelope = asked(key)
    eventlog.append(conn, [envelope])
    audited(conn, envelope, principal, clock, "task.requested", detail={"automation": automation, "key": key})
    return TaskTaken(
        event_id=envelope.id,
        correlation_id=correlation_id,
        automation=automation,
        key=key,
        runs_as=wanted.workflow_id(principal.tenant_id, key),
    )


def _agreed(automation: Automation, given: str | None, own: str | None) -> str:
    key = own if given is None else given
    if key is None:
        raise SchemaViolation(f"'key' is missing: the input of automation {automation.name!r} carries no event to take it from")
    if own is not None and key != own:
        raise SchemaViolation(f"'key': {key!r} is not the key of this payload, which is {own!r}: give that one, or leave it out")
    return key
