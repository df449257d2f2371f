"""Deals."""

from datetime import date
from typing import ClassVar

from shared.events.envelope import EventData
from shared.events.wire import ContactRef, Money, Name, Ref


class DealWon(EventData):
    """An opportunity was closed as won; the contract is still to be signed."""

    TYPE: ClassVar[str] = "spine.deal.won.v1"
    SUBJECT: ClassVar[str] = "deal_id"

    deal_id: Ref
    account: Name
    contact_id: ContactRef
    product: Name
    sales_agent: Name
    value: Money
    closed_on: date
    """The business day, in the tenant's zone."""
