"""Tasks: an automation that somebody asks for by name, from the door to the log.

The stages are those of the seed's gateway, and `request_task` is where they stand in a row. Whoever came this far was
authenticated; whatever starts afterwards is started by the router, from the event that this leaves on the log.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from shared.events import TaskRequested
from spine.audit import Actor
from spine.canonical import exact_digest
from spine.clock import Clock
from spine.db import Connection, Question
from spine.errors import IdempotencyConflict, InvalidInput, SchemaViolation
from spine.identity import Principal
from spine.ids import new_id_text
from spine.intake.envelopes import checked
from spine.intents import Intent, IntentState, gate
from spine.intents.internal import START_AUTOMATION
from spine.intents.rows import reasons_of
from spine.intents.states import NEVER_DONE
from spine.policy import ActionRule, Allow, PolicyTable, Reason, standing
from spine.registry import Automation, Graph, Registry
from spine.routing import input_of
from spine.telemetry import current_traceparent

_KEY = re.compile(r"[A-Za-z0-9._:-]{1,96}")  # the form of shared.events.keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is asked for. Without a `key`, the one that the payload's own event would have had."""

    automation: str
    key: str | None
    payload: Mapping[str, Any]
    correlation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTaken:
    """What became of a task. `state` is its intent's: completed (it is on the log as `event_id`), awaiting_approval or denied.

    `runs_as` is the workflow's id, or the run key of a data job: where to look for it once it was started.
    """

    intent_id: str
    state: IntentState
    automation: str
    key: str
    runs_as: str
    correlation_id: str
    event_id: str | None = None
    approval_id: str | None = None
    reasons: tuple[Reason, ...] = ()


def request_task(
    conn: Connection,
    task: Task,
    *,
    principal: Principal,
    registry: Registry,
    policy: PolicyTable,
    clock: Clock,
    at_last: bool = False,
) -> TaskTaken:
    """Validate, gate, canary, trace, route, durable flow, in the caller's transaction; the handler follows from the log.

    A task is known by (tenant, automation, key): asked for again, it is the same task and gets the same answer; only after a "no"
    (denied, rejected, expired, cancelled) is it judged anew, as a further revision. A denial is an answer and is recorded like any
    other. Raises, with nothing written: NotFound naming the automations there are, SchemaViolation naming the field (a key that is
    not the payload's among them), TenantMismatch, InvalidInput for a key that is none, and IdempotencyConflict for another payload
    under a key that is taken.

    With `at_last`, a task that is allowed at once is written by the end of the transaction, which ends in `RevisionTaken` where it was
    asked for before (`revision_free`): then ask again, without. Two round trips less for every task that is new, one transaction
    more for one that is not.
    """
    wanted, key, payload = validated(task, principal.tenant_id, registry)
    try:
        digest = exact_digest(payload)
    except InvalidInput:
        may_be_told(payload, asked_by=principal.id)  # which names the field
        raise
    rule, now = policy.rule(START_AUTOMATION), clock.now()
    intent = _traced(  # trace: the request's span, which continues the caller's `traceparent`, is the flow's from here on
        wanted, key, payload, digest, rule, task=task, principal=principal, policy=policy, now=now
    )
    decision, _ = gate.judge(conn, intent, rule, policy=policy, now=now, effects_allowed=None)  # gate; the canary is one of its facts
    if not isinstance(decision, Allow):
        may_be_told(payload, asked_by=principal.id)  # what is allowed is told at once, and judged by that
    # Durable flow: the intent, its audit rows, and the event or the request for approval. None: that revision is taken, so it was asked
    # for before, or is at this moment; the insert waited for whoever did.
    while (entered := gate.enter(conn, intent, decision, rule, actor=intent.requested_by, at_last=at_last)) is None:
        revision, known = _known(conn, principal.tenant_id, wanted, key, digest)
        if known is not None:
            return known
        intent = replace(intent, revision=revision)
    return _taken(
        wanted,
        key,
        tenant_id=principal.tenant_id,
        intent_id=entered.intent_id,
        state=entered.state,
        correlation_id=task.correlation_id,
        approval_id=entered.approval_id,
        reasons=entered.reasons,
    )


def asked_first(automation: str, *, tenant_id: str, policy: PolicyTable, clock: Clock) -> Question:
    """What `request_task` asks first, at the same moment of the same clock: it may come with the transaction's beginning."""
    return standing(tenant_id=tenant_id, automation=automation, rule=policy.rule(START_AUTOMATION), now=clock.now())


def task_of(payload: Mapping[str, Any]) -> Task:
    """The task that an intent's payload, as somebody edited it, asks for. Raises SchemaViolation."""
    given = payload.get("input")
    if payload.keys() != {"automation", "key", "input"} or not isinstance(given, Mapping):
        raise SchemaViolation("the payload of a task is `automation`, `key` and `input`, which is an object: edit what is in `input`")
    return Task(automation=str(payload["automation"]), key=str(payload["key"]), payload=given, correlation_id="edited")


