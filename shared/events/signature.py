"""Signatures: a contract on its way through the signing provider. `envelope_id` is the provider's envelope, not ours."""

from typing import ClassVar, Literal

from shared.events.envelope import EventData
from shared.events.wire import Instant, Ref, Text


class SignatureRequested(EventData):
    """The provider holds the envelope; the signers are being asked."""

    TYPE: ClassVar[str] = "spine.signature.requested.v1"
    SUBJECT: ClassVar[str] = "deal_id"

    deal_id: Ref
    """The deal, by the CRM's id."""
    envelope_id: Ref
    """The provider's envelope."""
    intent_id: Ref
    """The intent behind it, in our ledger."""


class SignatureReported(EventData):
    """What the provider says about an envelope. It may come twice, late, or out of order."""

    TYPE: ClassVar[str] = "spine.signature.reported.v1"
    SUBJECT: ClassVar[str] = "deal_id"

    deal_id: Ref
    """The deal, by the CRM's id."""
    envelope_id: Ref
    """The provider's envelope."""
    status: Literal["created", "sent", "delivered", "signed", "completed", "declined", "voided", "expired"]
    """Where the envelope is, in the provider's words."""
    reported_by: Literal["webhook", "poll"]
    """How we heard of it."""


class SignatureCompleted(EventData):
    """Both sides signed."""

    TYPE: ClassVar[str] = "spine.signature.completed.v1"
    SUBJECT: ClassVar[str] = "deal_id"

    deal_id: Ref
    """The deal, by the CRM's id."""
    envelope_id: Ref
    """The provider's envelope."""
    signed_at: Instant
    """When the last side signed."""


class SignatureVoided(EventData):
    """The envelope was withdrawn: declined, expired, or compensated after a later failure."""

    TYPE: ClassVar[str] = "spine.signature.voided.v1"
    SUBJECT: ClassVar[str] = "deal_id"

    deal_id: Ref
    """The deal, by the CRM's id."""
    envelope_id: Ref
    """The provider's envelope."""
    reason: Text
    """Why it was withdrawn."""
