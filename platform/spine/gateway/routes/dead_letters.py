"""What nobody will try again by himself, emptied by people; and the circuits that keep things from dying."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from spine import deadletters
from spine.audit import Actor
from spine.deadletters import Filter, Plane, State, circuits
from spine.deadletters.circuits import Cause
from spine.gateway import bodies
from spine.gateway.auth import Visiting, Work, answered
from spine.gateway.bodies import Body, Line, Strict
from spine.gateway.idempotency import Answer
from spine.identity import Role
from spine.operator_views import CircuitView, DeadLetterView
from spine.views import View

router = APIRouter(tags=["dead letters"])

Reason = Annotated[str, Field(min_length=1, max_length=2000)]


class LetterQuery(bodies.Query):
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    state: State | None = "open"
    plane: Plane | None = None
    consumer: str | None = None
    error_code: str | None = None
    cursor: str | None = Field(default=None, description="`next` of the page before")


class DeadLetters(View):
    """`next` is None on the last page."""

    items: tuple[DeadLetterView, ...]
    next: str | None


class ReasonBody(Body):
    reason: Reason


class EditBody(ReasonBody):
    body: dict[str, Any] = Field(description="the whole body as it should have been; of an event only `data` may differ")


class BulkBody(ReasonBody):
    verdict: Literal["retry", "discard"]
    plane: Plane | None = None
    consumer: Line | None = None
    error_code: Line | None = None
    expected: int | None = Field(
        default=None, ge=0, strict=True, description="the count that you saw; without it nothing is decided, only counted"
    )


class BulkView(View):
    """`matched` there were, `done` were decided; `refused` with their reasons."""

    matched: int
    done: tuple[UUID, ...]
    refused: tuple[dict[str, str], ...]


class Circuits(View):
    """All that are not closed; `next` is always None: there are few."""

    items: tuple[CircuitView, ...]
    next: str | None = None


class NoQuery(Strict):
    tenant_id: str | None = Field(default=None, description="may be left out: the key chooses the tenant; another one is refused")


class ResetBody(ReasonBody):
    plane: Plane
    consumer: Line
    error_code: Line


class ResetView(View):
    plane: Plane
    consumer: str
    error_code: str
    state: Literal["closed"] = "closed"


@router.get("/dead-letters")
def get_dead_letters(query: Annotated[LetterQuery, Query()], visit: Visiting) -> DeadLetters:
    """Letters, the oldest first, without what was in them; by default those that are open."""
    with visit.reading() as work:
        wanted = query.model_dump(exclude={"tenant_id"})
        page = deadletters.listing(work.conn, tenant_id=work.tenant_id, **wanted)
    return DeadLetters(items=tuple(DeadLetterView.of(one) for one in page.items), next=page.next)


@router.get("/dead-letters/circuits")
def get_circuits(_query: Annotated[NoQuery, Query()], visit: Visiting) -> Circuits:
    """Causes that broke many things at once: what fails that way waits instead of dying."""
    with visit.reading() as work:
        found = circuits.listing(work.conn, tenant_id=work.tenant_id)
    return Circuits(items=tuple(CircuitView.of(one) for one in found))


@router.post("/dead-letters/circuits/reset", response_model=ResetView)
def post_circuit_reset(body: ResetBody, visit: Visiting) -> JSONResponse:
    """The cause is mended: what waits goes on at once, instead of after the next probe."""

    def reset(work: Work) -> Answer:
        cause = Cause(tenant_id=work.tenant_id, plane=body.plane, consumer=body.consumer, error_code=body.error_code)
        circuits.reset(work.conn, cause=cause, actor=_actor(work), reason=body.reason, now=work.services.clock.now())
        return Answer(status=200, body={"plane": body.plane, "consumer": body.consumer, "error_code": body.error_code, "state": "closed"})

    return answered(visit.once(Role.OPERATOR, body.model_dump(mode="json"), reset))


@router.post("/dead-letters/bulk", response_model=BulkView)
def post_bulk(body: BulkBody, visit: Visiting) -> JSONResponse:
    """One verdict on the open letters of a kind. Without `expected` it counts them and decides nothing."""

    def decide(work: Work) -> Answer:
        result = deadletters.bulk(
            work.conn,
            tenant_id=work.tenant_id,
            filter=Filter(plane=body.plane, consumer=body.consumer, error_code=body.error_code),
            verdict=body.verdict,
            reason=body.reason,
            actor=_actor(work),
            now=work.services.clock.now(),
            expected=body.expected,
        )
        view = BulkView(
            matched=result.matched, done=result.done, refused=tuple({"dead_letter_id": str(one), "why": why} for one, why in result.refused)
        )
        return Answer(status=200, body=view.model_dump(mode="json"))

    needed = Role.OPERATOR if body.verdict == "retry" else Role.APPROVER
    return answered(visit.once(needed, body.model_dump(mode="json"), decide))


@router.get("/dead-letters/{dead_letter_id}")
def get_dead_letter(dead_letter_id: UUID, visit: Visiting) -> DeadLetterView:
    """One letter; operators and above see what it was. Its journey is at `/v1/journeys/{correlation_id}`."""
    with visit.reading() as work:
        found = deadletters.show(work.conn, tenant_id=work.tenant_id, dead_letter_id=dead_letter_id)
    return DeadLetterView.of(found, whole=work.principal.role.covers(Role.OPERATOR))


@router.post("/dead-letters/{dead_letter_id}/retry", response_model=DeadLetterView)
def post_retry(dead_letter_id: UUID, body: ReasonBody, visit: Visiting) -> JSONResponse:
    """Have it tried again, as its plane does that. If it dies again, this letter is open again."""

    def retry(work: Work) -> Answer:
        return _answer(deadletters.retry(work.conn, dead_letter_id=dead_letter_id, **_by(work, body)))

    return answered(visit.once(Role.OPERATOR, body.model_dump(mode="json"), retry))


@router.post("/dead-letters/{dead_letter_id}/edit", response_model=DeadLetterView)
def post_edit(dead_letter_id: UUID, body: EditBody, visit: Visiting) -> JSONResponse:
    """Put a mended copy in its place, judged as new; `successor` is its event. Takes an approver."""

    def edit(work: Work) -> Answer:
        return _answer(deadletters.edit_and_retry(work.conn, dead_letter_id=dead_letter_id, body=body.body, **_by(work, body)))

    return answered(visit.once(Role.APPROVER, body.model_dump(mode="json"), edit))


@router.post("/dead-letters/{dead_letter_id}/discard", response_model=DeadLetterView)
def post_discard(dead_letter_id: UUID, body: ReasonBody, visit: Visiting) -> JSONResponse:
    """Give it up for good: what it asked for will not be done. Takes an approver."""

    def discard(work: Work) -> Answer:
        return _answer(deadletters.discard(work.conn, dead_letter_id=dead_letter_id, **_by(work, body)))

    return answered(visit.once(Role.APPROVER, body.model_dump(mode="json"), discard))


def _by(work: Work, body: ReasonBody) -> dict[str, Any]:
    return {"tenant_id": work.tenant_id, "actor": _actor(work), "reason": body.reason, "now": work.services.clock.now()}


def _actor(work: Work) -> Actor:
    return Actor(work.principal.actor_type, work.principal.id)


def _answer(letter: deadletters.DeadLetter) -> Answer:
    return Answer(status=200, body=DeadLetterView.of(letter).model_dump(mode="json"))
