"""What goes into an outreach sequence, between its steps, and out of it."""

from typing import Literal, Self

from orchestration.governed.messages import Commitment, Drafted, Message
from shared.events import Envelope, LeadQualified

NAME = "outreach-sequence"


class OutreachInput(Commitment):
    """The lead's facts are the event's own: companies and products by name, people by reference."""

    lead: LeadQualified

    @classmethod
    def from_event(cls, envelope: Envelope, data: LeadQualified) -> Self:
        return cls(**cls.origin(envelope), lead=data)


class QualifyLead(Message):
    tenant_id: str
    workflow_id: str
    correlation_id: str
    lead: LeadQualified


class Qualified(Message):
    """The graph's answer. A draft exists if, and only if, the lead is worth one; reasons are codes and sentences about companies."""

    outcome: Literal["proposed", "not-qualified", "escalated"]
    draft: Drafted | None = None
    reasons: tuple[str, ...] = ()
    escalate_to: str | None = None


class DraftFollowUp(Message):
    tenant_id: str
    workflow_id: str
    correlation_id: str
    step: int
    lead: LeadQualified


Ending = Literal["replied", "exhausted", "disqualified", "rejected", "not_contactable", "expired", "denied", "failed"]


class OutreachResult(Message):
    outcome: Ending
    messages_sent: int
    why: str = ""
