"""The approver directory: who may sign for what, and who stands in."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, Field

from spine import directory
from spine.audit import Actor
from spine.directory import Approver
from spine.gateway import bodies
from spine.gateway.auth import Visiting, Work, answered
from spine.gateway.bodies import Body, Line
from spine.gateway.idempotency import Answer
from spine.identity import Role
from spine.views import Approvers, ApproverView

router = APIRouter(tags=["approvers"])


class ApproverQuery(bodies.Query):
    function: str | None = Field(default=None, max_length=40)


class ApproverBody(Body):
    person: Line = Field(description="the principal's name, as in that person's keys and tokens")
    function: Line = Field(description=f"one of {', '.join(directory.FUNCTIONS)}")
    level: Annotated[int, Field(ge=1, le=9)] = 1
    delegate: Line | None = Field(default=None, description="who stands in while this person is absent")


class AbsenceBody(Body):
    person: Line
    absent_from: AwareDatetime | None = Field(default=None, description="left out together with `absent_until`: the absence is over")
    absent_until: AwareDatetime | None = None
    delegate: Line | None = Field(default=None, description="stands in, in every function; left out: whoever is named there already")


class DelegationBody(Body):
    person: Line
    delegate: Line | None = Field(description="null: nobody stands in")
    function: Line | None = Field(default=None, description="left out: in every function")


class RemovalBody(Body):
    person: Line
    function: Line | None = Field(default=None, description="left out: of every function")


@router.get("/approvers")
def get_approvers(query: Annotated[ApproverQuery, Query()], visit: Visiting) -> Approvers:
    """Who is in the directory, by function, level and name."""
    with visit.reading() as work:
        page = directory.listing(work.conn, tenant_id=work.tenant_id, function=query.function, cursor=query.cursor, limit=query.limit)
    return Approvers(items=tuple(ApproverView.of(one) for one in page.items), next=page.next)


@router.post("/approvers", status_code=201, response_model=ApproverView)
def post_approver(body: ApproverBody, visit: Visiting) -> JSONResponse:
    """Put somebody into a function, or change level and delegate there. Takes an admin."""

    def add(work: Work) -> Answer:
        added = directory.add(work.conn, person=body.person, function=body.function, level=body.level, delegate=body.delegate, **_by(work))
        return Answer(status=201, body=ApproverView.of(added).model_dump(mode="json"))

    return answered(visit.once(Role.ADMIN, body.model_dump(mode="json"), add))


@router.post("/approvers/absences", response_model=Approvers)
def post_absence(body: AbsenceBody, visit: Visiting) -> JSONResponse:
    """Mark somebody absent from one time to another, or present again. Takes an admin."""

    def change(work: Work) -> Answer:
        times: dict[str, Any] = {"absent_from": body.absent_from, "absent_until": body.absent_until}
        return _changed(directory.set_absence(work.conn, person=body.person, delegate=body.delegate, **times, **_by(work)))

    return answered(visit.once(Role.ADMIN, body.model_dump(mode="json"), change))


@router.post("/approvers/delegations", response_model=Approvers)
def post_delegation(body: DelegationBody, visit: Visiting) -> JSONResponse:
    """Name who stands in for somebody. Takes an admin."""

    def change(work: Work) -> Answer:
        return _changed(directory.set_delegate(work.conn, person=body.person, delegate=body.delegate, function=body.function, **_by(work)))

    return answered(visit.once(Role.ADMIN, body.model_dump(mode="json"), change))


@router.post("/approvers/removals", response_model=Approvers)
def post_removal(body: RemovalBody, visit: Visiting) -> JSONResponse:
    """Take somebody out of a function, or of all. What was signed stays signed. Takes an admin."""

    def change(work: Work) -> Answer:
        return _changed(directory.remove(work.conn, person=body.person, function=body.function, **_by(work)))

    return answered(visit.once(Role.ADMIN, body.model_dump(mode="json"), change))


def _by(work: Work) -> dict[str, Any]:
    actor = Actor(work.principal.actor_type, work.principal.id)
    return {"tenant_id": work.tenant_id, "actor": actor, "clock": work.services.clock}


def _changed(found: list[Approver]) -> Answer:
    return Answer(status=200, body={"items": [ApproverView.of(one).model_dump(mode="json") for one in found], "next": None})
