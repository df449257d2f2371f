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
    """The deal, by the CRM's id."""
    account: Name
    """The company, by its name."""
    contact_id: ContactRef
    """The contact, by reference: `contact/` and the account's name as a slug."""
    product: Name
    """What was bought, by its name."""
    sales_agent: Name
    """Who looks after the account."""
    value: Money
    """What the contract is about."""
    closed_on: date
    """The business day, in the tenant's zone."""