def validated(task: Task, tenant_id: str, registry: Registry) -> tuple[Automation, str, dict[str, Any]]:
    """The automation, the task's key and the payload of its intent. Judged as it will be judged when it is routed."""
    wanted = registry.automation(task.automation)
    if isinstance(wanted.runs, Graph):
        raise InvalidInput(f"automation {task.automation!r} runs a graph, which starts inside a workflow only: ask for that workflow")
    if task.key is not None and not _KEY.fullmatch(task.key):
        raise InvalidInput(f"key {task.key!r} is not 1 to 96 letters, digits, '.', '_', '-', ':'; it becomes a part of the workflow's id")
    fields = wanted.payload_model.model_fields
    if unknown := sorted(set(task.payload) - set(fields)):
        raise SchemaViolation(f"the input of automation {task.automation!r} has no field {unknown[0]!r}; it has: {', '.join(fields)}")
    judged = input_of(
        wanted, task.payload, tenant_id=tenant_id, correlation_id=task.correlation_id, causation_id=new_id_text(), traceparent=None
    )
    key = _agreed(wanted, task.key, wanted.key_of_input(judged))
    return wanted, key, {"automation": wanted.name, "key": key, "input": dict(task.payload)}


def may_be_told(payload: Mapping[str, Any], *, asked_by: str) -> None:
    """Whether the event that a task becomes can be written: nobody is asked to approve one that cannot. Raises SchemaViolation."""
    told = {"automation": payload["automation"], "key": payload["key"], "payload": payload["input"], "requested_by": asked_by}
    checked(TaskRequested.TYPE, told)


def _agreed(automation: Automation, given: str | None, own: str | None) -> str:
    key = own if given is None else given
    if key is None:
        raise SchemaViolation(f"'key' is missing: the input of automation {automation.name!r} carries no event to take it from")
    if own is not None and key != own:
        raise SchemaViolation(f"'key': {key!r} is not the key of this payload, which is {own!r}: give that one, or leave it out")
    return key


_NEWEST = """
select i.intent_id, i.revision, i.state, i.reasons, i.correlation_id, a.approval_id, bool_or(i.digest = %s) over () as asked_before
from intents i left join approvals a using (tenant_id, intent_id)
where i.tenant_id = %s and i.automation = %s and i.key = %s order by i.revision desc limit 1
"""


def _known(conn: Connection, tenant_id: str, wanted: Automation, key: str, digest: str) -> tuple[int, TaskTaken | None]:
    """The revision that a task would have now; and what became of it, where it is not to be judged anew."""
    row = conn.execute(_NEWEST, (digest, tenant_id, wanted.name, intent_key(key))).fetchone()
    if row is None:
        return 1, None
    state = IntentState(row["state"])
    if state in NEVER_DONE:
        return row["revision"] + 1, None
    if not row["asked_before"]:  # by any revision: the newest may be an edit of it
        raise IdempotencyConflict(
            f"task {key!r} of {wanted.name!r} was asked for with another payload: another payload is another task, and takes its own key"
        )
    return row["revision"], _taken(
        wanted,
        key,
        tenant_id=tenant_id,
        intent_id=str(row["intent_id"]),
        state=state,
        correlation_id=row["correlation_id"],
        approval_id=row["approval_id"] and str(row["approval_id"]),
        reasons=reasons_of(row["reasons"]),
    )


def intent_key(key: str) -> str:
    """Under which key a task's intent is found among the automation's own."""
    return f"task/{key}"


def _traced(
    wanted: Automation,
    key: str,
    payload: dict[str, Any],
    digest: str,
    rule: ActionRule,
    *,
    task: Task,
    principal: Principal,
    policy: PolicyTable,
    now: datetime,
) -> Intent:
    return Intent(
        tenant_id=principal.tenant_id,
        intent_id=new_id_text(),
        automation=wanted.name,
        key=intent_key(key),
        revision=1,
        action=START_AUTOMATION,
        payload=payload,
        digest=digest,
        amount=None,
        action_class=rule.action_class,
        approval_class=rule.approval,
        reversibility_class=rule.reversibility,
        sensitivity_class=rule.sensitivity,
        side_effect_class=rule.side_effect,
        state=IntentState.PROPOSED,
        reasons=(),
        policy_version=policy.version,
        evidence=None,
        confidence=None,
        requested_by=Actor(principal.actor_type, principal.id),
        workflow_id=wanted.workflow_id(principal.tenant_id, key),
        correlation_id=task.correlation_id,
        causation_id=None,
        traceparent=current_traceparent(),
        supersedes=None,
        compensates=None,
        not_before=None,
        created_at=now,
        updated_at=now,
    )


def _taken(
    wanted: Automation,
    key: str,
    *,
    tenant_id: str,
    intent_id: str,
    state: IntentState,
    correlation_id: str,
    approval_id: str | None,
    reasons: tuple[Reason, ...],
) -> TaskTaken:
    return TaskTaken(
        intent_id=intent_id,
        state=state,
        automation=wanted.name,
        key=key,
        runs_as=wanted.workflow_id(tenant_id, key),
        correlation_id=correlation_id,
        event_id=intent_id if state is IntentState.COMPLETED else None,
        approval_id=approval_id,
        reasons=reasons,
    )
