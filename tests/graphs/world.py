"""What the graph tests share: one lead, a model with a script, a runner on memory."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from orchestration.graphs import GraphRunner, LeadFacts, OutreachProposal
from orchestration.graphs.models import Limits, Model, flat_price
from spine.registry import Budget
from spine.settings import Settings
from spine.testing.models import Answer, ScriptedChatModel

LEAD = LeadFacts(
    lead_id="1C1I7A6R",
    contact_id="contact-7",
    account="Cancity",
    product="GTX Plus Basic",
    score=0.66,
    band="B",
    reasons=("bought GTX before",),
)
SCORED: Answer = {"score": 72, "confidence": 0.8, "reasons": ["bought GTX before"]}
DRAFTED: Answer = {"subject": "GTX Plus Basic", "body": "Hello,\n\nIs GTX Plus Basic something to talk about?\n\nThe sales team"}
BUDGET = Budget(tokens=30_000, money=Decimal("0.50"))


def scripted(*script: Answer, input_tokens: int = 100) -> tuple[Model, ScriptedChatModel]:
    chat = ScriptedChatModel(script, input_tokens=input_tokens)

    def make(_limits: Limits) -> ScriptedChatModel:
        return chat

    return Model(name="test:scripted", price=flat_price("10/20"), make=make), chat


def memory() -> Callable[[Sequence[type]], BaseCheckpointSaver[Any]]:
    saver = InMemorySaver()

    def factory(types: Sequence[type]) -> InMemorySaver:
        saver.serde = JsonPlusSerializer(allowed_msgpack_modules=list(types))
        return saver

    return factory


def qualify(
    model: Model | None = None, *, lead: LeadFacts = LEAD, step: int = 0, budget: Budget = BUDGET, runner: GraphRunner | None = None
) -> OutreachProposal:
    chosen = runner or GraphRunner(Settings(), memory(), model, budget=budget)
    return chosen.qualify_lead(
        tenant_id="demo", workflow_id=f"demo/outreach-sequence/{lead.lead_id}", step=step, lead=lead, heartbeat=lambda: None
    )
