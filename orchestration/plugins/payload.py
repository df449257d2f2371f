"""What every payload has in common when it reaches a connector."""

from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from spine.errors import InvalidInput

Line = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\r\n]+$")]
"""One line of text: it may become a header or a part of an address."""


def _above_zero(amount: str) -> str:
    if not Decimal(amount):
        raise ValueError("an amount is above zero")
    return amount


PositiveAmount = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,2})?$"), AfterValidator(_above_zero)]
"""Exact money to be paid, as the decimal string that was approved: no sign, at most 12 digits before and 2 after the point."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""The form of ISO 4217. Whether it is the right one nobody can tell from it, so an edit may not change it (actions.yaml)."""


class ActionPayload(BaseModel):
    """`action`, `idempotency_key` and `address` are added inside the effect; an unknown field is a mistake of whoever edited it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    action: str = ""
    idempotency_key: str = ""
    address: Line | None = None
    """The contact's e-mail address, for actions whose line in the policy table says so; never in what was approved."""

    @classmethod
    def of(cls, payload: dict[str, Any]) -> Self:
        """Raises InvalidInput, naming the field and never its value."""
        try:
            read = cls.model_validate(payload)
        except ValidationError as error:
            found = "; ".join(f"{'.'.join(map(str, one['loc']))!r}: {one['msg']}" for one in error.errors(include_input=False))
            raise InvalidInput(f"the payload of {payload.get('action')!r} does not fit: {found}") from None
        if not read.idempotency_key:
            raise InvalidInput(f"the payload of {payload.get('action')!r} has no idempotency key: connectors are called by effects only")
        return read

    def recipient(self) -> str:
        """Raises InvalidInput when the effect did not put an address in."""
        if self.address is None:
            raise InvalidInput(f"{self.action!r} has nobody to go to: set `address: true` for it in actions.yaml, or add the contact")
        return self.address
