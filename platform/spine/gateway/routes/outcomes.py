"""POST /v1/intents/{id}/outcome: what became of an effect whose provider cannot be asked."""

from typing import Annotated, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from spine.audit import Actor
from spine.effects.declare import declare_outcome
from spine.gateway.auth import Visiting, Work, answered
from spine.gateway.bodies import Body, Line
from spine.gateway.idempotency import Answer
from spine.identity import Role
from spine.views import IntentView

router = APIRouter(tags=["intents"])


class OutcomeBody(Body):
    outcome: Literal["completed", "failed"]
    reason: Annotated[str, Field(min_length=1, max_length=2000, description="where you looked, and what you found")]
    reference: Line | None = Field(default=None, description="the provider's id of what happened; `completed` takes one")


@router.post("/intents/{intent_id}/outcome", status_code=201, response_model=IntentView)
def post_outcome(intent_id: str, body: OutcomeBody, visit: Visiting) -> JSONResponse:
    """Declare what became of an `unknown` intent. Takes an admin; on record as V1. The workflow that waits learns of it by itself."""

    def declare(work: Work) -> Answer:
        settled = declare_outcome(
            work.conn,
            tenant_id=work.tenant_id,
            intent_id=intent_id,
            outcome=body.outcome,
            reason=body.reason,
            reference=body.reference,
            actor=Actor(work.principal.actor_type, work.principal.id),
            clock=work.services.clock,
        )
        return Answer(status=201, body=IntentView.of(settled).model_dump(mode="json"))

    return answered(visit.once(Role.ADMIN, body.model_dump(mode="json"), declare))
