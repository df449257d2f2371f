"""Approvals: what waits for people, and what they decide."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from shared.events import Verdict
from spine import approvals
from spine.approvals import ApprovalState
from spine.errors import SpineError
from spine.gateway import bodies, deciding
from spine.gateway.auth import Visiting, Work, answered
from spine.gateway.bodies import Body
from spine.gateway.idempotency import Answer
from spine.gateway.routes import approval_tokens
from spine.identity import Principal, Role
from spine.intake.decisions import record_refusal
from spine.views import ApprovalDetail, ApprovalView, DecisionView, View, approval_detail

router = APIRouter(tags=["approvals"])
router.include_router(approval_tokens.router)


class ApprovalQuery(bodies.Query):
    state: ApprovalState | Literal["any"] = Field(default=ApprovalState.PENDING, description="what became of it; `any` for all of them")


class Approvals(View):
    """`next` is null on the last page."""

    items: tuple[ApprovalView, ...]
    next: str | None


@router.get("/approvals")
def get_approvals(query: Annotated[ApprovalQuery, Query()], visit: Visiting) -> Approvals:
    """What waits for people, the most urgent first; what was decided, the newest first."""
    state = None if query.state == "any" else ApprovalState(query.state)
    with visit.reading() as work:
        page = approvals.listing(work.conn, tenant_id=work.tenant_id, state=state, cursor=query.cursor, limit=query.limit)
    return Approvals(items=tuple(ApprovalView.of(one) for one in page.items), next=page.next)


@router.get("/approvals/{approval_id}")
def get_approval(approval_id: str, visit: Visiting) -> ApprovalDetail:
    """One request: what would happen, on what evidence, why people are asked, who else must sign, and what happened so far."""
    with visit.reading() as work:
        return approval_detail(work.conn, work.principal, approval_id, now=work.services.clock.now())


class DecisionBody(Body):
    verdict: Verdict
    reason: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    payload: dict[str, Any] | None = Field(default=None, description="the whole payload as it should be; with `edit` only")
    digest: str | None = Field(default=None, description="the digest of what was looked at: refused if something else is asked by now")


class DecisionAnswer(DecisionView):
    """`delivered`: the waiting workflow knows already (False: its event will tell it; None: there is no news yet)."""

    delivered: bool | None = None


@router.post("/approvals/{approval_id}/decisions", status_code=201, response_model=DecisionAnswer)
def post_decision(approval_id: str, body: DecisionBody, visit: Visiting) -> JSONResponse:
    """Approve, edit or reject. What is decided is committed before the workflow hears of it."""

    def decide(work: Work) -> Answer:
        decided = deciding.decide(work, approval_id, verdict=body.verdict, reason=body.reason, payload=body.payload, digest=body.digest)
        return Answer(status=201, body=decided.model_dump(mode="json"))

    def refused(principal: Principal, error: SpineError) -> None:
        record_refusal(visit.services.database, principal, approval_id, body.verdict, error, clock=visit.services.clock)

    answer = visit.once(Role.APPROVER, body.model_dump(mode="json"), decide, refused)
    return answered(answer, delivered=deciding.deliver(visit.services.temporal, answer.body))
