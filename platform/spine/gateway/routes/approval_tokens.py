"""Approval tokens over HTTP: minted for a named person, spent without a key."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from shared.events import Verdict
from spine.approvals import tokens
from spine.audit import Actor
from spine.errors import ApprovalRefused, NotAllowed, NotAuthenticated, TenantMismatch
from spine.gateway import deciding
from spine.gateway.auth import Visiting, Work, answered, report_violation, services_of
from spine.gateway.bodies import Body, Line
from spine.gateway.credentials import address_of, refuse_other_tenant
from spine.gateway.idempotency import Answer
from spine.identity import Principal, Role
from spine.intake.decisions import record_refusal, take_decision
from spine.views import DecisionView, View

router = APIRouter(tags=["approvals"])


class TokenBody(Body):
    approver: Line | None = Field(default=None, description="for whom; yourself, if left out. Somebody else takes an admin's key")
    verdicts: tuple[Literal["approve", "reject"], ...] = Field(default=("approve", "reject"), min_length=1)
    minutes: Annotated[int, Field(ge=1, le=60)] = 15


class TokenView(View):
    """`token` is the credential itself: hand it to that person and to nobody else; it is kept nowhere."""

    token_id: str
    tenant_id: str
    approval_id: str
    intent_id: str
    action: str
    digest: str
    policy_version: str
    approver: str
    verdicts: tuple[str, ...]
    expires_at: datetime
    token: str


@router.post("/approvals/{approval_id}/tokens", status_code=201, response_model=TokenView)
def post_token(approval_id: str, body: TokenBody, visit: Visiting) -> JSONResponse:
    """A token with which one person can decide this request once, within minutes, without a key: for a link in a notice."""

    def mint(work: Work) -> Answer:
        grant = tokens.mint(
            work.conn,
            approval_id=approval_id,
            approver=body.approver or work.principal.id,
            minter=work.principal,
            clock=work.services.clock,
            verdicts={Verdict(one) for one in body.verdicts},
            lifetime=timedelta(minutes=body.minutes),
        )
        tokens.token_of(work.services.settings, grant)  # without a key nothing is minted
        return Answer(status=201, body={**asdict(grant), "verdicts": list(grant.verdicts), "expires_at": grant.expires_at.isoformat()})

    answer = visit.once(Role.APPROVER, body.model_dump(mode="json"), mint)
    said = {**answer.body, "verdicts": tuple(answer.body["verdicts"]), "expires_at": datetime.fromisoformat(answer.body["expires_at"])}
    # Made again for each answer instead of being kept with it: the same grant is the same token.
    return answered(answer, token=tokens.token_of(visit.services.settings, tokens.Grant(**said)))


class TokenDecisionBody(Body):
    token: Annotated[str, Field(min_length=1, max_length=4096)]
    verdict: Literal["approve", "reject"]
    reason: Annotated[str, Field(min_length=1, max_length=2000)] | None = None


class TokenDecision(DecisionView):
    delivered: bool | None = None


@router.post("/approvals/decide-by-token", status_code=201, response_model=TokenDecision)
def post_decision_by_token(body: TokenDecisionBody, request: Request) -> JSONResponse:
    """Decide with an approval token instead of a key. The token is the credential, and is what makes a repeated call one decision."""
    services = services_of(request)
    verdict, address = Verdict(body.verdict), address_of(request)
    whose = services.rates.admit(body.token, address) if services.rates else ""
    try:
        grant = tokens.read(services.settings, body.token)
    except NotAuthenticated:
        if services.rates:
            services.rates.failed(whose, address)
        raise
    principal = Principal(tenant_id=grant.tenant_id, id=grant.approver, role=Role.APPROVER)
    try:
        refuse_other_tenant(principal, request, body.model_dump(exclude={"token"}))
        with services.database.tenant(grant.tenant_id) as conn:
            principal, minted_by = tokens.use(conn, grant, verdict)
            decision_id = f"token:{grant.token_id}"
            resolution = take_decision(
                conn,
                principal=principal,
                approval_id=grant.approval_id,
                decision_id=decision_id,
                verdict=verdict,
                reason=body.reason,
                edited_payload=None,
                digest=grant.digest,
                policy=services.policy,
                registry=services.registry,
                clock=services.clock,
                minted_by=minted_by,
            )
    except TenantMismatch as error:
        report_violation(services, grant.tenant_id, Actor(principal.actor_type, principal.id), request, error)
        raise
    except (NotAllowed, ApprovalRefused, NotAuthenticated) as error:
        record_refusal(services.database, principal, grant.approval_id, verdict, error, clock=services.clock, token_id=grant.token_id)
        raise
    said = DecisionView.of(resolution, decision_id).model_dump(mode="json")
    return JSONResponse({**said, "delivered": deciding.deliver(services.temporal, said)}, status_code=201)
