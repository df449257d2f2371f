"""Signatures: a contract on its way through the signing provider. `envelope_id` is the provider's envelope, not ours."""

from typing import ClassVar, Literal

from shared.events.envelope import EventData
from shared.events.wire import Instant, Ref, Text


class SignatureRequested(EventData):
    """The provider holds the envelope; the signers are being asked."""

    TYPE: ClassVar[str] = "spine.signature.requested.v1"
    SUBJECT: ClassVar[str] = "deal_id"

    deal_id: Ref
    envelope_id: Ref
    intent_id: Ref


class SignatureReported(EventData):
    """What the provider says about an envelope. It may come twice, late, or out of order."""

    TYPE: ClassVar[str] = "spine.signature.reported.v1"
    SUBJECT: ClassVar[str] = "deal_id"

    deal_id: Ref
    envelope_id: Ref
    status: Literal["created", "sent", "delivered", "signed", "completed", "declined", "voided", "expired"]
    reported_by: Literal["webhook", "poll"]


class SignatureCompleted(EventData):
    """Both sides signed."""

    TYPE: ClassVar[str] = "spine.signature.completed.v1"
    SUBJECT: ClassVar[str] = "deal_id"

    deal_id: Ref
    envelope_id: Ref
    signed_at: Instant


class SignatureVoided(EventData):
    """The envelope was withdrawn: declined, expired, or compensated after a later failure."""

    TYPE: ClassVar[str] = "spine.signature.voided.v1"
    SUBJECT: ClassVar[str] = "deal_id"

    deal_id: Ref
    envelope_id: Ref
    reason: Text
