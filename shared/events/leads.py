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
    account: Name
    contact_id: ContactRef
    product: Name
    sales_agent: Name
    score: Annotated[float, Field(ge=0, le=1)]
    """Estimated probability of winning."""
    band: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,30}$")]
    """The name of the score's band, by the scorer's own table."""
    estimated_value: Money | None = None
    dataset_version: Ref
    reasons: tuple[Text, ...] = ()
