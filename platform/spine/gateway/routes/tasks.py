"""POST /v1/tasks: run an automation by hand."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from spine.gateway.auth import Visiting, Work, answered
from spine.gateway.bodies import Body, CorrelationId, Line
from spine.gateway.idempotency import Answer
from spine.identity import Role
from spine.intake import request_task
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
    event_id: str
    correlation_id: str
    automation: str
    key: str
    workflow_id: str


@router.post("/tasks", status_code=202, response_model=TaskAccepted)
def post_task(body: TaskBody, visit: Visiting) -> JSONResponse:
    """Ask for an automation to run. 202: it is on the log; `Location` shows what becomes of it."""
    correlation_id = visit.correlate(body.correlation_id)

    def ask(work: Work) -> Answer:
        taken = request_task(
            work.conn,
            principal=work.principal,
            registry=work.services.registry,
            clock=work.services.clock,
            automation=body.automation,
            key=body.key,
            payload=body.payload,
            correlation_id=correlation_id,
            call_id=work.call_id,
        )
        accepted = TaskAccepted(
            event_id=taken.event_id,
            correlation_id=correlation_id,
            automation=taken.automation,
            key=taken.key,
            workflow_id=taken.runs_as,
        )
        return Answer(status=202, body=accepted.model_dump(mode="json"), headers={"Location": f"/v1/journeys/{correlation_id}"})

    return answered(visit.once(Role.OPERATOR, body.model_dump(mode="json"), ask))
