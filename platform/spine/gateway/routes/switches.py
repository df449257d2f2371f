"""Kill switches: stop new effects at once, let them go on again. And what the sweeper found."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from spine import sweeper
from spine.audit import Actor
from spine.gateway import bodies
from spine.gateway.auth import Visiting, Work, answered
from spine.gateway.bodies import Body, Line, Strict
from spine.gateway.idempotency import Answer
from spine.identity import Role
from spine.operator_views import FindingView, SwitchView
from spine.policy import switches as kill_switches
from spine.policy.switches import Scope
from spine.views import View

router = APIRouter(tags=["kill switches"])


class Switches(View):
    """All that are engaged; `next` is always None: there are few."""

    items: tuple[SwitchView, ...]
    next: str | None = None


class NoQuery(Strict):
    tenant_id: str | None = Field(default=None, description="may be left out: the key chooses the tenant; another one is refused")


class Why(NoQuery):
    reason: Line


class EngageBody(Body):
    scope: Scope
    target: Line = Field(description="the name of what is stopped; for scope tenant the tenant itself")
    reason: Line


class Released(View):
    """`released` is False for what was not stopped."""

    scope: Scope
    target: str
    released: bool


@router.get("/kill-switches")
def get_kill_switches(_query: Annotated[NoQuery, Query()], visit: Visiting) -> Switches:
    """What is stopped now, the oldest first."""
    with visit.reading() as work:
        found = kill_switches.engaged(work.conn, tenant_id=work.tenant_id)
    return Switches(items=tuple(SwitchView.of(one) for one in found))


@router.post("/kill-switches", status_code=201, response_model=SwitchView)
def post_kill_switch(body: EngageBody, visit: Visiting) -> JSONResponse:
    """Stop it: nothing that it covers begins any more, also what is approved. What waits is not lost. 200: it was stopped already."""

    def engage(work: Work) -> Answer:
        services = work.services
        kill_switches.check_target(
            body.scope, body.target, tenant_id=work.tenant_id, automations=services.registry.automations, policy=services.policy
        )
        changed = kill_switches.engage(
            work.conn,
            tenant_id=work.tenant_id,
            scope=body.scope,
            target=body.target,
            reason=body.reason,
            actor=Actor(work.principal.actor_type, work.principal.id),
            now=services.clock.now(),
            correlation_id=work.correlation_id,
        )
        found = kill_switches.engaged(work.conn, tenant_id=work.tenant_id)
        [stands] = [one for one in found if (one.scope, one.target) == (body.scope, body.target)]
        return Answer(status=201 if changed else 200, body=SwitchView.of(stands).model_dump(mode="json"))

    return answered(visit.once(Role.OPERATOR, body.model_dump(mode="json"), engage))


@router.delete("/kill-switches/{scope}/{target}", response_model=Released)
def delete_kill_switch(scope: Scope, target: str, query: Annotated[Why, Query()], visit: Visiting) -> JSONResponse:
    """Let it go on: what waited is taken up within a quarter of an hour of business time. Takes an admin."""

    def release(work: Work) -> Answer:
        changed = kill_switches.release(
            work.conn,
            tenant_id=work.tenant_id,
            scope=scope,
            target=target,
            reason=query.reason,
            actor=Actor(work.principal.actor_type, work.principal.id),
            now=work.services.clock.now(),
            correlation_id=work.correlation_id,
        )
        return Answer(status=200, body={"scope": scope.value, "target": target, "released": changed})

    return answered(visit.once(Role.ADMIN, query.model_dump(mode="json"), release))


class FindingQuery(bodies.Query):
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    standing: bool = Field(default=True, description="false: also those that were cleared")
    cursor: str | None = Field(default=None, description="`next` of the page before")


class Findings(View):
    """`next` is None on the last page."""

    items: tuple[FindingView, ...]
    next: str | None


@router.get("/findings", tags=["findings"])
def get_findings(query: Annotated[FindingQuery, Query()], visit: Visiting) -> Findings:
    """What the sweeper found at its last round, the newest first."""
    with visit.reading() as work:
        page = sweeper.listing(work.conn, tenant_id=work.tenant_id, standing=query.standing, cursor=query.cursor, limit=query.limit)
    return Findings(items=tuple(FindingView.of(one) for one in page.items), next=page.next)
