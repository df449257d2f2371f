"""Leads: what the data plane found out about possible customers."""

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from shared.events.envelope import EventData
from shared.events.wire import ContactRef, Money, Name, Ref, Text


class LeadQualified(EventData):
    """A lead scored high enough to be worked on. Published by the data plane, once per lead and dataset version."""

    TYPE: ClassVar[str] = "spine.lead.qualified.v1"
    SUBJECT: ClassVar[str] = "lead_id"

    lead_id: Ref
    """The lead, by the CRM's id."""
    account: Name
    """The company, by its name."""
    contact_id: ContactRef
    """The contact, by reference: `contact/` and the account's name as a slug."""
    product: Name
    """What they may buy, by its name."""
    sales_agent: Name
    """Who looks after the account."""
    score: Annotated[float, Field(ge=0, le=1)]
    """Estimated probability of winning."""
    band: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,30}$")]
    """The name of the score's band, by the scorer's own table."""
    estimated_value: Money | None = None
    """What the deal may be worth."""
    dataset_version: Ref
    """Which version of the scored data says so."""
    reasons: tuple[Text, ...] = ()
    """Why the score is what it is, about the company only."""
