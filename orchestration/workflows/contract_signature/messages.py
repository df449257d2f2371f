"""What goes into a contract signature, between its steps, and out of it."""

from typing import Literal, Self

from orchestration.governed.messages import Commitment, Message
from shared.events import DealWon, Envelope

NAME = "contract-signature"
OWNER = "revenue-operations"
"""The team that answers for it; `contact_ref(OWNER)` is whom `notify_owner` writes to."""


class ContractSignatureInput(Commitment):
    deal: DealWon

    @classmethod
    def from_event(cls, envelope: Envelope, data: DealWon) -> Self:
        return cls(**cls.origin(envelope), deal=data)


class DraftContract(Message):
    tenant_id: str
    workflow_id: str
    correlation_id: str
    deal: DealWon


class LookAtEnvelope(Message):
    """The intent whose effect made the envelope: the provider is asked by its key."""

    tenant_id: str
    intent_id: str


class EnvelopeStatus(Message):
    """What the provider says; an empty status means that it could not be asked or does not know."""

    status: str = ""


Ending = Literal["signed", "declined", "expired", "rejected", "denied", "failed"]


class ContractSignatureResult(Message):
    outcome: Ending
    envelope_id: str = ""
    why: str = ""
    left_undone: tuple[str, ...] = ()
    """Actions after the signature that did not succeed. A signature is not rolled back for them: a person finishes them."""
