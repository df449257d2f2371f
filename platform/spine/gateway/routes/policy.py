"""What the gate would say, and why: the table, and an explanation."""

from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

from shared.events import Money
from shared.events.records import DecisionMemo, EvidencePack, RiskRegister
from spine.audit import Actor
from spine.errors import IncompleteProposal
from spine.gateway import bodies
from spine.gateway.auth import Visiting
from spine.gateway.bodies import Line, Strict
from spine.intents import Proposal
from spine.intents.asking import what_if
from spine.paging import page_of, place_of
from spine.policy import ActionRule
from spine.policy_views import ExplanationView
from spine.views import View

router = APIRouter(tags=["policy"])

ActionName = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
_EXAMPLE: JsonDict = {
    "action": "proposal_send",
    "payload": {"deal_id": "D-1", "value": {"amount": "120000.00", "currency": "SAR"}, "discount": "0.05"},
    "correlation_id": "flow-1",
    "confidence": "0.9",
}


class PolicyLines(View):
    """`version` is the digest that each decision is stamped with; `next` is null on the last page."""

    version: str
    items: tuple[ActionRule, ...]
    next: str | None


class ExplainBody(Strict):
    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    action: ActionName
    automation: Line | None = Field(default=None, description="whose effect it would be; left out: an operator's own")
    payload: dict[str, Any] = Field(default_factory=dict)
    correlation_id: Annotated[str, StringConstraints(max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = Field(
        default=None, description="a blank one, or none, is refused for whatever leaves the company"
    )
    confidence: Annotated[Decimal, Field(ge=0, le=1)] | None = None
    amount: Money | None = Field(default=None, description="for the record; what tiers judge is in the payload")
    evidence: EvidencePack | None = None
    memo: DecisionMemo | None = None
    risks: RiskRegister | None = None


@router.get("/policy")
def get_policy(query: Annotated[bodies.Query, Query()], visit: Visiting) -> PolicyLines:
    """The table of actions, by name."""
    with visit.reading() as work:
        policy = work.services.policy
    after = "" if query.cursor is None else place_of(query.cursor, str)[0]
    names = [name for name in sorted(policy.actions) if name > after][: query.limit + 1]
    page = page_of([policy.actions[name] for name in names], query.limit, lambda last: (last.action,))
    return PolicyLines(version=policy.version, items=page.items, next=page.next)


@router.get("/policy/{action}")
def get_policy_line(action: str, visit: Visiting) -> ActionRule:
    """One line. A name that the table does not have is judged as `unknown`, and that is the line shown."""
    with visit.reading() as work:
        return work.services.policy.rule(action)


@router.post("/policy/explain")
def explain_policy(body: ExplainBody, visit: Visiting) -> ExplanationView:
    """What the gate would say to this proposal now, by which rule, and what would change it. Nothing is written."""
    with visit.reading() as work:
        services = work.services
        proposal = Proposal(
            tenant_id=work.tenant_id,
            automation=body.automation or "by-hand",
            key="explain",
            action=body.action,
            workflow_id=f"{work.tenant_id}/explain",
            actor=Actor(work.principal.actor_type, work.principal.id),
            **{name: getattr(body, name) for name in ("payload", "correlation_id", "evidence", "memo", "risks", "confidence", "amount")},
        )
        declared = None if body.automation is None else services.registry.automation(body.automation).effects
        found = what_if(work.conn, proposal, policy=services.policy, now=services.clock.now(), effects_allowed=declared)
    if missing := next((reason for reason in found.reasons if reason.code == "no-correlation"), None):
        raise IncompleteProposal(f"correlation_id: {missing.text}; name the business flow that this belongs to")
    return ExplanationView.of(found, action=body.action, policy_version=services.policy.version)
