"""Money is exact."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.events import Money


@pytest.mark.parametrize("amount", [1.5, 1, True, None, "1e3", "1,000", " 1", "NaN", "Infinity", "1.00001", "1" * 16, "", "٣"])
def test_money_refuses_what_is_not_an_exact_amount(amount: object) -> None:
    with pytest.raises(ValidationError):
        Money.model_validate({"amount": amount, "currency": "SAR"})


@pytest.mark.parametrize("amount", [Decimal("NaN"), Decimal("Infinity"), Decimal("1E+20"), Decimal("0.00001")])
def test_money_refuses_decimals_that_the_wire_cannot_hold(amount: Decimal) -> None:
    with pytest.raises(ValidationError):
        Money.of(amount, "SAR")


@pytest.mark.parametrize("currency", ["sar", "SA", "SARS", "", "S R"])
def test_a_currency_is_three_capitals(currency: str) -> None:
    with pytest.raises(ValidationError):
        Money.of("1.00", currency)


def test_a_bare_number_in_json_is_refused_whatever_its_value() -> None:
    for text in ('{"amount": 1, "currency": "SAR"}', '{"amount": 1.0, "currency": "SAR"}'):
        with pytest.raises(ValidationError, match="floats are not exact"):
            Money.model_validate_json(text)


@given(st.decimals(min_value=-(10**14), max_value=10**14, places=4))
def test_money_comes_back_to_the_last_digit(amount: Decimal) -> None:
    money = Money.of(amount, "SAR")
    written = money.model_dump_json()
    assert isinstance(json.loads(written)["amount"], str)
    back = Money.model_validate_json(written)
    assert back == money
    assert back.amount.as_tuple() == amount.as_tuple()


def test_money_goes_through_the_converter_that_temporal_uses() -> None:
    adapter = TypeAdapter(Money)
    assert adapter.validate_json(adapter.dump_json(Money.of("0.10", "SAR"))) == Money.of("0.10", "SAR")


def test_large_amounts_are_written_without_an_exponent() -> None:
    assert Money.of(Decimal("1E+3"), "SAR").model_dump(mode="json") == {"amount": "1000", "currency": "SAR"}
    assert str(Money.of("1250.00", "SAR")) == "1,250.00 SAR"
