"""Outreach: the conversation with a lead. Contacts are references; addresses and texts stay out."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.envelope import EventData
from shared.events.wire import ContactRef, Ref

Channel = Literal["email", "whatsapp", "linkedin", "sms", "voice"]


class OutreachMessageSent(EventData):
    """The provider accepted one message of a sequence."""

    TYPE: ClassVar[str] = "spine.outreach.message_sent.v1"
    SUBJECT: ClassVar[str] = "lead_id"

    lead_id: Ref
    """The lead, by the CRM's id."""
    intent_id: Ref
    """The intent behind it, in our ledger."""
    step: Annotated[int, Field(ge=0, le=100)]
    """0 is the first message, 1 the first follow-up."""
    channel: Channel
    """By which way it was said."""
    provider_message_id: Ref
    """The message, by the provider's id."""


class OutreachReplied(EventData):
    """The contact answered; whatever the answer says, the sequence ends and a person takes over."""

    TYPE: ClassVar[str] = "spine.outreach.replied.v1"
    SUBJECT: ClassVar[str] = "lead_id"

    lead_id: Ref
    """The lead, by the CRM's id."""
    contact_id: ContactRef
    """The contact, by reference: `contact/` and the account's name as a slug."""
    channel: Channel
    """By which way it was said."""
    message_ref: Ref
    """The answer, by the id that its mailbox or provider gave it."""


class OutreachCompleted(EventData):
    """A sequence ended."""

    TYPE: ClassVar[str] = "spine.outreach.completed.v1"
    SUBJECT: ClassVar[str] = "lead_id"

    lead_id: Ref
    """The lead, by the CRM's id."""
    outcome: Literal["replied", "exhausted", "disqualified", "rejected", "not_contactable", "expired", "denied", "failed"]
    """How it ended."""
    messages_sent: Annotated[int, Field(ge=0)]
    """How many the contact got."""


class OutreachDeliveryFailed(EventData):
    """A message came back, or its reader complained about it. Enough of these halt the channel."""

    TYPE: ClassVar[str] = "spine.outreach.delivery_failed.v1"
    SUBJECT: ClassVar[str] = "contact_id"

    contact_id: ContactRef
    """The contact, by reference: `contact/` and the account's name as a slug."""
    channel: Channel
    """By which way it was said."""
    kind: Literal["bounce", "complaint"]
    """A complaint is an objection: the contact is opted out of the channel."""
    message_ref: Ref
    """The message, by the provider's id."""
