"""Drafting: the graph for the first message, a template for each follow-up. Texts are kept as documents and never travel."""

from collections.abc import Callable, Mapping
from typing import Any

from temporalio import activity

from orchestration.dead_letters import runs_graph
from orchestration.failures import translated
from orchestration.governed.messages import Drafted
from orchestration.graphs import GraphRunner, LeadFacts
from orchestration.workflows.outreach_sequence.messages import DraftFollowUp, Qualified, QualifyLead
from shared.events import LeadQualified
from spine import documents
from spine.clock import Clock
from spine.db import Database
from spine.ids import derived_id
from spine.telemetry import correlated

_FOLLOW_UPS: Mapping[int, tuple[str, str]] = {
    1: (
        "Following up: {product} for {account}",
        "Hello,\n\na short reminder of my note about {product}. If a fifteen-minute call would help you judge whether it fits "
        "{account}, name a time and I will be there.\n\nKind regards\n",
    ),
    2: (
        "{product}: one question",
        "Hello,\n\nmay I ask one thing: is {product} a topic for {account} this quarter, or should I come back later? "
        "A one-word answer is enough.\n\nKind regards\n",
    ),
    3: (
        "Closing the loop on {product}",
        "Hello,\n\nI have not heard from you and do not want to crowd your inbox, so this is my last note about {product}. "
        "Should it become a topic for {account}, a reply to this message reaches me.\n\nKind regards\n",
    ),
}


class OutreachActivities:
    """One in each worker."""

    def __init__(self, *, database: Database, graphs: GraphRunner, clock: Clock) -> None:
        self._database = database
        self._graphs = graphs
        self._clock = clock

    def all(self) -> list[Callable[..., Any]]:
        return [self.qualify, self.draft_follow_up]

    @runs_graph("lead-qualification")
    @activity.defn(name="qualify-lead")
    @translated
    def qualify(self, asked: QualifyLead) -> Qualified:
        """Run the graph. A retry continues at its checkpoint and arrives at the same draft."""
        facts = LeadFacts.model_validate(asked.lead.model_dump())
        with correlated(asked.correlation_id):
            answer = self._graphs.qualify_lead(
                tenant_id=asked.tenant_id, workflow_id=asked.workflow_id, step=0, lead=facts, heartbeat=activity.heartbeat
            )
        draft = None
        if answer.qualified:
            draft = self._keep(asked, 0, asked.lead, answer.subject, answer.body).model_copy(update={"confidence": answer.confidence})
        return Qualified(outcome=answer.outcome.value, draft=draft, reasons=answer.reasons, escalate_to=answer.escalate_to)

    @activity.defn(name="draft-follow-up")
    @translated
    def draft_follow_up(self, asked: DraftFollowUp) -> Drafted:
        """Raises KeyError for a step that no follow-up is written for: the sequence is longer than its texts."""
        subject, body = (text.format(product=asked.lead.product, account=asked.lead.account) for text in _FOLLOW_UPS[asked.step])
        return self._keep(asked, asked.step, asked.lead, subject, body)

    def _keep(self, asked: QualifyLead | DraftFollowUp, step: int, lead: LeadQualified, subject: str, body: str) -> Drafted:
        with self._database.tenant(asked.tenant_id) as conn:
            kept = documents.put(
                conn,
                tenant_id=asked.tenant_id,
                kind="outreach-message",
                body={"contact_id": lead.contact_id, "subject": subject, "body": body},
                correlation_id=asked.correlation_id,
                now=self._clock.now(),
                document_id=derived_id(asked.tenant_id, asked.workflow_id, "draft", str(step)),
            )
        return Drafted(document_id=kept.document_id, digest=kept.digest)
