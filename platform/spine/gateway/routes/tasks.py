"""POST /v1/tasks: run an automation by hand."""

import asyncio
from functools import partial
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from spine.clock import Stopped
from spine.errors import PolicyDenied
from spine.gateway.auth import Visit, Visiting, Work, answered
from spine.gateway.bodies import Body, CorrelationId, Line
from spine.gateway.idempotency import Answer
from spine.identity import Role
from spine.intake import Task, asked_first, request_task
from spine.intents import IntentState
from spine.intents.at_once import RevisionTaken, revision_free
from spine.views import View

router = APIRouter(tags=["tasks"])


class TaskBody(Body):
    automation: Line
    key: str | None = Field(
        default=None,
        description="what the automation is to work on; with the automation's name it makes the workflow's id. "
        "May be left out where the payload says it (the lead's or the deal's id); another one than the payload's is refused",
    )
    payload: dict[str, Any] = Field(default_factory=dict, description="the automation's own input; people are references, never addresses")
    correlation_id: CorrelationId | None = None


class TaskAccepted(View):
    """`state`: completed (it is on the log, as `event_id`) or awaiting_approval (`approval_id` says where people decide)."""

    intent_id: str
    state: IntentState
    automation: str
    key: str
    workflow_id: str
    correlation_id: str
    event_id: str | None
    approval_id: str | None


@router.post("/tasks", status_code=202, response_model=TaskAccepted)
async def post_task(body: TaskBody, visit: Visiting) -> JSONResponse:
    """Ask for an automation to run. 202: it is on the log, or waits for people; `Location` shows what becomes of it.

    403 `policy-denied` when the gate says no: `reason` is its code, and the intent is on record as denied.
    """
    return await asyncio.to_thread(_asked, body, visit)  # FastAPI's own way into a thread costs a twentieth of a task more


def _asked(body: TaskBody, visit: Visit) -> JSONResponse:
    correlation_id = visit.correlate(body.correlation_id)
    policy, clock = visit.services.policy, Stopped.of(visit.services.clock)

    def ask(work: Work, *, at_last: bool) -> Answer:
        taken = request_task(
            work.conn,
            Task(automation=body.automation, key=body.key, payload=body.payload, correlation_id=correlation_id),
            principal=work.principal,
            registry=work.services.registry,
            policy=policy,
            clock=clock,
            at_last=at_last,
        )
        visit.correlate(taken.correlation_id)
        if taken.state is IntentState.DENIED:
            (why,) = taken.reasons
            return visit.denied(PolicyDenied.code, why.text, reason=why.code, intent_id=taken.intent_id)
        accepted = TaskAccepted(
            intent_id=taken.intent_id,
            state=taken.state,
            automation=taken.automation,
            key=taken.key,
            workflow_id=taken.runs_as,
            correlation_id=taken.correlation_id,
            event_id=taken.event_id,
            approval_id=taken.approval_id,
        )
        return Answer(status=202, body=accepted.model_dump(mode="json"), headers={"Location": f"/v1/journeys/{taken.correlation_id}"})

    asked = body.model_dump(mode="json")
    try:
        with revision_free():
            answer = visit.once(
                Role.OPERATOR,
                asked,
                partial(ask, at_last=True),
                ahead=lambda tenant_id: asked_first(body.automation, tenant_id=tenant_id, policy=policy, clock=clock),
            )
    except RevisionTaken:  # asked for before, or by somebody else at this moment
        answer = visit.once(Role.OPERATOR, asked, partial(ask, at_last=False))
    return answered(answer)
