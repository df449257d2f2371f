"""What the graph knows at each step, and what it answers.

Everything here is checkpointed, so nothing here is personal: a lead names its company, and its person by `contact_id` only.
The wording of the e-mail has no name in it either; the effect adds the address.
"""

from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from orchestration.graphs.models import Spent


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class LeadFacts(_Value):
    """What the data plane published about a lead (`lead.qualified`); fields that it adds later are ignored."""

    lead_id: str = Field(min_length=1)
    contact_id: str = Field(default="", pattern=r"^[^@]*$", description="a reference to table contacts, never an address")
    account: str = ""
    product: str = ""
    score: float = Field(ge=0, le=1, description="estimated probability of winning")
    band: str = ""
    dataset_version: str = ""
    reasons: tuple[str, ...] = ()


class Outcome(StrEnum):
    PROPOSED = "proposed"
    NOT_QUALIFIED = "not-qualified"
    ESCALATED = "escalated"  # the graph does not know, and says to whom it belongs


class OutreachProposal(_Value):
    """The graph's answer. Only a qualified one carries a draft; whoever looks at nothing but `qualified` errs towards silence."""

    outcome: Outcome
    qualified: bool
    confidence: float = Field(ge=0, le=1)
    score: int | None = Field(default=None, ge=0, le=100)
    reasons: tuple[str, ...]
    escalate_to: str | None = None
    subject: str = ""
    body: str = ""
    used: str = Field(description="'baseline', the model's name, or both joined by '+' where the budget ended between two steps")
    tokens: int = Field(default=0, ge=0)
    cost: Decimal = Field(default=Decimal(0), ge=0, description="in USD")


class Brief(_Value):
    """Research: what is on record, as sentences, and what is not."""

    known: tuple[str, ...]
    missing: tuple[str, ...]


class Score(_Value):
    points: int = Field(ge=0, le=100)
    confidence: float = Field(ge=0, le=1)
    reasons: tuple[str, ...]
    by: str


class Decision(_Value):
    outcome: Outcome
    reasons: tuple[str, ...]
    escalate_to: str | None = None
    by: str = Field(default="", description="who was asked when the question could not be answered; empty for the rules")


class Draft(_Value):
    subject: str = Field(min_length=1, max_length=150)
    body: str = Field(min_length=1, max_length=4000)
    by: str


class State(_Value):
    lead: LeadFacts
    step: int = Field(ge=0, le=3, description="0 is the first message, 1 to 3 are the follow-ups")
    brief: Brief | None = None
    score: Score | None = None
    decision: Decision | None = None
    draft: Draft | None = None
    spent: Spent = Spent()


CHECKPOINTED: tuple[type, ...] = (LeadFacts, Brief, Score, Decision, Outcome, Draft, Spent)
"""The only classes of ours that a checkpoint may bring to life (trap 38)."""


def proposal(state: State) -> OutreachProposal:
    """The answer that a finished state amounts to. A state without a decision amounts to an escalation, never to a guess."""
    score, draft = state.score, state.draft
    decision = state.decision or Decision(outcome=Outcome.ESCALATED, reasons=("no decision was reached",), escalate_to="sales_manager")
    if decision.outcome is Outcome.PROPOSED and draft is None:
        decision = Decision(outcome=Outcome.ESCALATED, reasons=("no draft was written",), escalate_to="sales_manager")
    qualified = decision.outcome is Outcome.PROPOSED
    authors = dict.fromkeys(part.by for part in (score, decision, draft) if part is not None and part.by)
    return OutreachProposal(
        outcome=decision.outcome,
        qualified=qualified,
        confidence=score.confidence if score else 0.0,
        score=score.points if score else None,
        reasons=(*(score.reasons if score else ()), *decision.reasons),
        escalate_to=decision.escalate_to,
        subject=draft.subject if qualified and draft else "",
        body=draft.body if qualified and draft else "",
        used="+".join(authors) or "baseline",
        tokens=state.spent.tokens,
        cost=state.spent.cost,
    )
