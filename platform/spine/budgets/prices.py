"""What things cost, in money that can be compared.

The books are kept in USD, because that is how models are priced; limits and prices may be in any currency listed here. Prices of
actions: domain.md §6. The rial is pegged to the dollar at 3.75 (Saudi Central Bank, since 1986), so its rate is no guess; a currency
that floats needs a rate of the day and is refused until somebody brings one.
"""

from collections.abc import Mapping
from decimal import ROUND_UP, Decimal

from spine.errors import InvalidInput

BOOKS = "USD"
PER_USD: Mapping[str, Decimal] = {"USD": Decimal(1), "SAR": Decimal("3.75")}
_STEP = Decimal("0.000001")  # what the books hold

_PRICED_IN = "SAR"
_BY_CHANNEL: Mapping[str, Decimal] = {"whatsapp": Decimal("0.15"), "sms": Decimal("0.08"), "email": Decimal("0.02")}
_BY_ACTION: Mapping[str, Decimal] = {
    "proposal_send": Decimal("0.50"),
    "enrichment_query": Decimal("0.001"),
    "notify_owner": Decimal("0.02"),
}
_OTHER_MESSAGE = Decimal("0.10")
_OTHER = Decimal("0.01")


def in_books(amount: Decimal, currency: str) -> Decimal:
    """An amount in the currency of the books, rounded up: what is reserved may be a little too much, never too little.

    Raises InvalidInput for a currency without a rate, and for what is no amount.
    """
    rate = PER_USD.get(currency)
    if rate is None:
        raise InvalidInput(f"no rate is known for currency {currency!r}: budgets are kept in {', '.join(PER_USD)}")
    if not amount.is_finite() or amount < 0 or amount >= 10**11:
        raise InvalidInput(f"an amount of money in a budget is between 0 and 100,000,000,000, not {amount}")
    return (amount / rate).quantize(_STEP, rounding=ROUND_UP)


def price_of(action: str, *, channel: str | None, plugin: str | None) -> Decimal:
    """What carrying out an action costs, in the currency of the books. What no connector carries out costs nothing."""
    if plugin is None and channel is None:
        return Decimal(0)
    by_channel = None if channel is None else _BY_CHANNEL.get(channel, _OTHER_MESSAGE)
    price = _BY_ACTION.get(action, _OTHER if by_channel is None else by_channel)
    return in_books(price, _PRICED_IN)
